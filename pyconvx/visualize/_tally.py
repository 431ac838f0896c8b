"""What a survey remembers of one layer: its best patches, and sums that make the statistics."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import DivergedError
from pyconvx.visualize._best import Best, Entries
from pyconvx.visualize._exact_sum import ExactSum
from pyconvx.visualize._reduce import Reduced, reduce

Array = NDArray[Any]
# Unit, picture and position of a patch.
PatchKey = tuple[int, int, tuple[int, ...]]


class Found(NamedTuple):
    """What a picture has for a tally."""

    rows: int
    reduced: Reduced
    entries: list[Entries]


class Tally:
    """The memory of one layer, of a size that does not grow with the number of pictures.

    `units` are the numbers of the channels that are looked at; everything here is indexed by their place in it. `kept`
    holds patches by (place of the unit, picture, position), if patches are kept at all.
    """

    def __init__(self, units: NDArray[np.int64], best: Best, classes: int, one_per_picture: bool) -> None:
        self.units = units
        self.best = best
        self._one_per_picture = one_per_picture
        self.positions = 0
        self.positive = np.zeros(len(units), np.int64)
        self.sums = ExactSum((len(units),))
        self.maxima = ExactSum((max(1, classes), len(units)))  # by class; without labels all are one class
        self.kept: dict[PatchKey, Array] = {}

    def look(self, y: Array, factors: Array | None = None, places: NDArray[np.int64] | None = None) -> Found:
        """Return what a picture's activations (*spatial, channels) have to say, and change nothing.

        Patches are ranked by the activations times `factors`, at `places` only; see `Ranking`.
        """
        rows = y.reshape(-1, y.shape[-1])
        if len(self.units) < y.shape[-1]:
            rows = np.ascontiguousarray(rows[:, self.units])
        reduced = reduce(rows)
        if not np.isfinite(reduced.sums).all():
            raise DivergedError("an activation is NaN or infinite")
        ranked = rows if factors is None else rows * factors[:, None]
        ranked = ranked if places is None else ranked[places]
        if ranked is not rows:
            reduced = reduced._replace(maxima=ranked.max(axis=0))
        entries = self.best.look(ranked, reduced.maxima, y.shape[:-1], self._one_per_picture, places)
        return Found(len(rows), reduced, entries)

    def take(self, number: int, label: int, found: Found) -> list[int]:
        """Take over what a picture has, whose number is above all before; return places of units with a new patch."""
        self.positions += found.rows
        self.positive += found.reduced.positive
        self.sums.add(found.reduced.sums)
        self.maxima.add(found.reduced.maxima, max(label, 0))
        for entries in found.entries:
            self.best.enter(number, entries)
        return [int(unit) for entries in found.entries for unit in entries.units]

    def keys(self, unit: int) -> list[PatchKey]:
        """Return the entries of a unit, given by its place, best first."""
        pictures, positions = self.best.pictures[unit], self.best.positions[unit]
        return [
            (unit, int(picture), tuple(int(axis) for axis in position))
            for picture, position in zip(pictures, positions, strict=True)
            if picture >= 0
        ]

    def prune(self) -> None:
        """Forget the patches that have left the tables."""
        wanted = {key for unit in range(len(self.units)) for key in self.keys(unit)}
        self.kept = {key: patch for key, patch in self.kept.items() if key in wanted}

    def merged(self, other: Tally) -> Tally:
        """Return the memory of both, which have seen different pictures."""
        result = Tally(self.units, self.best.merged(other.best), 0, self._one_per_picture)
        result.positions = self.positions + other.positions
        result.positive = self.positive + other.positive
        result.sums, result.maxima = self.sums.merged(other.sums), self.maxima.merged(other.maxima)
        result.kept = self.kept | other.kept
        result.prune()
        return result

    def tensors(self) -> dict[str, Array]:
        """Return all state as arrays by name, but for the kept patches."""
        return {
            "units": self.units,
            "values": self.best.values,
            "pictures": self.best.pictures,
            "positions": self.best.positions,
            "positive": self.positive,
            "count": np.array([self.positions], np.int64),
            "sums": self.sums.limbs,
            "maxima": self.maxima.limbs,
        }

    @classmethod
    def from_tensors(cls, tensors: dict[str, Array], one_per_picture: bool) -> Tally:
        """Make a memory from what `tensors` returned."""
        result = cls(
            tensors["units"], Best(tensors["values"], tensors["pictures"], tensors["positions"]), 0, one_per_picture
        )
        result.positive, result.positions = tensors["positive"], int(tensors["count"][0])
        result.sums, result.maxima = ExactSum((), tensors["sums"]), ExactSum((), tensors["maxima"])
        return result
