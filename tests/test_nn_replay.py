"""Networks that the core computes again by itself: which tasks it does, and that nothing but the time tells."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import pyconvx
from pyconvx import _core, nn
from pyconvx.nn import _run

Array = NDArray[Any]


def picture(*shape: int, dtype: type = np.float32) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def residual(dtype: type = np.float32) -> nn.Graph:
    """Convolutions with a ReLU and without, poolings, sums, a ReLU alone: what can be replayed."""
    return nn.Graph(
        {
            "first": (nn.Conv2d(3, 8, 3, padding=1, dtype=dtype, random_state=0), "input"),
            "relu": (nn.ReLU(), "first"),
            "pool": (nn.MaxPool2d(2), "relu"),
            "body": (nn.Conv2d(8, 8, 3, padding=1, dtype=dtype, random_state=1), "pool"),
            "sum": (nn.Add(), "body", "pool"),
            "last": (nn.ReLU(), "sum"),
            "mean": (nn.AvgPool2d(2), "last"),
            "end": (nn.ReLU(), "mean"),
            "wide": (nn.ConvTranspose2d(8, 4, 2, 2, dtype=dtype, random_state=2), "end"),
            "flat": (nn.Conv2d(8, 4, 1, bias=False, dtype=dtype, random_state=3), "last"),
            "both": (nn.Add(), "wide", "flat"),
        },
        output="both",
    )


@pytest.fixture
def by_hand(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The prefixes of the tasks that Python runs."""
    seen: list[str] = []
    run_task = _run._run_task

    def spy(task: Any, values: dict[int, Array]) -> None:
        seen.append(task.step.prefix)
        run_task(task, values)

    monkeypatch.setattr(_run, "_run_task", spy)
    return seen


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_second_time_all_is_replayed(dtype: type, by_hand: list[str]) -> None:
    net, x = residual(dtype), picture(3, 20, 16, 3, dtype=dtype)  # a size of no other test
    kept = x.copy()
    first = net(x)
    taken = first.copy()
    assert len(by_hand) == 9
    del by_hand[:]
    np.testing.assert_array_equal(net(x), taken)
    assert by_hand == []
    np.testing.assert_array_equal(first, taken)
    np.testing.assert_array_equal(x, kept)


def test_other_sizes_types_and_layouts_are_computed_anew(by_hand: list[str]) -> None:
    net, wide = residual(), residual(np.float64)
    wide.load_state_dict(net.state_dict())
    for shape in [(1, 8, 8, 3), (2, 8, 8, 3), (1, 8, 12, 3)]:
        x = picture(*shape)
        net(x)
        del by_hand[:]
        expected = wide(x.astype(np.float64))
        np.testing.assert_allclose(net(x), expected, atol=1e-5)
        turned = np.asfortranarray(x)
        np.testing.assert_array_equal(net(turned), net(x))
        assert "first." in by_hand, "the first layer's array is not contiguous"


def test_new_weights_are_seen() -> None:
    net, x = residual(), picture(1, 8, 8, 3)
    net(x)
    for layer in ("first", "flat", "wide"):
        before = net(x)
        net[layer].weight.assign(2 * net[layer].weight.value)
        assert not np.array_equal(net(x), before)
        fresh = residual()
        fresh.load_state_dict(net.state_dict())
        np.testing.assert_array_equal(net(x), fresh(x))
    net["first"].bias.assign(np.ones(8))
    fresh = residual()
    fresh.load_state_dict(net.state_dict())
    np.testing.assert_array_equal(net(x), fresh(x))


def test_what_was_asked_for_is_handed_out_in_order_and_kept() -> None:
    net, x = residual(), picture(1, 8, 8, 3)
    names = ["relu", "pool", "sum", "last", "both"]
    expected = {name: array.copy() for name, array in net.features(x, names).items()}
    order: list[str] = []
    for _ in range(3):
        found = net.features(x, names)
        for name in names:
            np.testing.assert_array_equal(found[name], expected[name])
    net.features(x, names, receive=lambda name, activation: order.append(name))
    assert order == names


def test_activations_go_with_their_last_reader() -> None:
    net = nn.Sequential(*[nn.Conv2d(4, 4, 3, padding=1, random_state=i) for i in range(6)])
    x = picture(1, 256, 256, 4)
    net(x)
    gc.collect()
    before = pyconvx.memory()["in_use"]
    _core.reset_memory_peak()
    net(x)
    assert pyconvx.memory()["peak"] - before < 3.5 * x.nbytes
    gc.collect()
    assert pyconvx.memory()["in_use"] == before


class Halved(nn.Conv2d):
    """A convolution of the user's own: its base would answer for another function."""

    def _forward(self, x: Array, relu: bool = False) -> Array:
        return super()._forward(x / 2, relu)


def test_a_subclass_speaks_for_itself() -> None:
    x = picture(1, 6, 6, 3)
    layer = Halved(3, 4, 3, random_state=0)
    net = nn.Sequential(layer, nn.ReLU())
    for _ in range(3):
        np.testing.assert_array_equal(net(x), np.maximum(layer(x), 0))


class Keeper(nn.Layer):
    """Hands out an array that it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.kept = np.ones((2, 3), np.float32)

    def _forward(self, x: Array) -> Array:
        return self.kept


def test_a_sum_leaves_an_array_that_a_layer_keeps() -> None:
    keeper = Keeper()
    net = nn.Graph({"one": (keeper, "input"), "two": (nn.ReLU(), "input"), "sum": (nn.Add(), "one", "two")})
    for _ in range(3):
        np.testing.assert_array_equal(net(np.ones((2, 3), np.float32)), 2)
    np.testing.assert_array_equal(keeper.kept, 1)


def test_an_error_on_the_way_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = residual(), picture(1, 8, 8, 3)
    expected = net(x)
    seen: list[weakref.ref[Array]] = []

    def receive(name: str, activation: Array) -> None:
        seen.append(weakref.ref(activation))
        raise RuntimeError("planned")

    with pytest.raises(RuntimeError, match="planned"):
        net.features(x, ["pool", "both"], receive=receive)
    gc.collect()
    assert seen[0]() is None
    np.testing.assert_array_equal(net(x), expected)


@pytest.mark.parametrize(
    ("flows", "error"),
    [([((7,), 1, (), True)], KeyError), ([((), 1, (), True)], IndexError), ([((0,), 1, (5,), True)], KeyError)],
)
def test_replay_refuses_what_cannot_be(flows: Any, error: type[Exception]) -> None:
    x = picture(19, 7)
    nn.ReLU()(x)
    with pytest.raises(error):
        _core.replay([("relu", ...)], flows, {0: x}, 0)
    assert _core.replay([("relu", ...)], [((0,), 1, (), True)], {0: x[:18]}, 0) == 0
    assert _core.replay([None], [((0,), 1, (), True)], {0: x}, 0) == 0
