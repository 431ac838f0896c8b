"""SciPy's ways to filter one channel, by sums over the taps and by FFT, with the filter turned beforehand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import fft, ndimage, signal

from bench.arrays import Array, ConvData
from bench.harness import Side
from bench.peers import Unsupported
from bench.shapes import ConvProblem


def conv(problem: ConvProblem, direction: str, data: ConvData, threads: int) -> list[Side]:
    """Mode "valid" of each function, or its part of a result that cannot be had without the edges."""
    one = problem.batch == problem.in_channels == problem.out_channels == 1
    plain = max(*problem.stride, *problem.dilation) == 1 and not any(problem.padding) and not problem.bias
    if direction != "forward" or not one or not plain:
        raise Unsupported("filters one channel forward")
    x, w = np.ascontiguousarray(data.x[0, ..., 0]), np.ascontiguousarray(data.w[..., 0, 0])
    turned = np.ascontiguousarray(np.flip(w))
    calls = sums_1d(x, w, turned) if problem.rank == 1 else sums(x, w, turned)
    for name in ("oaconvolve", "fftconvolve"):
        calls[name] = spectral(getattr(signal, name), x, turned, threads)
    return [Side(f"scipy {name}", call, lambda y: (y[np.newaxis, ..., np.newaxis],)) for name, call in calls.items()]


def spectral(function: Any, x: Array, turned: Array, threads: int) -> Callable[[], Array]:
    """The 1D transform runs on one thread whatever it is allowed."""

    def call() -> Array:
        with fft.set_workers(threads):
            result: Array = function(x, turned, mode="valid")
        return result

    return call


def sums_1d(x: Array, w: Array, turned: Array) -> dict[str, Callable[[], Array]]:
    inner = slice(len(w) // 2, len(w) // 2 + len(x) - len(w) + 1)
    return {
        "lfilter": lambda: signal.lfilter(turned, np.float32(1), x)[len(w) - 1 :],
        "correlate1d": lambda: ndimage.correlate1d(x, w, mode="constant")[inner],
    }


def sums(x: Array, w: Array, turned: Array) -> dict[str, Callable[[], Array]]:
    inner = tuple(slice(k // 2, k // 2 + n - k + 1) for n, k in zip(x.shape, w.shape, strict=True))
    calls: dict[str, Callable[[], Array]] = {"correlate": lambda: ndimage.correlate(x, w, mode="constant")[inner]}
    if x.ndim == 2:
        calls["convolve2d"] = lambda: signal.convolve2d(x, turned, mode="valid")
    return calls
