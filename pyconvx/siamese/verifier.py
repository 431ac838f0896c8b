"""Verification as binary classification: a logistic unit on what two encodings differ in."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pyconvx.errors import OptionError, ShapeError
from pyconvx.functional._arrays import as_float
from pyconvx.siamese._estimator import Array, Estimator, _not_fitted, read_targets
from pyconvx.siamese.features import Kind, check_kind, pair_features
from pyconvx.siamese.logistic import PairClassifier, sigmoid


class PairVerifier(Estimator):
    """y = sigmoid(sum over k of w_k |f_i - f_j|_k + b): are two encodings of the same person?

    Parameters
    ----------
    features : {"absolute", "chi2"}
        |f_i - f_j|, or (f_i - f_j)^2 / (|f_i| + |f_j|), where 0 / 0 counts as 0.
    C, max_iter, tol
        As in `PairClassifier`.

    Attributes
    ----------
    head_ : PairClassifier
        The fitted logistic unit, with its `coef_` and `intercept_`.
    known_ : dict
        Encodings of known persons by name, as `enrol` has got them.

    Notes
    -----
    Source: the lecture on convolutional networks' special applications, "face verification and binary classification",
    with its remark that the known persons' encodings are computed once and kept. The encodings come from the same
    network; here it stays as it is, only w and b are learned.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx.siamese import draw_pairs
    >>> rng = np.random.default_rng(0)
    >>> persons = rng.standard_normal((20, 8))
    >>> pictures = np.repeat(persons, 5, axis=0) + 0.3 * rng.standard_normal((100, 8))
    >>> pairs = draw_pairs(np.repeat(np.arange(20), 5), random_state=0)
    >>> verifier = PairVerifier().fit(np.stack([pictures[pairs.first], pictures[pairs.second]], axis=1), pairs.same)
    >>> verifier.enrol("ann", pictures[0])
    >>> verifier.verify(pictures[1], "ann") > 0.5, verifier.verify(pictures[50], "ann") > 0.5
    (True, False)
    """

    _binary = True

    def __init__(self, features: Kind = "absolute", C: float = 1.0, max_iter: int = 200, tol: float = 1e-6) -> None:
        self.features = features
        self.C = C
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X: ArrayLike, y: ArrayLike) -> PairVerifier:
        """Learn w and b from pairs of encodings `X`, (pairs, 2, depth), and whether they are the same, `y`."""
        check_kind(self.features)
        features = self._features(X)
        if len(np.unique(read_targets(y, len(features)))) != 2:
            raise OptionError("y must have two classes: pairs that are the same, and pairs that are not")
        self.head_ = PairClassifier(self.C, self.max_iter, self.tol).fit(features, y)
        self.classes_ = self.head_.classes_
        self.n_features_in_ = features.shape[1]
        self.known_: dict[Hashable, Array] = {}
        return self

    def _with_head(self, weight: Array, bias: Array) -> PairVerifier:
        """Take w, (depth,), and b, (1,), that were learned elsewhere; pairs are False or True, the same."""
        self.head_ = PairClassifier(self.C, self.max_iter, self.tol)
        self.head_.coef_, self.head_.intercept_ = weight[np.newaxis].astype(np.float64), bias.astype(np.float64)
        self.head_.n_iter_ = 0
        self.head_.classes_ = self.classes_ = np.array([False, True])
        self.head_.n_features_in_ = self.n_features_in_ = len(weight)
        self.known_ = {}
        return self

    def decision_function(self, X: ArrayLike) -> Array:
        """Return the sums before the sigmoid for pairs `X`, (pairs, 2, depth): above 0 is "the same"."""
        return self._head().decision_function(self._features(X))

    def predict_proba(self, X: ArrayLike) -> Array:
        """Return the probabilities that pairs are not, and are, the same: (pairs, 2)."""
        return self._head().predict_proba(self._features(X))

    def predict(self, X: ArrayLike) -> Array:
        """Return the likelier class of each pair."""
        return self._head().predict(self._features(X))

    # Known persons

    def enrol(self, name: Hashable, encodings: ArrayLike) -> None:
        """Keep encodings of a person, `(depth,)` or several `(pictures, depth)`, in the place of earlier ones."""
        self._head()
        self.known_[name] = self._encodings(encodings, "encodings").copy()

    def verify(self, encoding: ArrayLike, name: Hashable) -> float:
        """Return the probability that `encoding`, (depth,), is of this person: of the best of its encodings."""
        self._head()
        if name not in self.known_:
            raise OptionError(f"{name!r} is not known; enrol has got {len(self.known_)} persons")
        return float(self._best(self._encodings(encoding, "encoding"), [self.known_[name]])[0, 0])

    def verify_all(self, encodings: ArrayLike) -> Array:
        """Return the probability that each of `encodings`, (rows, depth), is of each person, in order of `known_`."""
        self._head()
        return self._best(self._encodings(encodings, "encodings"), list(self.known_.values()))

    def _best(self, encodings: Array, persons: list[Array]) -> Array:
        result = np.zeros((len(encodings), len(persons)))
        w, b = self.head_.coef_[0], self.head_.intercept_[0]
        for column, known in enumerate(persons):
            features = pair_features(encodings[:, np.newaxis], known.astype(encodings.dtype), self.features)
            result[:, column] = (features @ w + b).max(axis=1)
        return sigmoid(result)

    def _head(self) -> PairClassifier:
        if not hasattr(self, "head_"):
            raise _not_fitted("this PairVerifier has not been fitted; call fit first")
        return self.head_

    def _features(self, X: ArrayLike) -> Array:
        pairs: Any = as_float("X", X)
        if pairs.ndim != 3 or pairs.shape[1] != 2:
            raise ShapeError(f"X has shape {pairs.shape}; wanted (pairs, 2, depth): np.stack([f_i, f_j], axis=1)")
        return pair_features(pairs[:, 0], pairs[:, 1], self.features)

    def _encodings(self, encodings: ArrayLike, name: str) -> Array:
        rows = np.atleast_2d(as_float(name, encodings))
        if rows.ndim != 2 or not len(rows) or rows.shape[1] != self.n_features_in_:
            raise ShapeError(f"{name} has shape {np.shape(encodings)}; wanted (..., {self.n_features_in_})")
        if not np.isfinite(rows).all():
            raise ShapeError(f"{name} is not finite")
        return rows
