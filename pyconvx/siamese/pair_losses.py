"""Losses over all pairs of a batch, for training an encoder end to end.

The pairs of one class and those of two have a mean each, and the loss is the mean of the two, for there are many more
of the latter. `value, pullback = loss.vjp(encodings, labels)`, `dencodings, grads = pullback()`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from pyconvx.errors import OptionError
from pyconvx.functional import pairwise_distances
from pyconvx.nn import Parameter
from pyconvx.siamese.features import Array, Kind, check_kind, pair_features, pair_features_grad
from pyconvx.siamese.logistic import sigmoid

Gradients = dict[str, Array]
Pullback = Callable[..., tuple[Array, Gradients]]

_BLOCK = 1 << 19  # entries of pair features at once
# The sum of the features of two directions that have nothing to do with each other, by the square root of their depth.
_APART = {"absolute": 1.128, "chi2": 1.001}


class LogisticPairLoss:
    """The logistic loss of y = sigmoid(sum over k of w_k x_k + b), x the features of a pair, y whether it is the same.

    Parameters
    ----------
    depth : int
        Entries of an encoding.
    features : {"absolute", "chi2"}
        As `pyconvx.siamese.pair_features` has them.
    dtype : float32 or float64
        Of w and b, and of the encodings.

    Notes
    -----
    w begins with -1 everywhere and b so that pairs of directions half as far apart as unrelated ones are undecided.
    """

    def __init__(self, depth: int, features: Kind = "absolute", dtype: DTypeLike = np.float32) -> None:
        check_kind(features)
        self.features = features
        self.weight = Parameter(np.full(depth, -1.0), dtype)
        self.bias = Parameter(np.array([_APART[features] * math.sqrt(depth) / 2]), dtype)

    def named_parameters(self) -> dict[str, Parameter]:
        """w and b."""
        return {"weight": self.weight, "bias": self.bias}

    def vjp(self, encodings: Array, labels: Array) -> tuple[float, Pullback]:
        """Return the loss, and its pullback."""
        wide, classes = encodings.astype(np.float64), np.asarray(labels)
        w, b = self.weight.value.astype(np.float64), float(self.bias.value[0])
        value, slope_b, slope_w = 0.0, 0.0, np.zeros_like(w)
        slopes = np.zeros_like(wide)
        step = max(1, _BLOCK // max(1, wide.size))
        for start in range(0, len(wide), step):
            rows = slice(start, start + step)
            same = classes[rows, np.newaxis] == classes
            shares = _shares(classes, rows)
            features = pair_features(wide[rows, np.newaxis], wide, self.features)
            z = features @ w + b
            value += float(np.vdot(shares, np.logaddexp(0, np.where(same, -z, z))))
            slope = shares * (sigmoid(z) - same)
            slope_b += float(slope.sum())
            slope_w += np.tensordot(slope, features, 2)
            first, second = np.broadcast_arrays(wide[rows, np.newaxis], wide)
            # A pair comes in both orders, and so does its share: the first of each has the whole of its slope.
            slopes[rows] = 2 * pair_features_grad(first, second, slope[..., np.newaxis] * w, self.features).sum(axis=1)

        def pullback(dvalue: float = 1.0) -> tuple[Array, Gradients]:
            given = {"weight": dvalue * slope_w, "bias": np.array([dvalue * slope_b])}
            dtype: Any = encodings.dtype
            return (dvalue * slopes).astype(dtype), {name: array.astype(dtype) for name, array in given.items()}

        return value, pullback

    def probabilities(self, first: Array, second: Array) -> Array:
        """y of pairs, from rows of encodings."""
        features = pair_features(first.astype(np.float64), second.astype(np.float64), self.features)
        return sigmoid(features @ self.weight.value.astype(np.float64) + float(self.bias.value[0]))


class ContrastivePairLoss:
    """d^2 / 2 of pairs of one class, max(margin - d, 0)^2 / 2 of others; d is the Euclidean distance.

    Parameters
    ----------
    margin : float
        From which distance on a pair of two classes costs nothing; encodings of length 1 are at most 2 apart.

    References
    ----------
    Hadsell, Chopra and LeCun, Dimensionality Reduction by Learning an Invariant Mapping, 2006, equation 4.
    """

    def __init__(self, margin: float = 1.0) -> None:
        if not (isinstance(margin, (int, float)) and 0 < margin < math.inf):
            raise OptionError(f"margin is {margin!r}; it must be a number above 0")
        self.margin = float(margin)

    def named_parameters(self) -> dict[str, Parameter]:
        """Nothing."""
        return {}

    def vjp(self, encodings: Array, labels: Array) -> tuple[float, Pullback]:
        """Return the loss, and its pullback. A distance of 0 between two classes has no derivative; it counts as 0."""
        classes = np.asarray(labels)
        same = classes[:, np.newaxis] == classes
        shares = _shares(classes, slice(0, len(classes)))
        d = pairwise_distances(encodings, metric="euclidean").astype(np.float64)
        short = np.maximum(self.margin - d, 0)
        value = float(np.vdot(shares, np.where(same, d, short) ** 2 / 2))
        # The slope on d, divided by d: what the difference of two rows is multiplied with.
        apart = np.divide(-short, d, out=np.zeros_like(d), where=d > 0)
        pulls = 2 * shares * np.where(same, 1.0, apart)
        points = encodings.astype(np.float64)
        points -= points.mean(axis=0)
        slopes = pulls.sum(axis=1, keepdims=True) * points - pulls @ points

        def pullback(dvalue: float = 1.0) -> tuple[Array, Gradients]:
            return (dvalue * slopes).astype(encodings.dtype), {}

        return value, pullback


def _shares(classes: Array, rows: slice) -> Array:
    """What each ordered pair (i, j) counts in the loss: all pairs of one class 1/2 together, all of two classes too."""
    same = classes[rows, np.newaxis] == classes
    total = len(classes)
    alike = int(sum(count * (count - 1) for count in np.unique(classes, return_counts=True)[1]))
    unlike = total * (total - 1) - alike
    shares = np.where(same, 0.5 / max(alike, 1), 0.5 / max(unlike, 1))
    shares[np.arange(len(same)), np.arange(total)[rows]] = 0
    return shares
