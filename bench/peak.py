"""The measured FMA peak in float32: GFLOP/s that this machine can do at most, one instruction set and thread count.

peak.cpp is compiled when needed (CXX, or c++, g++, clang++) and run on as many threads as the benchmark uses. Without a
compiler, a convolution that stays in the first-level caches stands for the peak, and the source says so.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

import pyconvx
from bench.harness import Clock
from pyconvx.functional._packing import PackedWeights

SAMPLE_SECONDS = 2e-3
NOISY = 0.7  # the median sample below this share of the best one: others use the processor


class Peak(NamedTuple):
    """The best and the median sample, in GFLOP/s, and how they were measured."""

    best: float
    median: float
    source: str


def measure_peak(
    isa: str,
    threads: int,
    samples: int = 25,
    clock: Clock = time.perf_counter,
    seconds: float = SAMPLE_SECONDS,
) -> Peak | None:
    """The peak of `threads` threads together; None for scalar code, which the compiler may or may not vectorise.

    A sample takes about `seconds`, or four times as long for several threads, so that starting them does not count.
    """
    if isa == "scalar":
        return None
    loop = compiled_loop(isa)
    measure = partial(together, loop) if loop else resident_convolution
    length = seconds * (4 if threads > 1 else 1)
    rates = sorted(measure(threads, clock, length) for _ in range(samples))
    source = "loop of multiply-adds, bench/peak.cpp" if loop else "no compiler: pyconvx's own 3x3 convolution in cache"
    return Peak(rates[-1], rates[len(rates) // 2], source)


def compiler() -> str | None:
    """The C++ compiler that is found, or None."""
    names = [os.environ.get("CXX", ""), "c++", "g++", "clang++"]
    return next((found for name in names if name and (found := shutil.which(name))), None)


@lru_cache
def compiled_loop(isa: str) -> Callable[[int], float] | None:
    """rounds -> operations done, or None where it cannot be had."""
    program = compiler()
    if program is None:
        return None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        source, library = Path(__file__).with_name("peak.cpp"), Path(folder) / "peak.so"
        command = [program, "-O2", "-ffp-contract=fast", "-shared", "-fPIC", str(source), "-o", str(library)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            return None
        loaded = ctypes.CDLL(str(library))  # stays loaded when the file is gone
    function = getattr(loaded, f"{isa}_fma", None)
    if function is None:
        return None
    function.restype, function.argtypes = ctypes.c_double, [ctypes.c_long, ctypes.POINTER(ctypes.c_float)]

    def run(rounds: int) -> float:
        sink = (ctypes.c_float * 3)(0.999, 0.001, 0.0)  # converges to 1: neither denormals nor infinities
        return float(function(rounds, sink))

    return run


def together(loop: Callable[[int], float], threads: int, clock: Clock, seconds: float) -> float:
    """GFLOP/s of `threads` threads at once; ctypes releases the interpreter lock."""
    rounds = 10_000
    start = clock()
    loop(rounds)
    rounds = max(rounds, int(rounds * seconds / (clock() - start)))
    done: list[float] = []
    workers = [threading.Thread(target=lambda: done.append(loop(rounds))) for _ in range(threads - 1)]
    start = clock()
    for worker in workers:
        worker.start()
    done.append(loop(rounds))
    for worker in workers:
        worker.join()
    return sum(done) / (clock() - start) / 1e9


def resident_convolution(threads: int, clock: Clock, seconds: float) -> float:
    """GFLOP/s of a 3x3 convolution of 64 channels to 64 over 28x28 pixels."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((28, 28, 64), np.float32)
    w = PackedWeights(rng.standard_normal((3, 3, 64, 64), np.float32))
    with pyconvx.num_threads(threads):
        pyconvx.conv2d(x, w, padding=1)  # type: ignore[arg-type]
        calls, start = 0, clock()
        while calls == 0 or clock() - start < seconds:
            pyconvx.conv2d(x, w, padding=1)  # type: ignore[arg-type]
            calls += 1
        return calls * 2 * 28 * 28 * 9 * 64 * 64 / (clock() - start) / 1e9


if __name__ == "__main__":
    for name in sys.argv[1:] or pyconvx.available_isas():
        for count in (1, pyconvx.get_num_threads()):
            print(name, count, measure_peak(name, count))
