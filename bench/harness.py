"""Check, then time: one case at a time, all sides in one process, in turns, on the same data and threads.

A side is one way to compute a case: pyconvx or a peer. Its error is max |result - expected| / rms(expected) against
float64, the worst of its results. A side above its gate is shown and not counted: its speed proves nothing.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pyconvx

Results = tuple[NDArray[Any], ...]
Clock = Callable[[], float]  # seconds
PeakNow = Callable[[], float | None]  # GFLOP/s

SHORTEST_SAMPLE = 2e-3  # seconds; quicker calls are repeated within a sample
LONG_CALL = 5e-3  # a side with longer calls is not called once more before each sample to warm its caches ...
LONG_CALL_OF_THREADS = 0.1  # ... or to wake its threads
PEERS_MAY = 3  # times our own gate: ncnn's Winograd is just above it, and leaving it out would be a cheap win
FEW = 5  # samples that every side gets
SLOW = 4  # times slower than the fastest: a side that gets these only
SLOW_SAMPLES = 3
MOST = 60  # samples
FAILED = "failed:"  # how a note begins that is not a peer's usual lack of something
ALONE = "pyconvx, one thread"  # beside two threads, in turns with them, so that what the second one brings is measured
PAUSE = 10e-3  # between sides where there are several threads: Linux books their time every 4 ms
LONGEST_PAUSE = 0.2


@dataclass(frozen=True)
class Side:
    """`call` is timed; `read` gives what it returned as arrays in the order and layout of the case's `expected`."""

    name: str
    call: Callable[[], Any]
    read: Callable[[Any], Results]
    ours: bool = False


@dataclass(frozen=True)
class Work:
    """What a call does: `amount` by `formula`, in units of 1e9 (`unit` names the rate)."""

    amount: float
    unit: str
    formula: str


@dataclass
class Prepared:
    """A case with its arrays: the float64 results, the sides, and the peers that cannot do it, with the reason."""

    expected: Results
    sides: list[Side]
    skipped: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """One row group of the table. `floor` is the share of the peak below which something is badly wrong, or None."""

    benchmark: str
    problem: str
    why: str
    direction: str
    work: Work
    gate: float
    prepare: Callable[[], Prepared]
    floor: float | None = None
    group: str = ""  # the class of goals.py
    rms: bool = False  # whether the gate is for the rms of the errors, not for the largest

    @property
    def label(self) -> str:
        return f"{self.benchmark} {self.problem} {self.direction}"


@dataclass
class Row:
    """One line of the table; times are None where nothing was timed."""

    benchmark: str
    problem: str
    why: str
    direction: str
    side: str
    ours: bool
    error: float
    gate: float
    counted: bool
    unit: str = ""
    formula: str = ""
    amount: float = 0.0
    median_s: float | None = None
    spread: float | None = None  # distance of the quartiles over the median
    samples: int = 0
    rate: float | None = None
    share: float | None = None  # of the measured peak; more than 1 where the formula counts work that is saved
    ratio: float | None = None  # the best accurate peer's time over this one's: above 1 is faster
    note: str = ""
    group: str = ""
    memory: int | None = None  # bytes at most, where that was measured

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def gate(length: float) -> float:
    """The error that algorithm="auto" may have in a sum of `length` products: PyTorch's for 3x3 and 512 channels."""
    return 1.5e-5 * math.sqrt(max(1.0, length / (9 * 512)))


CHANCE = 8  # numbers: the rms of fewer tells nothing


def error(actual: Results, expected: Results, rms: bool = False) -> float:
    """max |actual - expected| / rms(expected), the worst of all results; infinite for NaN and for another shape.

    With `rms`, the root of the mean square in place of the largest. The rms of a few numbers, say the gradient of one
    bias, would be chance: theirs is that of all results.
    """
    worst, everything = 0.0, np.concatenate([np.ravel(e) for e in expected])
    for a, e in zip(actual, expected, strict=True):
        if a.shape != e.shape:
            return math.inf
        if e.size:
            off = a.astype(np.float64) - e
            scale = root_mean_square(e if e.size >= CHANCE else everything) or 1.0
            ratio = (root_mean_square(off) if rms else float(np.abs(off).max())) / scale
            worst = max(worst, ratio if math.isfinite(ratio) else math.inf)
    return worst


def root_mean_square(a: NDArray[Any]) -> float:
    return math.sqrt(float(np.mean(np.square(a, dtype=np.float64))))


def check(case: Case, prepared: Prepared) -> tuple[list[Row], list[Side]]:
    """A row for each side with its error, and the sides that ran; a peer that fails is noted, pyconvx never."""
    rows, alive = [], []
    for side in prepared.sides:
        try:
            wrong, note = error(side.read(side.call()), prepared.expected, case.rms), ""
        except Exception as failure:
            if side.ours:
                raise
            wrong, note = math.inf, told(failure)
        else:
            alive.append(side)
        rows.append(row_of(case, side, wrong, note))
    return rows, alive


def told(failure: Exception) -> str:
    """An exception in one line of a table."""
    return f"{FAILED} {type(failure).__name__}: {str(failure).partition(chr(10))[0][:120]}"


def row_of(case: Case, side: Side, wrong: float, note: str) -> Row:
    limit = case.gate * (1 if side.ours else PEERS_MAY)
    return Row(
        case.benchmark,
        case.problem,
        case.why,
        case.direction,
        side.name,
        side.ours,
        error=wrong,
        gate=limit,
        counted=wrong <= limit,
        unit=case.work.unit,
        formula=case.work.formula,
        amount=case.work.amount,
        note=note,
        group=case.group,
    )


def check_and_time(
    case: Case, peak: PeakNow, seconds: float, threads: int, clock: Clock = time.perf_counter
) -> list[Row]:
    """All rows of a case, timed. `seconds` is about what the timing may take, few samples of each side being due.

    The peak is measured before and after, since the clock of a shared host wanders; the higher one counts.
    """
    prepared = case.prepare()
    rows, alive = check(case, prepared)
    rows += [
        row_of(case, Side(name, list, tuple), math.inf, reason)
        for name, reason in prepared.skipped.items()
        if reason.startswith(FAILED)
    ]
    mine = next((side for side in alive if side.ours), None)
    if threads > 1 and mine:
        alive.append(one_thread(mine))
        rows.append(replace(next(row for row in rows if row.side == mine.name), side=ALONE))
    before = peak()
    times = dict(zip([side.name for side in alive], take_turns(alive, seconds, threads, clock), strict=True))
    limit = max(before or 0.0, peak() or 0.0) or None
    for row in rows:
        if row.side in times:
            fill(row, times[row.side], limit if row.unit == "GFLOP/s" else None)
    compare(rows)
    return rows


def one_thread(side: Side) -> Side:
    """The same call on one thread; its result has the same bits (tests see to that) and is not checked again."""

    def call() -> Any:
        with pyconvx.num_threads(1):
            return side.call()

    return replace(side, name=ALONE, call=call)


def compare(rows: Sequence[Row]) -> None:
    """Fill in how much faster each side is than the best peer that is accurate."""
    best = min((r.median_s for r in rows if r.counted and not r.ours and r.median_s), default=None)
    for row in rows:
        row.ratio = best / row.median_s if best and row.median_s else None


def fill(row: Row, seconds: Sequence[float], peak: float | None) -> None:
    row.samples, row.median_s = len(seconds), statistics.median(seconds)
    low, _, high = statistics.quantiles(seconds, n=4)
    row.spread = (high - low) / row.median_s
    row.rate = row.amount / row.median_s / 1e9
    row.share = row.rate / peak if peak else None


def take_turns(sides: Sequence[Side], seconds: float, threads: int, clock: Clock) -> list[list[float]]:
    """Seconds a call of each side, sample by sample: each round takes one sample of every side, first another one."""
    once = [best_of(side.call, 2, clock) for side in sides]
    calls = [max(1, math.ceil(SHORTEST_SAMPLE / second)) for second in once]
    slow = [second > SLOW * min(once) for second in once]
    warm = [second < (LONG_CALL if threads == 1 else LONG_CALL_OF_THREADS) for second in once]
    spent = sum(second * (n + w) for second, n, w, s in zip(once, calls, warm, slow, strict=True) if not s)
    rounds = min(MOST, max(FEW, int(seconds / spent)))
    times: list[list[float]] = [[] for _ in sides]
    for turn in range(rounds):
        for place in range(len(sides)):
            index = (turn + place) % len(sides)
            if slow[index] and turn >= SLOW_SAMPLES:
                continue
            if threads > 1:
                await_quiet()
            times[index].append(sample(sides[index].call, calls[index], warm[index], clock))
    return times


def await_quiet() -> None:
    """Sleep until the threads of the last side have stopped spinning.

    Those of OpenBLAS (NumPy's) spin for 110 ms after a call, and leave the next side one processor.
    """
    end = time.perf_counter() + LONGEST_PAUSE
    while True:
        began = time.process_time()
        time.sleep(PAUSE)
        if time.process_time() - began < PAUSE / 4 or time.perf_counter() > end:
            return


def sample(call: Callable[[], Any], calls: int, warm: bool, clock: Clock = time.perf_counter) -> float:
    """Seconds a call, over `calls` calls, after one that is not timed where `warm`."""
    if warm:
        call()
    start = clock()
    for _ in range(calls):
        call()
    return (clock() - start) / calls


def best_of(call: Callable[[], Any], tries: int, clock: Clock) -> float:
    return min(sample(call, 1, False, clock) for _ in range(tries))


def failures(rows: Iterable[Row]) -> list[str]:
    """What pyconvx got wrong."""
    return [
        f"{r.benchmark} {r.problem} {r.direction}, {r.side}: error {r.error:.1e} above the gate {r.gate:.1e}"
        for r in rows
        if r.ours and not r.counted
    ]
