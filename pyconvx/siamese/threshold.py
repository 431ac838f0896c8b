"""Verification by a threshold: the same, if the distance is at most tau."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pyconvx.errors import OptionError
from pyconvx.siamese._estimator import Array, Estimator


class ThresholdVerifier(Estimator):
    """The same, if d <= tau, where d is the sum of a pair's features: a scikit-learn classifier of two classes.

    Parameters
    ----------
    far : float or None
        The false-accept rate that the training pairs may have: tau is as large as it allows. None: the tau with the
        fewest errors.

    Attributes
    ----------
    classes_ : ndarray, (2,)
        The classes, sorted; the second one (1, or True) is "the same".
    threshold_ : float
        tau, halfway between the distances of two training pairs, or the largest where all are the same.

    Notes
    -----
    Source: the lecture on convolutional networks' special applications, "face verification" (d <= tau). `X` may have
    one column, the distance itself, or the columns of `pair_features`, whose sum is the Manhattan or chi-square
    distance.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[0.1], [0.3], [0.4], [0.9], [1.1]])
    >>> verifier = ThresholdVerifier().fit(x, [1, 1, 1, 0, 0])
    >>> round(verifier.threshold_, 3)
    0.65
    >>> verifier.predict([[0.5], [0.8]])
    array([1, 0])
    """

    _binary = True
    _poor_score = True  # features of any sign have no sum that means something

    def __init__(self, far: float | None = None) -> None:
        self.far = far

    def fit(self, X: ArrayLike, y: ArrayLike) -> ThresholdVerifier:
        """Choose tau for pairs with features `X`, (pairs, features), and classes `y`, (pairs,)."""
        rows, numbers = self._read_training(X, y)
        d = rows.sum(axis=1, dtype=np.float64)
        order = np.argsort(d, kind="stable")
        sorted_d, same = d[order], numbers[order] == 1
        # Accepted are the first m pairs, for every m between pairs at different distances.
        cuts = np.concatenate([[0], np.flatnonzero(np.diff(sorted_d)) + 1, [len(d)]])
        accepted = np.concatenate([[0], np.cumsum(~same)])[cuts]
        rejected = int(same.sum()) - np.concatenate([[0], np.cumsum(same)])[cuts]
        if self.far is None:
            best = int(np.argmin(accepted + rejected))
        else:
            best = self._last_allowed(accepted, int((~same).sum()))
        edges = np.concatenate([[-np.inf], sorted_d, [np.inf]])
        below, above = edges[cuts[best]], edges[cuts[best] + 1]
        middle = below / 2 + above / 2
        self.threshold_ = float(
            middle if np.isfinite(middle) else below if np.isfinite(below) else np.nextafter(above, below)
        )
        return self

    def _last_allowed(self, accepted: Array, impostors: int) -> int:
        far = self.far
        if far is None or not 0 <= far < 1:
            raise OptionError(f"far is {far!r}; it must be from 0 to below 1, or None")
        if 0 < far < 1 / impostors:
            raise OptionError(
                f"far is {far!r}, but {impostors} impostor pairs can tell no rate below {1 / impostors:.3g}: give more"
            )
        return int(np.flatnonzero(accepted <= far * impostors)[-1])

    def decision_function(self, X: ArrayLike) -> Array:
        """Return tau - d, (pairs,): 0 or above is "the same"."""
        rows = self._read(X)
        result: Array = self.threshold_ - rows.sum(axis=1, dtype=np.float64)
        return result

    def predict(self, X: ArrayLike) -> Array:
        """Return the class of each pair."""
        same = self.decision_function(X) >= 0
        result: Array = self.classes_[same.astype(np.intp)]
        return result
