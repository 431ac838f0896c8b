"""`python -m bench`: each instruction set and number of threads in a process of its own, the results gathered."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyconvx
from bench import environment
from bench.document import write_document
from bench.one_run import Orders, say
from bench.report import markdown

BENCHMARKS = ["conv", "gram", "pool", "distance", "trunk", "triplet", "norm", "mining", "style", "faces"]
ASKED_FOR = ["networks"]  # not among all: nothing is judged by them


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Checks, then times, pyconvx and its peers.")
    names = [*BENCHMARKS, *ASKED_FOR, "all"]
    parser.add_argument("benchmarks", nargs="*", metavar="|".join(names), help="what to run (all)")
    parser.add_argument("--quick", action="store_true", help="few problems, short: for work in progress")
    parser.add_argument("--minutes", type=float, help="about what all runs together may take (no limit)")
    parser.add_argument("--only", metavar="NAME,NAME", help="these problems alone, by name")
    parser.add_argument("--threads", default=None, help="numbers of threads, for example 1,2 (1)")
    parser.add_argument("--isa", default=None, help="instruction sets, for example avx512,avx2 (the best one)")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the results; `python -m bench.report` reads them"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="no timing and no peers: all results on every instruction set, and a floor under the share of the peak",
    )
    parser.add_argument(
        "--processor-time",
        action="store_true",
        help="one thread only: count processor time, for a first look where others use the machine",
    )
    chosen = parser.parse_args(arguments)
    wanted = chosen.benchmarks or ["all"]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        parser.error(f"no benchmark {unknown[0]!r}; there are {', '.join(names[:-1])} and all")
    chosen.benchmarks = BENCHMARKS if "all" in wanted else wanted
    available = pyconvx.available_isas()
    chosen.isas = chosen.isa.split(",") if chosen.isa else available if chosen.check else available[:1]
    for isa in chosen.isas:
        if isa not in available:
            parser.error(f"this processor and build have no {isa!r}, only {', '.join(available)}")
    try:
        chosen.counts = [int(count) for count in (chosen.threads or "1").split(",")]
    except ValueError:
        parser.error(f"--threads is {chosen.threads!r}; wanted numbers, for example 1,2")
    if not all(1 <= count <= environment.processors() for count in chosen.counts):
        parser.error(f"--threads is {chosen.threads!r}; this process may use 1 to {environment.processors()}")
    chosen.only = chosen.only.split(",") if chosen.only else []
    if chosen.processor_time and chosen.counts != [1]:
        parser.error("--processor-time adds up all threads: it goes with --threads 1 alone")
    return chosen


def one_run(orders: Orders) -> dict[str, Any]:
    """What a process with the right settings finds out."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "run.json"
        command = [sys.executable, "-m", "bench.one_run", json.dumps(orders._replace(output=str(output))._asdict())]
        process = subprocess.run(
            command,
            env=environment.settings(orders.isa, orders.threads, orders.tuned_malloc, peers=not orders.check),
            cwd=environment.ROOT,
            check=False,
        )
        if process.returncode != 0:
            sys.exit(f"the run with {orders.isa}, {orders.threads} thread(s), ended with {process.returncode}")
        run: dict[str, Any] = json.loads(output.read_text())
        return run


def main() -> int:
    chosen = parse()
    warning = environment.busy()
    if warning:
        say(f"warning: {warning}")
    say(f"each run is a process of its own, with GLIBC_TUNABLES={environment.GLIBC_TUNABLES}")
    document: dict[str, Any] = {"schema": 2, "machine": environment.facts(), "quick": chosen.quick, "runs": []}
    began, waiting = time.perf_counter(), [(isa, threads) for isa in chosen.isas for threads in chosen.counts]
    while waiting:
        isa, threads = waiting[0]
        orders = Orders(
            chosen.benchmarks,
            isa,
            threads,
            chosen.quick,
            chosen.check,
            chosen.processor_time,
            chosen.minutes and (chosen.minutes - (time.perf_counter() - began) / 60) / len(waiting),
            chosen.only,
        )
        document["runs"].append(one_run(orders))
        waiting.pop(0)
    document["minutes"] = (time.perf_counter() - began) / 60
    say(f"{document['minutes']:.1f} minutes")
    wrong = [line for run in document["runs"] for line in run["failures"]]
    for line in wrong:
        say(f"FAILED: {line}")
    if not chosen.check:
        print(markdown(document))
        if chosen.json:
            write_document(document, chosen.json)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
