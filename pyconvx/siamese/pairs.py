"""Pairs to learn verification from: all that are the same, and as many that are not."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import OptionError, ShapeError

Indices = NDArray[np.int64]


class Pairs(NamedTuple):
    """Rows of the first and the second of each pair, and whether they are of one class."""

    first: Indices
    second: Indices
    same: NDArray[np.bool_]


def draw_pairs(
    labels: ArrayLike,
    *,
    negatives: float = 1.0,
    max_positives: int | None = None,
    random_state: int | np.random.Generator | None = None,
) -> Pairs:
    """Draw pairs from a labelled set.

    Parameters
    ----------
    labels : array_like, (rows,)
        Integers or strings, equal for the same class.
    negatives : float
        How many pairs of two classes for each pair of one class; all of them may come, but none twice.
    max_positives : int, optional
        At most so many pairs of one class, drawn from all. Default: all.
    random_state : int, numpy.random.Generator or None
        For the draws.

    Returns
    -------
    Pairs
        Positive pairs, then negative pairs.

    Raises
    ------
    ShapeError, OptionError
        Labels that have more than one axis, or of which no pair of one class or of two classes exists.

    Examples
    --------
    >>> pairs = draw_pairs(["ann", "ann", "bob"], negatives=2)
    >>> pairs.first, pairs.second, pairs.same
    (array([0, 0, 1]), array([1, 2, 2]), array([ True, False, False]))
    """
    given = np.asarray(labels)
    if given.ndim != 1:
        raise ShapeError(f"labels have shape {given.shape}; wanted (rows,)")
    if not (np.isfinite(negatives) and negatives > 0):
        raise OptionError(f"negatives is {negatives!r}; it must be above 0")
    rng = np.random.default_rng(random_state)
    classes = np.unique(given, return_inverse=True)[1]
    positive = [_within(np.flatnonzero(classes == c)) for c in range(classes.max(initial=-1) + 1)]
    pairs: Any = np.concatenate(positive) if positive else np.empty((0, 2), np.int64)
    rows = len(given)
    different = rows * (rows - 1) // 2 - len(pairs)
    if not len(pairs) or not different:
        raise OptionError("the labels name no pair of one class, or none of two; both are needed to learn from")
    if max_positives is not None and len(pairs) > max_positives:
        pairs = pairs[np.sort(rng.choice(len(pairs), max_positives, replace=False))]
    wanted = min(max(round(negatives * len(pairs)), 1), different)
    apart = _apart(classes, wanted, different, rng)
    first, second = np.ascontiguousarray(np.concatenate([pairs, apart]).T, np.int64)
    return Pairs(first, second, np.arange(len(first)) < len(pairs))


def _within(own: Indices) -> Indices:
    i, j = np.triu_indices(len(own), 1)
    return np.column_stack([own[i], own[j]])


def _apart(classes: Indices, wanted: int, different: int, rng: np.random.Generator) -> Indices:
    """Pairs of two classes, all equally likely, none twice, in order."""
    rows = len(classes)
    if wanted > different / 4:  # draws would often repeat: choose from the list of all
        i, j = np.triu_indices(rows, 1)
        i, j = (part[classes[i] != classes[j]] for part in (i, j))
        kept = np.sort(rng.choice(different, wanted, replace=False))
        return np.column_stack([i[kept], j[kept]])
    found = np.empty(0, np.int64)
    while len(found) < wanted:
        i, j = rng.integers(0, rows, (2, 2 * wanted))
        fits = (i < j) & (classes[i] != classes[j])
        found = np.unique(np.concatenate([found, i[fits] * rows + j[fits]]))
    found = np.sort(rng.choice(found, wanted, replace=False))
    return np.column_stack([found // rows, found % rows])
