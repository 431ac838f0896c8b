"""`python -m bench.choice`: does the library choose well between the direct algorithm and Winograd's?

Times both, in turns, over a grid of layers, with weights packed beforehand and in the call, and prints for each which
is faster and which is chosen. The regret is the time of the choice over that of the faster one, as a geometric mean;
the best of a few rounds counts, since other work on the machine only adds time.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import pyconvx
from pyconvx.functional._packing import PackedWeights

ROUNDS, SHORTEST = 7, 1e-3  # rounds of a call; seconds that a measurement takes at least
CHANNELS = [(8, 8), (16, 16), (32, 32), (16, 64), (64, 64), (64, 16), (128, 128), (256, 256)]
LAYERS = [
    *(((s, s), (3, 3)) for s in (4, 7, 14, 28, 56)),
    *(((s, s), (5, 5)) for s in (7, 14, 28)),
    ((17, 17), (1, 7)),
    ((14, 14), (7, 7)),
    *(((n,), (k,)) for n in (50, 1000) for k in (2, 3, 5, 7, 9)),
    *(((s, s, s), (3, 3, 3)) for s in (4, 8, 16)),
]
STRIDED = [  # by 2 on each axis
    *(((s, s), (3, 3)) for s in (17, 35, 56, 112)),
    *(((s, s), (5, 5)) for s in (28, 56)),
    ((56, 56), (4, 4)),
    ((56, 56), (7, 7)),
    *(((1000,), (k,)) for k in (3, 5, 9)),
    ((16, 16, 16), (3, 3, 3)),
]
LARGEST = 2e9  # multiplications


def problems() -> Iterator[tuple[tuple[int, ...], tuple[int, ...], int, int, int]]:
    for stride, layers in enumerate((LAYERS, STRIDED), 1):
        for size, kernel in layers:
            for channels in CHANNELS:
                if math.prod((*size, *kernel, *channels)) <= LARGEST * stride ** len(size):
                    yield size, kernel, stride, *channels


def seconds(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    count = 0
    while (spent := time.perf_counter() - began) < SHORTEST:
        call()
        count += 1
    return spent / count


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.choice", description=__doc__)
    parser.add_argument("--direction", choices=["forward", "input_grad"], default="forward")
    parser.add_argument("--precision", choices=["default", "fast"], default="default")
    parser.add_argument("--part", type=int, nargs=2, default=(0, 1), metavar=("I", "N"), help="only one problem in N")
    parser.add_argument("--packing", choices=["kept", "made"], nargs="*", default=["kept", "made"])
    chosen = parser.parse_args()
    pyconvx.set_num_threads(1)
    regrets: list[float] = []
    for problem in list(problems())[chosen.part[0] :: chosen.part[1]]:
        regrets += [
            regret(problem, chosen.direction, chosen.precision, packing == "kept") for packing in chosen.packing
        ]
    mean = math.exp(statistics.fmean(math.log(r) for r in regrets))
    wrong = sum(r > 1.05 for r in regrets)
    print(f"regret {mean - 1:.1%} on average, {max(regrets) - 1:.0%} at worst; {wrong} of {len(regrets)} above 5%")


def regret(problem: tuple[Any, ...], direction: str, precision: str, kept: bool) -> float:
    size, kernel, stride, in_channels, out_channels = problem
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, *size, in_channels), np.float32)
    w: Any = rng.standard_normal((*kernel, in_channels, out_channels), np.float32)
    name = f"conv{len(size)}d" + ("" if direction == "forward" else "_input_grad")
    padding = tuple(k // 2 for k in kernel)
    options: dict[str, Any] = {
        "padding": padding if len(size) > 1 else padding[0],
        "stride": stride,
        "precision": precision,
    }
    found = pyconvx.explain(name, x.shape, w.shape, kept=kept, **options)
    forced = pyconvx.explain(name, x.shape, w.shape, algorithm="winograd", **options)
    function = getattr(pyconvx, name)
    dy = getattr(pyconvx, f"conv{len(size)}d")(x, w, **options)
    weight = PackedWeights(w) if kept else w
    result = np.empty_like(dy if direction == "forward" else x)
    arguments = (x, weight) if direction == "forward" else (dy, weight, x.shape)
    times: dict[str, list[float]] = {"direct": [], "winograd": []}
    for _ in range(ROUNDS):
        for algorithm, measured in times.items():
            call = {**options, "algorithm": algorithm, "out": result}
            measured.append(seconds(lambda call=call: function(*arguments, **call)))  # type: ignore[misc]
    best = {algorithm: min(measured) for algorithm, measured in times.items()}
    cost = best[found.algorithm] / min(best.values())
    print(
        f"{'x'.join(map(str, size)):9s} {'x'.join(map(str, kernel)):6s}/{stride} {in_channels:3d}-{out_channels:<3d} "
        f"{'kept' if kept else 'made'}: tiles {'x'.join(map(str, forced.tile)):6s} direct "
        f"{best['direct'] * 1e6:8.0f} us, Winograd {best['winograd'] * 1e6:8.0f} us, "
        f"{best['direct'] / best['winograd']:.2f}; {found.algorithm}{'' if cost <= 1.05 else ' IS SLOWER'}",
        flush=True,
    )
    return max(cost, 1.0)


if __name__ == "__main__":
    main()
