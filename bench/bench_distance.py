"""Distances of encodings: the nearest of a gallery, and all pairs under each metric."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import pyconvx
from bench.arrays import Array, normal, oracle
from bench.harness import Case, Prepared, Results, Side, Work, gate
from bench.peers import Peers
from bench.problems.galleries import DISTANCE
from bench.shapes import DistanceProblem

FORMULAS = {  # operations for each of queries x gallery x dimension
    "nearest": (2, "2 x queries x gallery x dimension"),
    "sqeuclidean": (2, "2 x queries x gallery x dimension"),
    "cosine": (2, "2 x queries x gallery x dimension"),
    "manhattan": (3, "3 x queries x gallery x dimension: difference, absolute value, sum"),
    "chi2": (5, "5 x queries x gallery x dimension: difference, square, sum, quotient, sum"),
}
CHUNK = 1 << 22  # products that the float64 reference takes at once
PART = 1 << 16  # rows of a gallery


def cases(peers: Peers, quick: bool, at_most: float | None = None) -> Iterator[Case]:
    """All problems and operations; with `at_most`, on smaller galleries."""
    for full in DISTANCE:
        if quick and not full.quick:
            continue
        problem = full.shrunk(at_most / 20) if at_most else full
        for operation in problem.operations:
            factor, formula = FORMULAS[operation]
            yield Case(
                "distance",
                problem.name,
                problem.why,
                operation,
                Work(factor * problem.products, "GFLOP/s", formula),
                gate(problem.dimension),
                partial(prepare, problem, operation, peers),
                group=problem.group,
            )


def prepare(problem: DistanceProblem, operation: str, peers: Peers) -> Prepared:
    rng = np.random.default_rng(0)
    queries = normal(rng, problem.queries, problem.dimension)
    gallery = normal(rng, problem.gallery, problem.dimension)
    if operation == "nearest":
        return prepare_nearest(queries, gallery, peers)
    call = partial(pyconvx.pairwise_distances, queries, gallery, metric=operation)
    theirs, skipped = peers.sides("distances", operation, queries, gallery)
    mine = Side("pyconvx", call, lambda d: (d,), ours=True)
    return Prepared((exact(queries, gallery, operation),), [mine, *theirs], skipped)


def prepare_nearest(queries: Array, gallery: Array, peers: Peers) -> Prepared:
    read = partial(found, queries, gallery)
    theirs, skipped = peers.sides("nearest", queries, gallery, read)
    mine = Side("pyconvx", partial(pyconvx.nearest, queries, gallery), read, ours=True)
    least = least_distances(queries, gallery)
    return Prepared((least, least), [mine, *theirs], skipped)


def exact(queries: Array, gallery: Array, metric: str) -> Array:
    """The float64 reference, a part of the gallery at a time."""
    rows = max(1, CHUNK // queries.size)
    parts = [gallery[start : start + rows] for start in range(0, len(gallery), rows)]
    return np.concatenate([oracle().pairwise_distances(queries, part, metric) for part in parts], axis=1)


def least_distances(queries: Array, gallery: Array) -> Array:
    """Of each query, by |a|^2 - 2 a b + |b|^2 in float64 (off by 1e-13), which a million of rows do not take long."""
    q = queries.astype(np.float64)
    least = np.full((len(q), 1), np.inf)
    for start in range(0, len(gallery), PART):
        part = gallery[start : start + PART].astype(np.float64)
        least = np.minimum(least, (np.square(part).sum(axis=1) - 2 * q @ part.T).min(axis=1, keepdims=True))
    return np.asarray(least + np.square(q).sum(axis=1, keepdims=True))


def found(queries: Array, gallery: Array, result: Any) -> Results:
    """Of (distances, indices): the distances, and the exact ones at these indices, right also between near-equals."""
    distances, indices = (np.asarray(part).reshape(len(queries), -1) for part in result)
    rows = gallery[indices.astype(np.int64)].astype(np.float64)
    return distances, np.square(queries[:, np.newaxis] - rows).sum(axis=-1)
