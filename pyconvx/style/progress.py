"""How far a painting has come, in words, and how long it will still take: a pyramid's steps are not equally long."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from pyconvx._progress import time_left


class TimeLeft:
    """Seconds that the rest will take, from the time that the work so far took; work is in any unit."""

    def __init__(self, total: float, done: float = 0.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._total = total
        self._first = self._done = done
        self._start = clock()

    def add(self, work: float) -> float:
        """Count `work` as done and return the seconds left."""
        self._done += work
        return (self._clock() - self._start) * max(0.0, self._total - self._done) / (self._done - self._first)


def describe(info: dict[str, Any]) -> str:
    """Return what is known in words.

    Examples
    --------
    >>> describe({"width": 384, "height": 256, "cost": 0.125, "seconds_left": 75.0})
    '384x256 px, cost 0.125, 1:15 left'
    """
    return f"{info['width']}x{info['height']} px, cost {info['cost']:.4g}, {time_left(info['seconds_left'])} left"
