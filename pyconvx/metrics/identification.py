"""Recognition, one of many: rank-k, the cumulative match curve, and the open set, in which a probe may be nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import DTypeError, OptionError, ShapeError
from pyconvx.metrics.operating import check_support

People = Sequence[Any] | ArrayLike


@dataclass(frozen=True)
class OpenSet:
    """Open-set identification at one threshold.

    Parameters
    ----------
    threshold : float
        Somebody is named where d <= threshold.
    identification_rate : float
        Probes of enrolled people who are named rightly, at rank `rank` or better, over all such probes.
    false_identification_rate : float
        Probes of strangers who are named as somebody, over all such probes.
    identified, enrolled : int
        The numbers of the former rate.
    false_identifications, strangers : int
        The numbers of the latter.
    rank : int
        At which rank the right person counts as found.
    """

    threshold: float
    identification_rate: float
    false_identification_rate: float
    identified: int
    enrolled: int
    false_identifications: int
    strangers: int
    rank: int


def cmc(distances: ArrayLike, probes: People, gallery: People) -> NDArray[np.float64]:
    """Cumulative match curve: how often the right person is among the k nearest, for k from 1.

    People are ranked by their nearest entry. Somebody else at the same distance counts as nearer.

    Parameters
    ----------
    distances : array, (probes, entries)
        inf for what shall not be compared, such as a picture with itself.
    probes : sequence, (probes,)
        Whose each probe is; all must be in the gallery.
    gallery : sequence, (entries,)
        Whose each entry is.

    Returns
    -------
    float array, (people in the gallery,)
        Entry k - 1 is the rate at rank k.

    Raises
    ------
    ShapeError, DTypeError, OptionError
        If shapes differ, a distance is NaN, or a probe's person is not in the gallery.

    Examples
    --------
    >>> from pyconvx import metrics
    >>> metrics.cmc([[0.1, 0.5, 0.9], [0.3, 0.4, 0.8]], ["ann", "bob"], ["ann", "bob", "cid"])
    array([0.5, 1. , 1. ])
    """
    nearest, own = _by_person(distances, probes, gallery)
    if (own < 0).any():
        raise OptionError(f"{int((own < 0).sum())} probes are of people who are not in the gallery; see open_set")
    ranks = _ranks(nearest, own)
    return np.cumsum(np.bincount(ranks, minlength=nearest.shape[1] + 1)[1:][: nearest.shape[1]]) / len(ranks)


def rank_k(distances: ArrayLike, probes: People, gallery: People, k: int = 1) -> float:
    """How often the right person is among the k nearest.

    Parameters
    ----------
    distances, probes, gallery
        As `cmc` takes them.
    k : int
        From 1 to the number of people.

    Returns
    -------
    float

    Raises
    ------
    ShapeError, DTypeError, OptionError
        As `cmc`, or if there are fewer than k people.

    Examples
    --------
    >>> from pyconvx import metrics
    >>> metrics.rank_k([[0.1, 0.5], [0.3, 0.4]], ["ann", "bob"], ["ann", "bob"])
    0.5
    """
    curve = cmc(distances, probes, gallery)
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= len(curve):
        raise OptionError(f"k is {k!r}; wanted a whole number from 1 to the {len(curve)} people of the gallery")
    return float(curve[k - 1])


def open_set(
    distances: ArrayLike,
    probes: People,
    gallery: People,
    *,
    threshold: float | None = None,
    far: float | None = None,
    rank: int = 1,
) -> OpenSet:
    """Open-set identification: naming the enrolled and nobody else.

    Parameters
    ----------
    distances : array, (probes, entries)
        inf for what shall not be compared.
    probes : sequence, (probes,)
        Whose each probe is; those who are not in the gallery are strangers. Both kinds must be there.
    gallery : sequence, (entries,)
        Whose each entry is.
    threshold : float, optional
        Somebody is named where d <= threshold. Either this or `far` is given.
    far : float, optional
        The false identification rate wanted, at most; the threshold is the largest that keeps it.
    rank : int
        At which rank the right person counts as found.

    Returns
    -------
    OpenSet

    Raises
    ------
    ShapeError, DTypeError, OptionError
        As `cmc`, or if there are no strangers or only strangers, or too few to support `far`.

    Examples
    --------
    >>> from pyconvx import metrics
    >>> distances = [[0.1, 0.5], [0.6, 0.4], [0.7, 0.8]]
    >>> found = metrics.open_set(distances, ["ann", "bob", "zoe"], ["ann", "bob"], threshold=0.5)
    >>> found.identification_rate, found.false_identification_rate
    (1.0, 0.0)
    """
    if (threshold is None) == (far is None):
        raise OptionError("give either threshold or far")
    nearest, own = _by_person(distances, probes, gallery)
    known = own >= 0
    if known.all() or not known.any():
        raise OptionError(
            f"{int(known.sum())} probes are of people in the gallery and {int((~known).sum())} of strangers; "
            "wanted some of both"
        )
    first = nearest.min(axis=1)
    if threshold is None:
        threshold = _threshold(np.sort(first[~known]), far or 0.0)
    right = nearest[known, own[known]] <= threshold
    right &= _ranks(nearest[known], own[known]) <= rank
    false = first[~known] <= threshold
    return OpenSet(
        threshold=float(threshold),
        identification_rate=float(right.mean()),
        false_identification_rate=float(false.mean()),
        identified=int(right.sum()),
        enrolled=int(known.sum()),
        false_identifications=int(false.sum()),
        strangers=int((~known).sum()),
        rank=rank,
    )


def _threshold(strangers: NDArray[np.float64], far: float) -> float:
    """The largest threshold that names so few strangers: just below the first one who must stay out."""
    check_support(len(strangers), far)
    return float(np.nextafter(strangers[int(far * len(strangers) * (1 + 1e-9))], -np.inf))


def _by_person(distances: ArrayLike, probes: People, gallery: People) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distance of every probe from every person's nearest entry, and which of these people it is: -1 for a stranger."""
    table = np.asarray(distances)
    who, owners = np.asarray(probes), np.asarray(gallery)
    if table.dtype.kind not in "fiu":
        raise DTypeError(f"distances are {table.dtype}; wanted numbers")
    if table.ndim != 2 or not table.size or who.shape != table.shape[:1] or owners.shape != table.shape[1:]:
        raise ShapeError(
            f"distances, probes and gallery have shapes {table.shape}, {who.shape} and {owners.shape}; "
            "wanted (probes, entries), (probes,) and (entries,), not empty"
        )
    values = table.astype(np.float64)
    if np.isnan(values).any():
        raise OptionError("distances: one is NaN; inf is what shall not be compared")
    people, numbers = np.unique(owners, return_inverse=True)
    order = np.argsort(numbers.reshape(-1), kind="stable")
    starts = np.searchsorted(numbers.reshape(-1)[order], np.arange(len(people)))
    nearest = np.minimum.reduceat(values[:, order], starts, axis=1)
    place = np.minimum(np.searchsorted(people, who), len(people) - 1)
    return nearest, np.where(people[place] == who, place, -1)


def _ranks(nearest: NDArray[np.float64], own: NDArray[np.int64]) -> NDArray[np.int64]:
    """The rank of each probe's own person from 1; past the last where they were not compared."""
    distance = nearest[np.arange(len(own)), own]
    ranks: NDArray[np.int64] = (nearest <= distance[:, None]).sum(axis=1)
    ranks[np.isinf(distance)] = nearest.shape[1] + 1
    return ranks
