"""Resampling a batch of signals, pictures or volumes: an affine map for each, linear interpolation, any rank.

Letters: n samples, r spatial axes, c channels, q places of the output in a row, k corners of a cell: 2^r.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import OptionError, ShapeError
from pyconvx.functional._arrays import as_float

Array = NDArray[Any]

# Places that are computed at a time: a dozen arrays of 64 KB stay in the second cache, and NumPy's calls cost little.
_PLACES = 16384


def warp(
    x: ArrayLike,
    matrix: ArrayLike,
    shift: ArrayLike = 0.0,
    *,
    displacement: ArrayLike | None = None,
    fill: float | str = 0.0,
) -> Array:
    """Move the contents of every sample by an affine map of its own: what was at p is now at `M (p - m) + m + shift`.

    m is the middle of the sample, `(size - 1) / 2`. Between places values are interpolated linearly.

    Parameters
    ----------
    x : array_like of float, (n, *spatial, c)
        Signals, pictures or volumes; channels-last.
    matrix : array_like, (r, r) or (n, r, r)
        M, one for all samples or one for each; it must have an inverse. Axes in the order of `x`: rows, columns.
    shift : float, array_like (r,) or (n, r)
        In places.
    displacement : array_like, (n, *spatial, r), optional
        Where each place of the result reads, in addition: an elastic deformation, in places.
    fill : float or "edge"
        What lies outside: a number, or the nearest value of the sample.

    Returns
    -------
    ndarray, (n, *spatial, c)
        A new array of the type of `x`.

    Raises
    ------
    ShapeError
        An argument does not fit `x`.
    OptionError
        A matrix without an inverse, a number that is not finite, or another `fill`.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 4, 1)
    >>> warp(x, [[1.0]], shift=0.5).ravel()
    array([0.5, 1.5, 2.5, 3.5])
    >>> warp(x, [[-1.0]]).ravel()
    array([4., 3., 2., 1.])
    """
    x = as_float("x", x)
    if x.ndim < 3:
        raise ShapeError(f"x has shape {x.shape}; wanted (batch, *spatial, channels)")
    check_fill(fill)
    count, spatial, rank = len(x), x.shape[1:-1], x.ndim - 2
    inverse = _inverse(_fitted("matrix", matrix, (count, rank, rank)))
    moved = _fitted("shift", shift, (count, rank))
    middle = (np.array(spatial) - 1) / 2
    # The result at p reads x at M^-1 (p - m - shift) + m.
    start = middle - (inverse @ (middle + moved)[..., np.newaxis])[..., 0]
    if displacement is not None:
        displacement = _fitted("displacement", displacement, (count, *spatial, rank))
    y = np.empty_like(x, order="C")
    at_once = max(1, _PLACES // max(1, math.prod(spatial)))
    for first in range(0, count, at_once):
        part = slice(first, first + at_once)
        own = None if displacement is None else displacement[part]
        _resample(x[part], inverse[part].astype(x.dtype), start[part].astype(x.dtype), own, fill, y[part])
    return y


def check_fill(fill: Any) -> None:
    if isinstance(fill, str) and fill == "edge":
        return
    if isinstance(fill, (str, bool)) or not isinstance(fill, (int, float, np.number)) or not np.isfinite(fill):
        raise OptionError(f"fill is {fill!r}; wanted a finite number or 'edge'")


def _fitted(name: str, value: ArrayLike, shape: tuple[int, ...]) -> Array:
    given = np.asarray(value)
    if not np.isfinite(given).all():
        raise OptionError(f"{name} has NaN or infinity in it")
    try:
        return np.broadcast_to(given, shape)
    except ValueError:
        raise ShapeError(f"{name} has shape {given.shape}; wanted {shape} or what broadcasts to it") from None


def _inverse(matrix: Array) -> Array:
    try:
        return np.linalg.inv(matrix.astype(np.float64))
    except np.linalg.LinAlgError:
        raise OptionError("a matrix has no inverse: it maps different places to one") from None


def _resample(x: Array, matrix: Array, start: Array, displacement: Array | None, fill: float | str, out: Array) -> None:
    """out[i, p] = x[i] at matrix[i] p + start[i] + displacement[i, p]."""
    count, spatial, channels = len(x), x.shape[1:-1], x.shape[-1]
    # A border of one place holds what lies outside, and a read beyond it is moved onto it.
    border = ((0, 0), *((1, 1),) * len(spatial), (0, 0))
    padded = np.pad(x, border, "edge") if isinstance(fill, str) else np.pad(x, border, constant_values=fill)
    strides = [math.prod(padded.shape[axis + 2 : -1]) for axis in range(len(spatial))]
    cell = np.arange(count, dtype=np.int32)[:, np.newaxis] * np.int32(math.prod(padded.shape[1:-1]))
    fractions = []
    for axis, size in enumerate(spatial):
        place = _coordinates(matrix[:, axis], start[:, axis], spatial)
        if displacement is not None:
            place += displacement[..., axis].reshape(count, -1)
        place += 1
        np.clip(place, 0, size + 1, out=place)
        whole = np.minimum(place.astype(np.int32), size)  # the last place is the far corner of the last cell
        place -= whole
        fractions.append(place)
        cell = cell + whole * np.int32(strides[axis])
    rows = padded.reshape(-1) if channels == 1 else padded.reshape(-1, channels)
    _interpolate(rows, cell, fractions, strides, out.reshape(cell.shape if channels == 1 else (*cell.shape, channels)))


def _coordinates(row: Array, start: Array, spatial: tuple[int, ...]) -> Array:
    """One coordinate of where each place reads, (n, q): a sum of one term an axis, which broadcasting spreads."""
    rank, place = len(spatial), start.reshape(-1, *(1,) * len(spatial))
    for axis, size in enumerate(spatial):
        term = row[:, axis, np.newaxis] * np.arange(size, dtype=row.dtype)
        place = place + term.reshape(-1, *(size if other == axis else 1 for other in range(rank)))
    return np.ascontiguousarray(place).reshape(len(row), -1)


def _interpolate(rows: Array, cell: Array, fractions: list[Array], strides: list[int], out: Array) -> None:
    """out = sum over the corners of each cell of the value there times the product of its weights."""
    out[...] = 0
    for corner in itertools.product((0, 1), repeat=len(strides)):
        weight = None
        for upper, fraction in zip(corner, fractions, strict=True):
            own = fraction if upper else 1 - fraction
            weight = own if weight is None else weight * own
        assert weight is not None, "there is one spatial axis or more"
        offset = np.int32(sum(upper * stride for upper, stride in zip(corner, strides, strict=True)))
        value = rows.take(cell + offset, axis=0, mode="clip")  # in range already: spares a second check
        value *= weight if value.ndim == weight.ndim else weight[..., np.newaxis]
        out += value
