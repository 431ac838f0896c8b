"""Sums in networks: padded ones, the ReLU computed with them, and that they overwrite only what nobody needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradients
import numpy as np
import pytest
from numpy.typing import NDArray

import pyconvx
from pyconvx import _core, nn
from pyconvx.errors import DTypeError, ShapeError

Array = NDArray[Any]
F64 = np.float64


def linear(inputs: int, outputs: int, seed: int) -> nn.Linear:
    return nn.Linear(inputs, outputs, dtype=F64, random_state=seed)


def padded_sum(arrays: list[Array]) -> Array:
    shape = np.max([array.shape for array in arrays], axis=0)
    total = np.zeros(shape, arrays[0].dtype)
    for array in arrays:
        total += np.pad(array, [(0, whole - part) for whole, part in zip(shape, array.shape, strict=True)])
    return total


SHAPES = {
    "equal": [(2, 3, 4, 5), (2, 3, 4, 5)],
    "channels, as a block with twice as many": [(2, 3, 4, 5), (2, 3, 4, 2)],
    "rows and columns, as a block of 3 x 3 on a shortcut of 4 x 4": [(2, 3, 3, 5), (2, 4, 4, 2)],
    "the second is larger": [(2, 1, 1, 3), (2, 2, 2, 3)],
    "three": [(2, 3, 3), (2, 1, 4), (2, 4, 1)],
    "one": [(2, 3, 3)],
}


@pytest.mark.parametrize("name", SHAPES)
def test_padded_add(name: str) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in SHAPES[name]]
    before = [array.copy() for array in arrays]
    y, pullback = nn.PaddedAdd().vjp(*arrays)
    np.testing.assert_array_equal(y, padded_sum(arrays))
    np.testing.assert_array_equal(nn.PaddedAdd()(*arrays), y)
    dy = rng.standard_normal(y.shape)
    for dx, array in zip(pullback(dy), arrays, strict=True):
        np.testing.assert_array_equal(dx, dy[tuple(map(slice, array.shape))])
    for array, kept in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, kept)


def test_padded_add_refuses() -> None:
    with pytest.raises(ShapeError, match="PaddedAdd got arrays of shapes"):
        nn.PaddedAdd()(np.zeros((2, 3)), np.zeros((2, 3, 1)))
    with pytest.raises(ShapeError, match="PaddedAdd"):
        nn.PaddedAdd()(np.zeros((2, 3)), np.zeros((3, 3)))
    with pytest.raises(DTypeError, match="PaddedAdd"):
        nn.PaddedAdd()(np.zeros((2, 3)), np.zeros((2, 3), np.float32))


def shortcut() -> nn.Graph:
    """A sum and its ReLU, as in a residual network, with a shortcut that has fewer features."""
    return nn.Graph(
        {
            "body": (linear(4, 6, 0), "input"),
            "short": (linear(4, 3, 1), "input"),
            "sum": (nn.PaddedAdd(), "body", "short"),
            "relu": (nn.ReLU(), "sum"),
            "next": (linear(6, 6, 2), "relu"),
            "again": (nn.Add(), "next", "relu"),
            "last": (nn.ReLU(), "again"),
        }
    )


def doubled() -> nn.Graph:
    """The same array twice under one ReLU: the two gradients are one array, which neither may overwrite."""
    return nn.Graph(
        {
            "a": (linear(4, 4, 0), "input"),
            "twice": (nn.Add(), "a", "a"),
            "relu": (nn.ReLU(), "twice"),
            "b": (nn.ReLU(), "a"),
            "sum": (nn.Add(), "relu", "b", "input"),
            "last": (nn.ReLU(), "sum"),
        }
    )


def branches() -> nn.Graph:
    """Both branches of a sum go through a ReLU of their own, whose way back overwrites what it may."""
    return nn.Graph(
        {
            "one": (nn.ReLU(), "input"),
            "two": (linear(4, 4, 3), "input"),
            "rectified": (nn.ReLU(), "two"),
            "sum": (nn.Add(), "one", "rectified"),
            "last": (nn.ReLU(), "sum"),
        }
    )


def around() -> nn.Graph:
    """The first array is also the last of a sum: it may not be overwritten by the first half of it."""
    nodes = {"a": (linear(4, 4, 0), "input"), "b": (linear(4, 4, 1), "input"), "sum": (nn.Add(), "a", "b", "a")}
    return nn.Graph(nodes | {"last": (nn.ReLU(), "sum")})


NETWORKS: dict[str, Callable[[], nn.Graph]] = {
    "shortcut": shortcut,
    "doubled": doubled,
    "branches": branches,
    "around": around,
}


@pytest.mark.parametrize("name", NETWORKS)
def test_pullback_agrees_with_finite_differences(name: str) -> None:
    x = np.random.default_rng(1).standard_normal((5, 4))
    assert gradients.worst_error(NETWORKS[name](), x) < gradients.TOLERANCE


@pytest.mark.parametrize("name", NETWORKS)
def test_fusing_changes_no_bit(name: str) -> None:
    """Where every layer is tapped nothing is fused or overwritten."""
    net, x = NETWORKS[name](), np.random.default_rng(2).standard_normal((5, 4))
    kept = x.copy()
    steps = net.features(x, net._program.names)
    assert (steps["last"] == 0).any()
    np.testing.assert_array_equal(net(x), steps["last"])
    y, pullback = net.vjp(x)
    np.testing.assert_array_equal(y, steps["last"])
    dy = np.random.default_rng(3).standard_normal(y.shape)
    given = dy.copy()
    first, second = pullback(dy)[0], pullback(dy)[0]
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(dy, given)
    np.testing.assert_array_equal(x, kept)


def test_the_sum_is_computed_with_its_relu() -> None:
    net = shortcut()
    places = net._program.names
    tasks = {task.place: task.relu for task in net._program.plan([places["last"]]).tasks}
    assert tasks[places["relu"]]
    assert tasks[places["last"]]
    assert places["sum"] not in tasks
    tapped = {task.place: task.relu for task in net._program.plan([places["sum"], places["last"]]).tasks}
    assert not tapped[places["relu"]]


class Same(nn.Layer):
    """Returns its input, or a view of it."""

    def __init__(self, view: bool) -> None:
        super().__init__()
        self.view = view

    def _forward(self, x: Array) -> Array:
        return x[...] if self.view else x


@pytest.mark.parametrize("view", [False, True])
def test_a_sum_overwrites_nothing_that_is_needed(view: bool) -> None:
    x = np.random.default_rng(4).standard_normal((3, 4)).astype(np.float32)
    kept = x.copy()
    net = nn.Graph(
        {
            "same": (Same(view), "input"),  # the caller's array
            "sum": (nn.Add(), "same", "same"),
            "relu": (nn.ReLU(), "sum"),
            "seen": (Same(view), "relu"),  # lies in "relu", which is read again below
            "shifted": (nn.Add(), "seen", "same"),
            "end": (nn.Add(), "shifted", "relu"),
        }
    )
    rectified = np.maximum(2 * kept, 0)
    np.testing.assert_array_equal(net(x), (rectified + kept) + rectified)
    np.testing.assert_array_equal(x, kept)
    found = net.features(x, ["relu", "end"])
    np.testing.assert_array_equal(found["relu"], rectified)
    np.testing.assert_array_equal(x, kept)


def test_a_read_only_array_is_left_alone() -> None:
    class Constant(nn.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.value = np.ones((2, 3), np.float32)
            self.value.flags.writeable = False

        def _forward(self, x: Array) -> Array:
            return self.value

    layer = Constant()
    net = nn.Graph({"one": (layer, "input"), "two": (nn.ReLU(), "input"), "sum": (nn.Add(), "one", "two")})
    np.testing.assert_array_equal(net(np.ones((2, 3), np.float32)), 2)
    np.testing.assert_array_equal(layer.value, 1)


def test_a_sum_takes_no_memory_where_an_input_can_go() -> None:
    net = nn.Graph(
        {"one": (nn.ReLU(), "input"), "two": (nn.ReLU(), "input"), "sum": (nn.Add(), "one", "two")}
        | {"last": (nn.ReLU(), "sum")}
    )
    x = np.ones(1 << 22, np.float32)
    net(x)
    before = pyconvx.memory()["in_use"]
    _core.reset_memory_peak()
    net(x)
    assert pyconvx.memory()["peak"] - before < 3 * x.nbytes


def test_plans_are_few() -> None:
    net = nn.Sequential(*[nn.ReLU() for _ in range(100)])
    x = np.ones((1, 3), np.float32)
    for name in net:
        net.features(x, [name])
    assert len(net._program._plans) <= 64
    program = net._program
    assert program.plan([1]) is program.plan({1})
