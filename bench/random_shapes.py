"""`python -m bench.random_shapes --lines FILE.jsonl`: shapes that are in nobody's list, drawn with the commit as seed.

Odd sizes, primes, channels that no vector width divides, 1 to 9 pictures, asymmetric and long kernels, strides,
dilations, groups, all ranks and directions, one thread, weights packed beforehand and in the call. A shape on which
pyconvx is slower than 0.9 times the best accurate peer is timed again five times; it is a loser where the upper 95%
bound of the ratio stays below 0.9. A line of JSON is written for every shape, so that a run that was stopped, by
`--minutes` or otherwise, goes on where it was when it is started again; the summary is of all lines.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyconvx
from bench import environment
from bench.bench_conv import FORMULA, length, prepare
from bench.classes import IN_CALL, OURS
from bench.harness import Case, Row, Side, Work, check, gate, take_turns
from bench.one_run import say
from bench.peers import Peers, find_peers
from bench.random_summary import BAR, losers, summary, upper_bound
from bench.shapes import DIRECTIONS, ConvProblem

AGAIN = 5
NEAR = 1.5  # times slower than the best peer: one that is not timed again
SMALLEST = 1e4  # operations
LONGEST_SIDE = {1: 20000, 2: 300, 3: 64}
KERNELS = [1, 2, 3, 3, 3, 5, 7]
LONG_KERNELS = {1: [9, 15, 31, 80, 251], 2: [9, 11, 15]}


def draw(seed: str, number: int, most: float) -> tuple[ConvProblem, str]:
    """A problem of at most so many operations that a layer could be, whatever its sizes, and a direction."""
    source = random.Random(f"{seed} {number}")
    while True:
        rank = source.choice([1, 2, 2, 2, 3])
        kernel = tuple(source.choice(KERNELS) for _ in range(rank))
        if source.random() < 0.6:
            kernel = kernel[:1] * rank
        if rank < 3 and source.random() < 0.08:
            kernel = (source.choice(LONG_KERNELS[rank]),) * rank
        stride = (source.choice([1, 1, 1, 2, 3]),) * rank
        dilation = (source.choice([1, 1, 1, 1, 2]),) * rank
        padding = tuple(source.randint(0, k // 2) for k in kernel)
        size = tuple(round(math.exp(source.uniform(math.log(2), math.log(LONGEST_SIDE[rank])))) for _ in range(rank))
        channels = [round(math.exp(source.uniform(0, math.log(400)))) for _ in range(2)]
        groups = 1
        if source.random() < 0.15:  # depthwise, or a few groups
            groups = channels[0] if source.random() < 0.5 else source.choice([2, 3, 4])
            channels = [groups * max(1, c // groups) for c in channels]
        batch = source.randint(1, 9)
        problem = ConvProblem(
            f"random {number}", "", batch, size, channels[0], channels[1], kernel, padding, stride, dilation, groups
        )
        if min(problem.out_size) > 0 and SMALLEST <= problem.flops <= most:
            return problem, source.choice(DIRECTIONS)


def told(p: ConvProblem, direction: str) -> str:
    return (
        f"{direction} {p.batch} x {by(p.size)}x{p.in_channels} * {by(p.kernel)} -> {p.out_channels}, padding "
        f"{by(p.padding)}, stride {p.stride[0]}, dilation {p.dilation[0]}, groups {p.groups}"
    )


def by(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))


def measure(number: int, problem: ConvProblem, direction: str, peers: Peers, seconds: float) -> dict[str, Any]:
    """The line of a shape. Networks of peers are built and checked once, however often the shape is timed."""
    began = time.perf_counter()
    work, made = Work(problem.flops, "GFLOP/s", FORMULA), partial(prepare, problem, direction, peers)
    case = Case("conv", problem.name, "", direction, work, gate(length(problem, direction)), made)
    rows, sides = check(case, case.prepare())
    wrong = [row.side for row in rows if row.ours and not row.counted]
    if wrong:
        sys.exit(f"{told(problem, direction)}: the result of {wrong[0]} is wrong")
    sides = [side for side in sides if counted(rows, side)]
    times = medians(sides, seconds)
    ratios, peer = compared(times)
    found: dict[str, Any] = {"number": number, "shape": told(problem, direction), "direction": direction}
    found |= {"flops": problem.flops, "peer": peer, "ratios": ratios, "error": rows[0].error, "upper": {}}
    if any(ratio < BAR for ratio in ratios.values()):
        near = [side for side in sides if side.ours or times[side.name] < NEAR * times[str(peer)]]
        again = [compared(medians(near, seconds))[0] for _ in range(AGAIN)]
        found["again"] = {side: [one[side] for one in again] for side in ratios}
        found["upper"] = {side: upper_bound(values) for side, values in found["again"].items()}
    return found | {"took": time.perf_counter() - began}


def counted(rows: Sequence[Row], side: Side) -> bool:
    return next(row.counted for row in rows if row.side == side.name)


def medians(sides: Sequence[Side], seconds: float) -> dict[str, float]:
    times = take_turns(sides, seconds, 1, time.perf_counter)
    return {side.name: statistics.median(values) for side, values in zip(sides, times, strict=True)}


def compared(times: dict[str, float]) -> tuple[dict[str, float], str | None]:
    """The best peer's time over each of ours, and its name; nothing where no peer can do the problem."""
    theirs = {name: second for name, second in times.items() if name not in (OURS, IN_CALL)}
    if not theirs:
        return {}, None
    best = min(theirs, key=theirs.__getitem__)
    return {name: theirs[best] / times[name] for name in (OURS, IN_CALL) if name in times}, best


def read_lines(file: Path, seed: str) -> list[dict[str, Any]]:
    """The shapes of this seed that were measured before."""
    lines = [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
    return [line for line in lines if "shape" in line and line["seed"] == seed]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.random_shapes", description=__doc__)
    parser.add_argument("--count", type=int, default=500, help="shapes (500)")
    parser.add_argument("--seed", help="another seed than the commit")
    parser.add_argument("--seconds", type=float, default=0.3, help="what the timing of a shape may take (0.3)")
    parser.add_argument("--gflop", type=float, default=0.6, help="the largest shape that is drawn (0.6)")
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so long; start again to go on")
    parser.add_argument("--lines", type=Path, metavar="FILE", required=True, help="shapes are appended here")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the summary here, too")
    chosen = parser.parse_args()
    if environment.must_start_again():
        return environment.start_again("bench.random_shapes", 1, pyconvx.available_isas()[0])
    began, seed = time.perf_counter(), chosen.seed or str(environment.commit())
    environment.pin(1)
    pyconvx.set_num_threads(1)
    peers, known = find_peers(1, best_isa=True), read_lines(chosen.lines, seed)
    done = {line["number"] for line in known}
    with chosen.lines.open("a") as output:
        write(output, {"seed": seed, "machine": environment.facts(), "peers": peers.versions})
        for number in (number for number in range(chosen.count) if number not in done):
            if time.perf_counter() - began > chosen.minutes * 60:
                break
            problem, direction = draw(seed, number, chosen.gflop * 1e9)
            line = {"seed": seed, **measure(number, problem, direction, peers, chosen.seconds)}
            known.append(line)
            write(output, line)
            for text in losers([line]):
                say(text)
    text = "\n".join(summary(seed, known, chosen.count))
    print(text)
    if chosen.table:
        chosen.table.write_text(text + "\n")
    return 0


def write(output: Any, line: dict[str, Any]) -> None:
    output.write(json.dumps(line) + "\n")
    output.flush()


if __name__ == "__main__":
    sys.exit(main())
