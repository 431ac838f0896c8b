"""Gram matrices of feature maps and their gradient, what style transfer adds to a network."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

import pyconvx
from bench.arrays import normal, oracle
from bench.harness import Case, Prepared, Side, Work, gate
from bench.peers import Peers
from bench.problems.maps import GRAM
from bench.shapes import MapProblem

FORMULAS = {
    "forward": "2 x positions x channels^2: both triangles count, though one is a copy",
    "input_grad": "2 x positions x channels^2",
}
FLOORS = {"forward": 0.42, "input_grad": 0.37}


def cases(peers: Peers, quick: bool, at_most: float | None = None) -> Iterator[Case]:
    """All maps, both directions; with `at_most`, on fewer positions."""
    for full in GRAM:
        if quick and not full.quick:
            continue
        problem = full.shrunk(at_most / 2 / full.channels**2) if at_most else full
        for direction, formula in FORMULAS.items():
            yield Case(
                "gram",
                problem.name,
                problem.why,
                direction,
                Work(2.0 * problem.positions * problem.channels**2, "GFLOP/s", formula),
                gate(problem.positions if direction == "forward" else problem.channels),
                partial(prepare, problem, direction, peers),
                FLOORS[direction] if problem.floor else None,
                problem.group,
            )


def prepare(problem: MapProblem, direction: str, peers: Peers) -> Prepared:
    rng = np.random.default_rng(0)
    x, dg = normal(rng, 1, *problem.size, problem.channels), normal(rng, 1, problem.channels, problem.channels)
    theirs, skipped = peers.sides("gram", direction, x, dg)
    if direction == "forward":
        expected, call = oracle().gram(x, False), partial(pyconvx.gram, x)
    else:
        expected, call = oracle().gram_grad(x, dg, False), partial(pyconvx.gram_grad, x, dg)
    return Prepared((expected,), [Side("pyconvx", call, lambda result: (result,), ours=True), *theirs], skipped)
