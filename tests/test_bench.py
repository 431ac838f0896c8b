"""The benchmarks' own judgement: what they call wrong, slow or not comparable. Nothing is timed here."""

from __future__ import annotations

import math
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
    expected = (np.tile([3.0, -4.0], 4), np.ones(8))
    assert harness.error(expected, expected) == 0
    off = (expected[0] - np.eye(8)[1] / 2, expected[1])
    assert harness.error(off, expected) == pytest.approx(0.5 / math.sqrt(12.5))
    assert harness.error((expected[0], np.full(8, 3.0)), expected) == pytest.approx(2.0)
    assert harness.error(off, expected, rms=True) == pytest.approx(0.5 / 10)


def test_the_error_of_a_few_numbers_is_relative_to_all_results(harness: Any) -> None:
    expected = (np.tile([3.0, -4.0], 4), np.array([1e-6]))
    off = (expected[0], np.array([1e-3]))
    assert harness.error(off, expected) == pytest.approx((1e-3 - 1e-6) / math.sqrt(100 / 9))


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
    from bench.problems import CONV
    from bench.problems.networks import LAYERS

    for problem in [*CONV, *LAYERS]:
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
    runs = [{**run, "rows": [row.as_json() for row in rows]}]
    text = markdown({"machine": machine, "quick": True, "minutes": 1, "runs": runs})
    assert "| numbers, forward | **pyconvx** | 2000 ms | 100% | 0.5 GFLOP/s | 12% | 0.0e+00 |" in text
    assert "not counted: above 3.0e-05" in text


def row_of(harness: Any, side: str, median_s: float, **more: Any) -> dict[str, Any]:
    row = harness.Row("conv", "layer", "", "forward", side, side.startswith("pyconvx"), 1e-6, 1e-5, True, group="3x3")
    return {**row.as_json(), "median_s": median_s, **more}


def test_a_class_is_compared_with_the_fastest_accurate_side_of_each_peer(harness: Any) -> None:
    from bench import classes, goals

    rows = [
        row_of(harness, "pyconvx", 1.0, share=1.5),
        row_of(harness, "pyconvx, packs in call", 1.25),
        row_of(harness, "torch NCHW", 4.0),
        row_of(harness, "torch channels-last", 3.0),
        row_of(harness, "ncnn", 1.1, counted=False),  # fast, and wrong
        row_of(harness, "ncnn, no F(6,3)", 2.0),
        row_of(harness, "other layer's peer", 0.1, problem="other"),  # nobody of ours to compare with
        row_of(harness, "torch NCHW", 0.1, direction="weight_grad"),
    ]
    goal = goals.GOALS[0]
    cases = classes.cases_of(goal, rows)
    assert classes.ratios(cases) == {"layer": 2.0}
    assert classes.ratios(cases, "torch") == {"layer": 3.0}
    assert classes.ratios(cases, in_call=True) == {"layer": 1.6}
    found = classes.judge(goal, cases)
    assert [figure.met for figure in found] == [True, False, True]  # 1.4x ncnn, 3.2x torch, 1.1x ncnn everywhere
    assert classes.verdict(found) == "**no**" and classes.verdict(found[:1]) == "yes"
    assert classes.verdict(classes.judge(goal, classes.cases_of(goal, rows[:2]))) == "?"
    line = list(classes.class_table(rows))[2]
    assert line.startswith("| 3x3, forward | 1 | 2.00 | 2.00 (layer) | 1.60 | 1.60 (layer) | 150% | 1.0e-06 |")
    assert list(classes.peer_table(rows))[2] == "| 3x3, forward | 3.00 | 2.00 |"


def test_a_latency_and_a_share_of_memory_are_judged(harness: Any) -> None:
    from bench import classes, goals

    goal = goals.Goal("both", ("3x3",), "forward", (), call_s=3e-6, memory=0.6)
    rows = [row_of(harness, "pyconvx", 2e-6, memory=50), row_of(harness, "torch", 1.0, memory=100)]
    assert [f.met for f in classes.judge(goal, classes.cases_of(goal, rows))] == [True, True]
    rows[0] |= {"memory": 70}
    rows += [row_of(harness, side, 1e-6, memory=9, problem="smaller", amount=-1.0) for side in ("pyconvx", "torch")]
    rows.append(row_of(harness, "pyconvx, packs in call", 4e-6))
    assert [f.text for f in classes.judge(goal, classes.cases_of(goal, rows))] == ["4.00 us", "70%"]
    assert classes.verdict(classes.judge(goal, classes.cases_of(goal, rows))) == "**no**"


def test_the_second_thread_is_judged_on_long_layers_and_told_of_others(harness: Any) -> None:
    from bench import classes

    def pair(problem: str, one: float, two: float) -> list[dict[str, Any]]:
        sides = (("pyconvx", two), (harness.ALONE, one))
        return [row_of(harness, side, seconds, problem=problem) for side, seconds in sides]

    rows = [*pair("good", 10e-3, 5e-3), *pair("bad", 12e-3, 8e-3)]
    (line,) = classes.second_thread(rows)
    assert "on the 2 problems" in line and line.endswith("1 of them less than 1.85: bad, forward 1.50")
    short = [*pair("short", 1e-3, 1e-3), *pair("as short", 0.8e-3, 0.2e-3), *pair("brief", 9e-6, 9e-6)]
    assert list(classes.second_thread([*rows, *short])) == [line, "Shorter ones: 200 to 1000 us 2.00 (2 problems)."]
    assert not list(classes.second_thread(short[-2:]))


@pytest.mark.usefixtures("harness")
def test_every_problem_belongs_to_a_class_that_is_judged() -> None:
    import importlib

    from bench.__main__ import ASKED_FOR, BENCHMARKS
    from bench.goals import GOALS
    from bench.peers import Peers

    judged = {(group, goal.direction) for goal in GOALS for group in goal.groups}
    found = set()
    for name in [*BENCHMARKS, *ASKED_FOR]:
        if name == "style":
            continue
        for case in importlib.import_module(f"bench.bench_{name}").cases(Peers(1), quick=False):
            assert (case.group, case.direction) in judged, case.label
            found.add((case.group, case.direction))
    assert judged - found == {("style iteration", "iteration")}
    names = [goal.name for goal in GOALS]
    assert len(names) == len(set(names))


def test_all_sides_get_their_samples_and_slow_ones_fewer(harness: Any) -> None:
    now = [0.0]

    def lasting(name: str, seconds: float) -> Any:
        def call() -> None:
            now[0] += seconds

        return harness.Side(name, call, tuple)

    sides = [lasting("quick", 1e-5), lasting("usual", 3e-5), lasting("slow", 0.1)]
    times = harness.take_turns(sides, 1e9, 1, lambda: now[0])
    assert [len(t) for t in times] == [harness.MOST, harness.MOST, harness.SLOW_SAMPLES]
    assert [t[0] for t in times] == pytest.approx([1e-5, 3e-5, 0.1])
    assert [len(t) for t in harness.take_turns(sides, 0.0, 1, lambda: now[0])] == [5, 5, 3]


def test_a_side_waits_until_the_threads_of_the_last_one_are_still(
    harness: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent = iter([0.0, 10e-3, 10e-3, 13e-3, 13e-3, 14e-3])
    pauses: list[float] = []
    monkeypatch.setattr(harness.time, "process_time", lambda: next(spent))
    monkeypatch.setattr(harness.time, "sleep", pauses.append)
    harness.await_quiet()
    assert pauses == [harness.PAUSE] * 3


def test_what_time_is_left_is_shared_out(harness: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench import pace

    now = [0.0]
    monkeypatch.setattr(pace.time, "perf_counter", lambda: now[0])
    free = pace.Pace(3, False, None)
    assert [free.next() for _ in range(3)] == [pace.USUAL[False]] * 3
    bounded = pace.Pace(4, False, 8.0)
    assert bounded.next() == pytest.approx(2.0 * pace.PART)
    now[0] = 7.0  # the first case took long
    assert bounded.next() == pytest.approx(pace.PART / 3)
    now[0] = 9.0
    assert bounded.next() == 0


def test_the_triplet_step_in_float64_is_the_gradient_of_its_loss(harness: Any) -> None:
    from bench import triplet

    rng = np.random.default_rng(0)
    encoder, x = triplet.random_encoder(rng), rng.standard_normal((3, 16, 16, 3))
    loss, *results = triplet.step(encoder, x)
    gradients, moved = results[: len(results) // 2], results[len(results) // 2 :]
    assert all(g.shape == p.shape for g, p in zip(gradients, encoder.parameters, strict=True))
    assert moved[0] == pytest.approx(encoder.parameters[0] - triplet.RATE * gradients[0])
    wide = triplet.Encoder([(w.astype(float), b) for w, b in encoder.convs], encoder.linear)
    place, index, step, losses = 2, (1, 1, 0, 5), 1e-6, []  # an element of the second weight
    before = wide.parameters[place][index]
    for moved_to in (before + step, before - step):
        wide.parameters[place][index] = moved_to
        losses.append(triplet.step(wide, x)[0][0])
    assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(gradients[place][index], rel=1e-4)
    assert 0 < loss[0] < 1


def test_the_step_with_batchnorm_in_float64_is_the_gradient_of_its_output(harness: Any) -> None:
    from bench import norm

    rng = np.random.default_rng(0)
    blocks = [norm.Block(*(part.astype(float) for part in block)) for block in norm.random_blocks(rng)]
    x, slope = rng.standard_normal((3, 16, 16, 3)), rng.standard_normal((3, 1, 1, 64))
    _, *results = norm.step(blocks, x, slope)
    gradients, moved = results[: len(results) // 2], results[len(results) // 2 :]
    parameters = [part for block in blocks for part in block]
    for place, index in ((0, (1, 1, 0, 5)), (3, (0, 2, 7, 9)), (4, (3,)), (8, (11,))):
        assert moved[place] == pytest.approx(parameters[place] - norm.RATE * gradients[place])
        before, values = parameters[place][index], []
        for step in (1e-6, -1e-6):
            parameters[place][index] = before + step
            values.append(np.vdot(norm.step(blocks, x, slope)[0], slope))
        parameters[place][index] = before
        assert (values[0] - values[1]) / 2e-6 == pytest.approx(gradients[place][index], rel=1e-4)


def test_a_document_is_read_as_it_was_written(harness: Any, tmp_path: Path) -> None:
    from bench.document import read_document, write_document

    rows = [row_of(harness, "pyconvx", 0.125), row_of(harness, "torch", 1 / 3, note="slow", error=math.inf)]
    for row in rows:
        row["why"] = "a layer"
    document = {
        "schema": 2,
        "machine": {"processor": "?"},
        "runs": [{"isa": "avx2", "rows": rows}, {"rows": []}],
        "minutes": 1,
    }
    file = tmp_path / "run.json"
    write_document(document, file)
    rows[1] |= {"median_s": 0.33333}
    assert read_document(file) == document
    assert max(map(len, file.read_text().splitlines())) < 300


def test_random_shapes_are_a_function_of_the_seed_and_all_can_be_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    from bench.random_shapes import draw, told

    assert draw("seed", 3, 6e8) == draw("seed", 3, 6e8)
    drawn = [draw("other", number, 6e8) for number in range(300)]
    shapes = [shape for shape, _ in drawn]
    assert {s.rank for s in shapes} == {1, 2, 3} and any(s.groups > 1 for s in shapes)
    assert any(max(s.kernel) > 7 for s in shapes) and {direction for _, direction in drawn} == {
        "forward",
        "input_grad",
        "weight_grad",
    }
    assert all(min(s.out_size) > 0 and s.in_channels % s.groups == s.out_channels % s.groups == 0 for s in shapes)
    assert all(s.flops <= 6e8 for s in shapes) and len({told(*pair) for pair in drawn}) > 290


def test_random_shapes_go_on_where_they_were_and_name_the_losers(tmp_path: Path, harness: Any) -> None:
    import json

    from bench.random_shapes import compared, read_lines
    from bench.random_summary import losers, summary, upper_bound

    assert upper_bound([0.8, 0.8, 0.8, 0.8, 0.8]) == pytest.approx(0.8)
    assert upper_bound([0.5, 1.0, 0.7, 1.2, 0.9]) > 0.9
    ratios, peer = compared({"pyconvx": 2.0, "pyconvx, packs in call": 4.0, "slow": 9.0, "quick": 1.0})
    assert peer == "quick" and ratios == {"pyconvx": 0.5, "pyconvx, packs in call": 0.25}
    assert compared({"pyconvx": 2.0}) == ({}, None)

    usual = {"direction": "forward", "peer": "quick", "took": 60.0, "seed": "a"}
    lines = [
        {"number": 0, "shape": "good", "ratios": {"pyconvx": 2.0}, "upper": {}, **usual},
        {"number": 1, "shape": "bad", "ratios": {"pyconvx": 0.5}, "upper": {"pyconvx": 0.6}, **usual},
        {"number": 2, "shape": "unlucky", "ratios": {"pyconvx": 0.8}, "upper": {"pyconvx": 1.1}, **usual},
        {"number": 3, "shape": "alone", "ratios": {}, "upper": {}, **usual},
    ]
    file = tmp_path / "lines"
    assert read_lines(file, "a") == []
    file.write_text("\n".join(json.dumps(line) for line in [{"seed": "a", "machine": {}}, *lines]))
    assert read_lines(file, "a") == lines and read_lines(file, "b") == []
    assert losers(lines) == ["0.50, again up to 0.60, of quick, packed beforehand: bad"]
    text = list(summary("a", lines, 500))
    assert text[0] == "Seed a: 4 of 500 shapes in 4.0 minutes, 3 that a peer can do, too."
    assert "| forward | packed beforehand | 3 | 0.93 | 0.80 | 0.50 | 2 | 1 |" in text


def test_the_limit_of_a_layer_is_the_longest_of_what_it_must_do(harness: Any) -> None:
    from bench import goals, limits, shapes

    machine = limits.Machine(100.0, {"second-level cache": 50e9, "last cache": 50e9, "memory": 10e9}, 1e-6)
    big = limits.limits(shapes.conv("big", "", (64, 64), (256, 256), 3, 1), "forward", machine)
    assert big.name == "arithmetic" and 1 <= big.saved < 10
    assert big.arithmetic == pytest.approx(2 * 64 * 64 * 9 * 256 * 256 / big.saved / 100e9)
    thin = limits.limits(shapes.conv("thin", "", (1000, 1000), (8, 8), 3, 1, groups=8), "forward", machine)
    assert thin.name == thin.level == "memory" and thin.memory > 64e6 / 10e9
    assert limits.limits(shapes.conv("one", "", (1,), (1, 1), 1), "forward", machine).name == "call"
    goal = goals.GOALS[0]
    largest = limits.representative(goal)
    assert largest is not None and largest.group in goal.groups
    row = row_of(harness, "pyconvx", 0.5, problem=largest.name)
    lines = limits.table(machine, [{"isa": "avx2", "threads": 1, "rows": [row]}], "avx2")
    assert lines[2].startswith(f"| {goal.name} | {largest.name} |") and "| 500 ms |" in lines[2]


def test_tables_of_the_direct_algorithm_malloc_and_a_busy_processor(harness: Any) -> None:
    from bench import busy, direct, malloc

    one: dict[str, Any] = {"layer": "conv", "direction": "forward", "seconds": 10e-3, "gain_from_sleep": 1.8}
    one |= {"share": 0.9, "shares": [0.8, 0.9, 1.0]}
    assert direct.table([{**one, "gain": 1.9}])[-1].endswith("| 85% | 1.90x | 1.80x | yes |")
    assert direct.table([{**one, "gain": 1.5}])[-1].endswith("| 1.50x | 1.80x | **no** |")
    assert direct.table([{**one, "gain": 1.5, "seconds": 1e-3}])[-1].endswith("| yes |")
    assert direct.table([{**one, "gain": None, "share": 0.8}])[-1].endswith("| - | - | **no** |")

    rows = [row_of(harness, "torch", 1e-3, samples=5), row_of(harness, "ncnn", 1e-3, samples=5, counted=False)]
    slow = [row_of(harness, "torch", 2e-3, samples=5)]
    times = malloc.medians([{"rows": rows}] * 2), malloc.medians([{"rows": slow}])
    assert malloc.table(*times)[2:] == ["| layer, forward | torch | 1 ms | 2 ms | 2.00 |"]

    found = busy.table({"layer": {"torch": 4e-3}}, {"layer": {"torch": 2e-3}}, {"layer": {"torch": 3e-3}})
    assert found[2:] == ["| layer | torch | 4 ms | 2 ms | 3 ms | 1.50 | 0.75 |"]
    assert busy.medians({"layer": {"torch": [1.0, 5.0, 2.0]}}) == {"layer": {"torch": 2.0}}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="the system does not tell")
def test_the_memory_of_a_step_is_measured_in_a_process_of_its_own(harness: Any) -> None:
    from bench import triplet_memory

    found = triplet_memory.in_a_process(triplet_memory.Orders("pyconvx", 1, 24, 64))
    first = 24 * 64 * 64 * 32 * 4 / 2**20  # of the activations
    assert first <= found < 10 * first
