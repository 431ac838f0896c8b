"""SciPy's cdist: all metrics but chi-square, in float64 on one thread."""

from __future__ import annotations

from scipy.spatial.distance import cdist

from bench.arrays import Array
from bench.harness import Side
from bench.peers import Unsupported

NAMES = {"sqeuclidean": "sqeuclidean", "cosine": "cosine", "manhattan": "cityblock"}


def distances(metric: str, queries: Array, gallery: Array, threads: int) -> list[Side]:
    if metric not in NAMES:
        raise Unsupported(f"no {metric}")
    if threads > 1:
        raise Unsupported("one thread only")
    return [Side("scipy", lambda: cdist(queries, gallery, NAMES[metric]), lambda d: (d,))]
