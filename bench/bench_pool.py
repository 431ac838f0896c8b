"""Pooling by windows of two along each axis, forward, backward, and both as in training."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

import pyconvx
from bench.arrays import Array, normal, oracle
from bench.harness import Case, Prepared, Results, Side, Work, gate
from bench.peers import Peers
from bench.problems.maps import POOL
from bench.shapes import MapProblem

FORMULAS = {
    "max": "4 bytes x (inputs + outputs)",
    "max, then its gradient": "4 bytes x 2 x (inputs + outputs)",
    "average": "4 bytes x (inputs + outputs)",
    "average, its gradient": "4 bytes x (inputs + outputs)",
}


def cases(peers: Peers, quick: bool, at_most: float | None = None) -> Iterator[Case]:
    """All maps, all directions; with `at_most`, on fewer positions."""
    for full in POOL:
        if quick and not full.quick:
            continue
        problem = full.shrunk(at_most / 1000 / full.channels) if at_most else full
        for direction, formula in FORMULAS.items():
            values = problem.positions * problem.channels * (1 + 0.5 ** len(problem.size))
            factor = 8 if direction == "max, then its gradient" else 4
            yield Case(
                "pool",
                problem.name,
                problem.why,
                direction,
                Work(factor * values, "GB/s", formula),
                gate(2 ** len(problem.size)),
                partial(prepare, problem, direction, peers),
                group=problem.group,
            )


def prepare(problem: MapProblem, direction: str, peers: Peers) -> Prepared:
    rng = np.random.default_rng(0)
    x = normal(rng, 1, *problem.size, problem.channels)
    dy = normal(rng, 1, *(n // 2 for n in problem.size), problem.channels)
    theirs, skipped = peers.sides("pool", direction, x, dy)
    mine = Side("pyconvx", ours(direction, x, dy), lambda y: y if isinstance(y, tuple) else (y,), ours=True)
    return Prepared(expected(direction, x, dy), [mine, *theirs], skipped)


def ours(direction: str, x: Array, dy: Array) -> Any:
    rank = x.ndim - 2
    if direction == "max":
        return partial(getattr(pyconvx, f"max_pool{rank}d"), x, 2)
    if direction == "average":
        return partial(getattr(pyconvx, f"avg_pool{rank}d"), x, 2)
    if direction == "average, its gradient":
        return partial(getattr(pyconvx, f"avg_pool{rank}d_grad"), dy, x.shape, 2)
    pool, grad = getattr(pyconvx, f"max_pool{rank}d"), getattr(pyconvx, f"max_pool{rank}d_grad")

    def both() -> Results:
        y, indices = pool(x, 2, return_indices=True)
        return y, grad(dy, indices, x.shape, 2)

    return both


def expected(direction: str, x: Array, dy: Array) -> Results:
    reference, rank = oracle(), x.ndim - 2
    two, pads, size = (2,) * rank, [(0, 0)] * rank, x.shape[1:-1]
    if direction == "average":
        return (reference.avg_pool(x, two, two, pads, False, True),)
    if direction == "average, its gradient":
        return (reference.avg_pool_grad(dy, size, two, two, pads, True),)
    y, indices = reference.max_pool(x, two, two, pads, (1,) * rank, False)
    if direction == "max":
        return (y,)
    return y, place_gradient(dy, indices, x.shape)


def place_gradient(dy: Array, indices: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of a max pooling by windows of two, in float64: windows do not overlap, so nothing is summed."""
    reference, two = oracle(), (2,) * (len(shape) - 2)
    dx = np.zeros(shape)
    for position, tap in enumerate(reference.taps(two)):
        dx[reference.read_by(tap, dy.shape[1:-1], two, (1,) * len(two))] = np.where(indices == position, dy, 0.0)
    return dx
