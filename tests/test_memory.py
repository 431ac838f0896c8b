"""The pool that scratch and large results come from: what a call takes, and that everything comes back."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import ConvCase
from check import peak_memory

import pyconvx
from pyconvx import _core, nn
from pyconvx.functional._packing import PackedWeights

MIB = 1 << 20
SCRATCH = 64 * MIB  # beyond a call's arrays and packed weights

LAYERS = [  # each large in another way
    ConvCase("the first layer at 512 px: large maps, few channels", (512, 512), (3, 64), (3, 3), padding=1),
    ConvCase("a middle layer at 256 px", (64, 64), (256, 256), (3, 3), padding=1),
    ConvCase("many channels, small maps", (16, 16), (512, 512), (3, 3), padding=1),
    ConvCase("1x1 over many channels", (28, 28), (1024, 512), (1, 1)),
    ConvCase("depthwise", (112, 112), (256, 256), (3, 3), padding=1, groups=256),
    ConvCase("a volume", (32, 48, 48), (16, 32), (3, 3, 3), padding=1),
    ConvCase("a volume with a large, dilated kernel", (20, 40, 40), (4, 8), (5, 5, 5), padding=8, dilation=4),
    ConvCase("raw audio", (160_000,), (1, 64), (80,), stride=4),
    ConvCase("a long kernel over a long signal", (20_000,), (8, 8), (1024,), padding="same"),
]


def peak_of(call: Callable[[], Any]) -> int:
    """Bytes that the pool had out at once during the call, over what was out before it."""
    call()  # what a first call leaves behind, packed weights and plans, is not counted
    return peak_memory(call)[1]


@pytest.mark.parametrize("case", LAYERS, ids=lambda case: case.reason)
@pytest.mark.parametrize("threads", [1, 2])
def test_a_call_takes_little_scratch(case: ConvCase, threads: int) -> None:
    x, w = np.zeros(case.x_shape, np.float32), PackedWeights(np.zeros(case.w_shape, np.float32))
    dy, name = np.zeros(case.y_shape, np.float32), f"conv{case.rank}d"
    forward, input_grad, weight_grad = (getattr(pyconvx, name + d) for d in ("", "_input_grad", "_weight_grad"))
    with pyconvx.num_threads(threads):
        for what, result, call in (
            ("y", dy, lambda: forward(x, w, **case.options)),
            ("dx", x, lambda: input_grad(dy, w, x.shape, **case.options)),
            ("dw", w.w, lambda: weight_grad(x, dy, case.kernel, **case.options)),
        ):
            scratch = peak_of(call) - 1.25 * result.nbytes  # a block may be a quarter larger than what was asked for
            print(f"{what}: {scratch / MIB:.1f} MiB of scratch")
            assert scratch <= SCRATCH, f"{what} takes {scratch / MIB:.0f} MiB of scratch"


def test_gram_takes_little_scratch() -> None:
    x = np.zeros((1, 64, 64, 512), np.float32)
    assert peak_of(lambda: pyconvx.gram(x)) <= SCRATCH


@pytest.mark.parametrize(("size", "kept"), [(16, True), (128, False)])
def test_a_large_packed_weight_is_not_kept_where_it_is_made_in_no_time(size: int, kept: bool) -> None:
    x, layer = np.ones((1, size, size, 256), np.float32), nn.Conv2d(256, 256, 3, padding=1, bias=False)
    call = pyconvx.explain("conv2d", x.shape, layer.weight.shape, padding=1, kept=True)
    assert call.algorithm == "winograd", "the case is about transformed weights"
    before = pyconvx.memory()["in_use"]
    y = layer(x)
    assert (pyconvx.memory()["in_use"] > before + y.nbytes + layer.weight.value.nbytes) == kept


def test_everything_comes_back() -> None:
    case = LAYERS[1]
    x, w = np.zeros(case.x_shape, np.float32), np.zeros(case.w_shape, np.float32)
    gc.collect()
    before = pyconvx.memory()["in_use"]
    for _ in range(3):
        y = pyconvx.conv2d(x, w, **case.options)
        view = y[0, ::2]
        del y
        assert pyconvx.memory()["in_use"] >= before + view.nbytes, "a view keeps its result alive"
        del view
        gc.collect()
        assert pyconvx.memory()["in_use"] == before


def cached_after_trim() -> int:
    """What is free in chunks where something of earlier tests (the face models' packed weights) still lies."""
    gc.collect()
    pyconvx.trim_memory()
    return pyconvx.memory()["cached"]


def test_what_comes_back_is_used_again_and_can_be_trimmed() -> None:
    x, w = np.zeros((1, 64, 64, 32), np.float32), np.zeros((3, 3, 32, 32), np.float32)
    least = cached_after_trim()
    pyconvx.conv2d(x, w)
    cached = pyconvx.memory()["cached"]
    assert cached > 0
    for _ in range(20):
        pyconvx.conv2d(x, w)
    assert pyconvx.memory()["cached"] == cached, "the same calls take the same blocks"
    assert cached_after_trim() == least


def test_the_cache_has_a_bound() -> None:
    x, w = np.zeros((1, 64, 64, 32), np.float32), np.zeros((3, 3, 32, 32), np.float32)
    limit = pyconvx.memory()["limit"]
    assert 0 < limit < 1 << 40
    least = cached_after_trim()
    try:
        _core.set_memory_limit(100_000)
        pyconvx.conv2d(x, w)
        assert pyconvx.memory()["cached"] <= 100_000 + least
    finally:
        _core.set_memory_limit(limit)


def test_a_refused_call_keeps_no_memory() -> None:
    x, w = np.zeros((1, 64, 64, 32), np.float32), np.zeros((3, 3, 32, 32), np.float32)
    gc.collect()
    before = pyconvx.memory()["in_use"]
    for _ in range(3):
        with pytest.raises(MemoryError):
            pyconvx.conv2d(x, w, padding=2**21)
    gc.collect()
    assert pyconvx.memory()["in_use"] == before
