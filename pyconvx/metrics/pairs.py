"""Pairs of encodings: their distances, whether they show the same person, and who is on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import OptionError, ShapeError
from pyconvx.functional import pairwise_distances
from pyconvx.metrics._checked import Answers, Distances, pairs_of

MAX_ROWS = 4096
"""Encodings of which all pairs are taken (8 million of them); of more, whole people are drawn at random."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Distances of pairs, and what is known of them.

    Parameters
    ----------
    distances : array, (pairs,)
        Small means the same.
    same : bool array, (pairs,)
        Which pairs are genuine.
    people : int array, (pairs, 2), optional
        Who is on either side, as numbers from 0; without it there is no confidence interval.

    Examples
    --------
    >>> from pyconvx import metrics
    >>> pairs = metrics.Pairs([0.2, 0.9], [True, False])
    >>> pairs.genuine, pairs.impostor
    (array([0.2]), array([0.9]))
    """

    distances: Distances
    same: Answers
    people: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        distances, same = pairs_of(self.distances, self.same)
        object.__setattr__(self, "distances", distances)
        object.__setattr__(self, "same", same)
        if self.people is not None:
            people = np.asarray(self.people)
            if people.shape != (len(distances), 2) or people.dtype.kind not in "iu" or people.min() < 0:
                raise ShapeError(
                    f"people: got {people.dtype} of shape {people.shape}; wanted two numbers from 0 for each of the "
                    f"{len(distances)} pairs"
                )
            if ((people[:, 0] == people[:, 1]) != same).any():
                raise OptionError(
                    "people and same contradict each other: a pair is the same where its numbers are equal"
                )
            object.__setattr__(self, "people", people.astype(np.int64))

    @property
    def genuine(self) -> Distances:
        """Distances of pairs of the same person."""
        return self.distances[self.same]

    @property
    def impostor(self) -> Distances:
        """Distances of pairs of two people."""
        return self.distances[~self.same]


def all_pairs(
    encodings: ArrayLike,
    people: Sequence[Any] | ArrayLike,
    *,
    metric: str = "euclidean",
    max_rows: int = MAX_ROWS,
    seed: int = 0,
) -> Pairs:
    """Every pair of the encodings, each once.

    Parameters
    ----------
    encodings : array, (rows, depth)
        float32 or float64.
    people : sequence, (rows,)
        Whose encoding each row is: any labels that can be told apart.
    metric : str
        As `pyconvx.pairwise_distances` names it.
    max_rows : int
        With more rows, people are drawn at random, each with all rows, while they fit.
    seed : int
        Of that choice.

    Returns
    -------
    Pairs

    Raises
    ------
    ShapeError, DTypeError, OptionError
        If there are fewer than two rows, labels do not fit, or a distance is NaN.

    Examples
    --------
    >>> from pyconvx import metrics
    >>> pairs = metrics.all_pairs([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]], ["ann", "bob", "ann"])
    >>> pairs.distances
    array([5.        , 1.        , 4.24264069])
    >>> pairs.same
    array([False,  True, False])
    """
    rows, labels = np.asarray(encodings), np.asarray(people)
    if rows.ndim != 2 or labels.shape != rows.shape[:1]:
        raise ShapeError(
            f"encodings and people have shapes {rows.shape} and {labels.shape}; wanted (rows, depth) and (rows,)"
        )
    numbers = np.unique(labels, return_inverse=True)[1].reshape(-1).astype(np.int64)
    if len(rows) > max_rows:
        chosen = _some_people(numbers, max_rows, seed)
        rows, numbers = rows[chosen], numbers[chosen]
    if len(rows) < 2:
        raise ShapeError(
            f"{len(rows)} encodings can be compared, of people with at most {max_rows}; wanted two or more"
        )
    first, second = np.triu_indices(len(rows), 1)
    distances = pairwise_distances(rows, metric=metric)[first, second]
    sides = np.stack([numbers[first], numbers[second]], axis=1)
    return Pairs(distances, sides[:, 0] == sides[:, 1], sides)


def _some_people(numbers: NDArray[np.int64], max_rows: int, seed: int) -> NDArray[np.bool_]:
    """Rows of people in random order, as many as fit."""
    order = np.random.default_rng(seed).permutation(numbers.max() + 1)
    fits = np.cumsum(np.bincount(numbers)[order]) <= max_rows
    chosen = np.zeros(len(order), np.bool_)
    chosen[order[fits]] = True
    return chosen[numbers]
