"""`python -m bench.busy`: two threads while another process spins on one of the two processors.

That process gets half of its processor, so 1.5 are left: work that is handed out as threads ask for it takes 1.33 times
as long as on two idle ones, 0.67 of one thread's time. Work cut in two beforehand takes 2 times as long, and threads
that spin at a barrier take a scheduler's slice more. Each side of each layer is timed on one idle processor, and on two
idle ones and beside the other process in turns; pyconvx and its peers alike, results checked first.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyconvx
from bench import environment
from bench.bench_conv import cases
from bench.harness import check, sample
from bench.peers import find_peers

LAYERS = ["vgg conv2_2", "ecg middle", "ct deep", "depthwise"]
QUICK_LAYERS = ["ct deep"]
IDLE, BUSY = "idle", "busy"
ROUNDS, QUICK_ROUNDS = 9, 5
SHORTEST, LONGEST = 0.02, 1.0  # seconds: a sample, several slices of a scheduler; a call, else the side is left out
SPIN = "while True: pass"

Times = dict[str, dict[str, list[float]]]  # by "layer, direction", by side
Medians = dict[str, dict[str, float]]


@contextlib.contextmanager
def spinner() -> Iterator[int]:
    """The number of a process that would spin on the last of our processors; it stands still."""
    processor = max(os.sched_getaffinity(0))
    process = subprocess.Popen([sys.executable, "-c", SPIN], preexec_fn=lambda: os.sched_setaffinity(0, {processor}))
    try:
        process.send_signal(signal.SIGSTOP)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def measure(threads: int, layers: list[str], rounds: int) -> dict[str, Times]:
    """Seconds a call, idle and, with two threads, beside the other process."""
    found: dict[str, Times] = {IDLE: {}, BUSY: {}}
    peers = find_peers(threads, best_isa=True)
    with spinner() as other:
        for case in cases(peers, quick=False):
            if case.problem not in layers:
                continue
            rows, alive = check(case, case.prepare())
            right = {row.side for row in rows if row.counted}
            usual = {side: sample(side.call, 1, warm=False) for side in alive if side.name in right}
            calls = {side: math.ceil(SHORTEST / second) for side, second in usual.items() if second < LONGEST}
            label = f"{case.problem}, {case.direction}"
            for _ in range(rounds):
                for state in (IDLE, BUSY)[:threads]:
                    if state == BUSY:
                        os.kill(other, signal.SIGCONT)
                    for side, count in calls.items():
                        seconds = sample(side.call, count, warm=False)
                        found[state].setdefault(label, {}).setdefault(side.name, []).append(seconds)
                    os.kill(other, signal.SIGSTOP)
    return found


def medians(times: Times) -> Medians:
    return {label: {side: statistics.median(s) for side, s in sides.items()} for label, sides in times.items()}


def table(one: Medians, two: Medians, busy: Medians) -> list[str]:
    """A line for each side of each layer: what the other process costs, and what two threads are still worth."""
    lines = [
        "| layer | side | one thread | two | two, one processor shared | over two idle | over one thread |",
        "|---|---|--:|--:|--:|--:|--:|",
    ]
    for label, sides in busy.items():
        for side, seconds in sides.items():
            if side in one[label] and side in two[label]:
                alone, idle = one[label][side], two[label][side]
                lines.append(
                    f"| {label} | {side} | {alone * 1e3:.3g} ms | {idle * 1e3:.3g} ms | {seconds * 1e3:.3g} ms "
                    f"| {seconds / idle:.2f} | {seconds / alone:.2f} |"
                )
    return lines


def run(threads: int, quick: bool) -> dict[str, Times]:
    """What a fresh process finds on the first processors."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "times.json"
        command = [sys.executable, "-m", "bench.busy", "--child", str(threads), "--json", str(output)]
        settings = environment.settings(pyconvx.available_isas()[0], threads)
        subprocess.run(command + ["--quick"] * quick, env=settings, cwd=environment.ROOT, check=True)
        found: dict[str, Times] = json.loads(output.read_text())
        return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.busy", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one layer, few rounds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found")
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        environment.pin(chosen.child)
        layers, rounds = (QUICK_LAYERS, QUICK_ROUNDS) if chosen.quick else (LAYERS, ROUNDS)
        chosen.json.write_text(json.dumps(measure(chosen.child, layers, rounds)))
        return 0
    if environment.processors() < 2 or not hasattr(os, "sched_setaffinity"):
        sys.exit("bench.busy needs two processors, and a system that can pin a process to one")
    alone, both = run(1, chosen.quick), run(2, chosen.quick)
    found = medians(alone[IDLE]), medians(both[IDLE]), medians(both[BUSY])
    print("\n".join(table(*found)))
    if chosen.json:
        document = {"machine": environment.facts(), "one": found[0], "two": found[1], "busy": found[2]}
        chosen.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
