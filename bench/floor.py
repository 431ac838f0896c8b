"""A floor under the speed, so that a disaster cannot land: half of the share of the peak that a layer should reach."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from typing import Protocol

from bench.harness import Case, check, failures, sample
from bench.peak import NOISY, Peak, measure_peak

ROUNDS = 8
ATTEMPTS = 3


class Setting(Protocol):
    @property
    def isa(self) -> str: ...
    @property
    def threads(self) -> int: ...


def check_floor(case: Case, usual: Peak, setting: Setting, say: Callable[[str], None]) -> list[str]:
    """What is wrong with the case at full size: its result, or a share of the peak below the floor.

    Peak and layer take turns and the best sample of each counts, which forgives interruptions. A share that stays
    below the floor on a machine whose peak itself wavers proves nothing and is said, not failed. `usual` is the peak
    measured before.
    """
    assert case.floor is not None
    prepared = case.prepare()
    wrong = failures(check(case, prepared)[0])
    call = next(side.call for side in prepared.sides if side.ours)
    share, noisy = 0.0, False
    for _ in range(ATTEMPTS):
        peaks, best = [usual], float("inf")
        for _ in range(ROUNDS):
            peaks.append(measure_peak(setting.isa, setting.threads, samples=2) or usual)
            best = min(best, sample(call, 1, warm=False))
        top = max(peak.best for peak in peaks)
        noisy = statistics.median(peak.median for peak in peaks) < NOISY * top
        share = max(share, case.work.amount / best / 1e9 / top)
        if share >= case.floor:
            say(f"{setting.isa}: {case.label}: {share:.0%} of the peak, floor {case.floor:.0%}")
            return wrong
    line = f"{setting.isa}: {case.label}: {share:.0%} of the measured peak, below the floor of {case.floor:.0%}"
    if noisy:
        say(f"{line}; not counted, the machine is too noisy: its own peak wavers by more than 30%")
        return wrong
    return [*wrong, line]
