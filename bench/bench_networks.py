"""Layers of known networks, as bench_conv.py has the problems that were chosen."""

from __future__ import annotations

from collections.abc import Iterator

from bench.bench_conv import cases_of
from bench.harness import Case
from bench.peers import Peers
from bench.problems.networks import LAYERS


def cases(peers: Peers, quick: bool, at_most: float | None = None) -> Iterator[Case]:
    """All layers in all directions; where quick, the first of each network."""
    first = {problem.group: problem for problem in reversed(LAYERS)}
    yield from cases_of("networks", list(first.values()) if quick else LAYERS, peers, at_most)
