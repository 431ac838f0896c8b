"""What the lines of bench.random_shapes come to: how many shapes, how much faster, which are losers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from typing import Any

from bench.classes import IN_CALL, OURS, geometric_mean
from bench.shapes import DIRECTIONS

BAR = 0.9
STUDENT = {4: 2.776}  # two-sided 95% of Student's t, by degrees of freedom: five timings
PACKED = {OURS: "packed beforehand", IN_CALL: "packed in the call"}

Line = dict[str, Any]


def upper_bound(ratios: Sequence[float]) -> float:
    """Of the mean ratio, by its logarithms."""
    logs = [math.log(ratio) for ratio in ratios]
    half = STUDENT[len(logs) - 1] * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(statistics.mean(logs) + half)


def losers(lines: Sequence[Line], side: str | None = None) -> list[str]:
    """Each shape, and way of packing, that is slower than a peer for certain."""
    return [
        f"{line['ratios'][name]:.2f}, again up to {upper:.2f}, of {line['peer']}, {PACKED[name]}: {line['shape']}"
        for line in lines
        for name, upper in line["upper"].items()
        if upper < BAR and side in (None, name)
    ]


def summary(seed: str, lines: Sequence[Line], wanted: int) -> Iterator[str]:
    """A table, then the losers."""
    with_peer = sum(bool(line["ratios"]) for line in lines)
    took = sum(line["took"] for line in lines) / 60
    yield f"Seed {seed}: {len(lines)} of {wanted} shapes in {took:.1f} minutes, {with_peer} that a peer can do, too."
    yield ""
    yield "| direction | weights | shapes | geometric mean | median | worst | timed again | losers |"
    yield "|---|---|--:|--:|--:|--:|--:|--:|"
    for direction in (*DIRECTIONS, "all"):
        for side, packed in PACKED.items():
            chosen = [line for line in lines if direction in (line["direction"], "all") and side in line["ratios"]]
            ratios = [line["ratios"][side] for line in chosen]
            if ratios:
                yield (
                    f"| {direction} | {packed} | {len(ratios)} | {geometric_mean(ratios):.2f} "
                    f"| {statistics.median(ratios):.2f} | {min(ratios):.2f} "
                    f"| {sum(ratio < BAR for ratio in ratios)} | {len(losers(chosen, side))} |"
                )
    lost = losers(lines)
    shapes = sum(bool(losers([line])) for line in lines)
    yield from (
        "",
        f"{len(lost)} losers, of {shapes} shapes, below {BAR} of the best accurate peer for certain (95%):",
        "",
    )
    yield from (f"- {text}" for text in lost)
