"""The way back through a network, against PyTorch, a naive oracle and differences; occlusion against a loop."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import reference
from random_networks import CHANNELS, RandomNetworks

from pyconvx import nn, visualize
from pyconvx.errors import OptionError, ShapeError

EXTENTS = {1: (23,), 2: (11, 9), 3: (7, 8, 7)}
CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}


def small_net(rank: int) -> nn.Sequential:
    return nn.Sequential(
        {
            "conv1": CONV[rank](2, 5, 3, padding=1, dtype=np.float64, random_state=0),
            "relu1": nn.ReLU(),
            "pool1": POOL[rank](2),
            "conv2": CONV[rank](5, 4, 2, dtype=np.float64, random_state=1),
            "relu2": nn.ReLU(),
        }
    )


def picture(rank: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((*EXTENTS[rank], CHANNELS))


def oracle(net: nn.Sequential, x: np.ndarray, unit: int, position: tuple[int, ...], rule: str) -> np.ndarray:
    """Zeiler and Fergus, and guided backpropagation, step by step in NumPy: no line of the library's."""
    rank = x.ndim - 1
    w1, b1 = net["conv1"].weight.value, net["conv1"].bias.value
    w2, b2 = net["conv2"].weight.value, net["conv2"].bias.value
    ones, none = (1,) * rank, [(0, 0)] * rank
    before = reference.conv(x[None], w1, b1, ones, [(1, 1)] * rank, ones, 1)
    pooled_size = tuple(n // 2 for n in before.shape[1:-1])
    rectified = np.maximum(before, 0)
    blocks = {}
    pooled = np.zeros((1, *pooled_size, 5))
    for place in itertools.product(*map(range, pooled_size)):
        window = rectified[(0, *(slice(2 * p, 2 * p + 2) for p in place))]
        for channel in range(5):
            inside = np.unravel_index(window[..., channel].argmax(), window.shape[:-1])
            blocks[(*place, channel)] = tuple(2 * p + i for p, i in zip(place, inside, strict=True))
            pooled[(0, *place, channel)] = window[(*inside, channel)]
    y = reference.conv(pooled, w2, b2, ones, none, ones, 1)
    dy = np.zeros_like(y)
    dy[(0, *position, unit)] = 1

    def through(gradient: np.ndarray, given: np.ndarray) -> np.ndarray:
        if rule == "deconvnet":
            return np.maximum(gradient, 0)
        passed = np.where(given > 0, gradient, 0)
        return np.maximum(passed, 0) if rule == "guided" else passed

    dpooled = reference.conv_input_grad(through(dy, y), w2, pooled_size, ones, none, ones, 1)
    drectified = np.zeros_like(rectified)
    for place, source in blocks.items():
        drectified[(0, *source, place[-1])] += dpooled[(0, *place)]
    return reference.conv_input_grad(through(drectified, before), w1, x.shape[:-1], ones, [(1, 1)] * rank, ones, 1)[0]


@pytest.mark.parametrize("rule", ["gradient", "guided", "deconvnet"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_every_rule_is_that_of_the_oracle(rank: int, rule: Any) -> None:
    net, x = small_net(rank), picture(rank)
    y = net(x[None])[0]
    for unit in range(4):
        position = tuple(int(axis) for axis in np.unravel_index(y[..., unit].argmax(), y.shape[:-1]))
        found = visualize.backproject(net, "relu2", unit, x, rule=rule)
        np.testing.assert_allclose(found, oracle(net, x, unit, position, rule), rtol=0, atol=1e-12)
        assert found.any() or not y[(*position, unit)]
    assert (y > 0).any()
    other = visualize.backproject(net, "relu2", 1, x, position=(1,) * rank, rule=rule)
    np.testing.assert_allclose(other, oracle(net, x, 1, (1,) * rank, rule), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_plain_gradient_is_a_difference_quotient(rank: int) -> None:
    x = picture(rank)
    tried = 0
    for seed in range(20):
        net = RandomNetworks(seed, rank).sequential()
        layer = next(reversed(net.layers))
        try:
            y = net(x[None])
        except (ShapeError, OptionError):
            continue
        position = tuple(extent // 2 for extent in y.shape[1:-1])
        gradient = visualize.backproject(net, layer, 1, x, position=position, rule="gradient")
        direction = np.random.default_rng(seed).standard_normal(x.shape)
        step = 1e-6

        def value(at: np.ndarray, net: nn.Sequential = net, position: tuple[int, ...] = position) -> float:
            return float(net(at[None])[(0, *position, 1)])

        measured = (value(x + step * direction) - value(x - step * direction)) / (2 * step)
        assert abs(measured - np.vdot(gradient, direction)) < 1e-5 * max(1, abs(measured)), seed
        (start, stop), *_ = visualize.receptive_field(net, layer).box(position)
        outside = [i for i in range(len(x)) if not start <= i < stop]
        assert not gradient[outside].any()
        tried += 1
    assert tried > 3


@pytest.mark.torch
def test_guided_backpropagation_is_that_of_torch_with_hooks() -> None:
    torch = pytest.importorskip("torch")
    net, x = small_net(2), picture(2)
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(2, 5, 3, padding=1),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(5, 4, 2),
        torch.nn.ReLU(),
    ).double()
    state = net.state_dict(layout="pytorch")
    for index, name in ((0, "conv1"), (3, "conv2")):
        layers[index].weight.data = torch.tensor(state[f"{name}.weight"])
        layers[index].bias.data = torch.tensor(state[f"{name}.bias"])
    for layer in (layers[1], layers[4]):
        layer.register_full_backward_hook(lambda module, grads, dy: (grads[0].clamp(min=0),))
    given = torch.tensor(np.moveaxis(x, -1, 0)[None], requires_grad=True)
    layers(given)[0, 2].max().backward()
    found = visualize.backproject(net, "relu2", 2, x)
    np.testing.assert_allclose(np.moveaxis(found, -1, 0), given.grad[0].numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", ["gradient", "guided", "deconvnet"])
def test_a_rectifier_with_a_slope_is_one_too(rule: Any) -> None:
    """x -> A x -> PReLU -> b: by hand, with a slope of 0.25 below zero."""
    rng = np.random.default_rng(5)
    a, b, x = rng.standard_normal((2, 6)), rng.standard_normal((6, 1)), rng.standard_normal((1, 2))
    net = nn.Sequential(
        {
            "a": nn.Conv1d(2, 6, 1, bias=False, dtype=np.float64),
            "prelu": nn.PReLU(dtype=np.float64),
            "b": nn.Conv1d(6, 1, 1, bias=False, dtype=np.float64),
        }
    )
    net.load_state_dict({"a.weight": a[None], "prelu.weight": np.array([0.25]), "b.weight": b[None]})
    dy, given = b[:, 0], (x @ a)[0]
    assert len({(up, on) for up, on in zip(dy > 0, given > 0, strict=True)}) == 4, "all four cases occur"
    passed = {
        "gradient": np.where(given > 0, dy, 0.25 * dy),
        "guided": np.where(given > 0, np.maximum(dy, 0), 0.25 * np.maximum(dy, 0)),
        "deconvnet": np.maximum(dy, 0),
    }[rule]
    np.testing.assert_allclose(visualize.backproject(net, "b", 0, x, rule=rule)[0], a @ passed, rtol=0, atol=1e-14)


def test_other_layers_and_graphs_are_gone_through() -> None:
    net = nn.Graph(
        {
            "conv": (nn.Conv1d(1, 3, 3, padding=1, dtype=np.float64, random_state=0), "input"),
            "prelu": (nn.PReLU(dtype=np.float64), "conv"),
            "side": (nn.Residual(nn.Sequential({"c": nn.Conv1d(3, 3, 1, dtype=np.float64), "r": nn.ReLU()})), "prelu"),
            "sum": (nn.Add(), "side", "conv"),
            "mean": (nn.GlobalAvgPool(), "sum"),
            "out": (nn.Linear(3, 2, dtype=np.float64, random_state=2), "mean"),
        }
    )
    x = picture(1)[:, :1]
    assert visualize.backproject(net, "out", 1, x).shape == x.shape
    y, pullback = net.vjp(x[None], "input")
    dx, _ = pullback(np.array([[0.0, 1.0]]))
    np.testing.assert_allclose(visualize.backproject(net, "out", 1, x, rule="gradient"), dx[0], atol=1e-15)
    assert y.shape == (1, 2)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_occlusion_is_what_a_loop_finds(rank: int) -> None:
    net, x = small_net(rank), picture(rank)
    drops = visualize.occlusion(net, "conv2", 3, x, window=3, stride=2, fill=0.5, batch_size=5)
    y = net.features(x[None], ["conv2"])["conv2"][0, ..., 3]
    place = np.unravel_index(y.argmax(), y.shape)
    for index in np.ndindex(drops.shape):
        covered = x.copy()
        covered[tuple(slice(2 * i, 2 * i + 3) for i in index)] = 0.5
        wanted = y[place] - net.features(covered[None], ["conv2"])["conv2"][(0, *place, 3)]
        assert abs(drops[index] - wanted) < 1e-12
    last = [2 * (extent - 1) for extent in drops.shape]
    assert all(start + 3 >= n > start for start, n in zip(last, x.shape[:-1], strict=True)), "the end is covered too"


def test_occlusion_computes_little_more_than_the_field(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = small_net(2), np.random.default_rng(0).standard_normal((40, 36, CHANNELS))
    sizes: list[tuple[int, ...]] = []
    features = type(net).features

    def counted(self: Any, given: np.ndarray, *arguments: Any, **options: Any) -> Any:
        sizes.append(given.shape)
        return features(self, given, *arguments, **options)

    monkeypatch.setattr(type(net), "features", counted)
    drops = visualize.occlusion(net, "conv2", 0, x, position=(9, 8), window=4, stride=2)
    assert drops.shape == (19, 17)
    (start, stop), _ = visualize.receptive_field(net, "conv2").box((9, 8))
    rows = np.flatnonzero(drops.any(axis=1))
    assert all(start - 4 < 2 * row < stop for row in rows)
    assert sizes[0] == (1, 40, 36, CHANNELS), "once, for the position"
    assert sum(size[0] for size in sizes[1:]) < 40
    assert max(size[1] for size in sizes[1:]) <= stop - start + 2


def test_what_does_not_fit_is_refused() -> None:
    net, x = small_net(2), picture(2)
    with pytest.raises(OptionError, match="rule is 'magic'"):
        visualize.backproject(net, "relu2", 0, x, rule="magic")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="units 0 to 3"):
        visualize.backproject(net, "relu2", 4, x)
    with pytest.raises(ShapeError, match="without a batch axis"):
        visualize.backproject(net, "relu2", 0, x[None])
    with pytest.raises(ShapeError, match=r"position is \(9, 9\)"):
        visualize.backproject(net, "relu2", 0, x, position=(9, 9))
    with pytest.raises(OptionError, match="window is"):
        visualize.occlusion(net, "relu2", 0, x, window=(1, 2, 3))
    with pytest.raises(OptionError, match="wanted an nn"):
        visualize.backproject(nn.ReLU(), "relu2", 0, x)
