"""A pullback for one call gives the same bits in less memory, and refuses a second one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_memory import peak_of

from pyconvx import nn
from pyconvx.errors import OptionError


def network() -> nn.Sequential:
    layers: dict[str, nn.Layer] = {}
    for index in range(4):
        layers[f"conv{index}"] = nn.Conv2d(8 if index else 3, 8, 3, padding=1, random_state=index)
        layers[f"relu{index}"] = nn.ReLU()
    body = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, random_state=5), nn.BatchNorm(8), nn.PReLU(8))
    return nn.Sequential({**layers, "block": nn.Residual(body), "mean": nn.GlobalAvgPool(), "unit": nn.L2Normalize()})


X = np.random.default_rng(0).standard_normal((8, 64, 64, 3)).astype(np.float32)


def test_the_bits_are_the_same() -> None:
    net = network()
    dy = np.random.default_rng(1).standard_normal((8, 8)).astype(np.float32)
    found: list[Any] = []
    for once in (False, True):
        _, pullback = net.vjp(X, once=once)
        dx, grads = pullback(dy)
        found.append({"dx": dx, **grads})
    assert list(found[0]) == list(found[1])
    assert all(np.array_equal(found[0][name], found[1][name]) for name in found[0])


def test_a_second_call_is_refused() -> None:
    net, dy = network(), np.ones((8, 8), np.float32)
    y, pullback = net.vjp(X, wrt="parameters", once=True)
    pullback(dy)
    with pytest.raises(OptionError, match="made with once=True and has been called"):
        pullback(dy)
    taps, tapped = net.vjp(X, taps=["relu1", "relu3"], once=True)
    tapped({name: np.ones_like(a) for name, a in taps.items()})
    with pytest.raises(OptionError, match="once=True"):
        tapped({"relu1": taps["relu1"]})
    assert y.shape == dy.shape


def test_it_takes_less_memory() -> None:
    """Where the way back comes to large maps last, what was kept of the small ones before is gone by then."""
    small = {f"conv{i}": nn.Conv2d(16, 16, 3, padding=1, random_state=i) for i in range(8)}
    first = {"first": nn.Conv2d(3, 16, 3, padding=1, random_state=9), "relu": nn.ReLU(), "pool": nn.MaxPool2d(2)}
    net = nn.Sequential({**first, **small, "mean": nn.GlobalAvgPool()})
    x, dy = np.concatenate([X, X]), np.ones((16, 16), np.float32)  # scratch memory counts, too: it is to be little
    peaks = []
    for once in (False, True):

        def step(once: bool = once) -> None:
            _, pullback = net.vjp(x, wrt="parameters", once=once)
            pullback(dy)

        peaks.append(peak_of(step))
    one = 16 * 32 * 32 * 16 * 4  # a small activation
    assert peaks[1] <= peaks[0] - 3 * one, [peak / one for peak in peaks]
