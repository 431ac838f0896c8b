"""How far work on many things has come, on standard error if that is a terminal: tqdm if it is there, else one line."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from typing import Any, Protocol

_EVERY = 0.2  # seconds between two updates of the line


class Progress(Protocol):
    """What a command tells of its progress."""

    def update(self, done: int, total: int) -> None:
        """Show that so many are done."""

    def aside(self) -> None:
        """Make room for a line of output."""

    def close(self) -> None:
        """Leave the line behind."""


def progress(quiet: bool) -> Progress:
    """Return what shows progress; nothing if standard error is no terminal."""
    if quiet or not sys.stderr.isatty():
        return _Nothing()
    try:
        return _Bar(import_module("tqdm").tqdm(file=sys.stderr, total=0, unit=" pictures"))
    except ImportError:
        return _Line()


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


class _Nothing:
    def update(self, done: int, total: int) -> None:
        pass

    def aside(self) -> None:
        pass

    def close(self) -> None:
        pass


class _Line:
    """One line that is written over itself."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._first: int | None = None
        self._next = 0.0
        self._length = 0

    def update(self, done: int, total: int) -> None:
        now = time.monotonic()
        if self._first is None:  # the first report may count what there was nothing to do about
            self._first, self._start = done - 1, min(self._start, now)
        if now < self._next and done < total:
            return
        self._next = now + _EVERY
        left = (now - self._start) / (done - self._first) * (total - done)
        line = f"{done}/{total} pictures ({100 * done // max(1, total)}%), {time_left(left)} left"
        sys.stderr.write("\r" + line.ljust(self._length))
        sys.stderr.flush()
        self._length = len(line)

    def aside(self) -> None:
        if self._length:
            sys.stderr.write("\r" + " " * self._length + "\r")
            sys.stderr.flush()

    def close(self) -> None:
        if self._length:
            sys.stderr.write("\n")
            sys.stderr.flush()


class _Bar:
    """tqdm's bar."""

    def __init__(self, bar: Any) -> None:
        self._bar = bar

    def update(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def aside(self) -> None:
        self._bar.clear()

    def close(self) -> None:
        self._bar.close()
