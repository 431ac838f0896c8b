"""Activations that are handed over as they are computed: the same values, in order, and not kept."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pyconvx import nn
from pyconvx.errors import OptionError

Array = NDArray[Any]


def chain() -> nn.Sequential:
    rng = np.random.default_rng(0)
    layers = {name: nn.Linear(4, 4, dtype=np.float64, random_state=rng) for name in "abcd"}
    return nn.Sequential(layers)


@pytest.fixture
def x() -> Array:
    return np.random.default_rng(1).normal(size=(3, 4))


def test_features_come_in_the_order_of_computation(x: Array) -> None:
    net = chain()
    kept: dict[str, Array] = {}
    assert net.features(x, ["d", "a", "c"], receive=kept.__setitem__) == {}
    assert list(kept) == ["a", "c", "d"]
    for name, activation in net.features(x, ["d", "a", "c"]).items():
        np.testing.assert_array_equal(kept[name], activation)


def test_what_was_received_lives_no_longer_than_its_readers(x: Array) -> None:
    seen: dict[str, weakref.ref[Array]] = {}

    def receive(name: str, activation: Array) -> None:
        assert all(where() is None for where in seen.values()), "even the one that this was computed from is gone"
        seen[name] = weakref.ref(activation)

    chain().vjp(x, "input", taps=list("abcd"), receive=receive)
    assert list(seen) == list("abcd")
    assert all(where() is None for where in seen.values())


def test_one_step_under_two_names(x: Array) -> None:
    net = nn.Sequential({"whole": chain()})
    kept: dict[str, Array] = {}
    net.features(x, ["whole.d", "whole"], receive=kept.__setitem__)
    assert sorted(kept) == ["whole", "whole.d"]
    assert kept["whole"] is kept["whole.d"]


def test_the_way_back_is_the_same(x: Array) -> None:
    net = chain()
    dys = {"b": np.ones((3, 4)), "d": np.full((3, 4), 2.0)}
    received, pullback = net.vjp(x, taps=["b", "d"], receive=lambda name, activation: None)
    _, usual = net.vjp(x, taps=["b", "d"])
    assert received == {}
    (dx, grads), (dx_usual, grads_usual) = pullback(dys), usual(dys)
    np.testing.assert_array_equal(dx, dx_usual)
    assert grads.keys() == grads_usual.keys()
    for name, grad in grads.items():
        np.testing.assert_array_equal(grad, grads_usual[name])


def test_there_must_be_taps_to_receive(x: Array) -> None:
    with pytest.raises(OptionError, match="no taps were named"):
        chain().vjp(x, receive=lambda name, activation: None)  # type: ignore[call-overload]


def test_a_sum_does_not_take_the_place_of_what_was_received(x: Array) -> None:
    first = nn.Linear(4, 4, dtype=np.float64, random_state=0)
    graph = nn.Graph(
        {
            "a": (first, "input"),
            "same": (nn.Dropout(0.0), "a"),
            "b": (chain(), "same"),
            "sum": (nn.Add(), "same", "b"),
            "relu": (nn.ReLU(), "sum"),
        }
    )
    kept: dict[str, Array] = {}
    graph.features(x, ["a", "relu"], receive=kept.__setitem__)
    np.testing.assert_array_equal(kept["a"], first(x))
    np.testing.assert_array_equal(kept["relu"], np.maximum(kept["a"] + chain()(kept["a"]), 0))
