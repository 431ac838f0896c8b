"""How long each case may be timed, so that a run ends when it should: what time is left is shared out evenly."""

from __future__ import annotations

import time

USUAL = {True: 2.0, False: 10.0}  # seconds that the timing of a case may take without a limit, by `quick`
PART = 0.8  # of a case's share is for timing; the rest is for making its data and checking its results


class Pace:
    """`seconds` for all cases together, or no limit. What one case leaves, the others get."""

    def __init__(self, cases: int, quick: bool, seconds: float | None) -> None:
        self.left = cases
        self.usual = USUAL[quick]
        self.end = None if seconds is None else time.perf_counter() + seconds

    def next(self) -> float:
        """What the timing of the next case may take; never nothing, since each side is due a few samples."""
        share = self.usual
        if self.end is not None:
            share = min(share, PART * max(0.0, self.end - time.perf_counter()) / max(1, self.left))
        self.left -= 1
        return share
