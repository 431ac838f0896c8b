"""What is timed, as data: a convolution, a map of activations, a search; `bench/problems` lists them.

`why` says what a problem is there for, `group` the class of goals.py that it belongs to. `quick` marks the few that
stand for the rest; `floor` marks well-shaped layers, on which the direct algorithm has to come near the peak.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

# A network as peers are given it: weight (*kernel, in, out) and bias of each convolution, which pads to keep its size
# and has a ReLU; None for a max pooling that halves.
Trunk = list[tuple[NDArray[Any], NDArray[Any]] | None]
DIRECTIONS = ("forward", "input_grad", "weight_grad")


@dataclass(frozen=True)
class ConvProblem:
    """A convolution; sizes, kernel, stride, padding and dilation have one number an axis."""

    name: str
    why: str
    batch: int
    size: tuple[int, ...]
    in_channels: int
    out_channels: int
    kernel: tuple[int, ...]
    padding: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    quick: bool = False
    floor: bool = False
    group: str = ""
    directions: tuple[str, ...] = DIRECTIONS
    bias: bool = True  # else zeros

    @property
    def rank(self) -> int:
        return len(self.size)

    @property
    def out_size(self) -> tuple[int, ...]:
        rows = zip(self.size, self.kernel, self.padding, self.stride, self.dilation, strict=True)
        return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, p, s, d in rows)

    @property
    def terms(self) -> int:
        """Products that one output is the sum of."""
        return math.prod(self.kernel) * self.in_channels // self.groups

    @property
    def positions(self) -> int:
        return self.batch * math.prod(self.out_size)

    @property
    def flops(self) -> float:
        """2 x positions x terms x output channels, taps in the padding included; the same in all three directions."""
        return 2.0 * self.positions * self.terms * self.out_channels

    def shrunk(self, flops: float) -> ConvProblem:
        """The same layer over less of the picture, at most `flops` if that can be had: for checks without timing.

        Some positions are left on each axis: errors are relative to the rms of the results, which one alone has not.
        """
        problem = self
        while problem.flops > flops:
            reach = [d * (k - 1) + 8 * s for k, s, d in zip(self.kernel, self.stride, self.dilation, strict=True)]
            size = tuple(max(n * 3 // 4, min(n, r)) for n, r in zip(problem.size, reach, strict=True))
            if size == problem.size and problem.batch == 1:
                break
            problem = replace(problem, size=size, batch=(problem.batch + 1) // 2)
        return problem


def each(value: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else value


def conv(
    name: str,
    why: str,
    size: tuple[int, ...],
    channels: tuple[int, int],
    kernel: int | tuple[int, ...],
    padding: int | tuple[int, ...] = 0,
    stride: int | tuple[int, ...] = 1,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    batch: int = 1,
    quick: bool = False,
    floor: bool = False,
) -> ConvProblem:
    rank = len(size)
    return ConvProblem(
        name,
        why,
        batch,
        size,
        *channels,
        each(kernel, rank),
        each(padding, rank),
        each(stride, rank),
        each(dilation, rank),
        groups,
        quick,
        floor,
    )


def of(group: str, *problems: ConvProblem) -> list[ConvProblem]:
    """The problems as members of a class."""
    return [replace(problem, group=group) for problem in problems]


@dataclass(frozen=True)
class MapProblem:
    """A map of activations of one picture: for pooling and Gram matrices."""

    name: str
    why: str
    size: tuple[int, ...]
    channels: int
    quick: bool = False
    floor: bool = False
    group: str = ""

    @property
    def positions(self) -> int:
        return math.prod(self.size)

    def shrunk(self, positions: float) -> MapProblem:
        """The same with at most so many positions, and at least 8 along each axis."""
        size = self.size
        while math.prod(size) > positions and max(size) > 8:
            size = tuple(max(8, n * 3 // 4) for n in size)
        return replace(self, size=size)


@dataclass(frozen=True)
class DistanceProblem:
    """`queries` encodings against `gallery` others, of length `dimension`; `operations` are metrics or "nearest"."""

    name: str
    why: str
    queries: int
    gallery: int
    dimension: int
    operations: tuple[str, ...]
    quick: bool = False
    group: str = ""

    @property
    def products(self) -> float:
        return float(self.queries) * self.gallery * self.dimension

    def shrunk(self, products: float) -> DistanceProblem:
        """The same with a smaller gallery."""
        most = max(7, int(products / (self.queries * self.dimension)))
        return replace(self, gallery=min(self.gallery, most))
