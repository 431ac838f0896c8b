"""Searches for the nearest of many encodings, and all distances of two sets of them."""

from __future__ import annotations

from bench.shapes import DistanceProblem

METRICS = ("sqeuclidean", "cosine", "manhattan", "chi2")
SEARCH = ("nearest",)
HUNDRED, THOUSANDS, MILLION, BATCH = "nearest of 100", "nearest of 10 000", "nearest of a million", "64 queries"
DISTANCE = [
    DistanceProblem("one in 100", "one face at the door of an office", 1, 100, 128, SEARCH, True, HUNDRED),
    DistanceProblem("one in 10 000", "one face in a company", 1, 10_000, 128, SEARCH, group=THOUSANDS),
    DistanceProblem("one in a million", "512 MB are read: memory-bound", 1, 1_000_000, 128, SEARCH, group=MILLION),
    DistanceProblem("64 in 100 000", "a batch of queries: a matrix product", 64, 100_000, 128, SEARCH, group=BATCH),
    DistanceProblem("64 in a million", "the same, out of memory", 64, 1_000_000, 128, SEARCH, group=BATCH),
    DistanceProblem("batch of 96", "all pairs of a training batch", 96, 96, 128, METRICS, True, "all distances"),
    DistanceProblem("2000 x 2000", "clustering an album", 2000, 2000, 128, METRICS, group="all distances"),
]
