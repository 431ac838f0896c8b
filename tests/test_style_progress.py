"""Progress: time left by work and not by steps, one line, tqdm where it is, silence where there is no terminal."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest

from pyconvx._progress import TimeLeft, reporter
from pyconvx.errors import OptionError
from pyconvx.style.progress import describe

INFO: dict[str, Any] = {"width": 64, "height": 48, "cost": 0.5, "seconds_left": 61.0}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_time_left_goes_by_work() -> None:
    clock = iter([100.0, 102.0, 110.0]).__next__
    left = TimeLeft(total=50, done=10, clock=clock)  # 10 of 50 were done by an earlier run, in unknown time
    assert left.add(4) == 2.0 / 4 * 36
    assert left.add(16) == 10.0 / 20 * 20


def test_a_function_gets_every_step() -> None:
    seen: list[tuple[int, int, dict[str, Any]]] = []
    with reporter(lambda done, total, info: seen.append((done, total, info))) as report:
        report(1, 2, INFO)
        report(2, 2, INFO)
    assert seen == [(1, 2, INFO), (2, 2, INFO)]


def test_without_a_terminal_nothing_is_written() -> None:
    stream = io.StringIO()
    with reporter(True, stream, unit="steps", describe=describe) as report:
        report(1, 1, INFO)
    assert stream.getvalue() == ""


def test_false_is_silent_on_a_terminal_too() -> None:
    stream = Terminal()
    with reporter(False, stream) as report:
        report(1, 1, INFO)
    assert stream.getvalue() == ""


def test_the_line_says_how_far_and_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tqdm", None)  # as if it were not installed
    stream = Terminal()
    with reporter(True, stream, unit="steps", describe=describe) as report:
        report(1, 4, INFO)
        report(2, 4, INFO)  # within a fifth of a second: left out
        report(4, 4, {**INFO, "seconds_left": 0.0})
    assert stream.getvalue() == (
        "\r1/4 steps (25%), 64x48 px, cost 0.5, 1:01 left\r4/4 steps (100%), 64x48 px, cost 0.5, 0:00 left\n"
    )


def test_tqdm_is_used_where_it_is_installed() -> None:
    pytest.importorskip("tqdm")
    stream = Terminal()
    with reporter(True, stream, unit="steps", describe=describe) as report:
        report(3, 4, INFO)
        report(4, 4, INFO)
    assert "4/4" in stream.getvalue()
    assert "1:01 left" in stream.getvalue()


def test_long_times_have_hours() -> None:
    assert describe({**INFO, "seconds_left": 3725.0}).endswith("1:02:05 left")


def test_anything_else_is_refused() -> None:
    with pytest.raises(OptionError, match="progress must be True, False or a function"), reporter("yes"):  # type: ignore[arg-type]
        pass
