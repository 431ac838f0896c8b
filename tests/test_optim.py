"""Optimisers: the formulas step by step, L-BFGS beside SciPy's, and resuming with the same bits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray
from scipy import optimize
from scipy.special import expit

from pyconvx import nn
from pyconvx.errors import DivergedError, DTypeError, OptionError, ShapeError, WeightsError
from pyconvx.nn import safetensors
from pyconvx.nn._line_search import Point, search

Array = NDArray[Any]
Function = Callable[[Array], tuple[float, Array]]


# Functions to minimise, with a start


def quadratic(x: Array) -> tuple[float, Array]:
    """Condition number a thousand; the minimum is at 1, 2, 3, ..."""
    scale = np.logspace(0, 3, x.size)
    away = x.astype(np.float64) - np.arange(1, x.size + 1)
    return float(0.5 * (scale * away * away).sum()), scale * away


def rosenbrock(x: Array) -> tuple[float, Array]:
    wide = x.astype(np.float64)
    return float(optimize.rosen(wide)), optimize.rosen_der(wide)


def beale(x: Array) -> tuple[float, Array]:
    a, b = x.astype(np.float64)
    terms = np.array([1.5 - a + a * b, 2.25 - a + a * b**2, 2.625 - a + a * b**3])
    slopes = np.array([[b - 1, a], [b**2 - 1, 2 * a * b], [b**3 - 1, 3 * a * b**2]])
    return float(terms @ terms), 2 * terms @ slopes


def logistic(x: Array) -> tuple[float, Array]:
    """A regularised logistic regression: smooth, convex, not quadratic."""
    rng = np.random.default_rng(1)
    data, labels = rng.standard_normal((200, x.size)), rng.integers(0, 2, 200)
    margins = data @ x.astype(np.float64) * (2 * labels - 1)
    weights = -(2 * labels - 1) * expit(-margins)
    wide = x.astype(np.float64)
    return float(np.logaddexp(0, -margins).mean() + 0.01 * wide @ wide), data.T @ weights / 200 + 0.02 * wide


def flat_bottom(x: Array) -> tuple[float, Array]:
    """x^4: the Hessian vanishes at the minimum."""
    wide = x.astype(np.float64)
    return float((wide**4).sum()), 4 * wide**3


PROBLEMS: dict[str, tuple[Function, Array]] = {
    "quadratic": (quadratic, np.zeros(50)),
    "Rosenbrock in 2": (rosenbrock, np.array([-1.2, 1.0])),
    "Rosenbrock in 30": (rosenbrock, np.tile([-1.2, 1.0], 15)),
    "Beale": (beale, np.array([1.0, 1.0])),
    "logistic": (logistic, np.zeros(20)),
    "flat bottom": (flat_bottom, np.array([3.0, -2.0, 0.5])),
}


def minimised(function: Function, start: Array, most: int = 500, **options: Any) -> nn.LBFGS:
    opt = nn.LBFGS(start, **options)
    while not opt.converged and opt.steps < most:
        before = opt.value
        opt.step(lambda x: function(x))
        assert not opt.value > before + 1e-5 * abs(before), "a step went up"
    return opt


@pytest.mark.parametrize("name", PROBLEMS)
def test_lbfgs_in_float64_ends_where_scipy_s_does(name: str) -> None:
    function, start = PROBLEMS[name]
    options = {"maxcor": 10, "gtol": 1e-6, "ftol": 0, "maxiter": 1000}
    theirs = optimize.minimize(function, start, jac=True, method="L-BFGS-B", options=options)
    ours = minimised(function, start, tolerance_grad=1e-6)
    print(f"{name}: {ours.evaluations} evaluations, SciPy {theirs.nfev}; {ours.value:.3e}, SciPy {theirs.fun:.3e}")
    assert ours.converged
    assert ours.gradient is not None
    assert np.abs(ours.gradient).max() <= 1e-6
    assert ours.value <= theirs.fun + 1e-9 * max(1, abs(theirs.fun))
    np.testing.assert_allclose(ours.x, theirs.x, atol=2e-2 if name == "flat bottom" else 1e-5)
    assert ours.evaluations <= 1.5 * theirs.nfev + 5


@pytest.mark.parametrize("name", PROBLEMS)
def test_lbfgs_in_float32_ends_there_too(name: str) -> None:
    function, start = PROBLEMS[name]
    exact = optimize.minimize(function, start, jac=True, method="L-BFGS-B", options={"ftol": 0, "gtol": 1e-10})
    ours = minimised(function, start.astype(np.float32), tolerance_grad=1e-3)
    assert ours.x.dtype == np.float32
    assert ours.converged
    rise = ours.value - exact.fun
    print(f"{name}: {rise:.3e} above the minimum after {ours.evaluations} evaluations")
    assert rise <= 1e-4 * max(1, abs(exact.fun))


def test_lbfgs_keeps_shape_and_works_on_a_picture() -> None:
    rng = np.random.default_rng(0)
    target = rng.random((40, 50, 3)).astype(np.float32)
    opt = nn.LBFGS(np.zeros_like(target))
    for _ in range(5):
        x = opt.step(lambda x: (float(np.square(x - target).sum()), 2 * (x - target)))
    assert x.shape == target.shape
    np.testing.assert_allclose(x, target, atol=1e-5)


def test_lbfgs_forgets_what_misled_it_but_not_the_length_of_a_step() -> None:
    opt = nn.LBFGS(np.zeros(20), lr=0.01, max_evaluations=1)
    opt.step(logistic)
    change, rise = opt._pairs[-1]
    opt._pairs = [(change, rise * 1e-3)]  # as if the function were all but flat: a step far too long
    opt.lr, value, start = 1.0, opt.value, opt.x
    opt.step(logistic)
    assert opt.value < value
    assert len(opt._pairs) == 1
    np.testing.assert_allclose(np.linalg.norm(opt.x - start), np.linalg.norm(change))


def test_lbfgs_gives_up_where_nothing_is_smaller() -> None:
    """A gradient that points the wrong way, as a wrong closure has: no step falls."""
    opt = nn.LBFGS(np.ones(3))
    opt.step(lambda x: (float(x @ x), -2 * x))
    assert opt.converged
    np.testing.assert_array_equal(opt.x, 1)
    assert opt.evaluations == 1 + 20
    opt.step(lambda x: pytest.fail("converged: nothing is to be computed"))


def test_lbfgs_meets_infinities_on_its_way() -> None:
    """log has no value on the other side of 0: such steps are too long, and no more."""

    def barrier(x: Array) -> tuple[float, Array]:
        if x[0] <= 0:
            return np.nan, np.array([np.nan])
        return float(x[0] - np.log(x[0])), 1 - 1 / x

    opt = minimised(barrier, np.array([1e-3]), lr=1e5)
    np.testing.assert_allclose(opt.x, 1, atol=1e-6)


def test_lbfgs_says_when_the_start_is_not_finite_and_stays() -> None:
    opt = nn.LBFGS(np.ones(2))
    with pytest.raises(DivergedError, match="nan after 0 steps"):
        opt.step(lambda x: (np.nan, x))
    with pytest.raises(DivergedError):
        opt.step(lambda x: (1.0, x * np.inf))
    np.testing.assert_array_equal(opt.x, 1)


def test_lbfgs_is_untouched_by_an_exception() -> None:
    opt = nn.LBFGS(np.array([-1.2, 1.0]))
    for _ in range(3):
        opt.step(rosenbrock)
    before = opt.state_dict()
    calls = iter(range(10))

    def stopped(x: Array) -> tuple[float, Array]:
        if next(calls) == 0:
            raise KeyboardInterrupt
        return rosenbrock(x)

    with pytest.raises(KeyboardInterrupt):
        opt.step(stopped)
    for name, array in opt.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_lbfgs_gives_read_only_points() -> None:
    def rude(x: Array) -> tuple[float, Array]:
        x[0] = 5
        return 0.0, x

    with pytest.raises(ValueError, match="read-only"):
        nn.LBFGS(np.ones(2)).step(rude)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("pause", [0, 1, 3, 25])
def test_lbfgs_resumes_with_the_same_bits(tmp_path: Path, pause: int, dtype: DTypeLike) -> None:
    start = np.tile([-1.2, 1.0], 15).astype(dtype)
    whole = nn.LBFGS(start, history_size=4)
    for _ in range(pause):
        whole.step(rosenbrock)
    safetensors.save_file(whole.state_dict(), tmp_path / "state")
    resumed = nn.LBFGS(np.zeros_like(start), history_size=4)
    resumed.load_state_dict(safetensors.load_file(tmp_path / "state"))
    for _ in range(10):
        np.testing.assert_array_equal(whole.step(rosenbrock), resumed.step(rosenbrock))
    for name, array in whole.state_dict().items():
        assert array.tobytes() == resumed.state_dict()[name].tobytes()


def test_lbfgs_inner_products_do_not_depend_on_the_place_in_memory() -> None:
    from pyconvx.nn.lbfgs import _dot

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 200_003)).astype(np.float32)
    expected = _dot(a, b)
    np.testing.assert_allclose(expected, np.vdot(a.astype(np.float64), b), rtol=1e-10)
    for shift in range(1, 9):
        room = np.zeros(200_003 + 9, np.float32)
        room[shift : shift + 200_003] = a
        assert _dot(room[shift : shift + 200_003], b) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.zeros(3)}, "'x' is"),
        ({"x": np.zeros(2, np.float32)}, "float32"),
        ({"changes": np.zeros((1, 3))}, "'changes' is"),
        ({"rises": np.zeros((5, 2))}, "'rises' is"),
        ({"gradient": np.zeros(1)}, "'gradient' is"),
        ({"value": np.zeros(2)}, "'value' has shape"),
        ({"steps": np.zeros(2)}, "no number 'steps'"),
        ({"more": np.zeros(1)}, "not that of an L-BFGS"),
    ],
)
def test_lbfgs_refuses_a_foreign_state(change: dict[str, Array], message: str) -> None:
    opt = nn.LBFGS(np.zeros(2))
    opt.step(rosenbrock)
    before = opt.state_dict()
    with pytest.raises(WeightsError, match=message):
        opt.load_state_dict(before | change)
    np.testing.assert_array_equal(opt.x, before["x"])


@pytest.mark.parametrize(
    "options", [{"lr": -1}, {"history_size": 0}, {"c1": 0.95}, {"tolerance_grad": np.nan}, {"max_evaluations": 0.5}]
)
def test_lbfgs_refuses_bad_options(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError):
        nn.LBFGS(np.zeros(2), **options)


def test_lbfgs_refuses_bad_gradients() -> None:
    with pytest.raises(ShapeError, match="gradient has shape"):
        nn.LBFGS(np.zeros(2)).step(lambda x: (0.0, np.zeros(3)))
    with pytest.raises(DTypeError):
        nn.LBFGS(np.zeros(2, int))


@pytest.mark.parametrize("first_step", [1e-4, 1e-2, 1.0, 30.0, 1e4])
@pytest.mark.parametrize(
    "phi",
    [
        lambda t: ((t - 3) ** 2, 2 * (t - 3)),
        lambda t: (-t / (t * t + 2), (t * t - 2) / (t * t + 2) ** 2),  # Moré and Thuente's first function
        lambda t: (np.expm1(t) - 20 * t, np.exp(t) - 20) if t < 50 else (np.inf, np.nan),
        lambda t: (np.cos(t) - 1 + 0.1 * (t - 4) ** 2 - 1.6, -np.sin(t) + 0.2 * (t - 4)),
    ],
)
def test_line_search_meets_the_strong_wolfe_conditions(phi: Any, first_step: float) -> None:
    nothing = np.zeros(0)

    def at(step: float) -> Point:
        value, slope = phi(step)
        return Point(step, float(value), float(slope), nothing, nothing)

    start = at(0.0)
    point = search(at, start, first_step, 30, 1e-4, 0.5, 0.0)
    assert point is not None
    assert point.value <= start.value + 1e-4 * point.step * start.slope
    assert abs(point.slope) <= 0.5 * abs(start.slope)


# SGD and Adam


MAKERS: dict[str, Callable[[Any], Any]] = {
    "SGD": lambda p: nn.SGD(p, 0.1),
    "SGD with decay": lambda p: nn.SGD(p, 0.1, weight_decay=0.2),
    "momentum": lambda p: nn.SGD(p, 0.1, momentum=0.9, weight_decay=0.2),
    "nesterov": lambda p: nn.SGD(p, 0.1, momentum=0.9, nesterov=True),
    "Adam": lambda p: nn.Adam(p, 0.1, (0.8, 0.95), weight_decay=0.2),
    "AdamW": lambda p: nn.AdamW(p, 0.1, (0.8, 0.95), weight_decay=0.2),
}


def test_momentum_by_hand() -> None:
    opt = nn.SGD(np.array([1.0]), lr=0.5, momentum=0.5, weight_decay=0.1)
    np.testing.assert_allclose(opt.step(np.array([2.0])), 1 - 0.5 * 2.1)  # v = 2 + 0.1
    v = 0.5 * 2.1 + 2 + 0.1 * -0.05
    np.testing.assert_allclose(opt.step(np.array([2.0])), -0.05 - 0.5 * v)
    nesterov = nn.SGD(np.array([1.0]), lr=0.5, momentum=0.5, nesterov=True)
    np.testing.assert_allclose(nesterov.step(np.array([2.0])), 1 - 0.5 * (2 + 0.5 * 2))


def test_adam_s_first_step_is_lr_whatever_the_scale() -> None:
    for scale in (1e-3, 1.0, 1e6):
        x = nn.Adam(np.zeros(2), lr=0.1).step(scale * np.array([1.0, -5.0]))
        np.testing.assert_allclose(x, [-0.1, 0.1], rtol=1e-4)


@pytest.mark.torch
@pytest.mark.parametrize("name", MAKERS)
def test_steps_are_pytorch_s(name: str) -> None:
    torch = pytest.importorskip("torch")
    start = np.random.default_rng(0).standard_normal(7)
    ours = MAKERS[name](start)
    x = torch.tensor(start, requires_grad=True)
    options = {
        "SGD": lambda: torch.optim.SGD([x], 0.1),
        "SGD with decay": lambda: torch.optim.SGD([x], 0.1, weight_decay=0.2),
        "momentum": lambda: torch.optim.SGD([x], 0.1, momentum=0.9, weight_decay=0.2),
        "nesterov": lambda: torch.optim.SGD([x], 0.1, momentum=0.9, nesterov=True),
        "Adam": lambda: torch.optim.Adam([x], 0.1, (0.8, 0.95), weight_decay=0.2),
        "AdamW": lambda: torch.optim.AdamW([x], 0.1, (0.8, 0.95), weight_decay=0.2),
    }
    theirs = options[name]()
    for step in range(6):
        grad = np.cos(np.arange(7) + step)
        x.grad = torch.tensor(grad)
        theirs.step()
        np.testing.assert_allclose(ours.step(grad), x.detach().numpy(), rtol=1e-10, atol=1e-12)


def network() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4, random_state=1), nn.ReLU(), nn.Linear(4, 2, random_state=2))


def train(net: nn.Sequential, opt: Any, steps: range) -> None:
    loss = nn.CrossEntropyLoss()
    for step in steps:
        rng = np.random.default_rng(step)
        x, labels = rng.standard_normal((8, 3)).astype(np.float32), rng.integers(0, 2, 8)
        y, pullback = net.vjp(x, "parameters")
        _, back = loss.vjp(y, labels)
        opt.step(pullback(back()[0])[1])


@pytest.mark.parametrize("name", MAKERS)
def test_training_resumes_with_the_same_bits(tmp_path: Path, name: str) -> None:
    whole = network()
    opt = MAKERS[name](whole.named_parameters())
    train(whole, opt, range(4))
    whole.save(tmp_path / "net")
    safetensors.save_file(opt.state_dict(), tmp_path / "opt")
    opt.lr *= 0.5
    train(whole, opt, range(4, 9))
    resumed = network()
    resumed.load(tmp_path / "net")
    opt = MAKERS[name](resumed.named_parameters())
    opt.load_state_dict(safetensors.load_file(tmp_path / "opt"))
    assert opt.steps == 4
    opt.lr *= 0.5
    train(resumed, opt, range(4, 9))
    for key, array in whole.state_dict().items():
        np.testing.assert_array_equal(array, resumed.state_dict()[key])
    assert opt.steps == 9


@pytest.mark.parametrize("name", MAKERS)
def test_a_plain_array_resumes_with_the_same_bits(name: str) -> None:
    whole, resumed = MAKERS[name](np.ones(5, np.float32)), MAKERS[name](np.zeros(5, np.float32))
    for step in range(3):
        whole.step(np.sin(np.arange(5) + step).astype(np.float32))
    resumed.load_state_dict(safetensors.load(safetensors.save(whole.state_dict())))
    for step in range(3):
        grad = np.sin(np.arange(5) * step + 1).astype(np.float32)
        np.testing.assert_array_equal(whole.step(grad), resumed.step(grad))
    assert whole.value.dtype == np.float32


@pytest.mark.parametrize("name", MAKERS)
def test_training_makes_the_loss_fall(name: str) -> None:
    net, loss = network(), nn.CrossEntropyLoss()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 3)).astype(np.float32)
    labels = (x[:, 0] * x[:, 1] > 0).astype(int)
    opt = MAKERS[name](net.named_parameters())
    first = loss(net(x), labels)
    for _ in range(150):
        y, pullback = net.vjp(x, "parameters")
        opt.step(pullback(loss.vjp(y, labels)[1]()[0])[1])
    assert loss(net(x), labels) < 0.9 * first


def test_a_parameter_without_gradient_stays_and_counts_its_own_steps() -> None:
    net = nn.Sequential({"a": nn.Linear(2, 2, random_state=1)})
    opt = nn.Adam(net.named_parameters(), lr=0.1)
    bias = net.state_dict()["a.bias"]
    for _ in range(5):
        opt.step({"a.weight": np.ones((2, 2), np.float32)})
    np.testing.assert_array_equal(net.state_dict()["a.bias"], bias)
    opt.step({"a.bias": np.ones(2, np.float32)})
    np.testing.assert_allclose(net.state_dict()["a.bias"], bias - 0.1, rtol=1e-5)


def test_optimisers_refuse() -> None:
    net = network()
    opt = nn.SGD(net.named_parameters(), 0.1, momentum=0.9)
    with pytest.raises(OptionError, match="gradient came for 'x'"):
        opt.step({"x": np.zeros(1)})
    with pytest.raises(ShapeError, match=r"gradient of 0\.bias has shape"):
        opt.step({"0.bias": np.zeros(3)})
    with pytest.raises(OptionError, match="mapping of gradients"):
        opt.step(np.zeros(3))
    with pytest.raises(OptionError, match="named parameters"):
        _ = opt.value
    assert opt.steps == 0
    with pytest.raises(OptionError, match="ndarray"):
        nn.SGD(net.state_dict(), 0.1)
    for make in (
        lambda: nn.SGD(np.zeros(2), -0.1),
        lambda: nn.SGD(np.zeros(2), momentum=1.0),
        lambda: nn.SGD(np.zeros(2), nesterov=True),
        lambda: nn.Adam(np.zeros(2), eps=0),
        lambda: nn.Adam(np.zeros(2), betas=(0.9, 1.0)),
        lambda: nn.Adam(np.zeros(2), weight_decay=float("nan")),
    ):
        with pytest.raises(OptionError):
            make()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"velocity.0.bias": np.zeros(3, np.float32)}, "expected"),
        ({"velocity.0.bias": np.zeros(4)}, "float64"),
        ({"velocity.9.bias": np.zeros(4, np.float32)}, "not of this optimiser"),
        ({"mean.0.bias": np.zeros(4, np.float32)}, "not of this optimiser"),
        ({"steps.9.bias": np.array(1)}, "another network"),
        ({"lr": np.array(-1.0)}, "no number 'lr'"),
        ({"steps": np.array("x")}, "no number 'steps'"),
    ],
)
def test_a_foreign_state_is_refused(change: dict[str, Array], message: str) -> None:
    net = network()
    opt = nn.SGD(net.named_parameters(), 0.1, momentum=0.9)
    train(net, opt, range(2))
    before = opt.state_dict()
    with pytest.raises(WeightsError, match=message):
        opt.load_state_dict(before | change)
    assert {name: array.tobytes() for name, array in opt.state_dict().items()} == {
        name: array.tobytes() for name, array in before.items()
    }
