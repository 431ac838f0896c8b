"""Triplets over a whole set that has been encoded: every anchor with the impostors that look most like it."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.functional import nearest, pairwise_distances
from pyconvx.functional._arguments import choice, integer
from pyconvx.functional.distance import METRICS
from pyconvx.triplet.batch import Array, check_comparable, read_batch
from pyconvx.triplet.mining import Triplets

Indices = NDArray[np.int64]
_FEW = 64  # rows of a class up to which one search for all classes is the quicker one

Positives = Literal["all", "random", "hard"]


def mine_offline(
    encodings: ArrayLike,
    labels: ArrayLike,
    k: int = 1,
    *,
    positives: Positives = "random",
    metric: str = "sqeuclidean",
    random_state: int | np.random.Generator | None = None,
) -> Triplets:
    """Choose triplets over a whole set: each anchor with its k nearest impostors.

    The matrix of all distances is never held: memory grows with the number of rows only.

    Parameters
    ----------
    encodings : array_like, (rows, depth)
        Of the whole set, float32 or float64.
    labels : array_like, (rows,)
        Integers or strings, equal for the same class.
    k : int
        How many impostors an anchor gets; fewer where fewer exist.
    positives : {"random", "hard", "all"}
        Any other row of the anchor's class, the farthest of them, or each of them in turn.
    metric : str
        As `pyconvx.nearest` has them.
    random_state : int, numpy.random.Generator or None
        For positives="random".

    Returns
    -------
    Triplets
        Ordered by anchor, then positive, then the nearness of the impostor. Anchors that are alone in their class have
        no triplet.

    Raises
    ------
    OptionError
        An unknown option, or labels of which no triplet exists.
    ShapeError, DTypeError, DivergedError
        Arrays that do not fit, or are not finite.

    Notes
    -----
    Source: Schroff, Kalenichenko and Philbin, FaceNet, 2015, section 3.2, "generate triplets offline every n steps".
    The nearest impostors of a whole set are harder than those of a batch; mislabelled rows are among them.

    Examples
    --------
    >>> import numpy as np
    >>> x, labels = np.array([[0.0], [1.0], [1.5], [3.0]]), [7, 7, 8, 8]
    >>> mine_offline(x, labels, positives="hard").negative
    array([2, 2, 1, 1])
    """
    choice("positives", positives, ("random", "hard", "all"))
    choice("metric", metric, METRICS)
    integer("k", k, 1)
    x, classes = read_batch(encodings, labels)
    check_comparable(classes)
    rng = np.random.default_rng(random_state)
    order = np.argsort(classes, kind="stable")
    ordered = x[order]
    counts = np.bincount(classes)
    starts = np.concatenate([[0], np.cumsum(counts)])
    at_once = _all_others(ordered, classes[order], k, int(counts.max()), metric) if counts.max() <= _FEW else None
    found = []
    for first, end in pairwise(starts):
        if end - first < 2:
            continue
        own = ordered[first:end]
        if at_once is None:
            impostors = _nearest_others(own, ordered, first, end, k, metric)
        else:
            impostors = at_once[first:end, : len(ordered) - len(own)]
        pairs = _pairs(own, positives, metric, rng)
        chosen = impostors[pairs[:, 0]]
        repeated = np.repeat(pairs + first, chosen.shape[1], axis=0)
        found.append(np.column_stack([repeated, chosen.reshape(-1)]))
    triplets = order[np.concatenate(found)]
    triplets = triplets[np.lexsort((triplets[:, 1], triplets[:, 0]))]  # stable: impostors stay by nearness
    anchor, positive, negative = np.ascontiguousarray(triplets.T, np.int64)
    return Triplets(anchor, positive, negative)


def nearest_classes(encodings: ArrayLike, labels: ArrayLike, k: int = 8, *, metric: str = "sqeuclidean") -> Indices:
    """Of each class, the classes that its rows have most of their nearest impostors in.

    Parameters
    ----------
    encodings : array_like, (rows, depth)
        Of the whole set, float32 or float64; some rows of each class will do.
    labels : array_like, (rows,)
        Integers or strings, equal for the same class.
    k : int
        How many impostors of each row count.
    metric : str
        As `pyconvx.nearest` has them.

    Returns
    -------
    ndarray of int64, (classes, m)
        Classes by their places in sorted order, as `PKSampler.neighbours` wants them: by the number of impostors, the
        most first; -1 where there are no more.

    Raises
    ------
    OptionError, ShapeError, DTypeError, DivergedError
        As `mine_offline`.

    Examples
    --------
    >>> import numpy as np
    >>> nearest_classes(np.array([[0.0], [1.0], [1.5], [3.0], [9.0], [9.1]]), list("aabbcc"), 2).tolist()
    [[1], [0], [1]]
    """
    x, classes = read_batch(encodings, labels)
    found = mine_offline(x, classes, k, metric=metric, random_state=0)
    pairs = np.stack([classes[found.anchor], classes[found.negative]])
    count = int(classes.max()) + 1
    codes, times = np.unique(pairs[0].astype(np.int64) * count + pairs[1], return_counts=True)
    owners, others = np.divmod(codes, count)
    order = np.lexsort((others, -times, owners))
    owners, others = owners[order], others[order]
    place = np.arange(len(owners)) - np.searchsorted(owners, owners)
    result = np.full((count, int(place.max()) + 1), -1, np.int64)
    result[owners, place] = others
    return result


def _all_others(ordered: Array, classes: Array, k: int, largest: int, metric: str) -> Array:
    """For every row the k nearest of other classes: of its nearest k + `largest` at least k are that, if so many exist.

    One search for all, where a search for each of many small classes would read the whole set as many times.
    """
    nearness = nearest(ordered, ordered, min(k + largest, len(ordered)), metric=metric)[1]
    own = classes[nearness] == classes[:, np.newaxis]
    others_first = np.argsort(own, axis=1, kind="stable")[:, :k]
    result: Array = np.take_along_axis(nearness, others_first, axis=1)
    return result


def _nearest_others(own: Array, ordered: Array, first: int, end: int, k: int, metric: str) -> Array:
    """For each row of a class, the k nearest rows outside of it, as places in the order by class.

    The rest of the set is what lies before the class and what lies after it, so nothing is copied.
    """
    distances, places = [], []
    for start, rest in ((0, ordered[:first]), (end, ordered[end:])):
        if len(rest):
            d, i = nearest(own, rest, min(k, len(rest)), metric=metric)
            distances.append(d)
            places.append(i + start)
    nearness = np.argsort(np.concatenate(distances, axis=1), axis=1, kind="stable")[:, :k]
    result: Array = np.take_along_axis(np.concatenate(places, axis=1), nearness, axis=1)
    return result


def _pairs(own: Array, positives: str, metric: str, rng: np.random.Generator) -> Array:
    """Pairs (anchor, positive) within one class, as places in it."""
    rows = np.arange(len(own))
    if positives == "all":
        return np.argwhere(rows[:, np.newaxis] != rows)
    if positives == "hard":
        distances = pairwise_distances(own, metric=metric)
        np.fill_diagonal(distances, -1)
        return np.column_stack([rows, distances.argmax(axis=1)])
    drawn = rng.integers(0, len(own) - 1, len(own))
    return np.column_stack([rows, drawn + (drawn >= rows)])
