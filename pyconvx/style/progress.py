"""How far long work has come, and how long it will still take: tqdm where it is installed, else one quiet line."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TextIO

from pyconvx.errors import OptionError

Report = Callable[[int, int, dict[str, Any]], None]
"""Called with (steps done, steps in all, what is known: width, height, cost, seconds_left)."""

# Seconds between two updates of the line.
_EVERY = 0.2


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


@contextmanager
def reporter(option: bool | Report, stream: TextIO | None = None) -> Iterator[Report]:
    """Give what `progress=` asks for: nothing, a bar on standard error if that is a terminal, or the caller's function.

    Raises
    ------
    OptionError
        If `option` is neither a boolean nor callable.
    """
    stream = sys.stderr if stream is None else stream
    if not isinstance(option, bool) and not callable(option):
        raise OptionError(f"progress must be True, False or a function (done, total, info): got {option!r}")
    if callable(option):
        yield option
    elif option and stream.isatty():
        bar = _tqdm(stream) or _Line(stream)
        try:
            yield bar.report
        finally:
            bar.close()
    else:
        yield lambda done, total, info: None


def describe(info: dict[str, Any]) -> str:
    """Return what is known in words.

    Examples
    --------
    >>> describe({"width": 384, "height": 256, "cost": 0.125, "seconds_left": 75.0})
    '384x256 px, cost 0.125, 1:15 left'
    """
    minutes, seconds = divmod(round(info["seconds_left"]), 60)
    hours, minutes = divmod(minutes, 60)
    left = f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
    return f"{info['width']}x{info['height']} px, cost {info['cost']:.4g}, {left} left"


class _Line:
    """One line that is written over itself."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._length = 0
        self._next = 0.0

    def report(self, done: int, total: int, info: dict[str, Any]) -> None:
        now = time.monotonic()
        if now < self._next and done < total:
            return
        self._next = now + _EVERY
        line = f"{done}/{total} steps ({100 * done // max(1, total)}%), {describe(info)}"
        self._stream.write("\r" + line.ljust(self._length))
        self._stream.flush()
        self._length = len(line)

    def close(self) -> None:
        if self._length:
            self._stream.write("\n")
            self._stream.flush()


class _Bar:
    """tqdm's bar, with our time left: its own takes every step for equally long, and a pyramid's are not."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def report(self, done: int, total: int, info: dict[str, Any]) -> None:
        self._bar.total = total
        self._bar.set_postfix_str(describe(info), refresh=False)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.close()


def _tqdm(stream: TextIO) -> _Bar | None:
    try:
        tqdm = import_module("tqdm").tqdm
    except ImportError:
        return None
    return _Bar(tqdm(file=stream, total=0, bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt}{postfix}", leave=True))
