"""`python -m bench.malloc`: a handful of layers with malloc as it comes, beside the settings that all benchmarks have.

With glibc's own settings a large result that is freed goes back to the system, and the next call pays for its pages
again. pyconvx keeps its memory in a pool of its own; peers do not.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pyconvx
from bench import environment
from bench.__main__ import one_run
from bench.one_run import Orders

LAYERS = ["vgg conv1_1", "vgg conv3_2", "resnet layer1", "depthwise", "ecg middle", "ct deep"]
QUICK_LAYERS = ["resnet layer1"]

Run = dict[str, Any]


def table(tuned: Run, default: Run) -> list[str]:
    """A line for each side that is accurate in both runs."""
    times = [
        {
            (r["problem"], r["direction"], r["side"]): r["median_s"]
            for r in run["rows"]
            if r["counted"] and r["median_s"]
        }
        for run in (tuned, default)
    ]
    lines = ["| layer | side | tuned | as it comes | times longer |", "|---|---|--:|--:|--:|"]
    for key, seconds in times[0].items():
        if key in times[1]:
            problem, direction, side = key
            lines.append(
                f"| {problem}, {direction} | {side} | {seconds * 1e3:.3g} ms | {times[1][key] * 1e3:.3g} ms "
                f"| {times[1][key] / seconds:.2f} |"
            )
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.malloc", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one layer")
    parser.add_argument("--minutes", type=float, default=4.0, help="about what both runs together may take (4)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found")
    chosen = parser.parse_args()
    orders = Orders(
        ["conv"],
        pyconvx.available_isas()[0],
        threads=1,
        minutes=chosen.minutes / 2,
        only=QUICK_LAYERS if chosen.quick else LAYERS,
    )
    tuned, default = one_run(orders), one_run(orders._replace(tuned_malloc=False))
    print("\n".join(table(tuned, default)))
    if chosen.json:
        document = {"machine": environment.facts(), "tuned": tuned, "default": default}
        chosen.json.write_text(json.dumps(document, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
