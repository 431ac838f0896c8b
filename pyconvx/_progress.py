"""How far long work has come, and how long it will still take: tqdm where it is installed, else one quiet line.

Both write to standard error, and only if that is a terminal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, TextIO

from pyconvx.errors import OptionError

Report = Callable[[int, int, dict[str, Any]], Any]
"""Called with (done, total, what is known); total is 0 where it is not known."""
Describe = Callable[[dict[str, Any]], str]
"""What is known, in words, the time left among them."""

_EVERY = 0.2  # seconds between two updates of the line


@contextmanager
def reporter(
    option: bool | Report,
    stream: TextIO | None = None,
    *,
    unit: str = "",
    step: int = 1,
    describe: Describe | None = None,
) -> Iterator[Report]:
    """Give what `progress=` asks for: nothing, a bar on standard error if that is a terminal, or the caller's function.

    What is counted is called `unit`, and a report comes after every `step` of it.

    Raises
    ------
    OptionError
        If `option` is neither a boolean nor callable.
    """
    if not isinstance(option, bool) and not callable(option):
        raise OptionError(f"progress must be True, False or a function (done, total, info): got {option!r}")
    if callable(option):
        yield option
        return
    bar = make_bar(option, stream, unit=unit, step=step, describe=describe)
    try:
        yield bar.report
    finally:
        bar.close()


def make_bar(
    shown: bool, stream: TextIO | None = None, *, unit: str = "", step: int = 1, describe: Describe | None = None
) -> Bar:
    """Return what shows progress, and nothing at all if it should not or `stream` is no terminal."""
    stream = sys.stderr if stream is None else stream
    if not shown or not stream.isatty():
        return Bar()
    try:
        tqdm = import_module("tqdm").tqdm
    except ImportError:
        return _Line(stream, unit, step, describe)
    if describe is None:
        return _Tqdm(tqdm(file=stream, total=0, unit=f" {unit}"), None)
    # With our time left: its own takes every step for equally long.
    return _Tqdm(tqdm(file=stream, total=0, bar_format="{l_bar}{bar}| {n_fmt}/{total_fmt}{postfix}"), describe)


def time_left(seconds: float) -> str:
    """Return seconds as people read them.

    Examples
    --------
    >>> time_left(75), time_left(3675)
    ('1:15', '1:01:15')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


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


class Bar:
    """What tells of progress; this one tells nothing."""

    def report(self, done: int, total: int, info: dict[str, Any]) -> None:
        """Show that so many are done."""

    def update(self, done: int, total: int) -> None:
        """Show that so many are done, of which nothing more is known."""
        self.report(done, total, {})

    def aside(self) -> None:
        """Make room for a line of output."""

    def close(self) -> None:
        """Leave the line behind."""


class _Line(Bar):
    """One line that is written over itself."""

    def __init__(self, stream: TextIO, unit: str, step: int, describe: Describe | None) -> None:
        self._stream = stream
        self._step = step
        self._unit = f" {unit}" if unit else ""
        self._describe = describe
        self._start = time.monotonic()
        self._first: int | None = None
        self._next = 0.0
        self._length = 0

    def report(self, done: int, total: int, info: dict[str, Any]) -> None:
        now = time.monotonic()
        if self._first is None:  # the first report may count what there was nothing to do about
            self._first = done - self._step
        if now < self._next and done != total:
            return
        self._next = now + _EVERY
        share = f" ({100 * done // total}%)" if total else ""
        line = f"{done}/{total or '?'}{self._unit}{share}{self._rest(done, total, info, now)}"
        self._write("\r" + line.ljust(self._length))
        self._length = len(line)

    def aside(self) -> None:
        if self._length:
            self._write("\r" + " " * self._length + "\r")

    def close(self) -> None:
        if self._length:
            self._write("\n")

    def _rest(self, done: int, total: int, info: dict[str, Any], now: float) -> str:
        if self._describe is not None:
            return f", {self._describe(info)}"
        assert self._first is not None, "the first report has been counted"
        worked = done - self._first
        return f", {time_left((now - self._start) / worked * (total - done))} left" if total and worked > 0 else ""

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


class _Tqdm(Bar):
    """tqdm's bar."""

    def __init__(self, bar: Any, describe: Describe | None) -> None:
        self._bar = bar
        self._describe = describe

    def report(self, done: int, total: int, info: dict[str, Any]) -> None:
        self._bar.total = total or None
        if self._describe is not None:
            self._bar.set_postfix_str(self._describe(info), refresh=False)
        self._bar.update(done - self._bar.n)

    def aside(self) -> None:
        self._bar.clear()

    def close(self) -> None:
        self._bar.close()
