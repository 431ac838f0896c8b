"""Recognition by the nearest encoding: one example of a class is enough."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from pyconvx.errors import OptionError
from pyconvx.functional import nearest, pairwise_distances
from pyconvx.functional.distance import METRICS
from pyconvx.siamese._estimator import Array, Estimator


class NearestEncodingClassifier(Estimator):
    """The class of the nearest known encoding: a scikit-learn classifier.

    Parameters
    ----------
    metric : str
        As `pyconvx.nearest` has them.
    prototypes : {"all", "mean"}
        Compare with every known encoding, or with the mean of each class.

    Attributes
    ----------
    classes_ : ndarray
        The classes, sorted.
    encodings_ : ndarray, (known, depth)
        The known encodings, or the means.
    owners_ : ndarray, (known,)
        Which of `classes_` each belongs to.

    Notes
    -----
    Source: the lecture on convolutional networks' special applications, "one-shot learning". With prototypes="mean" it
    is the classifier of Snell, Swersky and Zemel, Prototypical Networks for Few-shot Learning, 2017, equation 2.

    Examples
    --------
    >>> import numpy as np
    >>> known = NearestEncodingClassifier().fit(np.array([[0.0, 1.0], [1.0, 0.0]]), ["ann", "bob"])
    >>> known.predict(np.array([[0.2, 0.7], [5.0, 1.0]])).tolist()
    ['ann', 'bob']
    """

    def __init__(self, metric: str = "sqeuclidean", prototypes: str = "all") -> None:
        self.metric = metric
        self.prototypes = prototypes

    def fit(self, X: ArrayLike, y: ArrayLike) -> NearestEncodingClassifier:
        """Remember encodings `X`, (known, depth), of classes `y`, (known,)."""
        if self.metric not in METRICS:
            raise OptionError(f"metric is {self.metric!r}; it must be one of {', '.join(map(repr, METRICS))}")
        if self.prototypes not in ("all", "mean"):
            raise OptionError(f"prototypes is {self.prototypes!r}; it must be 'all' or 'mean'")
        rows, numbers = self._read_training(X, y)
        if self.prototypes == "mean":
            sums = np.zeros((len(self.classes_), rows.shape[1]))
            np.add.at(sums, numbers, rows)
            self.encodings_ = (sums / np.bincount(numbers)[:, np.newaxis]).astype(rows.dtype)
            self.owners_ = np.arange(len(self.classes_))
        else:
            self.encodings_, self.owners_ = rows.copy(), numbers
        return self

    def predict(self, X: ArrayLike) -> Array:
        """Return the class of the nearest known encoding of each row; of equally near ones, of the first."""
        _, indices = nearest(self._rows(X), self.encodings_, metric=self.metric)
        result: Array = self.classes_[self.owners_[indices[:, 0]]]
        return result

    def distances(self, X: ArrayLike) -> Array:
        """Return the distance of each row to the nearest encoding of each class, (rows, classes)."""
        every = pairwise_distances(self._rows(X), self.encodings_, metric=self.metric)
        result = np.full((len(every), len(self.classes_)), np.inf, every.dtype)
        for place, owner in enumerate(self.owners_):
            np.minimum(result[:, owner], every[:, place], out=result[:, owner])
        return result

    def _rows(self, X: ArrayLike) -> Array:
        rows = self._read(X)  # first: nothing is known before fit
        return rows.astype(self.encodings_.dtype, copy=False)
