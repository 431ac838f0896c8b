"""Losses: one number from predictions and targets, with a pullback as layers have.

`value = loss(prediction, target)`; `value, pullback = loss.vjp(prediction, target)`; `dx, grads = pullback()` is the
gradient with respect to the prediction, and an empty dict. Sums are taken in float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from pyconvx.errors import DTypeError, OptionError, ShapeError
from pyconvx.nn._arrays import Array, as_float, check_axes
from pyconvx.nn.layer import Gradients

Reduction = Literal["mean", "sum", "none"]
# One number, or with reduction="none" one for each example.
Value = Any
LossPullback = Callable[..., tuple[Array, Gradients]]


class Loss:
    """Base of losses.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        How the losses of single elements or examples become one number; "none" returns them all.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        if reduction not in ("mean", "sum", "none"):
            raise OptionError(f"reduction is {reduction!r}; it must be 'mean', 'sum' or 'none'")
        self.reduction = reduction

    def __call__(self, prediction: ArrayLike, target: ArrayLike) -> Value:
        """Return the loss: a float, or an array with reduction="none"."""
        return self.vjp(prediction, target)[0]

    def vjp(self, prediction: ArrayLike, target: ArrayLike) -> tuple[Value, LossPullback]:
        """Return the loss, and `pullback(dvalue=1.0)` -> `(dprediction, {})`."""
        given = as_float(prediction, "prediction")
        each, slope = self._each(given, target)
        factor = 1 / max(each.size, 1) if self.reduction == "mean" else 1.0
        value: Value = each if self.reduction == "none" else float(each.sum() * factor)

        def pullback(dvalue: ArrayLike = 1.0) -> tuple[Array, Gradients]:
            weight = np.asarray(dvalue, np.float64) * factor
            if weight.ndim and weight.shape != each.shape:
                raise ShapeError(f"dvalue has shape {weight.shape}; the loss has {each.shape}")
            weight = weight.reshape(*weight.shape, *(1,) * (given.ndim - weight.ndim))
            return (slope * weight).astype(given.dtype), {}

        return value, pullback

    def _each(self, prediction: Array, target: ArrayLike) -> tuple[Array, Array]:
        """Return the single losses, and the derivative of each with respect to its part of the prediction."""
        raise NotImplementedError


class MSELoss(Loss):
    """`(prediction - target)^2`, element by element."""

    def _each(self, prediction: Array, target: ArrayLike) -> tuple[Array, Array]:
        difference = prediction.astype(np.float64) - _same_shape(prediction, target)
        return np.square(difference), 2 * difference


class BCEWithLogitsLoss(Loss):
    """`-t log s(x) - (1 - t) log(1 - s(x))` with the logistic function `s`, for targets from 0 to 1.

    It is computed as `max(x, 0) - x t + log(1 + exp(-|x|))`, which neither overflows nor loses digits.
    """

    def _each(self, prediction: Array, target: ArrayLike) -> tuple[Array, Array]:
        wanted = _same_shape(prediction, target)
        if wanted.size and not (wanted.min() >= 0 and wanted.max() <= 1):
            raise OptionError(f"target goes from {wanted.min()} to {wanted.max()}; it must be within 0 and 1")
        x = prediction.astype(np.float64)
        small = np.exp(-np.abs(x))
        sigmoid = np.where(x >= 0, 1, small) / (1 + small)
        return np.maximum(x, 0) - x * wanted + np.log1p(small), sigmoid - wanted


class CrossEntropyLoss(Loss):
    """`-log softmax(x)[label]` over the last axis: one loss an example.

    Parameters
    ----------
    reduction : {"mean", "sum", "none"}
        See `Loss`.
    label_smoothing : float
        From 0 to below 1: how much of the target is spread evenly over all classes.

    Notes
    -----
    The prediction is `(..., classes)` logits. The target is integer labels `(...)`, or probabilities `(..., classes)`.

    References
    ----------
    Szegedy et al., Rethinking the Inception Architecture, 2015, section 7 (label smoothing).
    """

    def __init__(self, reduction: Reduction = "mean", *, label_smoothing: float = 0.0) -> None:
        super().__init__(reduction)
        if not 0 <= label_smoothing < 1:
            raise OptionError(f"label_smoothing is {label_smoothing!r}; it must be from 0 to below 1")
        self.label_smoothing = float(label_smoothing)

    def _each(self, prediction: Array, target: ArrayLike) -> tuple[Array, Array]:
        check_axes(prediction, 1, "CrossEntropyLoss", "(..., classes)")
        wanted = self._probabilities(prediction, np.asarray(target))
        shifted = prediction.astype(np.float64)
        shifted -= shifted.max(axis=-1, keepdims=True)
        exponentials = np.exp(shifted)
        total = exponentials.sum(axis=-1, keepdims=True)
        # A class that is not wanted at all may have a logit of minus infinity.
        terms = np.where(wanted > 0, wanted * (np.log(total) - np.where(wanted > 0, shifted, 0)), 0)
        return terms.sum(axis=-1), exponentials / total * wanted.sum(axis=-1, keepdims=True) - wanted

    def _probabilities(self, prediction: Array, target: Array) -> Array:
        classes = prediction.shape[-1]
        if target.dtype.kind in "iu":
            if target.shape != prediction.shape[:-1]:
                raise ShapeError(f"labels have shape {target.shape}; expected {prediction.shape[:-1]}, one an example")
            if target.size and not (target.min() >= 0 and target.max() < classes):
                raise OptionError(f"labels go from {target.min()} to {target.max()}; expected 0 to {classes - 1}")
            wanted: Array = (target[..., np.newaxis] == np.arange(classes)).astype(np.float64)
        elif target.dtype.kind == "f":
            wanted = _same_shape(prediction, target)
        else:
            raise DTypeError(f"target has type {target.dtype}; give integer labels or probabilities")
        smooth: Array = wanted * (1 - self.label_smoothing) + self.label_smoothing / classes
        return smooth


def _same_shape(prediction: Array, target: ArrayLike) -> Array:
    wanted = np.asarray(target)
    if wanted.dtype.kind not in "fiub":
        raise DTypeError(f"target has type {wanted.dtype}; it must be numbers")
    if wanted.shape != prediction.shape:
        raise ShapeError(f"target has shape {wanted.shape}; the prediction has {prediction.shape}")
    return wanted.astype(np.float64)
