"""Choosing triplets in a batch of encodings: distances, choice, loss and its gradient with respect to the encodings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from bench.arrays import Array, normal, oracle
from bench.harness import Case, Prepared, Results, Side, Work
from bench.peers import Peers
from pyconvx.triplet import TripletLoss

FORMULA = "3 x rows x rows x depth, of the distances alone"
ROWS, A_CLASS, DEPTH, MARGIN = 1024, 4, 128, 0.2
# In rms: where two negatives are nearly at one distance, rounding decides which of them is the nearest.
GATE = 1e-3


def cases(peers: Peers, quick: bool, at_most: float | None = None) -> Iterator[Case]:
    """Both losses; of fewer encodings in a quick run or with `at_most`."""
    rows = 64 if at_most else 256 if quick else ROWS
    for mining, why in [("batch_hard", "one triplet an anchor"), ("semihard", "every semihard triplet")]:
        yield Case(
            "mining",
            f"{rows} encodings of {DEPTH}",
            f"choosing triplets: {why}",
            mining,
            Work(3.0 * rows * rows * DEPTH, "GFLOP/s", FORMULA),
            GATE,
            partial(prepare, mining, rows, peers),
            group="mining triplets",
            rms=True,
        )


def prepare(mining: str, rows: int, peers: Peers) -> Prepared:
    rng = np.random.default_rng(0)
    labels = np.arange(rows) // A_CLASS
    x = normal(rng, labels.max() + 1, DEPTH)[labels] + np.float32(1.5) * normal(rng, rows, DEPTH)
    x /= np.sqrt(np.square(x).sum(axis=1, keepdims=True))
    theirs, skipped = peers.sides("mined_triplets", mining, x, labels, MARGIN)
    kind: Any = mining
    loss = TripletLoss(MARGIN, mining=kind, every=mining == "semihard")
    return Prepared(
        expected(mining, x, labels), [Side("pyconvx", ours(loss, x, labels), read, ours=True), *theirs], skipped
    )


def ours(loss: TripletLoss, x: Array, labels: Array) -> Callable[[], tuple[float, Array]]:
    def call() -> tuple[float, Array]:
        value, pullback = loss.vjp(x, labels)
        return value, pullback()[0]

    return call


def read(result: tuple[float, Array]) -> Results:
    return np.array([result[0]]), result[1]


def expected(mining: str, x: Array, labels: Array) -> Results:
    """Mean loss and gradient in float64, an anchor at a time."""
    wide = x.astype(np.float64)
    distances = oracle().pairwise_distances(wide, wide, "sqeuclidean")
    slopes, total, count = np.zeros_like(distances), 0.0, 0
    for a, row in enumerate(distances):
        positives = np.flatnonzero((labels == labels[a]) & (np.arange(len(x)) != a))
        negatives = np.flatnonzero(labels != labels[a])
        if mining == "batch_hard":
            positives, negatives = positives[[row[positives].argmax()]], negatives[[row[negatives].argmin()]]
        gap = row[negatives] - row[positives][:, np.newaxis]
        chosen = (gap > 0) & (gap <= MARGIN) if mining == "semihard" else np.ones_like(gap, bool)
        active = chosen & (gap < MARGIN)
        total += float((MARGIN - gap[active]).sum())
        count += int(chosen.sum())
        slopes[a, positives] += active.sum(axis=1)
        slopes[a, negatives] -= active.sum(axis=0)
    count = max(count, 1)
    slopes = 2 * (slopes + slopes.T) / count
    return np.array([total / count]), slopes.sum(axis=1, keepdims=True) * wide - slopes @ wide
