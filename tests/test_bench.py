"""The benchmarks' own judgement: what they call wrong, slow or not comparable. Nothing is timed here."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench import harness

    return harness


def case_of(harness: Any, *sides: Any, gate: float = 1e-5) -> tuple[Any, Any]:
    prepared = harness.Prepared((np.array([3.0, -4.0]),), list(sides))
    work = harness.Work(1e9, "GFLOP/s", "none")
    return harness.Case("none", "numbers", "for a test", "forward", work, gate, lambda: prepared), prepared


def test_error_is_relative_to_the_rms_and_takes_the_worst_result(harness: Any) -> None:
    expected = (np.array([3.0, -4.0]), np.array([1.0]))
    assert harness.error(expected, expected) == 0
    off = (np.array([3.0, -4.5]), np.array([1.0]))
    assert harness.error(off, expected) == pytest.approx(0.5 / math.sqrt(12.5))
    assert harness.error((expected[0], np.array([3.0])), expected) == pytest.approx(2.0)


@pytest.mark.parametrize("wrong", [np.array([3.0, np.nan]), np.array([3.0, np.inf]), np.array([[3.0, -4.0]])])
def test_error_of_nan_and_of_another_shape_is_infinite(harness: Any, wrong: np.ndarray) -> None:
    assert harness.error((wrong,), (np.array([3.0, -4.0]),)) == math.inf


def test_pyconvx_above_the_gate_fails_and_a_peer_is_not_counted(harness: Any) -> None:
    def near(off: float) -> Any:
        return lambda: np.array([3.0, -4.0 * (1 + off)])

    sides = [
        harness.Side("good", near(0), lambda y: (y,), ours=True),
        harness.Side("bad", near(1e-4), lambda y: (y,), ours=True),
        harness.Side("close peer", near(2e-5), lambda y: (y,)),
        harness.Side("far peer", near(1e-3), lambda y: (y,)),
    ]
    rows, alive = harness.check(*case_of(harness, *sides))
    assert [row.counted for row in rows] == [True, False, True, False]
    assert len(alive) == 4
    failures = harness.failures(rows)
    assert len(failures) == 1 and "bad" in failures[0]


def test_a_peer_that_raises_is_noted_and_pyconvx_is_not_forgiven(harness: Any) -> None:
    def refuse() -> None:
        raise RuntimeError("no such layer")

    rows, alive = harness.check(*case_of(harness, harness.Side("peer", refuse, lambda y: (y,))))
    assert not alive and not rows[0].counted and "no such layer" in rows[0].note
    with pytest.raises(RuntimeError):
        harness.check(*case_of(harness, harness.Side("pyconvx", refuse, lambda y: (y,), ours=True)))


@pytest.mark.usefixtures("harness")
def test_every_small_case_has_the_same_layer_as_the_full_one() -> None:
    from bench import shapes

    for problem in shapes.CONV:
        small = problem.shrunk(1e7)
        assert (small.kernel, small.stride, small.in_channels) == (problem.kernel, problem.stride, problem.in_channels)
        assert min(small.out_size) >= 1 and small.flops <= problem.flops


@pytest.mark.usefixtures("harness")
def test_a_slow_layer_falls_through_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import floor, harness

    steady = floor.Peak(100.0, 99.0, "")
    case, _ = case_of(harness, harness.Side("pyconvx", lambda: np.array([3.0, -4.0]), lambda y: (y,), ours=True))
    case = harness.Case(**{**vars(case), "floor": 0.4})
    said: list[str] = []
    monkeypatch.setattr(floor, "sample", lambda call, calls, warm, clock: 1.0)  # one GFLOP in a second
    monkeypatch.setattr(floor, "measure_peak", lambda isa, threads, samples, clock: steady)
    assert "1% of the measured peak" in floor.check_floor(case, steady, "avx2", said.append)[0]
    shaky = floor.Peak(100.0, 50.0, "")
    monkeypatch.setattr(floor, "measure_peak", lambda isa, threads, samples, clock: shaky)
    assert floor.check_floor(case, steady, "avx2", said.append) == []
    assert "too noisy" in said[-1]
    monkeypatch.setattr(floor, "sample", lambda call, calls, warm, clock: 0.02)  # half of the peak
    assert floor.check_floor(case, steady, "avx2", said.append) == []
    assert "50% of the peak" in said[-1]


def test_the_report_shows_what_was_not_counted(harness: Any) -> None:
    from bench.report import markdown

    sides = [
        harness.Side("pyconvx", lambda: np.array([3.0, -4.0]), lambda y: (y,), ours=True),
        harness.Side("far peer", lambda: np.array([3.0, 0.0]), lambda y: (y,)),
    ]
    rows, _ = harness.check(*case_of(harness, *sides))
    for row in rows:
        harness.fill(row, [1.0, 2.0, 3.0], 4.0)
    machine = dict.fromkeys(("processor", "processors", "system", "pyconvx", "commit", "compiler", "date", "load"), "?")
    run = {"isa": "avx2", "threads": 2, "peak_gflops": 4.0, "peak_source": "given", "peers": {}, "skipped": {}}
    text = markdown({"machine": machine, "quick": True, "runs": [{**run, "rows": [row.as_json() for row in rows]}]})
    assert "| numbers, forward | **pyconvx** | 2000 ms | 100% | 0.5 GFLOP/s | 12% | 0.0e+00 |" in text
    assert "not counted: above 3.0e-05" in text


def test_random_shapes_are_a_function_of_the_seed_and_all_can_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.random_shapes import draw, told, upper_bound

    drawn = [draw(random.Random("seed"), 0) for _ in range(2)]
    assert drawn[0] == drawn[1]
    source = random.Random("other")
    shapes = [draw(source, number) for number in range(300)]
    assert {s.rank for s in shapes} == {1, 2, 3} and any(s.groups > 1 for s in shapes)
    assert all(min(s.out_size) > 0 and s.in_channels % s.groups == s.out_channels % s.groups == 0 for s in shapes)
    assert len({told(s, "forward") for s in shapes}) > 290
    assert upper_bound([0.8, 0.8, 0.8, 0.8, 0.8]) == pytest.approx(0.8)
    assert upper_bound([0.5, 1.0, 0.7, 1.2, 0.9]) > 0.9
