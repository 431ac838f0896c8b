"""What a given threshold does, and which threshold is best where nothing is known of its use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pyconvx.metrics._checked import Distances, count_within, split


@dataclass(frozen=True)
class Rates:
    """What one threshold does to a set of pairs.

    Parameters
    ----------
    threshold : float
        Pairs with d <= threshold are accepted.
    far, tar : float
        Rates of accepted impostor and genuine pairs.
    false_accepts, impostor : int
        Accepted impostor pairs, and all.
    true_accepts, genuine : int
        Accepted genuine pairs, and all.
    """

    threshold: float
    far: float
    tar: float
    false_accepts: int
    impostor: int
    true_accepts: int
    genuine: int

    @property
    def frr(self) -> float:
        """Rate of rejected genuine pairs."""
        return 1 - self.tar

    @property
    def balanced_accuracy(self) -> float:
        """Mean of the accuracies on genuine and on impostor pairs."""
        return (self.tar + 1 - self.far) / 2

    @property
    def accuracy(self) -> float:
        """Share of pairs that are decided rightly."""
        right = self.true_accepts + self.impostor - self.false_accepts
        return right / (self.genuine + self.impostor)


class BestThreshold(NamedTuple):
    """The threshold with the highest accuracy, and that accuracy."""

    threshold: float
    accuracy: float


def rates(distances: ArrayLike, same: ArrayLike, threshold: float) -> Rates:
    """Count what a threshold accepts.

    Parameters
    ----------
    distances, same : array, (pairs,)
        Small means the same; which pairs are genuine.
    threshold : float
        Pairs with d <= threshold are accepted.

    Returns
    -------
    Rates

    Raises
    ------
    ShapeError, DTypeError, OptionError
        If there are no genuine or no impostor pairs, or a distance is NaN.

    Examples
    --------
    >>> from pyconvx import metrics
    >>> found = metrics.rates([0.2, 0.6, 0.5, 0.9], [True, True, False, False], threshold=0.6)
    >>> found.tar, found.far, found.accuracy
    (1.0, 0.5, 0.75)
    """
    return rates_of(*split(distances, same), threshold)


def rates_of(genuine: Distances, impostor: Distances, threshold: float) -> Rates:
    """`rates` of sorted distances."""
    true_accepts, false_accepts = (int(count_within(ordered, threshold)) for ordered in (genuine, impostor))
    return Rates(
        threshold=float(threshold),
        far=false_accepts / len(impostor),
        tar=true_accepts / len(genuine),
        false_accepts=false_accepts,
        impostor=len(impostor),
        true_accepts=true_accepts,
        genuine=len(genuine),
    )


def balanced_accuracy(distances: ArrayLike, same: ArrayLike, threshold: float) -> float:
    """(TAR + 1 - FAR) / 2 at a threshold: the accuracy if both kinds of pairs were equally frequent.

    Parameters
    ----------
    distances, same : array, (pairs,)
        As `rates` takes them.
    threshold : float
        Pairs with d <= threshold are accepted.

    Returns
    -------
    float

    Raises
    ------
    ShapeError, DTypeError, OptionError
        As `rates`.

    Examples
    --------
    >>> from pyconvx import metrics
    >>> metrics.balanced_accuracy([0.2, 0.6, 0.5, 0.9], [True, True, False, False], threshold=0.55)
    0.5
    """
    return rates(distances, same, threshold).balanced_accuracy


def best_threshold(distances: ArrayLike, same: ArrayLike, *, balanced: bool = True) -> BestThreshold:
    """The threshold of the highest accuracy on these pairs; on others it will do a little worse.

    Among equally good ones the lowest; it lies in the middle between the last distance that it accepts and the first
    that it does not.

    Parameters
    ----------
    distances, same : array, (pairs,)
        As `rates` takes them.
    balanced : bool
        Whether genuine and impostor pairs count as if they were equally frequent.

    Returns
    -------
    BestThreshold

    Raises
    ------
    ShapeError, DTypeError, OptionError
        As `rates`.

    Examples
    --------
    >>> from pyconvx import metrics
    >>> metrics.best_threshold([0.25, 0.5, 0.75, 1.0], [True, True, False, False])
    BestThreshold(threshold=0.625, accuracy=1.0)
    """
    genuine, impostor = split(distances, same)
    levels = np.unique(np.concatenate([genuine, impostor]))
    true_accepts, false_accepts = count_within(genuine, levels), count_within(impostor, levels)
    if balanced:
        found = (true_accepts / len(genuine) + 1 - false_accepts / len(impostor)) / 2
    else:
        found = (true_accepts + len(impostor) - false_accepts) / (len(genuine) + len(impostor))
    best = int(np.argmax(found))
    nothing = 0.5 if balanced else len(impostor) / (len(genuine) + len(impostor))
    if nothing > found[best]:
        return BestThreshold(float(np.nextafter(levels[0], -np.inf)), nothing)
    last = levels[best]
    threshold = last if best + 1 == len(levels) else last + (levels[best + 1] - last) / 2
    return BestThreshold(float(threshold), float(found[best]))
