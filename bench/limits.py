"""`python -m bench.limits [FILE.json]`: what could limit each class, by arithmetic, beside what was measured.

For one problem of each class of convolutions, the largest: the time of the multiplications that the chosen algorithm
does, at the peak; the time of reading x and the packed weight and writing the result once, at the speed of the memory
that they fit into; the time of a call that computes one element. The longest of the three is the limit that nobody
passes with this algorithm. What was measured beyond it goes to transforms, packing of data and cache misses.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import pyconvx
from bench import environment
from bench.bench_conv import options_of
from bench.classes import OURS
from bench.document import read_document
from bench.goals import GOALS, Goal
from bench.harness import sample
from bench.one_run import time_text
from bench.peak import measure_peak
from bench.problems import CONV
from bench.shapes import ConvProblem

LEVELS = {"second-level cache": 1 << 17, "last cache": 1 << 21, "memory": 1 << 26}  # bytes of an array that lies there
LARGEST = {"second-level cache": 512 << 10, "last cache": 16 << 20}  # bytes that a working set may have
ROUNDS = 9


class Machine(NamedTuple):
    """GFLOP/s, bytes read and written a second at each level, seconds of a call."""

    peak: float
    streams: dict[str, float]
    call_s: float


class Limits(NamedTuple):
    """Seconds at least; `level` is where the arrays fit."""

    arithmetic: float
    memory: float
    call: float
    level: str
    saved: float  # times fewer multiplications than the direct algorithm

    @property
    def name(self) -> str:
        longest = max(self.arithmetic, self.memory, self.call)
        return {self.arithmetic: "arithmetic", self.memory: self.level, self.call: "call"}[longest]

    @property
    def seconds(self) -> float:
        return max(self.arithmetic, self.memory, self.call)


def measure_machine(isa: str) -> Machine:
    peak = measure_peak(isa, 1)
    assert peak is not None, "scalar code has no peak"
    x, w = np.ones((1, 1, 1), np.float32), np.ones((1, 1, 1), np.float32)
    call_s = min(sample(lambda: pyconvx.conv1d(x, w), 1000, warm=True) for _ in range(ROUNDS))
    return Machine(peak.best, {level: stream(size) for level, size in LEVELS.items()}, call_s)


def stream(size: int) -> float:
    """Bytes read and written in a second by sums over an array of so many bytes, the best of a few rounds.

    Not by copies: the string instructions that they may use are slow on some processors.
    """
    source = np.ones(size // 4, np.float32)
    target, one = np.empty_like(source), np.float32(1)
    calls = max(1, (1 << 26) // size)
    return 2 * size / min(sample(lambda: np.add(source, one, target), calls, warm=True) for _ in range(ROUNDS))


def limits(problem: ConvProblem, direction: str, machine: Machine) -> Limits:
    """By what `pyconvx.explain` says of the call, its weight packed beforehand."""
    name = f"conv{problem.rank}d" + ("" if direction == "forward" else f"_{direction}")
    x_shape = (problem.batch, *problem.size, problem.in_channels)
    w_shape = (*problem.kernel, problem.in_channels // problem.groups, problem.out_channels)
    found = pyconvx.explain(name, x_shape, w_shape, kept=True, **options_of(problem))
    weight = found.w_bytes if direction == "weight_grad" else found.packed_bytes or found.w_bytes
    moved = found.x_bytes + weight + found.y_bytes
    level = next((level for level, size in LARGEST.items() if moved <= size), "memory")
    return Limits(
        2 * found.multiplications / machine.peak / 1e9,
        moved / machine.streams[level],
        machine.call_s,
        level,
        found.flops / 2 / max(1, found.multiplications),
    )


def representative(goal: Goal) -> ConvProblem | None:
    members = [problem for problem in CONV if problem.group in goal.groups and goal.direction in problem.directions]
    return max(members, key=lambda problem: problem.flops, default=None)


def measured_seconds(runs: Sequence[dict[str, Any]], problem: str, direction: str, isa: str) -> float | None:
    """What a published run found on one thread."""
    for run in runs:
        for row in run["rows"]:
            found = run["isa"], run["threads"], row["side"], row["problem"], row["direction"]
            if found == (isa, 1, OURS, problem, direction):
                seconds: float | None = row["median_s"]
                return seconds
    return None


def table(machine: Machine, runs: Sequence[dict[str, Any]], isa: str) -> list[str]:
    lines = [
        "| class | problem | fewer multiplications | arithmetic | memory | call | limit | measured | of it the limit |",
        "|---|---|--:|--:|--:|--:|---|--:|--:|",
    ]
    for goal in GOALS:
        problem = representative(goal)
        if problem is None or goal.direction not in problem.directions:
            continue
        found = limits(problem, goal.direction, machine)
        seconds = measured_seconds(runs, problem.name, goal.direction, isa)
        cells = [
            goal.name,
            problem.name,
            f"{found.saved:.2f}",
            *(time_text(second) for second in (found.arithmetic, found.memory, found.call)),
            found.name,
            time_text(seconds) if seconds else "",
            f"{found.seconds / seconds:.0%}" if seconds else "",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.limits", description=__doc__)
    parser.add_argument("file", type=Path, nargs="?", help="a document of `python -m bench`, to compare with")
    file: Path | None = parser.parse_args().file
    isa = pyconvx.active_isa()
    if environment.must_start_again():
        return environment.start_again("bench.limits", 1)
    environment.pin(1)
    pyconvx.set_num_threads(1)
    machine = measure_machine(isa)
    streams = ", ".join(f"{level} {speed / 1e9:.0f} GB/s" for level, speed in machine.streams.items())
    print(
        f"{isa}: peak {machine.peak:.0f} GFLOP/s; read and written: {streams}; a call {machine.call_s * 1e6:.2f} us\n"
    )
    print("\n".join(table(machine, read_document(file)["runs"] if file else [], isa)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
