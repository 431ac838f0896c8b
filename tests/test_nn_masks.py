"""Where a ReLU's mask is applied: by its own layer, or by the max pooling that alone reads it; no bit depends on it."""

from collections.abc import Callable

import gradients
import numpy as np
import pytest

from pyconvx import nn
from pyconvx.nn._arrays import Array


def conv(channels: int, to: int, seed: int) -> nn.Conv2d:
    return nn.Conv2d(channels, to, 3, padding=1, random_state=seed, dtype=np.float64)


def normalized(training: bool) -> nn.Sequential:
    norm = nn.BatchNorm(4, dtype=np.float64)
    net = nn.Sequential({"conv": conv(2, 4, 0), "norm": norm, "relu": nn.ReLU(), "pool": nn.MaxPool2d(2)})
    net.train(training)
    return net


def summed() -> nn.Graph:
    return nn.Graph(
        {
            "a": (conv(2, 3, 0), "input"),
            "b": (conv(2, 3, 1), "input"),
            "sum": (nn.Add(), "a", "b"),
            "relu": (nn.ReLU(), "sum"),
            "pool": (nn.MaxPool2d(2), "relu"),
        }
    )


def read_twice() -> nn.Graph:
    """The pooling is not the only reader, so that the mask stays where it was."""
    return nn.Graph(
        {
            "a": (conv(2, 3, 0), "input"),
            "relu": (nn.ReLU(), "a"),
            "pool": (nn.MaxPool2d(3, 1, padding=1), "relu"),
            "sum": (nn.Add(), "pool", "relu"),
        }
    )


NETWORKS: dict[str, Callable[[], nn.Sequential | nn.Graph]] = {
    "plain": lambda: nn.Sequential(conv(2, 4, 0), nn.ReLU(), nn.MaxPool2d(2)),
    "windows that overlap": lambda: nn.Sequential(
        conv(2, 4, 0), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1), conv(4, 2, 1)
    ),
    "two poolings": lambda: nn.Sequential(conv(2, 4, 0), nn.ReLU(), nn.MaxPool2d(2), nn.MaxPool2d(2)),
    "pooling, then ReLU": lambda: nn.Sequential(conv(2, 4, 0), nn.MaxPool2d(2), nn.ReLU()),
    "ReLU twice": lambda: nn.Sequential(conv(2, 4, 0), nn.ReLU(), nn.MaxPool2d(2), nn.ReLU(), conv(4, 1, 3)),
    "mean of windows": lambda: nn.Sequential(conv(2, 4, 0), nn.ReLU(), nn.AvgPool2d(2)),
    "normalised": lambda: normalized(False),
    "normalised in training": lambda: normalized(True),
    "summed": summed,
    "read twice": read_twice,
}


def apart(net: nn.Sequential | nn.Graph, x: Array, dy: Array) -> tuple[Array, Array | None, dict[str, Array]]:
    """Every activation tapped: nothing is fused, every mask is applied where its ReLU stands."""
    names = list(net._program.names)
    found, pullback = net.vjp(x, taps=names)
    zeros = {name: np.zeros_like(found[name]) for name in names[:-1]}
    dx, grads = pullback(zeros | {names[-1]: dy})
    return found[names[-1]], dx, grads


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("special", [False, True])
def test_no_bit_depends_on_where_the_mask_is_applied(name: str, special: bool) -> None:
    net, rng = NETWORKS[name](), np.random.default_rng(1)
    x = np.round(rng.standard_normal((3, 8, 8, 2)), 1)  # with ties
    if special and not net.training:
        x[0, 2, 3, 1], x[1, 5, 5, 0] = np.nan, np.inf
    y, pullback = net.vjp(x)
    dy = rng.standard_normal(y.shape)
    given = dy.copy()
    dx, grads = pullback(dy)
    again, _ = pullback(dy)
    y_apart, dx_apart, grads_apart = apart(NETWORKS[name](), x, dy)
    np.testing.assert_array_equal(y, y_apart)
    np.testing.assert_array_equal(dx, dx_apart)
    np.testing.assert_array_equal(dx, again)
    np.testing.assert_array_equal(dy, given)
    assert grads.keys() == grads_apart.keys()
    for parameter, grad in grads.items():
        np.testing.assert_array_equal(grad, grads_apart[parameter])


@pytest.mark.parametrize("name", NETWORKS)
def test_pullback_agrees_with_finite_differences(name: str) -> None:
    x = np.random.default_rng(2).standard_normal((2, 8, 8, 2))
    assert gradients.worst_error(NETWORKS[name](), x) < gradients.TOLERANCE


@pytest.mark.parametrize(
    ("name", "moved"), [("plain", True), ("two poolings", True), ("summed", True), ("mean of windows", False)]
)
def test_the_mask_moves_behind_a_max_pooling(name: str, moved: bool) -> None:
    net = NETWORKS[name]()
    first, *_, last = net._program.plan([len(net._program.steps) - 1]).tasks
    assert first.relu or name == "summed"
    assert last.mask == moved
    assert not (moved and first.mask)
