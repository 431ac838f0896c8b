"""One instruction set, one number of threads, one process: started by __main__ with the settings of environment.py.

Takes its orders as JSON in the first argument and writes a run as JSON to `output`.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyconvx
from bench import bench_style, environment
from bench.floor import check_floor
from bench.harness import Case, Clock, Row, check, check_and_time, failures
from bench.pace import Pace
from bench.peak import measure_peak
from bench.peers import Peers, find_peers

SMALL = {"scalar": 2e7}  # operations of a problem in a check without timing
USUALLY_SMALL = 3e8
PEAK_SAMPLES = 4  # before and after each case
STYLE = "style"  # has processes of its own and no cases


class Orders(NamedTuple):
    benchmarks: list[str]
    isa: str
    threads: int
    quick: bool = False
    check: bool = False
    processor_time: bool = False
    minutes: float | None = None  # for this run
    only: Sequence[str] = ()  # names of problems; all of them, if empty
    tuned_malloc: bool = True
    output: str = ""


def main(orders: Orders) -> None:
    environment.pin(orders.threads)
    pyconvx.set_num_threads(orders.threads)
    assert pyconvx.active_isa() == orders.isa, f"{orders.isa} was asked for, {pyconvx.active_isa()} is active"
    run = check_only(orders) if orders.check else measure(orders)
    Path(orders.output).write_text(json.dumps(run))


def measure(orders: Orders) -> dict[str, Any]:
    """Every case checked and timed; style transfer first, so that the rest knows what time is left."""
    began = time.perf_counter()
    peers = find_peers(orders.threads, best_isa=orders.isa == pyconvx.available_isas()[0])
    clock = time.process_time if orders.processor_time else time.perf_counter
    peak = measure_peak(orders.isa, orders.threads, clock=clock)
    say(f"{orders.isa}, {orders.threads} thread(s), peak {peak.best:.0f} GFLOP/s" if peak else orders.isa)
    for name, reason in peers.skipped.items():
        say(f"  without {name}: {reason}")
    rows: list[Row] = []
    if STYLE in orders.benchmarks:
        best = peak.best if peak else None
        rows += bench_style.measure(orders.isa, orders.threads, orders.quick, best, say, "torch" in peers.versions)
    cases = list(all_cases(orders, peers))
    pace = Pace(len(cases), orders.quick, orders.minutes and orders.minutes * 60 - (time.perf_counter() - began))
    for case in cases:
        found = check_and_time(case, peak_now(orders, clock), pace.next(), orders.threads, clock)
        say(summary(case, found))
        rows += found
    return {
        "isa": orders.isa,
        "threads": orders.threads,
        "clock": "processor time" if orders.processor_time else "time",
        "malloc": "tuned" if orders.tuned_malloc else "default",
        "peak_gflops": peak.best if peak else None,
        "peak_source": peak.source if peak else "none for scalar code",
        "peers": peers.versions,
        "skipped": peers.skipped,
        "minutes": (time.perf_counter() - began) / 60,
        "failures": failures(rows),
        "rows": [row.as_json() for row in rows],
    }


def peak_now(orders: Orders, clock: Clock) -> Callable[[], float | None]:
    def measure_now() -> float | None:
        peak = measure_peak(orders.isa, orders.threads, PEAK_SAMPLES, clock)
        return peak.best if peak else None

    return measure_now


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
    """The cases of all benchmarks that have some; with `at_most`, shrunk to about that many operations."""
    for name in orders.benchmarks:
        if name != STYLE:
            for case in importlib.import_module(f"bench.bench_{name}").cases(peers, orders.quick, at_most):
                if not orders.only or case.problem in orders.only:
                    yield case


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
