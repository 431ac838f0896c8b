"""From rows to the tables of classes: what goals.py asks, what was found, and how each peer stands."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from bench.goals import BEST, GOALS, Bar, Goal
from bench.harness import ALONE

Row = dict[str, Any]
Case = dict[str, Row]  # the rows of a problem by the name of the side
OURS, IN_CALL = "pyconvx", "pyconvx, packs in call"
PEERS = ("torch", "onnxruntime", "ncnn", "openvino", "numpy", "scipy", "faiss", "dlib")
LONG_LAYER, SECOND_THREAD = 5e-3, 1.85


class Found(NamedTuple):
    """A figure beside a goal's, and whether it is reached; None where no peer took part."""

    value: float | None
    met: bool | None
    text: str


def geometric_mean(values: Iterable[float]) -> float:
    logs = [math.log(value) for value in values]
    return math.exp(sum(logs) / len(logs))


def cases_of(goal: Goal, rows: Sequence[Row]) -> dict[str, Case]:
    """The goal's problems that pyconvx was measured on, by name."""
    cases: dict[str, Case] = {}
    for row in rows:
        if row["group"] in goal.groups and row["direction"] == goal.direction:
            cases.setdefault(row["problem"], {})[row["side"]] = row
    return {name: case for name, case in cases.items() if OURS in case}


def packed_in_call(case: Case) -> Row:
    """The row of the bare function; where there is nothing to pack it is the only one."""
    return case.get(IN_CALL) or case[OURS]


def seconds_of_peer(case: Case, peer: str = BEST) -> float | None:
    """The time of the fastest side of a peer (of all peers) that is accurate."""
    times = [
        row["median_s"]
        for row in case.values()
        if not row["ours"] and row["counted"] and row["median_s"] and row["side"].startswith(peer)
    ]
    return min(times, default=None)


def ratios(cases: dict[str, Case], peer: str = BEST, in_call: bool = False) -> dict[str, float]:
    """How much faster pyconvx is than a peer, by problem, where both were measured."""
    result = {}
    for name, case in cases.items():
        theirs, mine = seconds_of_peer(case, peer), packed_in_call(case) if in_call else case[OURS]
        if theirs and mine["counted"] and mine["median_s"]:
            result[name] = theirs / mine["median_s"]
    return result


def judge_bar(bar: Bar, cases: dict[str, Case]) -> Found:
    values = ratios(cases, bar.peer).values()
    if not values:
        return Found(None, None, "-")
    value = min(values) if bar.worst else geometric_mean(values)
    return Found(value, round(value, 2) >= bar.ratio, f"{value:.2f}x")  # no timing is surer than that


def judge(goal: Goal, cases: dict[str, Case]) -> list[Found]:
    """Bar by bar, then the other things that a goal may ask."""
    found = [judge_bar(bar, cases) for bar in goal.bars]
    if goal.call_s is not None:
        calls = [row["median_s"] for case in cases.values() if (row := packed_in_call(case))["median_s"]]
        worst = max(calls, default=math.inf)
        found.append(Found(worst, worst <= goal.call_s, f"{worst * 1e6:.2f} us"))
    if goal.memory is not None:
        share = memory_share(max(cases.values(), key=lambda case: case[OURS]["amount"]))
        found.append(Found(share, share <= goal.memory, f"{share:.0%}") if share else Found(None, None, "-"))
    return found


def memory_share(case: Case) -> float | None:
    """Of the peer that needs least."""
    theirs = min((row["memory"] for row in case.values() if not row["ours"] and row["memory"]), default=None)
    mine = case[OURS]["memory"]
    return mine / theirs if mine and theirs else None


def asked(goal: Goal) -> str:
    texts = [str(bar) for bar in goal.bars]
    texts += [f"at most {goal.call_s * 1e6:g} us"] if goal.call_s else []
    texts += [f"at most {goal.memory:.0%} of its memory"] if goal.memory else []
    return ", ".join(texts)


def class_table(rows: Sequence[Row]) -> Iterator[str]:
    """A line for each class: pyconvx over the best accurate peer, and over those that its goal names."""
    yield (
        "| class | cases | packed beforehand: mean | worst | packed in the call: mean | worst | of peak | error "
        "| asked | found | met |"
    )
    yield "|---|--:|--:|---|--:|---|--:|--:|---|---|---|"
    for goal in GOALS:
        cases = cases_of(goal, rows)
        if not cases:
            continue
        found = judge(goal, cases)
        mine = [case[OURS] for case in cases.values()]
        shares = [row["share"] for row in mine if row["share"]]
        cells = [
            goal.name,
            str(len(cases)),
            *mean_and_worst(ratios(cases)),
            *mean_and_worst(ratios(cases, in_call=True)),
            f"{geometric_mean(shares):.0%}" if shares else "",
            f"{max(row['error'] for row in mine):.1e}",
            asked(goal),
            ", ".join(figure.text for figure in found),
            verdict(found),
        ]
        yield "| " + " | ".join(cells) + " |"


def mean_and_worst(by_problem: dict[str, float]) -> tuple[str, str]:
    if not by_problem:
        return "-", "-"
    name = min(by_problem, key=by_problem.__getitem__)
    return f"{geometric_mean(by_problem.values()):.2f}", f"{by_problem[name]:.2f} ({name})"


def verdict(found: Sequence[Found]) -> str:
    if any(figure.met is False for figure in found):
        return "**no**"
    return "?" if any(figure.met is None for figure in found) else "yes"


def peer_table(rows: Sequence[Row]) -> Iterator[str]:
    """A line for each class: pyconvx, weights packed beforehand, over the best accurate side of each peer."""
    present = [peer for peer in PEERS if any(row["side"].startswith(peer) for row in rows)]
    yield "| class | " + " | ".join(present) + " |"
    yield "|---|" + "--:|" * len(present)
    for goal in GOALS:
        cases = cases_of(goal, rows)
        if cases:
            found = [ratios(cases, peer).values() for peer in present]
            yield f"| {goal.name} | " + " | ".join(f"{geometric_mean(v):.2f}" if v else "" for v in found) + " |"


def second_thread(rows: Sequence[Row]) -> Iterator[str]:
    """What the second thread brings, by what a problem takes one thread; both were timed in turns."""
    alone = {label_of(row): row["median_s"] for row in rows if row["side"] == ALONE and row["median_s"]}
    both = {label_of(row): row["median_s"] for row in rows if row["side"] == OURS and row["median_s"]}
    gains = {label: seconds / both[label] for label, seconds in alone.items()}
    long = {label: gain for label, gain in gains.items() if alone[label] > LONG_LAYER}
    if long:
        slow = {label: gain for label, gain in long.items() if gain < SECOND_THREAD}
        yield (
            f"Two threads against one, on the {len(long)} problems over 5 ms: "
            f"{geometric_mean(long.values()):.2f} times faster, {len(slow)} of them less than {SECOND_THREAD}"
            + (": " if slow else ".")
            + ", ".join(f"{label} {gain:.2f}" for label, gain in sorted(slow.items(), key=lambda pair: pair[1]))
        )
    shorter = []
    for least, most in pairwise((20e-6, 60e-6, 200e-6, 1e-3, LONG_LAYER)):
        found = [gain for label, gain in gains.items() if least < alone[label] <= most]
        if found:
            text = f"{least * 1e6:g} to {most * 1e6:g} us {geometric_mean(found):.2f} ({len(found)} problems)"
            shorter.append(text)
    if shorter:
        yield "Shorter ones: " + ", ".join(shorter) + "."


def label_of(row: Row) -> str:
    return f"{row['problem']}, {row['direction']}"
