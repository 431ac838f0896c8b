"""The k largest activations of every unit, in an order that is the same however they were found.

Larger values first; of equal values the earlier picture, and in a picture the earlier position (row by row). An empty
slot has value -inf and picture -1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Entries(NamedTuple):
    """Candidates of one picture: `(n,)` units, `(n, m)` values and `(n, m, axes)` positions, best first."""

    units: Array
    values: Array
    positions: Array


@dataclass
class Best:
    """Tables of `(units, k)`: values, numbers of pictures, and positions with one more axis for the coordinates."""

    values: Array
    pictures: NDArray[np.int64]
    positions: NDArray[np.int32]

    @classmethod
    def empty(cls, units: int, k: int, rank: int, dtype: Any) -> Best:
        """Return tables without entries."""
        return cls(
            np.full((units, k), -np.inf, dtype), np.full((units, k), -1, np.int64), np.zeros((units, k, rank), np.int32)
        )

    def look(
        self,
        rows: Array,
        maxima: Array,
        size: tuple[int, ...],
        one_per_picture: bool,
        places: NDArray[np.int64] | None = None,
    ) -> list[Entries]:
        """Return what of a picture that comes after all others could enter the tables.

        Parameters
        ----------
        rows : ndarray of shape (positions, units)
        maxima : ndarray of shape (units,)
            The maxima of `rows`.
        size : tuple of int
            The spatial size, whose product is the number of positions.
        one_per_picture : bool
            Whether a picture has one entry of a unit at most.
        places : ndarray, optional
            The flat numbers of the positions, in order, if `rows` are not all there are.
        """
        units = np.flatnonzero(maxima > self.values[:, -1])
        if not len(units):
            return []
        if one_per_picture:
            first = rows[:, units].argmax(axis=0)  # of equal ones
            return [Entries(units, maxima[units, None], _coordinates(first[:, None], size, places))]
        found = []
        for unit in units:
            column, bar = rows[:, unit], self.values[unit, -1]
            above = np.flatnonzero(column > bar)
            best = above[np.argsort(-column[above], kind="stable")[: self.values.shape[1]]]
            found.append(Entries(np.array([unit]), column[best][None], _coordinates(best[None], size, places)))
        return found

    def enter(self, picture: int, entries: Entries) -> None:
        """Put entries behind the old ones and sort stably: the order of equal values is that of coming."""
        units, k = entries.units, self.values.shape[1]
        values = np.concatenate([self.values[units], entries.values], axis=1)
        pictures = np.concatenate([self.pictures[units], np.full(entries.values.shape, picture)], axis=1)
        positions = np.concatenate([self.positions[units], entries.positions], axis=1)
        order = np.argsort(-values, axis=1, kind="stable")[:, :k]
        self.values[units] = np.take_along_axis(values, order, 1)
        self.pictures[units] = np.take_along_axis(pictures, order, 1)
        self.positions[units] = np.take_along_axis(positions, order[..., None], 1)

    def merged(self, other: Best) -> Best:
        """Return the k largest of both, which know different pictures."""
        values = np.concatenate([self.values, other.values], axis=1)
        pictures = np.concatenate([self.pictures, other.pictures], axis=1)
        positions = np.concatenate([self.positions, other.positions], axis=1)
        keys = [positions[..., axis] for axis in reversed(range(positions.shape[-1]))]
        order = np.lexsort([*keys, pictures, -values], axis=1)[:, : self.values.shape[1]]
        return Best(
            np.take_along_axis(values, order, 1),
            np.take_along_axis(pictures, order, 1),
            np.take_along_axis(positions, order[..., None], 1),
        )


def _coordinates(rows: Array, size: tuple[int, ...], places: NDArray[np.int64] | None) -> NDArray[np.int32]:
    if not size:
        return np.zeros((*rows.shape, 0), np.int32)
    flat = rows if places is None else places[rows]
    return np.stack(np.unravel_index(flat, size), axis=-1).astype(np.int32)
