"""Choosing triplets: which negative is compared with which positive pair.

A triplet's gap is d(anchor, negative) - d(anchor, positive). It is hard if the gap is not above 0, semihard above 0 and
up to the margin, easy beyond: the loss max(margin - gap, 0) is then 0, and nothing is learned. Of random triplets
almost all are easy after a short time, which is why they are chosen.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx import _mining
from pyconvx.errors import OptionError
from pyconvx.functional import pairwise_distances
from pyconvx.triplet.batch import check_comparable, read_batch

Array = NDArray[Any]
Indices = NDArray[np.int64]
Strategy = Literal["all", "random", "easy", "semihard", "hard", "batch_hard", "distance_weighted"]
STRATEGIES = ("all", "random", "easy", "semihard", "hard", "batch_hard", "distance_weighted")
KINDS = ("easy", "semihard", "hard")
_CUTOFF, _FARTHEST = 0.5, 1.4  # of the distance-weighted choice, in its paper's code


class Triplets(NamedTuple):
    """Rows of the anchors, positives and negatives: three int64 arrays of one length."""

    anchor: Indices
    positive: Indices
    negative: Indices


def mine(
    encodings: ArrayLike,
    labels: ArrayLike,
    strategy: Strategy = "semihard",
    *,
    margin: float = 0.2,
    metric: str = "sqeuclidean",
    every: bool = False,
    random_state: int | np.random.Generator | None = None,
) -> Triplets:
    """Choose triplets in a batch.

    Parameters
    ----------
    encodings : array_like, (rows, depth)
        float32 or float64.
    labels : array_like, (rows,)
        Integers or strings, equal for the same class.
    strategy : str
        "semihard": for every positive pair the nearest negative that is farther than the positive, by at most the
        margin. "hard": the nearest negative, if it is not farther than the positive. "easy": the nearest negative
        beyond the margin. Pairs without such a negative have no triplet.
        "batch_hard": for every anchor its farthest positive and its nearest negative.
        "random": for every positive pair any negative. "distance_weighted": one drawn so that all distances up to 1.4
        between encodings of length 1 are about as likely. "all": every triplet.
    margin : float
        Of the loss that the triplets are for, in the metric's unit.
    metric : str
        As `pyconvx.pairwise_distances` has them. "distance_weighted" takes none: it compares directions.
    every : bool
        With "easy", "semihard" and "hard": every triplet of the kind, not only the nearest negative of a pair.
    random_state : int, numpy.random.Generator or None
        For the strategies that draw.

    Returns
    -------
    Triplets
        `(anchor, positive, negative)` indices, ordered by anchor, then positive. A positive pair counts in both
        directions. May be empty.

    Raises
    ------
    OptionError
        An unknown strategy or metric, or labels of which no triplet exists.
    ShapeError, DTypeError, DivergedError
        Arrays that do not fit, or are not finite.

    Notes
    -----
    Sources: Schroff, Kalenichenko and Philbin, FaceNet, 2015, section 3.2 (semihard); Hermans, Beyer and Leibe, In
    Defense of the Triplet Loss, 2017, equation 5 (batch hard); Wu et al., Sampling Matters in Deep Embedding Learning,
    2017, section 4.1 (distance-weighted). Deviations: FaceNet picks any semihard negative, here it is the nearest;
    where no negative is semihard there is no triplet, while TensorFlow Addons then takes the farthest negative.

    Examples
    --------
    >>> import numpy as np
    >>> x, labels = np.array([[0.0], [1.0], [1.5], [3.0]]), ["cat", "cat", "dog", "dog"]
    >>> anchor, positive, negative = mine(x, labels, "semihard", margin=2.0)
    >>> anchor, positive, negative
    (array([0, 3]), array([1, 2]), array([2, 1]))
    >>> mine(x, labels, "batch_hard").negative
    array([2, 2, 1, 1])
    """
    check_strategy(strategy, margin, every)
    x, classes = read_batch(encodings, labels)
    check_comparable(classes)
    rng = np.random.default_rng(random_state)
    if strategy == "distance_weighted":
        return _named(distance_weighted(x, classes, rng))
    distances = None if strategy == "random" else pairwise_distances(x, metric=metric)
    return _named(choose(x, classes, distances, strategy, margin, every, rng))


def check_strategy(strategy: str, margin: float, every: bool) -> None:
    if strategy not in STRATEGIES:
        raise OptionError(f"strategy is {strategy!r}; it must be one of {', '.join(map(repr, STRATEGIES))}")
    if not (isinstance(margin, (int, float, np.number)) and math.isfinite(margin)):
        raise OptionError(f"margin is {margin!r}; it must be a number")
    if every and strategy not in (*KINDS, "all"):
        raise OptionError(f"every=True goes with 'easy', 'semihard', 'hard' and 'all'; the strategy is {strategy!r}")


def band(kind: str, margin: float) -> tuple[float, float]:
    """The gaps of a kind: low < gap <= high."""
    low = {"all": -math.inf, "easy": margin, "semihard": 0.0, "hard": -math.inf}[kind]
    return low, {"all": math.inf, "easy": math.inf, "semihard": margin, "hard": 0.0}[kind]


def choose(
    x: Array,
    classes: Array,
    distances: Array | None,
    strategy: str,
    margin: float,
    every: bool,
    rng: np.random.Generator,
) -> Indices:
    """Triplets (m, 3) of encodings, their classes and distances, all checked before."""
    if strategy == "random":
        return _with_negatives(positive_pairs(classes), classes, rng)
    if strategy == "distance_weighted":
        return distance_weighted(x, classes, rng)
    assert distances is not None
    if strategy == "batch_hard":
        return _batch_hard(distances, classes)
    low, high = band(strategy, margin)
    if strategy == "all" or every:
        room = np.empty((_mining.every_in_band(distances, classes, low, high, np.empty((0, 3), np.int64)), 3), np.int64)
        _mining.every_in_band(distances, classes, low, high, room)
        return room
    counts = np.bincount(classes)
    triplets = np.empty((int((counts * (counts - 1)).sum()), 3), np.int64)
    return triplets[: _mining.nearest_in_band(distances, classes, low, high, triplets)]


def positive_pairs(classes: Array) -> Indices:
    """Rows (anchor, positive) of one class, in both directions, ordered."""
    same = classes[:, np.newaxis] == classes
    np.fill_diagonal(same, False)
    return np.argwhere(same).astype(np.int64, copy=False)


def distance_weighted(x: Array, classes: Array, rng: np.random.Generator) -> Indices:
    """A negative for every pair with probability 1 / q(d): q is how often two points of a sphere are at distance d."""
    depth = x.shape[1]
    halved = pairwise_distances(x, metric="cosine").astype(np.float64) / 2  # = d^2 / 4 for directions
    square = np.clip(4 * halved, _CUTOFF**2, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        log = -0.5 * (depth - 2) * np.log(square) - 0.5 * (depth - 3) * np.log1p(-square / 4)
    allowed = (classes[:, np.newaxis] != classes) & (square < _FARTHEST**2)
    log = np.where(allowed, log, -np.inf)
    most = log.max(axis=1, keepdims=True)
    weights = np.exp(log - np.where(np.isfinite(most), most, 0))
    pairs = positive_pairs(classes)
    drawn = np.empty(len(pairs), np.int64)
    _mining.draw(weights, np.ascontiguousarray(pairs[:, 0]), rng.random(len(pairs)), drawn)
    triplets = np.column_stack([pairs, drawn])
    return np.ascontiguousarray(triplets[drawn >= 0])


def _with_negatives(pairs: Indices, classes: Array, rng: np.random.Generator) -> Indices:
    """Each pair with a negative that any other class has given, all equally likely."""
    order = np.argsort(classes, kind="stable")
    counts = np.bincount(classes)
    own = classes[pairs[:, 0]]
    first = (np.cumsum(counts) - counts)[own]
    drawn = rng.integers(0, len(classes) - counts[own])
    negative = order[np.where(drawn < first, drawn, drawn + counts[own])]
    return np.column_stack([pairs, negative]).astype(np.int64, copy=False)


def _batch_hard(distances: Array, classes: Array) -> Indices:
    positives, negatives = np.empty(len(classes), np.int64), np.empty(len(classes), np.int64)
    _mining.hardest(distances, classes, positives, negatives)
    triplets = np.column_stack([np.arange(len(classes)), positives, negatives])
    return np.ascontiguousarray(triplets[positives >= 0], np.int64)


def _named(triplets: Indices) -> Triplets:
    anchor, positive, negative = np.ascontiguousarray(triplets.T)
    return Triplets(anchor, positive, negative)
