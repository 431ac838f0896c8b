"""Sorting unknown faces by person: Chinese whispers on the graph of faces that are near each other.

Every face begins as a cluster of its own. One after the other, in random order, takes the cluster that most of its
neighbours are in, until nobody changes (C. Biemann, "Chinese Whispers", 2006). The number of people need not be known.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import OptionError, ShapeError
from pyconvx.functional import pairwise_distances

THRESHOLD = 0.5
"""Distance up to which two faces are neighbours: stricter than for one pair, since one wrong edge joins two people."""

_DISTANCES_AT_ONCE = 1 << 24  # 64 MiB of float32


def cluster(
    encodings: ArrayLike, threshold: float = THRESHOLD, *, seed: int = 0, max_sweeps: int = 100
) -> NDArray[np.int64]:
    """Say which encodings are of one person, without knowing who.

    Parameters
    ----------
    encodings : array, (n, depth)
        float32 or float64, as `faces.encode` makes them.
    threshold : float
        Two encodings are neighbours where their Euclidean distance is at most this.
    seed : int
        Of the order in which faces choose; the same seed gives the same clusters. It matters only where people cannot
        be told apart clearly.
    max_sweeps : int
        How often each chooses at most; a few times are enough as a rule.

    Returns
    -------
    int array, (n,)
        Cluster of each encoding, numbered from 0 in the order of their first members.

    Raises
    ------
    ShapeError, DTypeError
        If the encodings are no rows of numbers.
    OptionError
        If an option has a wrong value.

    Notes
    -----
    As dlib's `chinese_whispers_clustering`, with two deviations: a pair at exactly the threshold counts as near, and
    faces choose in shuffled turns until none changes, where dlib draws 100 n of them. On people who can be told apart
    the clusters are the same.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import faces
    >>> faces.cluster(np.array([[0.0, 0.0], [5.0, 5.0], [0.1, 0.0], [5.0, 5.2]]))
    array([0, 1, 0, 1])
    """
    rows = np.asarray(encodings)
    if rows.ndim != 2:
        raise ShapeError(f"encodings have shape {rows.shape}; wanted (n, depth)")
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float, np.number)) or not threshold >= 0:
        raise OptionError(f"threshold is {threshold!r}; wanted a distance from 0")
    for name, value, least in (("seed", seed, 0), ("max_sweeps", max_sweeps, 1)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise OptionError(f"{name} is {value!r}; wanted a whole number from {least}")
    if not len(rows):
        return np.empty(0, np.int64)
    starts, neighbours = _graph(rows, float(threshold))
    labels = _whispered(starts, neighbours, np.random.default_rng(seed), max_sweeps)
    return _numbered(labels)


def _graph(rows: NDArray[np.floating], threshold: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Who is near whom: the neighbours of i are neighbours[starts[i] : starts[i + 1]], i itself among them."""
    counts, neighbours = [], []
    for near in _near(rows, threshold):
        counts.append(near.sum(axis=1))
        neighbours.append(np.nonzero(near)[1])
    return np.concatenate([[0], np.cumsum(np.concatenate(counts))]), np.concatenate(neighbours)


def _near(rows: NDArray[np.floating], threshold: float) -> Iterator[NDArray[np.bool_]]:
    step = max(1, _DISTANCES_AT_ONCE // len(rows))
    for start in range(0, len(rows), step):
        yield pairwise_distances(rows[start : start + step], rows, metric="euclidean") <= threshold


def _whispered(
    starts: NDArray[np.int64], neighbours: NDArray[np.int64], rng: np.random.Generator, max_sweeps: int
) -> NDArray[np.int64]:
    """The label of each node when nobody changes any more."""
    labels = np.arange(len(starts) - 1)
    for _ in range(max_sweeps):
        changed = False
        for node in rng.permutation(len(labels)):
            heard = labels[neighbours[starts[node] : starts[node + 1]]]
            if len(heard) < 2:
                continue
            voices, counts = np.unique(heard, return_counts=True)
            best = voices[counts.argmax()]  # of equally many, the lowest label
            changed |= bool(best != labels[node])
            labels[node] = best
        if not changed:
            break
    return labels


def _numbered(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The same clusters, numbered in the order of their first members."""
    _, firsts, places = np.unique(labels, return_index=True, return_inverse=True)
    order = np.empty(len(firsts), np.int64)
    order[np.argsort(firsts)] = np.arange(len(firsts))
    return order[places.reshape(-1)]
