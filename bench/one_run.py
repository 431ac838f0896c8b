"""One instruction set, one number of threads, one process: started by __main__ with the settings of environment.py.

Takes its orders as JSON in the first argument and writes a run as JSON to `output`.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyconvx
from bench import bench_style, environment
from bench.floor import check_floor
from bench.harness import Case, Row, check, check_and_time, failures
from bench.peak import measure_peak
from bench.peers import Peers, find_peers

SECONDS = {True: 0.3, False: 1.5}  # what one side of one case may take, by `quick`
SMALL = {"scalar": 2e7}  # operations of a problem in a check without timing
USUALLY_SMALL = 3e8
STYLE = "style"  # has processes of its own and no cases


class Orders(NamedTuple):
    benchmarks: list[str]
    isa: str
    threads: int
    quick: bool
    check: bool
    processor_time: bool
    output: str


def main(orders: Orders) -> None:
    environment.pin(orders.threads)
    pyconvx.set_num_threads(orders.threads)
    assert pyconvx.active_isa() == orders.isa, f"{orders.isa} was asked for, {pyconvx.active_isa()} is active"
    run = check_only(orders) if orders.check else measure(orders)
    Path(orders.output).write_text(json.dumps(run))


def measure(orders: Orders) -> dict[str, Any]:
    """Every case checked and timed."""
    peers = find_peers(orders.threads, best_isa=orders.isa == pyconvx.available_isas()[0])
    clock = time.process_time if orders.processor_time else time.perf_counter
    peak = measure_peak(orders.isa, orders.threads, clock=clock)
    say(f"{orders.isa}, {orders.threads} thread(s), peak {peak.best:.0f} GFLOP/s" if peak else orders.isa)
    for name, reason in peers.skipped.items():
        say(f"  without {name}: {reason}")
    rows: list[Row] = []
    for case in all_cases(orders, peers):
        found = check_and_time(case, peak.best if peak else None, SECONDS[orders.quick], orders.threads, clock)
        say(summary(case, found))
        rows += found
    if STYLE in orders.benchmarks:
        best = peak.best if peak else None
        rows += bench_style.measure(orders.isa, orders.threads, orders.quick, best, say, "torch" in peers.modules)
    return {
        "isa": orders.isa,
        "threads": orders.threads,
        "clock": "processor time" if orders.processor_time else "time",
        "peak_gflops": peak.best if peak else None,
        "peak_source": peak.source if peak else "none for scalar code",
        "peers": peers.versions,
        "skipped": peers.skipped,
        "failures": failures(rows),
        "rows": [row.as_json() for row in rows],
    }


def check_only(orders: Orders) -> dict[str, Any]:
    """Every case checked on a small problem; the well-shaped quick ones at full size, with their floor."""
    wrong, count = [], 0
    nobody = Peers(orders.threads)
    for case in all_cases(orders, nobody, SMALL.get(orders.isa, USUALLY_SMALL)):
        wrong += failures(check(case, case.prepare())[0])
        count += 1
    if STYLE in orders.benchmarks:
        wrong += bench_style.check(orders.threads)
        count += 1
    say(f"{orders.isa}: {count} cases computed right" if not wrong else f"{orders.isa}: {len(wrong)} of {count} wrong")
    peak = measure_peak(orders.isa, 1, clock=time.process_time)
    if peak is None:
        say("scalar: no floor, the peak of scalar code depends on the compiler")
        return {"failures": wrong}
    quick = orders._replace(quick=True)
    wrong += [
        line for case in all_cases(quick, nobody) if case.floor for line in check_floor(case, peak, orders.isa, say)
    ]
    return {"failures": wrong}


def all_cases(orders: Orders, peers: Peers, at_most: float | None = None) -> Iterator[Case]:
    for name in orders.benchmarks:
        if name != STYLE:
            yield from importlib.import_module(f"bench.bench_{name}").cases(peers, orders.quick, at_most)


def summary(case: Case, rows: list[Row]) -> str:
    """One line: pyconvx, and the best peer that is accurate."""
    mine = next(r for r in rows if r.ours)
    timed = [(r.median_s, r) for r in rows if r.counted and not r.ours and r.median_s]
    theirs = min(timed, key=lambda pair: pair[0])[1] if timed else None
    text = f"{case.label}: {time_text(mine.median_s)}, {mine.rate:.4g} {mine.unit}"
    if mine.share:
        text += f", {mine.share:.0%} of the peak"
    if theirs:
        text += f"; {mine.ratio:.2f} times {theirs.side} ({time_text(theirs.median_s)})"
    return text if mine.counted else f"{text}; WRONG: error {mine.error:.1e}"


def time_text(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1e3:.3g} ms" if seconds >= 1e-3 else f"{seconds * 1e6:.3g} us"


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(Orders(**json.loads(sys.argv[1])))
