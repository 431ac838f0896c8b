"""A floor under the speed, so that a disaster cannot land: half of the share of the peak that a layer should reach."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

import pyconvx
from bench.harness import Case, check, failures, sample
from bench.peak import NOISY, Peak, measure_peak

ROUNDS = 8
ATTEMPTS = 3


def check_floor(case: Case, usual: Peak, isa: str, say: Callable[[str], None]) -> list[str]:
    """What is wrong with the case at full size on one thread: its result, or a share of the peak below the floor.

    Processor time is measured, not time on the clock, peak and layer take turns, and the best sample of each counts:
    whoever else uses the machine takes little of that away. A share that stays below the floor where the peak itself
    wavers proves nothing and is said, not failed. `usual` is the peak measured before.
    """
    assert case.floor is not None
    prepared = case.prepare()
    with pyconvx.num_threads(1):
        wrong = failures(check(case, prepared)[0])
        share, noisy = measure_share(case, usual, isa, next(side.call for side in prepared.sides if side.ours))
    if share >= case.floor:
        say(f"{isa}: {case.label}: {share:.0%} of the peak, floor {case.floor:.0%}")
        return wrong
    line = f"{isa}: {case.label}: {share:.0%} of the measured peak, below the floor of {case.floor:.0%}"
    if noisy:
        say(f"{line}; not counted, the machine is too noisy: its own peak wavers by more than 30%")
        return wrong
    return [*wrong, line]


def measure_share(case: Case, usual: Peak, isa: str, call: Callable[[], object]) -> tuple[float, bool]:
    """The best share of the peak in a few attempts, the last one above the floor; whether the peak wavered."""
    share, noisy = 0.0, False
    for _ in range(ATTEMPTS):
        peaks, best = [usual], math.inf
        for _ in range(ROUNDS):
            peaks.append(measure_peak(isa, 1, samples=2, clock=time.process_time) or usual)
            best = min(best, sample(call, 1, warm=False, clock=time.process_time))
        top = max(peak.best for peak in peaks)
        noisy = statistics.median(peak.median for peak in peaks) < NOISY * top
        share = max(share, case.work.amount / best / 1e9 / top)
        if case.floor and share >= case.floor:
            break
    return share, noisy
