"""The logistic unit on pair features: y = sigmoid(sum over k of w_k x_k + b), fitted by L-BFGS."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

from pyconvx.errors import OptionError
from pyconvx.nn import LBFGS, BCEWithLogitsLoss
from pyconvx.siamese._estimator import Array, Estimator


class PairClassifier(Estimator):
    """y = sigmoid(sum over k of w_k x_k + b) on features x of pairs: a scikit-learn classifier of two classes.

    Parameters
    ----------
    C : float
        The smaller, the smaller the weights: minimised is C * (sum of the logistic losses) + |w s|^2 / 2, where s_k is
        the standard deviation of feature k, so that the features' units do not matter.
    max_iter : int
        The most iterations of L-BFGS.
    tol : float
        Converged when no entry of the gradient (of the mean loss) is larger.

    Attributes
    ----------
    classes_ : ndarray, (2,)
        The classes, sorted; the second one (1, or True) is "the same".
    coef_ : ndarray, (1, features)
        The w_k.
    intercept_ : ndarray, (1,)
        b.
    n_iter_ : int
        Iterations that were made.

    Notes
    -----
    Source: the lecture on convolutional networks' special applications, "face verification and binary classification".
    Deviation: the weights are penalised; the lecture does not say how they are found.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[0.0], [1.0], [2.0], [3.0]])  # distances of pairs
    >>> head = PairClassifier().fit(x, [1, 1, 0, 0])
    >>> head.predict([[0.5], [2.5]])
    array([1, 0])
    """

    _binary = True

    def __init__(self, C: float = 1.0, max_iter: int = 200, tol: float = 1e-6) -> None:
        self.C = C
        self.max_iter = max_iter
        self.tol = tol

    def fit(self, X: ArrayLike, y: ArrayLike) -> PairClassifier:
        """Find the weights for features `X`, (pairs, features), and classes `y`, (pairs,)."""
        if not self.C > 0:
            raise OptionError(f"C is {self.C!r}; it must be above 0")
        if not self.max_iter >= 1:
            raise OptionError(f"max_iter is {self.max_iter!r}; it must be 1 or more")
        rows, numbers = self._read_training(X, y)
        features = rows.astype(np.float64)
        mean, scale = features.mean(axis=0), features.std(axis=0)
        scale[scale == 0] = 1  # a feature that is always the same tells nothing; its weight becomes 0
        features -= mean
        features /= scale
        loss = BCEWithLogitsLoss()
        penalty = 1 / (self.C * len(features))

        def closure(at: Array) -> tuple[float, Array]:
            w, b = at[:-1], at[-1]
            value, pullback = loss.vjp(features @ w + b, numbers)
            slope, _ = pullback()
            gradient = np.append(features.T @ slope + penalty * w, slope.sum())
            return value + 0.5 * penalty * float(np.vdot(w, w)), gradient

        search = LBFGS(np.zeros(features.shape[1] + 1), tolerance_grad=self.tol)
        for _ in range(self.max_iter):
            search.step(closure)
            if search.converged:
                break
        else:
            warnings.warn(
                f"the weights had not converged after {self.max_iter} iterations; raise max_iter, or lower C",
                RuntimeWarning,
                stacklevel=2,
            )
        w = search.x[:-1] / scale
        self.coef_ = w[np.newaxis]
        self.intercept_ = np.array([search.x[-1] - float(np.vdot(w, mean))])
        self.n_iter_ = max(search.steps, 1)
        return self

    def decision_function(self, X: ArrayLike) -> Array:
        """Return the sums before the sigmoid, (pairs,): above 0 is "the same"."""
        result: Array = self._read(X).astype(np.float64) @ self.coef_[0] + self.intercept_[0]
        return result

    def predict_proba(self, X: ArrayLike) -> Array:
        """Return the probabilities of both classes, (pairs, 2)."""
        z = self.decision_function(X)
        return np.column_stack([sigmoid(-z), sigmoid(z)])

    def predict(self, X: ArrayLike) -> Array:
        """Return the likelier class of each pair."""
        same = self.decision_function(X) > 0
        result: Array = self.classes_[same.astype(np.intp)]
        return result


def sigmoid(z: Array) -> Array:
    small = np.exp(-np.abs(z))
    result: Array = np.where(z >= 0, 1, small) / (1 + small)
    return result
