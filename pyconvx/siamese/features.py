"""What a pair of encodings looks like to a logistic unit: one number an entry, the same for (i, j) and (j, i)."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import OptionError, ShapeError
from pyconvx.functional._arrays import as_float

Array = NDArray[Any]
Kind = Literal["absolute", "chi2"]
KINDS = ("absolute", "chi2")


def pair_features(f_i: ArrayLike, f_j: ArrayLike, kind: Kind = "absolute") -> Array:
    """Return |f_i - f_j|, or (f_i - f_j)^2 / (|f_i| + |f_j|), entry by entry.

    Parameters
    ----------
    f_i, f_j : array_like, (..., depth)
        Encodings; shapes as NumPy broadcasts them, so one may be compared with many. float32 or float64.
    kind : {"absolute", "chi2"}
        Which of the two.

    Returns
    -------
    ndarray, (..., depth)

    Raises
    ------
    ShapeError, DTypeError, OptionError
        If shapes do not fit, types differ or are not floating point, or the kind is unknown.

    Notes
    -----
    Source: the lecture on convolutional networks' special applications, "face verification and binary classification".
    Deviation: the chi-square form there has f_i + f_j below, for encodings that are not negative; with magnitudes it
    holds for all. 0 / 0 counts as 0. The sum over the entries is the metric "manhattan" or "chi2" of
    `pairwise_distances`.

    Examples
    --------
    >>> import numpy as np
    >>> pair_features(np.array([1.0, -2.0, 0.0]), np.array([3.0, -2.0, 0.0]))
    array([2., 0., 0.])
    >>> pair_features(np.array([1.0, -2.0, 0.0]), np.array([3.0, -2.0, 0.0]), "chi2")
    array([1., 0., 0.])
    """
    check_kind(kind)
    first = as_float("f_i", f_i)
    second = as_float("f_j", f_j, first)
    try:
        difference: Array = np.abs(first - second)
    except ValueError:
        raise ShapeError(f"f_i has shape {first.shape}, f_j {second.shape}; they cannot be paired") from None
    if kind == "absolute":
        return difference
    total = np.abs(first) + np.abs(second)
    # As a product of d and d / total, which is at most 1: the square alone would overflow or vanish.
    ratio = np.divide(difference, total, out=np.zeros_like(difference), where=total > 0)
    difference *= ratio
    return difference


def pair_features_grad(f_i: ArrayLike, f_j: ArrayLike, dfeatures: ArrayLike, kind: Kind = "absolute") -> Array:
    """Return the gradient with respect to f_i of what has the gradient `dfeatures` with respect to the features.

    That with respect to f_j is the same with f_i and f_j exchanged. Where f_i = f_j (and, for "chi2", where f_i = 0),
    |.| has no derivative; it counts as 0. The three arrays have one shape.

    Examples
    --------
    >>> import numpy as np
    >>> pair_features_grad(np.array([1.0, 5.0]), np.array([3.0, 5.0]), np.array([1.0, 1.0]))
    array([-1.,  0.])
    """
    check_kind(kind)
    first = as_float("f_i", f_i)
    second, slope = as_float("f_j", f_j, first), as_float("dfeatures", dfeatures, first)
    if not first.shape == second.shape == slope.shape:
        raise ShapeError(f"f_i, f_j and dfeatures have shapes {first.shape}, {second.shape} and {slope.shape}")
    difference: Array = first - second
    if kind == "absolute":
        sign: Array = np.sign(difference)
        return sign * slope
    total = np.abs(first) + np.abs(second)
    ratio = np.divide(difference, total, out=np.zeros_like(difference), where=total > 0)
    result: Array = slope * ratio * (2 - ratio * np.sign(first))
    return result


def check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise OptionError(f"features are {kind!r}; they must be 'absolute' or 'chi2'")
