"""Convolution and its two gradients, weights packed beforehand and in the call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

import pyconvx
from bench.arrays import ConvData, conv_data, oracle
from bench.harness import Case, Prepared, Results, Side, Work, gate
from bench.peers import Peers
from bench.problems import CONV
from bench.shapes import ConvProblem
from pyconvx.functional._packing import PackedWeights

FORMULA = "2 x positions x kernel x in channels / groups x out channels"
FLOORS = {"forward": 0.42, "input_grad": 0.42, "weight_grad": 0.37}  # half of what the direct algorithm is to reach


def cases(peers: Peers, quick: bool, at_most: float | None = None) -> Iterator[Case]:
    yield from cases_of("conv", (problem for problem in CONV if problem.quick or not quick), peers, at_most)


def cases_of(benchmark: str, problems: Iterable[ConvProblem], peers: Peers, at_most: float | None) -> Iterator[Case]:
    """The problems in all directions; with `at_most`, shrunk to about that many operations."""
    for full in problems:
        problem = full.shrunk(at_most) if at_most else full
        for direction in problem.directions:
            yield Case(
                benchmark,
                problem.name,
                problem.why,
                direction,
                Work(problem.flops, "GFLOP/s", FORMULA),
                gate(length(problem, direction)),
                partial(prepare, problem, direction, peers),
                FLOORS[direction] if problem.floor else None,
                problem.group,
            )


def length(problem: ConvProblem, direction: str) -> int:
    """How many products a result is the sum of."""
    if direction == "weight_grad":
        return problem.positions
    return problem.terms if direction == "forward" else problem.terms * problem.out_channels // problem.in_channels


def prepare(problem: ConvProblem, direction: str, peers: Peers) -> Prepared:
    data = conv_data(problem)
    theirs, skipped = peers.sides("conv", problem, direction, data)
    return Prepared(expected(problem, direction, data), [*ours(problem, direction, data), *theirs], skipped)


def expected(problem: ConvProblem, direction: str, data: ConvData) -> Results:
    reference, pads = oracle(), [(p, p) for p in problem.padding]
    where = (problem.stride, pads, problem.dilation, problem.groups)
    if direction == "forward":
        return (reference.conv(data.x, data.w, data.b, *where),)
    if direction == "input_grad":
        return (reference.conv_input_grad(data.dy, data.w, problem.size, *where),)
    dw, db = reference.conv_weight_grad(data.x, data.dy, problem.kernel, *where)
    return dw, db


def options_of(problem: ConvProblem) -> dict[str, Any]:
    """What a caller would write: no option that has its default value."""
    padding = problem.padding * 2 if problem.rank == 1 else problem.padding
    options: dict[str, Any] = {"padding": padding} if any(padding) else {}
    options |= {"stride": problem.stride} if max(problem.stride) > 1 else {}
    options |= {"dilation": problem.dilation} if max(problem.dilation) > 1 else {}
    return options | ({"groups": problem.groups} if problem.groups > 1 else {})


def ours(problem: ConvProblem, direction: str, data: ConvData) -> list[Side]:
    options = options_of(problem)
    suffix = "" if direction == "forward" else f"_{direction}"
    function: Any = getattr(pyconvx, f"conv{problem.rank}d{suffix}")
    if direction == "weight_grad":
        return [Side("pyconvx", lambda: function(data.x, data.dy, problem.kernel, **options), tuple, ours=True)]
    weights = {"pyconvx": PackedWeights(data.w), "pyconvx, packs in call": data.w}
    if direction == "forward":
        bias = [data.b] if problem.bias else []
        calls = {name: partial(function, data.x, w, *bias, **options) for name, w in weights.items()}
    else:
        calls = {name: partial(function, data.dy, w, data.x.shape, **options) for name, w in weights.items()}
    return [Side(name, call, lambda y: (y,), ours=True) for name, call in calls.items()]
