"""`python -m bench.direct`: how close the direct algorithm comes to the peak on 3x3 layers of 64 channels and more.

For every instruction set with vectors, one and two threads; median of a layer over the best of the peak, weights packed
beforehand. The goals are 85% of the peak forward and for the input gradient, 75% for the weight gradient, and 1.85 from
the second thread.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

import pyconvx
from bench.peak import measure_peak
from pyconvx.functional._packing import PackedWeights

LAYERS = [("vgg conv1_2", 224, 64), ("vgg conv2_2", 112, 128), ("vgg conv3_2", 56, 256), ("vgg conv4_2", 28, 512)]
ROUNDS = 15


def calls(size: int, channels: int) -> dict[str, Callable[[], object]]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, size, size, channels), np.float32)
    y, dx = np.empty_like(x), np.empty_like(x)
    w = PackedWeights(rng.standard_normal((3, 3, channels, channels), np.float32))
    return {
        "forward": lambda: pyconvx.conv2d(x, w, padding=1, algorithm="direct", out=y),  # type: ignore[arg-type]
        "input_grad": lambda: pyconvx.conv2d_input_grad(x, w, x.shape, padding=1, algorithm="direct", out=dx),  # type: ignore[arg-type]
        "weight_grad": lambda: pyconvx.conv2d_weight_grad(x, x, 3, padding=1),
    }


def median_seconds(call: Callable[[], object]) -> float:
    call()
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def main() -> None:
    for isa in pyconvx.available_isas():
        pyconvx.force_isa(isa)
        peak = measure_peak(isa, 1)
        if isa == "scalar" or peak is None:
            continue
        print(f"{isa}: one thread's peak {peak.best:.0f} GFLOP/s")
        for name, size, channels in LAYERS:
            for direction, call in calls(size, channels).items():
                seconds = []
                for threads in (1, 2):
                    with pyconvx.num_threads(threads):
                        seconds.append(median_seconds(call))
                rate = 2 * size**2 * channels**2 * 9 / seconds[0] / 1e9
                print(
                    f"  {name} {direction}: {rate:.0f} GFLOP/s, {rate / peak.best:.0%} of the peak; "
                    f"two threads {seconds[0] / seconds[1]:.2f} times faster"
                )


if __name__ == "__main__":
    main()
