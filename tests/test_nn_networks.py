"""Sequential, Residual, Graph: derivatives, taps, shared weights, and that nothing is computed or kept in vain."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradients
import numpy as np
import pytest
from numpy.typing import NDArray

import pyconvx
from pyconvx import _core, nn
from pyconvx.errors import OptionError, ShapeError

Array = NDArray[Any]
F64 = np.float64


def linear(n: int, m: int, seed: int = 1) -> nn.Linear:
    return nn.Linear(n, m, dtype=F64, random_state=seed)


def tower() -> nn.Sequential:
    return nn.Sequential(
        {"a": linear(5, 6), "ra": nn.ReLU(), "b": linear(6, 4, 2), "rb": nn.ReLU(), "c": linear(4, 3, 3)}
    )


def nested() -> nn.Sequential:
    block = nn.Residual(nn.Sequential(linear(6, 6), nn.PReLU(dtype=F64)), linear(6, 6, 5))
    return nn.Sequential({"first": linear(5, 6), "block": block, "plain": nn.Residual(linear(6, 6, 9))})


def shared_graph() -> nn.Graph:
    """One encoder on two paths, used at three nodes, met by a product, a sum and a concatenation."""
    encoder = nn.Sequential(linear(5, 5), nn.L2Normalize())
    return nn.Graph(
        {
            "one": (encoder, "input"),
            "two": (encoder, "one"),
            "three": (encoder, "two"),
            "product": (nn.Multiply(), "one", "two", "three"),
            "sum": (nn.Add(), "product", "product", "input"),
            "joined": (nn.Concat(), "sum", "two", "input"),
            "head": (linear(15, 2, 4), "joined"),
        }
    )


NETWORKS: dict[str, Callable[[], nn.Layer]] = {
    "tower": tower,
    "nested": nested,
    "shared graph": shared_graph,
    "one layer twice": lambda: (lambda layer: nn.Sequential({"x": layer, "relu": nn.ReLU(), "y": layer}))(linear(5, 5)),
    "empty": lambda: nn.Sequential(),
    "output inside": lambda: nn.Graph({"a": (linear(5, 4), "input"), "b": (linear(4, 3), "a")}, output="a"),
}


@pytest.fixture
def x() -> Array:
    return np.random.default_rng(0).standard_normal((4, 5))


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "output inside"])
def test_pullback_agrees_with_finite_differences(name: str, x: Array) -> None:
    assert gradients.worst_error(NETWORKS[name](), x) < gradients.TOLERANCE


@pytest.mark.parametrize("name", NETWORKS)
def test_wrt_changes_no_bit(name: str, x: Array) -> None:
    net = NETWORKS[name]()
    y, pullback = net.vjp(x)
    dy = np.ones_like(y)
    dx, grads = pullback(dy)
    np.testing.assert_array_equal(net.vjp(x, "input")[1](dy)[0], dx)
    assert net.vjp(x, "input")[1](dy)[1] == {}
    none, only = net.vjp(x, "parameters")[1](dy)
    assert none is None
    assert list(only) == list(grads)
    for key in grads:
        np.testing.assert_array_equal(only[key], grads[key])
    np.testing.assert_array_equal(dy, 1)


def test_names_and_shared_parameters() -> None:
    assert list(nested().named_parameters()) == [
        "first.weight",
        "first.bias",
        "block.body.0.weight",
        "block.body.0.bias",
        "block.body.1.weight",
        "block.shortcut.weight",
        "block.shortcut.bias",
        "plain.body.weight",
        "plain.body.bias",
    ]
    assert list(shared_graph().named_parameters()) == ["one.0.weight", "one.0.bias", "head.weight", "head.bias"]


def test_one_encoder_on_a_stacked_batch_is_the_sum_of_its_uses(x: Array) -> None:
    net = tower()
    y, pullback = net.vjp(np.concatenate([x, x[::-1]]))
    dy = np.random.default_rng(1).standard_normal(y.shape)
    _, together = pullback(dy)
    _, first = net.vjp(x)[1](dy[:4])
    _, second = net.vjp(x[::-1])[1](dy[4:])
    for name, grad in together.items():
        np.testing.assert_allclose(grad, first[name] + second[name], rtol=1e-12, atol=1e-12)


def test_taps_return_and_take_dictionaries(x: Array) -> None:
    net = nested()
    names = ["block", "first", "block.body.0"]
    found, pullback = net.vjp(x, taps=names)
    assert list(found) == names
    features = net.features(x, names)
    for name in names:
        np.testing.assert_array_equal(found[name], features[name])
    rng = np.random.default_rng(2)
    dys = {name: rng.standard_normal(found[name].shape) for name in names}
    dx, grads = pullback(dys)
    assert dx is not None
    direction = rng.standard_normal(x.shape)

    def value(at: Array) -> float:
        return float(sum(np.vdot(y, dys[name]) for name, y in net.features(at, names).items()))

    measured = gradients.slope(value, x, direction)
    assert gradients.relative(measured, float(np.vdot(dx, direction))) < gradients.TOLERANCE
    # The pullback is linear: gradients come one by one or together, as arrays or when they are called for.
    parts = [pullback({name: dy}) for name, dy in dys.items()]
    np.testing.assert_allclose(sum(part[0] for part in parts if part[0] is not None), dx, rtol=1e-12, atol=1e-14)
    assert "plain.body.weight" not in grads
    assert "block.body.0.weight" not in pullback({"first": dys["first"]})[1]
    lazy, _ = pullback({name: (lambda dy=dy: dy.copy()) for name, dy in dys.items()})
    np.testing.assert_array_equal(lazy, dx)
    nothing, no_grads = pullback({})
    np.testing.assert_array_equal(nothing, np.zeros_like(x))
    assert no_grads == {}


def test_gradients_are_called_for_when_their_layer_is_reached(x: Array) -> None:
    net = tower()
    found, pullback = net.vjp(x, "input", taps=["ra", "c"])
    order: list[str] = []

    def later(name: str) -> Callable[[], Array]:
        def give() -> Array:
            order.append(name)
            return np.ones_like(found[name])

        return give

    pullback({"ra": later("ra"), "c": later("c")})
    assert order == ["c", "ra"]


def test_taps_of_one_place_under_two_names_add_up(x: Array) -> None:
    net = nn.Sequential({"inner": nn.Sequential({"a": linear(5, 3)})})
    found, pullback = net.vjp(x, taps=["inner", "inner.a"])
    dy = np.ones_like(found["inner"])
    both, _ = pullback({"inner": dy, "inner.a": dy})
    one, _ = pullback({"inner": 2 * dy})
    np.testing.assert_array_equal(both, one)


class Spy(nn.Layer):
    """Counts how often it is run."""

    def __init__(self) -> None:
        super().__init__()
        self.runs = 0

    def _forward(self, x: Array) -> Array:
        self.runs += 1
        return x.copy()


def test_what_no_tap_needs_is_not_computed(x: Array) -> None:
    early, late, aside = Spy(), Spy(), Spy()
    net = nn.Graph({"early": (early, "input"), "aside": (aside, "input"), "late": (late, "early")})
    net.features(x, ["early"])
    assert (early.runs, aside.runs, late.runs) == (1, 0, 0)
    net(x)
    assert (early.runs, aside.runs, late.runs) == (2, 0, 1)


def test_no_gradient_below_the_first_parameter(x: Array) -> None:
    """A Spy has no derivative: with wrt="parameters" none is asked for in front of the first parameter."""
    net = nn.Sequential(Spy(), linear(5, 2))
    y, pullback = net.vjp(x, "parameters")
    assert set(pullback(np.ones_like(y))[1]) == {"1.weight", "1.bias"}
    with pytest.raises(NotImplementedError):
        net.vjp(x, "input")


def peak_of(call: Callable[[], object]) -> int:
    """Bytes of the pool, where large arrays live, that a call took beyond what was in use before."""
    before = pyconvx.memory()["in_use"]
    _core.reset_memory_peak()
    call()
    return int(pyconvx.memory()["peak"] - before)


def rectifiers() -> nn.Sequential:
    return nn.Sequential(*[nn.ReLU() for _ in range(12)])


def test_activations_go_when_they_were_read() -> None:
    """Two activations live at a time (the pool rounds a block up by a quarter); twelve if they stayed."""
    net, x = rectifiers(), np.ones(1 << 22, np.float32)
    assert x.nbytes <= peak_of(lambda: net(x)) < 3 * x.nbytes
    assert x.nbytes <= peak_of(lambda: net.vjp(x, "input")) < 3 * x.nbytes
    assert 6 * x.nbytes < peak_of(lambda: net.features(x, list(net)))


def test_backward_overwrites_what_is_its_own() -> None:
    net, x = rectifiers(), np.ones(1 << 22, np.float32)
    y, pullback = net.vjp(x, "input")
    assert x.nbytes <= peak_of(lambda: pullback(y)) < 1.5 * x.nbytes
    np.testing.assert_array_equal(y, 1)


def test_train_reaches_every_layer() -> None:
    norm = nn.BatchNorm(3)
    net = nn.Sequential(nn.Residual(nn.Sequential(norm)))
    net.train()
    assert norm.training
    net.eval()
    assert not norm.training


def test_containers() -> None:
    net = tower()
    assert list(net) == ["a", "ra", "b", "rb", "c"]
    assert len(net) == 5
    assert net["a"] is net.layers["a"]
    assert list(nn.Sequential(nn.ReLU(), nn.ReLU())) == ["0", "1"]


def test_printed() -> None:
    net = nn.Sequential({"first": linear(5, 6), "block": nn.Residual(nn.Sequential(nn.ReLU()))})
    assert repr(net).splitlines() == [
        "Sequential:",
        "  first: Linear(weight (5, 6), bias (6,))",
        "  block: Residual:",
        "    body: Sequential:",
        "      0: ReLU()",
    ]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Sequential({"a.b": nn.ReLU()}), "without dots"),
        (lambda: nn.Sequential({"": nn.ReLU()}), "without dots"),
        (lambda: nn.Sequential({"a": nn.ReLU}), "not a class"),  # type: ignore[dict-item]
        (lambda: nn.Sequential([nn.ReLU()]), "argument 0"),  # type: ignore[arg-type]
        (lambda: nn.Graph({}), "empty"),
        (lambda: nn.Graph({"input": (nn.ReLU(), "input")}), "cannot be named"),
        (lambda: nn.Graph({"a": (nn.ReLU(), "b"), "b": (nn.ReLU(), "input")}), "it may read input"),
        (lambda: nn.Graph({"a": (nn.ReLU(), "a")}), "it may read input"),
        (lambda: nn.Graph({"a": (nn.ReLU(), "input", "input")}), "2 sources"),
        (lambda: nn.Graph({"a": nn.ReLU()}), "a node is"),  # type: ignore[dict-item]
        (lambda: nn.Graph({"a": (nn.ReLU(), "input")}, output="b"), "output is 'b'"),
        (lambda: tower().features(np.zeros((1, 5)), ["relu9"]), "no layer 'relu9'"),
        (lambda: tower().features(np.zeros((1, 5)), "ra"), "must be a list"),
        (lambda: tower().vjp(np.zeros((1, 5)), taps=["a"])[1]({"b": np.zeros((1, 4))}), "not tapped"),
    ],
)
def test_bad_networks(make: Callable[[], object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        make()


def test_bad_gradients_and_merges(x: Array) -> None:
    _, pullback = tower().vjp(x, taps=["a"])
    with pytest.raises(ShapeError, match="gradient a has shape"):
        pullback({"a": np.zeros((1, 6))})
    with pytest.raises(ShapeError, match="gradient a has shape"):
        pullback({"a": lambda: np.zeros((1, 6))})
    with pytest.raises(ShapeError, match=r"Add got arrays of shapes \(2, 3\), \(3,\)"):
        nn.Add()(np.zeros((2, 3)), np.zeros(3))
    with pytest.raises(ShapeError, match="Concat"):
        nn.Concat()(np.zeros((2, 3)), np.zeros((3, 3)))
    assert nn.Concat()(np.zeros((2, 3)), np.zeros((2, 1))).shape == (2, 4)
