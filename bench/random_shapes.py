"""`python -m bench.random_shapes`: shapes that are in nobody's list, drawn by a generator that the commit seeds.

Odd sizes, primes, channels that no vector width divides, 1 to 9 pictures, asymmetric kernels, strides, dilations,
groups, all ranks and directions, one thread. A shape on which pyconvx is slower than 0.9 times the best accurate peer
is timed again five times; it is a loser where the upper 95% bound of the ratio stays below 0.9. All are published.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pyconvx
from bench import environment
from bench.arrays import DIRECTIONS
from bench.bench_conv import FORMULA, length, prepare
from bench.harness import Case, Work, check_and_time, gate
from bench.peers import Peers, find_peers
from bench.shapes import ConvProblem

BAR = 0.9
AGAIN = 5
STUDENT = 2.776  # two-sided 95% of Student's t with four degrees of freedom
SMALLEST, LARGEST = 1e4, 6e8  # operations
LONGEST_SIDE = {1: 20000, 2: 300, 3: 64}
CHILD = "PYCONVX_BENCH_RANDOM"


def draw(source: random.Random, number: int) -> ConvProblem:
    """A problem that a layer could be, whatever its sizes."""
    while True:
        rank = source.choice([1, 2, 2, 2, 3])
        kernel = tuple(source.choice([1, 2, 3, 3, 3, 5, 7]) for _ in range(rank))
        if source.random() < 0.6:
            kernel = kernel[:1] * rank
        stride = (source.choice([1, 1, 1, 2, 3]),) * rank
        dilation = (source.choice([1, 1, 1, 1, 2]),) * rank
        padding = tuple(source.randint(0, k // 2) for k in kernel)
        size = tuple(round(math.exp(source.uniform(math.log(2), math.log(LONGEST_SIDE[rank])))) for _ in range(rank))
        channels = [round(math.exp(source.uniform(0, math.log(400)))) for _ in range(2)]
        groups = 1
        if source.random() < 0.15:  # depthwise, or a few groups
            groups = channels[0] if source.random() < 0.5 else source.choice([2, 3, 4])
            channels = [groups * max(1, c // groups) for c in channels]
        problem = ConvProblem(
            f"random {number}", "", source.randint(1, 9), size, channels[0], channels[1], kernel, padding, stride,
            dilation, groups, False, False,
        )  # fmt: skip
        if min(problem.out_size) > 0 and SMALLEST <= problem.flops <= LARGEST:
            return problem


def told(p: ConvProblem, direction: str) -> str:
    by = lambda sizes: "x".join(map(str, sizes))  # noqa: E731
    return (
        f"{direction} {p.batch} x {by(p.size)}x{p.in_channels} * {by(p.kernel)} -> {p.out_channels}, padding "
        f"{by(p.padding)}, stride {p.stride[0]}, dilation {p.dilation[0]}, groups {p.groups}"
    )


def ratio(problem: ConvProblem, direction: str, peers: Peers, seconds: float) -> tuple[float | None, str]:
    """The best accurate peer's time over ours (None where no peer can do it), and the peer's name."""
    work = Work(problem.flops, "GFLOP/s", FORMULA)
    made = partial(prepare, problem, direction, peers)
    case = Case("conv", problem.name, "", direction, work, gate(length(problem, direction)), made)
    rows = check_and_time(case, None, seconds, 1)
    wrong = [row.side for row in rows if row.ours and not row.counted]
    if wrong:
        sys.exit(f"{told(problem, direction)}: the result of {wrong[0]} is wrong")
    best = min(
        (r for r in rows if r.counted and not r.ours and r.median_s), key=lambda r: r.median_s or 0, default=None
    )
    mine = next(r for r in rows if r.side == "pyconvx")
    return mine.ratio, best.side if best else ""


def upper_bound(ratios: list[float]) -> float:
    """Of the mean ratio, by its logarithms."""
    logs = [math.log(r) for r in ratios]
    return math.exp(statistics.mean(logs) + STUDENT * statistics.stdev(logs) / math.sqrt(len(logs)))


def measure(source: random.Random, number: int, peers: Peers, seconds: float) -> dict[str, Any]:
    problem, direction = draw(source, number), source.choice(DIRECTIONS)
    value, peer = ratio(problem, direction, peers, seconds)
    found: dict[str, Any] = {"shape": told(problem, direction), "ratio": value, "peer": peer, "flops": problem.flops}
    if value is not None and value < BAR:
        again = [ratio(problem, direction, peers, seconds)[0] or value for _ in range(AGAIN)]
        found |= {"again": again, "upper": upper_bound(again)}
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.random_shapes", description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="shapes (500)")
    parser.add_argument("--seed", help="another seed than the commit")
    parser.add_argument("--seconds", type=float, default=0.05, help="what one side of one shape may take (0.05)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all shapes and ratios")
    chosen = parser.parse_args()
    if CHILD not in os.environ:  # once more, with the settings that all sides share
        settings = environment.settings(pyconvx.available_isas()[0], 1) | {CHILD: "1"}
        return subprocess.run([sys.executable, "-m", "bench.random_shapes", *sys.argv[1:]], env=settings).returncode
    environment.pin(1)
    pyconvx.set_num_threads(1)
    seed, peers = chosen.seed or str(environment.commit()), find_peers(1, best_isa=True)
    source, found = random.Random(seed), []
    for number in range(chosen.count):
        found.append(measure(source, number, peers, chosen.seconds))
        if "again" in found[-1]:
            print(f"{found[-1]['ratio']:.2f}, again up to {found[-1]['upper']:.2f}, of {found[-1]['peer']}: "
                  f"{found[-1]['shape']}", flush=True)  # fmt: skip
    ratios = sorted(f["ratio"] for f in found if f["ratio"] is not None)
    losers = [f for f in found if f.get("upper", BAR) < BAR]
    print(f"seed {seed}: {len(ratios)} shapes with a peer, median {statistics.median(ratios):.2f}, "
          f"{len(losers)} losers below {BAR}")  # fmt: skip
    if chosen.json:
        document = {"seed": seed, "machine": environment.facts(), "peers": peers.versions, "shapes": found}
        chosen.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
