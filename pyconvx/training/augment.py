"""Random changes that leave the class of a sample alone: moved, turned, stretched, mirrored, deformed, noisy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import OptionError, ShapeError
from pyconvx.functional._arguments import integer
from pyconvx.functional._arrays import as_float
from pyconvx.training.warp import check_fill, warp

Array = NDArray[Any]


class Augment:
    """`augment(batch, rng)`: every sample of a batch `(n, *spatial, channels)` changed at random, signals to volumes.

    One affine map and one linear interpolation a sample, whatever is combined. All numbers are the largest change,
    drawn evenly on either side of none, unless it is said otherwise; 0 leaves a change out.

    Parameters
    ----------
    shift : float or sequence of float
        In places, for all spatial axes or one for each.
    rotate : float or sequence of float
        In degrees. Of volumes: about each axis by so much, or one number for each axis. Signals cannot turn.
    scale : float
        0.2 makes samples up to 1.2 times as large or as small, evenly by the logarithm.
    stretch : float
        The same, drawn for each axis on its own.
    shear : float
        By how many places neighbours along one axis are set off along another one; for each pair of axes.
    flip : int or sequence of int
        The spatial axes (0 is the first) along which half of the samples are mirrored.
    elastic : float
        Standard deviation of a smooth displacement, in places.
    elastic_points : int
        How many bends an axis can have, about; displacements are a blend of so many random ones along each axis.
    noise : float
        Standard deviation of normal noise added to every value.
    fill : float or "edge"
        What comes in from outside: a number, or the nearest value of the sample.

    Notes
    -----
    The same generator state gives the same bits. Any function with this signature can stand where an `Augment` does:
    combine several by calling one after the other. Where several processes train together, each changes its own rows
    alone by `part`; a function without one changes the whole batch on every process.

    Raises
    ------
    OptionError
        A number out of range; in the call, an option that does not fit the batch's rank.

    Examples
    --------
    >>> import numpy as np
    >>> pictures = np.zeros((8, 28, 28, 1), np.float32)
    >>> augment = Augment(shift=2, rotate=15, scale=0.2, flip=1, noise=0.05)
    >>> augment(pictures, np.random.default_rng(0)).shape
    (8, 28, 28, 1)
    """

    def __init__(
        self,
        *,
        shift: float | Sequence[float] = 0.0,
        rotate: float | Sequence[float] = 0.0,
        scale: float = 0.0,
        stretch: float = 0.0,
        shear: float = 0.0,
        flip: int | Sequence[int] = (),
        elastic: float = 0.0,
        elastic_points: int = 4,
        noise: float = 0.0,
        fill: float | str = 0.0,
    ) -> None:
        self.shift, self.rotate = _amounts("shift", shift), _amounts("rotate", rotate)
        self.scale, self.stretch = _amount("scale", scale), _amount("stretch", stretch)
        self.shear, self.noise = _amount("shear", shear), _amount("noise", noise)
        self.elastic, self.elastic_points = _amount("elastic", elastic), integer("elastic_points", elastic_points, 2)
        axes = flip if isinstance(flip, Sequence) else (flip,)
        self.flip = tuple(integer("flip", axis, 0) for axis in axes)
        check_fill(fill)
        self.fill = fill
        self._moves = any((*self.shift, *self.rotate, self.scale, self.stretch, self.shear, self.elastic))

    def __call__(self, batch: ArrayLike, rng: np.random.Generator) -> Array:
        """Return a changed copy of `batch`; its type and shape stay."""
        x = as_float("batch", batch)
        return self.part(x, rng, 0, len(x))

    def part(self, rows: ArrayLike, rng: np.random.Generator, first: int, count: int) -> Array:
        """Return what becomes of `rows` where they are those from `first` on of a batch of `count`.

        What is drawn for a row depends on the generator and the row's place in the batch alone, so that the parts of a
        batch are together what the whole would be, bit by bit.

        Examples
        --------
        >>> import numpy as np
        >>> batch, augment = np.ones((8, 28, 28, 1), np.float32), Augment(shift=2, noise=0.1)
        >>> whole = augment(batch, np.random.default_rng(0))
        >>> np.array_equal(augment.part(batch[6:], np.random.default_rng(0), 6, 8), whole[6:])
        True
        """
        x = as_float("rows", rows)
        if x.ndim < 3:
            raise ShapeError(f"the batch has shape {x.shape}; wanted (n, *spatial, channels)")
        own = slice(integer("first", first, 0), first + len(x))
        if own.stop > integer("count", count, 0):
            raise OptionError(f"rows {own.start} to {own.stop} are not of a batch of {count}")
        if self._moves or self.flip:
            matrix, shift = self._maps(count, x.ndim - 2, rng)
            bend = self._displacement(x, own, count, rng) if self.elastic else None
            y = warp(x, matrix[own], shift[own], displacement=bend, fill=self.fill)
        else:
            y = x.copy()
        if self.noise:
            _add_noise(y, self.noise, own.start, rng)
        return y

    def _maps(self, count: int, rank: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """A matrix and a shift for each sample: rotation, shear, sizes, then mirrors."""
        shift = rng.uniform(-1, 1, (count, rank)) * _per_axis("shift", self.shift, rank)
        matrix = self._rotations(count, rank, rng)
        if self.shear:
            pairs = rng.uniform(-self.shear, self.shear, (count, rank, rank))
            matrix = matrix @ (np.eye(rank) + np.triu(pairs, 1))
        sizes = np.ones((count, rank))
        if self.scale:
            sizes *= (1 + self.scale) ** rng.uniform(-1, 1, (count, 1))
        if self.stretch:
            sizes *= (1 + self.stretch) ** rng.uniform(-1, 1, (count, rank))
        for axis in self.flip:
            if axis >= rank:
                raise OptionError(f"flip names axis {axis}; the batch has {rank} spatial axes, from 0")
            sizes[:, axis] *= rng.choice((-1, 1), count)
        return matrix * sizes[:, np.newaxis], shift

    def _rotations(self, count: int, rank: int, rng: np.random.Generator) -> Array:
        matrix = np.broadcast_to(np.eye(rank), (count, rank, rank))
        if not any(self.rotate):
            return matrix
        if rank not in (2, 3):
            raise OptionError(f"rotate is {self.rotate}; a batch with {rank} spatial axes cannot turn: leave it 0")
        # A picture turns in its only plane; a volume about its axis 0 in the plane of 1 and 2, and so on.
        planes = [(0, 1)] if rank == 2 else [(1, 2), (2, 0), (0, 1)]
        for (a, b), limit in zip(planes, _per_axis("rotate", self.rotate, len(planes)), strict=True):
            angle = np.radians(rng.uniform(-1, 1, count) * limit)
            turn = np.tile(np.eye(rank), (count, 1, 1))
            turn[:, a, a] = turn[:, b, b] = np.cos(angle)
            turn[:, b, a] = np.sin(angle)
            turn[:, a, b] = -turn[:, b, a]
            matrix = matrix @ turn
        return matrix

    def _displacement(self, x: Array, own: slice, count: int, rng: np.random.Generator) -> Array:
        """(n, *spatial, r), normal with the wanted deviation at every place, smooth along each axis."""
        spatial, rank = x.shape[1:-1], x.ndim - 2
        drawn = rng.standard_normal((count, *(self.elastic_points,) * rank, rank), np.float32)
        bend: Array = drawn[own] * np.float32(self.elastic)
        # The last axis first, sample by sample: few and large products, whose bits no other sample changes.
        for axis in reversed(range(rank)):
            after = math.prod(spatial[axis + 1 :]) * rank
            across = bend.reshape(len(x), self.elastic_points**axis, self.elastic_points, after)
            bend = _blend(spatial[axis], self.elastic_points) @ across
        return bend.reshape(*x.shape[:-1], rank)


def _add_noise(y: Array, deviation: float, first: int, rng: np.random.Generator) -> None:
    """Add normal noise to each row, from a place of its own in one generator's sequence: 2^64 numbers apart."""
    source = np.random.PCG64(int(rng.integers(1 << 63)))
    begin, normal = source.state, np.random.Generator(source)
    drawn = np.empty(y.shape[1:], np.float32 if y.dtype == np.float32 else np.float64)
    for place, row in enumerate(y, first):
        source.state = begin  # 3 us a row; a generator of its own would take 16
        source.advance(place << 64)
        normal.standard_normal(drawn.shape, drawn.dtype, drawn)
        drawn *= deviation
        row += drawn


def _blend(size: int, points: int) -> Array:
    """(size, points): how much each random number counts at each place; squares sum to 1, so the variance is kept."""
    place = np.linspace(0, points - 1, size)[:, np.newaxis]
    weight = np.exp(-np.square(place - np.arange(points)))
    weight /= np.sqrt(np.square(weight).sum(axis=1, keepdims=True))
    return weight.astype(np.float32)


def _amount(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value < math.inf:
        raise OptionError(f"{name} is {value!r}; wanted a number from 0 up")
    return float(value)


def _amounts(name: str, value: float | Sequence[float]) -> tuple[float, ...]:
    """One number for all axes, or one for each."""
    given = value if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    return tuple(_amount(name, entry) for entry in given)


def _per_axis(name: str, amounts: tuple[float, ...], axes: int) -> Array:
    if len(amounts) not in (1, axes):
        raise OptionError(f"{name} has {len(amounts)} numbers; this batch wants one, or {axes}")
    return np.broadcast_to(np.array(amounts), (axes,))
