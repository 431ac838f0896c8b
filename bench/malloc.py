"""`python -m bench.malloc`: a handful of layers with malloc as it comes, beside the settings that all benchmarks have.

With glibc's own settings a large result that is freed goes back to the system, and the next call pays for its pages
again. pyconvx keeps its memory in a pool of its own; peers do not. Settings are read when a process starts: processes
with either take turns, and the median over them counts.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import pyconvx
from bench import environment
from bench.__main__ import one_run
from bench.one_run import Orders

LAYERS = ["vgg conv1_1", "vgg conv3_2", "resnet layer1", "depthwise", "ecg middle", "ct deep"]
QUICK_LAYERS = ["resnet layer1"]
TURNS = 3

Run = dict[str, Any]
Medians = dict[tuple[str, str, str], float]  # by problem, direction, side


def medians(runs: list[Run]) -> Medians:
    """Seconds a call of each side that is accurate."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for run in runs:
        for row in run["rows"]:
            if row["counted"] and row["median_s"]:
                found.setdefault((row["problem"], row["direction"], row["side"]), []).append(row["median_s"])
    return {key: statistics.median(seconds) for key, seconds in found.items()}


def table(tuned: Medians, default: Medians) -> list[str]:
    lines = ["| layer | side | tuned | as it comes | times longer |", "|---|---|--:|--:|--:|"]
    for (problem, direction, side), seconds in tuned.items():
        plain = default.get((problem, direction, side))
        if plain:
            times = f"{seconds * 1e3:.3g} ms | {plain * 1e3:.3g} ms | {plain / seconds:.2f}"
            lines.append(f"| {problem}, {direction} | {side} | {times} |")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.malloc", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one layer")
    parser.add_argument("--minutes", type=float, default=4.0, help="about what all runs together may take (4)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found")
    chosen = parser.parse_args()
    orders = Orders(
        ["conv"],
        pyconvx.available_isas()[0],
        threads=1,
        minutes=chosen.minutes / (2 * TURNS),
        only=QUICK_LAYERS if chosen.quick else LAYERS,
    )
    runs: dict[bool, list[Run]] = {True: [], False: []}
    for _ in range(TURNS):
        for tuned, found in runs.items():
            found.append(one_run(orders._replace(tuned_malloc=tuned)))
    lines = table(medians(runs[True]), medians(runs[False]))
    print("\n".join(lines))
    if chosen.json:
        times = {
            name: {", ".join(key): second for key, second in medians(found).items()}
            for name, found in (("tuned", runs[True]), ("as it comes", runs[False]))
        }
        document = {"machine": environment.facts(), "peers": runs[True][0]["peers"], **times}
        chosen.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
