"""`python -m bench.direct`: how close the direct algorithm comes to the peak on 3x3 layers of 64 channels and more.

Peak and layer take turns, and each time the layer's rate is divided by the peak beside it: the clock of a shared host
wanders, the share does not. One thread and two take turns likewise, two twice in a row: the first finds the second
processor asleep, which costs it about a millisecond on the machines that we saw; the second is as in a network, where
one layer follows another, and is held to the goal. The medians over all rounds are printed, of the algorithm "direct",
weights packed beforehand, results checked first. The goals are 85% of the peak forward and for the input gradient, 75%
for the weight gradient, and 1.85 from the second thread where one takes over 5 ms.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyconvx
from bench import environment
from bench.arrays import conv_data
from bench.bench_conv import expected, length
from bench.classes import LONG_LAYER, SECOND_THREAD
from bench.harness import error, gate
from bench.peak import measure_peak
from bench.shapes import DIRECTIONS, ConvProblem, conv
from pyconvx.functional._packing import PackedWeights

LAYERS = [
    conv("vgg conv1_2", "few channels, the largest map", (224, 224), (64, 64), 3, 1),
    conv("vgg conv2_2", "128 channels", (112, 112), (128, 128), 3, 1),
    conv("vgg conv3_2", "256 channels", (56, 56), (256, 256), 3, 1),
    conv("vgg conv4_2", "512 channels", (28, 28), (512, 512), 3, 1),
]
GOALS = {"forward": 0.85, "input_grad": 0.85, "weight_grad": 0.75}
ROUNDS, QUICK_ROUNDS = 21, 5


def direct_call(problem: ConvProblem, direction: str) -> Callable[[], Any]:
    """The layer by the direct algorithm, checked against float64."""
    data = conv_data(problem)
    w: Any = PackedWeights(data.w)
    options: dict[str, Any] = {"padding": problem.padding, "algorithm": "direct"}
    calls: dict[str, Callable[[], Any]] = {
        "forward": lambda: pyconvx.conv2d(data.x, w, data.b, **options),
        "input_grad": lambda: pyconvx.conv2d_input_grad(data.dy, w, data.x.shape, **options),
        "weight_grad": lambda: pyconvx.conv2d_weight_grad(data.x, data.dy, problem.kernel, **options),
    }
    call = calls[direction]
    result = call()
    wrong = error(result if isinstance(result, tuple) else (result,), expected(problem, direction, data))
    if wrong > gate(length(problem, direction)):
        sys.exit(f"{problem.name} {direction}: error {wrong:.1e}")
    return call


def seconds_of(call: Callable[[], Any], threads: int) -> float:
    with pyconvx.num_threads(threads):
        began = time.perf_counter()
        call()
        return time.perf_counter() - began


def peak_now(isa: str, seconds: float) -> float:
    """A sample as long as the layer, so that what else runs on the machine meets both alike."""
    peak = measure_peak(isa, 1, samples=1, seconds=seconds)
    assert peak is not None, "scalar code has no peak"
    return peak.best


def measure(problem: ConvProblem, direction: str, isa: str, rounds: int, two: bool) -> dict[str, Any]:
    """Medians over the rounds; in each the peak is measured before and after the layer, and their mean divides."""
    call = direct_call(problem, direction)
    usual = min(seconds_of(call, 1) for _ in range(3))
    shares, gains, woken, times, before = [], [], [], [], peak_now(isa, usual)
    for _ in range(rounds):
        alone = seconds_of(call, 1)
        after = peak_now(isa, usual)
        shares.append(problem.flops / alone / 1e9 / ((before + after) / 2))
        times.append(alone)
        if two:
            first, asleep, both, last = (seconds_of(call, threads) for threads in (1, 2, 2, 1))
            gains.append((first + last) / 2 / both)
            woken.append((first + last) / 2 / asleep)
        before = peak_now(isa, usual) if two else after
    return {
        "layer": problem.name,
        "direction": direction,
        "seconds": statistics.median(times),
        "share": statistics.median(shares),
        "shares": sorted(shares),
        "gain": statistics.median(gains) if gains else None,
        "gain_from_sleep": statistics.median(woken) if woken else None,
    }


def table(found: list[dict[str, Any]]) -> list[str]:
    """What was found beside what is asked."""
    lines = [
        "| layer | direction | one thread | of peak | quartiles | asked | two threads | from sleep | met |",
        "|---|---|--:|--:|---|--:|--:|--:|---|",
    ]
    for one in found:
        goal, gain = GOALS[one["direction"]], one["gain"]
        low, _, high = statistics.quantiles(one["shares"], n=4)
        second, woken = (f"{one[name]:.2f}x" if gain else "-" for name in ("gain", "gain_from_sleep"))
        met = one["share"] >= goal and (gain is None or one["seconds"] < LONG_LAYER or gain >= SECOND_THREAD)
        lines.append(
            f"| {one['layer']} | {one['direction']} | {one['seconds'] * 1e3:.3g} ms | {one['share']:.1%} "
            f"| {low:.0%} to {high:.0%} | {goal:.0%} | {second} | {woken} | {'yes' if met else '**no**'} |"
        )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.direct", description=__doc__)
    parser.add_argument("--isa", help="one instruction set (all with vectors)")
    parser.add_argument("--quick", action="store_true", help="one layer, few rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found")
    chosen = parser.parse_args()
    if environment.must_start_again():
        return environment.start_again("bench.direct", threads=2)
    two = environment.processors() > 1
    environment.pin(2)
    document: dict[str, Any] = {"machine": environment.facts(), "runs": {}}
    for isa in [chosen.isa] if chosen.isa else [isa for isa in pyconvx.available_isas() if isa != "scalar"]:
        pyconvx.force_isa(isa)
        layers, rounds = (LAYERS[1:2], QUICK_ROUNDS) if chosen.quick else (LAYERS, ROUNDS)
        found = [measure(layer, direction, isa, rounds, two) for layer in layers for direction in DIRECTIONS]
        document["runs"][isa] = found
        print("\n".join([f"{isa}:", "", *table(found), ""]), flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
