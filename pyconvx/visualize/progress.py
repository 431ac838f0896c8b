"""How far a pass or an ascent has come: tqdm where it is installed, else one quiet line; nothing off a terminal."""

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

# Seconds between two updates of the line.
_EVERY = 0.2


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
        show, close = _bar(stream) or _line(stream)
        try:
            yield show
        finally:
            close()
    else:
        yield lambda done, total, info: None


def _bar(stream: TextIO) -> tuple[Report, Callable[[], None]] | None:
    try:
        bar = import_module("tqdm").tqdm(file=stream, total=0)
    except ImportError:
        return None

    def show(done: int, total: int, info: dict[str, Any]) -> None:
        bar.total = total or None
        bar.update(done - bar.n)

    return show, bar.close


def _line(stream: TextIO) -> tuple[Report, Callable[[], None]]:
    began, due = time.monotonic(), 0.0

    def show(done: int, total: int, info: dict[str, Any]) -> None:
        nonlocal due
        now = time.monotonic()
        if now < due and done != total:
            return
        due = now + _EVERY
        left = f", {(now - began) / done * (total - done):.0f} s left" if total and done else ""
        stream.write(f"\r{done}/{total or '?'}{left}\x1b[K")
        stream.flush()

    def close() -> None:
        stream.write("\n")
        stream.flush()

    return show, close
