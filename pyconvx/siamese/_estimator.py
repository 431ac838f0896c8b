"""scikit-learn's conventions without scikit-learn: parameters by name, checked inputs, its errors where it is loaded.

A class here is an estimator because it behaves like one: the constructor stores its arguments and nothing else, `fit`
sets attributes that end in an underscore. scikit-learn is never imported unless it asks for its own tags itself.
"""

from __future__ import annotations

import inspect
import sys
import warnings
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import DTypeError, OptionError, PyconvxError, ShapeError

Array = NDArray[Any]
Self = TypeVar("Self", bound="Estimator")


class Estimator:
    """Base of the estimators: what `sklearn.base.BaseEstimator` and `ClassifierMixin` give."""

    _binary = False
    _poor_score = False

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self: Self, **params: Any) -> Self:
        """Change some of the constructor's arguments."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise OptionError(f"{type(self).__name__} has no parameter {name!r}; it has {', '.join(known)}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        """Name, and the arguments that are not the default ones."""
        defaults = inspect.signature(type(self)).parameters
        set_ = [f"{name}={value!r}" for name, value in self.get_params().items() if value is not defaults[name].default]
        return f"{type(self).__name__}({', '.join(set_)})"

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks about an estimator; only it calls this."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags

        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            classifier_tags=ClassifierTags(multi_class=not self._binary, poor_score=self._poor_score),
            input_tags=InputTags(),
        )

    def predict(self, X: ArrayLike) -> Array:
        """Return the class of each row of `X`."""
        raise NotImplementedError(f"{type(self).__name__} does not predict")

    def score(self, X: ArrayLike, y: ArrayLike) -> float:
        """Return the share of rows whose class is predicted right."""
        return float(np.mean(self.predict(X) == np.asarray(y)))

    def _read_training(self, X: ArrayLike, y: ArrayLike | None) -> tuple[Array, Array]:
        """Both checked, and `classes_` and `n_features_in_` set; the classes come as numbers from 0."""
        name = type(self).__name__
        rows = read_rows(X, name)
        if y is None:
            raise OptionError(f"{name} requires y to be passed, but the target y is None")
        targets = read_targets(y, len(rows))
        classes, numbers = np.unique(targets, return_inverse=True)
        if self._binary and len(classes) > 2:
            raise OptionError(
                f"Only binary classification is supported. The type of the target is multiclass: y has {len(classes)} "
                "classes, and pairs are the same or not"
            )
        if self._binary and len(classes) < 2:
            raise OptionError(f"y has one class, {classes[0]!r}, alone; {name} needs pairs of both classes")
        self.classes_: Array = classes
        self.n_features_in_: int = rows.shape[1]
        return rows, numbers

    def _read(self, X: ArrayLike) -> Array:
        """Rows to predict for."""
        name = type(self).__name__
        if not hasattr(self, "n_features_in_"):
            raise _not_fitted(f"this {name} has not been fitted; call fit first")
        rows = read_rows(X, name)
        if rows.shape[1] != self.n_features_in_:
            raise ShapeError(
                f"X has {rows.shape[1]} features, but {name} is expecting {self.n_features_in_} features as input"
            )
        return rows


def read_rows(X: ArrayLike, name: str) -> Array:
    """Rows of finite numbers, float32 or float64. Messages are worded as scikit-learn's users know them."""
    if hasattr(X, "toarray"):
        raise DTypeError(f"X is sparse; {name} takes dense data: X.toarray()")
    array = np.asarray(X)
    if array.dtype.kind == "c":
        raise ShapeError("Complex data not supported: X must be real numbers")
    if array.dtype.kind not in "fiubO":
        raise ShapeError(f"X has type {array.dtype}; it must be numbers")
    if array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    if array.ndim != 2:
        raise ShapeError(
            f"Expected 2D array, got {array.ndim}D array instead, of shape {array.shape}. Reshape your data: one row "
            "an example"
        )
    if not array.shape[0]:
        raise ShapeError(f"Found array with 0 sample(s) (shape={array.shape}) while a minimum of 1 is required.")
    if not array.shape[1]:
        raise ShapeError(f"Found array with 0 feature(s) (shape={array.shape}) while a minimum of 1 is required.")
    if not np.isfinite(array).all():
        raise ShapeError(f"X contains NaN or infinity; {name} takes finite numbers")
    return np.ascontiguousarray(array)


def read_targets(y: ArrayLike, rows: int) -> Array:
    """Labels, one a row."""
    targets = np.asarray(y)
    if targets.ndim == 2 and targets.shape[1] == 1:
        warnings.warn("A column-vector y was passed when a 1d array was expected.", _conversion_warning(), stacklevel=4)
        targets = targets[:, 0]
    if targets.shape != (rows,):
        raise ShapeError(f"y has shape {targets.shape}; wanted ({rows},), one label a row of X")
    if targets.dtype.kind == "f":
        if not np.isfinite(targets).all():
            raise ShapeError("y contains NaN or infinity")
        if (targets != np.floor(targets)).any():
            raise OptionError("Unknown label type: continuous; y must be classes")
    return targets


def _not_fitted(message: str) -> Exception:
    """An error of ours that scikit-learn's own code knows too, where that is loaded."""
    theirs = getattr(sys.modules.get("sklearn.exceptions"), "NotFittedError", None)
    if theirs is None:
        return OptionError(message)
    kind: Any = type("NotFittedError", (PyconvxError, theirs), {"__doc__": theirs.__doc__})
    error: Exception = kind(message)
    return error


def _conversion_warning() -> type[Warning]:
    theirs = getattr(sys.modules.get("sklearn.exceptions"), "DataConversionWarning", None)
    return UserWarning if theirs is None else theirs
