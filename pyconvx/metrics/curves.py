"""ROC and DET curves, the area under the former, and the equal error rate.

FAR(t) = impostor pairs with d <= t / impostor pairs;  TAR(t) the same of genuine pairs;  FRR = 1 - TAR.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.metrics._checked import count_within, split

Curve = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Roc:
    """Points of a ROC curve, from accepting nothing to accepting everything.

    Parameters
    ----------
    far, tar : float array, (points,)
        False- and true-accept rates.
    thresholds : float array, (points,)
        -inf, then every distance that occurs, rising.
    """

    far: Curve
    tar: Curve
    thresholds: Curve


@dataclass(frozen=True, eq=False)
class Det:
    """Points of a detection error trade-off curve.

    Parameters
    ----------
    far, frr : float array, (points,)
        False-accept and false-reject rates.
    thresholds : float array, (points,)
        -inf, then every distance that occurs, rising.
    """

    far: Curve
    frr: Curve
    thresholds: Curve


class EqualErrorRate(NamedTuple):
    """Where false accepts and false rejects are equally frequent."""

    rate: float
    threshold: float


def roc(distances: ArrayLike, same: ArrayLike) -> Roc:
    """Receiver operating characteristic: true- against false-accept rate at every threshold.

    Parameters
    ----------
    distances : array, (pairs,)
        Small means the same.
    same : bool array, (pairs,)
        Which pairs are genuine.

    Returns
    -------
    Roc
        The first point accepts nothing; the thresholds are the distances that occur.

    Raises
    ------
    ShapeError, DTypeError, OptionError
        If there are no genuine or no impostor pairs, or a distance is NaN.

    Examples
    --------
    >>> from pyconvx import metrics
    >>> curve = metrics.roc([0.2, 0.4, 0.5, 0.9], [True, True, False, False])
    >>> curve.tar
    array([0. , 0.5, 1. , 1. , 1. ])
    >>> curve.far
    array([0. , 0. , 0. , 0.5, 1. ])
    """
    genuine, impostor = split(distances, same)
    thresholds = np.concatenate([[-np.inf], np.unique(np.concatenate([genuine, impostor]))])
    far = count_within(impostor, thresholds) / len(impostor)
    return Roc(far, count_within(genuine, thresholds) / len(genuine), thresholds)


def det(distances: ArrayLike, same: ArrayLike) -> Det:
    """Detection error trade-off: false-reject against false-accept rate at every threshold.

    Parameters
    ----------
    distances, same : array, (pairs,)
        As `roc` takes them.

    Returns
    -------
    Det

    Raises
    ------
    ShapeError, DTypeError, OptionError
        As `roc`.

    Examples
    --------
    >>> from pyconvx import metrics
    >>> metrics.det([0.2, 0.4, 0.5, 0.9], [True, True, False, False]).frr
    array([1. , 0.5, 0. , 0. , 0. ])
    """
    curve = roc(distances, same)
    return Det(curve.far, 1 - curve.tar, curve.thresholds)


def auc(distances: ArrayLike, same: ArrayLike) -> float:
    """Area under the ROC curve: how often a genuine pair is nearer than an impostor pair; a tie counts one half.

    Parameters
    ----------
    distances, same : array, (pairs,)
        As `roc` takes them.

    Returns
    -------
    float
        1 is perfect, 0.5 is chance.

    Raises
    ------
    ShapeError, DTypeError, OptionError
        As `roc`.

    Examples
    --------
    >>> from pyconvx import metrics
    >>> metrics.auc([0.2, 0.6, 0.5, 0.9], [True, True, False, False])
    0.75
    """
    genuine, impostor = split(distances, same)
    not_farther = int(np.searchsorted(genuine, impostor, side="right").sum())
    nearer = int(np.searchsorted(genuine, impostor, side="left").sum())
    return (not_farther + nearer) / (2 * len(genuine) * len(impostor))


def eer(distances: ArrayLike, same: ArrayLike) -> EqualErrorRate:
    """Equal error rate: where as many impostor pairs are accepted as genuine ones are rejected, in proportion.

    Both rates are steps and need not meet: the threshold is the distance at which they differ least, the lowest of
    such, and the rate the mean of the two.

    Parameters
    ----------
    distances, same : array, (pairs,)
        As `roc` takes them.

    Returns
    -------
    EqualErrorRate
        `rate` and `threshold`.

    Raises
    ------
    ShapeError, DTypeError, OptionError
        As `roc`.

    Examples
    --------
    >>> from pyconvx import metrics
    >>> metrics.eer([0.2, 0.6, 0.5, 0.9], [True, True, False, False])
    EqualErrorRate(rate=0.5, threshold=0.5)
    """
    curve = det(distances, same)
    nearest = 1 + int(np.argmin(np.abs(curve.far - curve.frr)[1:]))  # the first point is no distance
    return EqualErrorRate(float(curve.far[nearest] + curve.frr[nearest]) / 2, float(curve.thresholds[nearest]))
