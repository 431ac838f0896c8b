"""`python -m bench.publish`: everything that is judged, from one command, into bench/results.

Classes and end to end on one thread and two, the direct algorithm's share of the peak, a busy second processor, malloc
as it comes, what limits each class, random shapes: each as tables, and but for the limits as JSON with machine and
versions. About an hour on an idle machine; `--minutes` shares out less or more. Random shapes that were measured
before, at the same commit, stay as they are.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import pyconvx
from bench import environment
from bench.one_run import say

RESULTS = Path(__file__).parent / "results"
CLASSES, MALLOC, RANDOM = 0.62, 0.06, 0.2  # of the time; the rest is what the others take, whatever they are given


def commands(chosen: argparse.Namespace) -> dict[str, list[str]]:
    """Arguments of python -m, by the name of the results."""
    folder, quick = chosen.folder.resolve(), ["--quick"] * chosen.quick
    classes, malloc, random = (f"{share * chosen.minutes:.2f}" for share in (CLASSES, MALLOC, RANDOM))
    found = {
        "classes": ["bench", "all", "--threads", chosen.threads, "--isa", chosen.isa, "--minutes", classes, *quick],
        "direct": ["bench.direct", *quick],
        "busy": ["bench.busy", *quick],
        "malloc": ["bench.malloc", "--minutes", malloc, *quick],
    }
    for name, arguments in found.items():
        arguments += ["--json", str(folder / f"{name}.json")]
    found["limits"] = ["bench.limits", str(folder / "classes.json")]
    lines = str(folder / "random.jsonl")
    found["random"] = ["bench.random_shapes", "--count", str(chosen.count), "--minutes", random, "--lines", lines]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.publish", description=__doc__)
    parser.add_argument("parts", nargs="*", help="some of classes, direct, busy, malloc, limits, random (all)")
    parser.add_argument("--minutes", type=float, default=60.0, help="about what all parts together may take (60)")
    parser.add_argument("--threads", default="1,2" if environment.processors() > 1 else "1", help="(1,2)")
    parser.add_argument("--isa", default=pyconvx.available_isas()[0], help="instruction sets of the classes (the best)")
    parser.add_argument("--count", type=int, default=500, help="random shapes (500)")
    parser.add_argument("--quick", action="store_true", help="a few problems of each part")
    parser.add_argument("--folder", type=Path, default=RESULTS, help="where results go (bench/results)")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    every = commands(chosen)
    if environment.processors() < 2:
        every.pop("busy")
        say("without busy: one processor only")
    unknown = set(chosen.parts) - set(every)
    if unknown:
        parser.error(f"no part {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    failed = []
    for name in chosen.parts or every:
        began = time.perf_counter()
        command = [sys.executable, "-m", *every[name]]
        process = subprocess.run(command, cwd=environment.ROOT, stdout=subprocess.PIPE, text=True, check=False)
        say(f"{name}: {(time.perf_counter() - began) / 60:.1f} minutes")
        (chosen.folder / f"{name}.md").write_text(page(name, every[name], process.stdout))
        if process.returncode != 0:
            failed.append(name)
    for name in failed:
        say(f"FAILED: {name}")
    return 1 if failed else 0


def page(name: str, arguments: list[str], text: str) -> str:
    """The tables of a part under the command that made them, and the machine where they do not name it."""
    command = " ".join(argument.replace(str(environment.ROOT), ".") for argument in arguments)
    facts = environment.facts()
    machine = (
        f"Processor: {facts['processor']}, {facts['processors']} cores ({facts['system']}). pyconvx {facts['pyconvx']} "
        f"at commit {facts['commit']}, compiled by {facts['compiler']}. {facts['date']}."
    )
    return f"# {name}\n\n`python -m {command}`\n\n" + ("" if name == "classes" else f"{machine}\n\n") + text


if __name__ == "__main__":
    sys.exit(main())
