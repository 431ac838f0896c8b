"""All distances of a batch, and how a slope on them pulls at the encodings.

d(i, j) depends on the difference of two rows: of the encodings themselves, or for the cosine of their directions u, for
which 1 - cos = |u_i - u_j|^2 / 2. So a slope w on d(i, j) pulls with w f(d) (row_i - row_j) at row i, and the opposite
at row j, where f is 2 for the squared distance, 1 / d for the distance, 1 for the cosine.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx import _mining
from pyconvx.errors import OptionError
from pyconvx.functional import pairwise_distances

Array = NDArray[Any]

DIFFERENTIABLE = ("sqeuclidean", "euclidean", "cosine")


class Directions:
    """Rows divided by their lengths, in float64; a row of zeros stays one, and nothing pulls at it."""

    def __init__(self, x: Array) -> None:
        wide = x.astype(np.float64)
        largest = np.abs(wide).max(axis=1, keepdims=True, initial=0)
        scaled = wide / np.where(largest > 0, largest, 1)  # so that squares neither overflow nor vanish
        norm = np.sqrt(np.square(scaled).sum(axis=1, keepdims=True))
        self.rows: Array = scaled / np.where(norm > 0, norm, 1)
        with np.errstate(over="ignore"):
            self._inverse = np.where(norm > 0, 1 / np.where(norm > 0, norm * largest, 1), 0)

    def pull(self, slopes: Array) -> Array:
        """From a gradient with respect to the directions to the one with respect to the rows."""
        along = (self.rows * slopes).sum(axis=1, keepdims=True)
        result: Array = (slopes - self.rows * along) * self._inverse
        return result


class Distances:
    """The distances of all rows from all rows; `matrix` is symmetric, with zeros on the diagonal."""

    def __init__(self, x: Array, metric: str) -> None:
        if metric not in DIFFERENTIABLE:
            raise OptionError(f"metric is {metric!r}; a loss takes one of {', '.join(map(repr, DIFFERENTIABLE))}")
        self._metric = metric
        self.matrix: Array = pairwise_distances(x, metric=metric)
        self._directions = Directions(x) if metric == "cosine" else None
        self._points = x if self._directions is None else self._directions.rows

    def pull_triplets(self, triplets: Array, slope: Array) -> Array:
        """The gradient of `sum(slope * (d(a, p) - d(a, n)))` over triplets (m, 3)."""
        triplets = np.ascontiguousarray(triplets)
        anchor, positive, negative = triplets.T
        gradient = np.zeros(self._points.shape)
        toward = slope * self._factor(self.matrix[anchor, positive])
        away = -slope * self._factor(self.matrix[anchor, negative])
        _mining.pull_triplets(self._points, triplets, toward, away, gradient)
        return gradient if self._directions is None else self._directions.pull(gradient)

    def pull_matrix(self, slopes: Array) -> Array:
        """The gradient of `sum(slopes * matrix)`, slopes a matrix of float64 that is held constant."""
        pulls = slopes * self._factor(self.matrix)
        pulls += pulls.T.copy()
        # About their mean: encodings that have come close together keep the digits of their differences.
        points = self._points.astype(np.float64)
        points -= points.mean(axis=0)
        gradient: Array = pulls.sum(axis=1, keepdims=True) * points - pulls @ points
        return gradient if self._directions is None else self._directions.pull(gradient)

    def _factor(self, distances: Array) -> Array:
        """f(d); two equal rows are at a minimum of the distance, where its derivative counts as 0."""
        wide = distances.astype(np.float64)
        if self._metric == "sqeuclidean":
            return np.full(wide.shape, 2.0)
        if self._metric == "cosine":
            return np.ones(wide.shape)
        result: Array = np.divide(1, wide, out=np.zeros(wide.shape), where=wide > 0)
        return result
