"""What all losses over a batch of labelled encodings have in common: what they take, how terms become one number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import DivergedError, OptionError, ShapeError
from pyconvx.functional._arrays import as_float
from pyconvx.nn import Parameter
from pyconvx.training.examples import read_labels

Array = NDArray[Any]
Gradients = dict[str, Array]
Reduction = Literal["mean", "mean_nonzero", "sum", "none"]
# One number, or with reduction="none" one for each term.
Value = Any
BatchPullback = Callable[..., tuple[Array, Gradients]]

REDUCTIONS = ("mean", "mean_nonzero", "sum", "none")


class Terms(NamedTuple):
    """The single terms of a loss, float64, and their derivative.

    `pull(weights)` is the gradient of `sum(weights * each)`. Where `sizes` is given, `each` has parts of these sizes,
    of which each has a mean of its own, and the loss is the sum of them.
    """

    each: Array
    pull: Callable[[Array], tuple[Array, Gradients]]
    sizes: tuple[int, ...] | None = None


class BatchLoss:
    """Base of losses over labelled encodings: `value, pullback = loss.vjp(encodings, labels)`.

    Parameters
    ----------
    reduction : {"mean", "mean_nonzero", "sum", "none"}
        How the terms become one number: their mean, the mean of those that are not zero (0 if all are), their sum;
        "none" returns them all.

    Notes
    -----
    `encodings` is `(rows, depth)`, float32 or float64; `labels` `(rows,)` integers or strings, equal for the same
    class. There must be two rows of one class and rows of two classes, or nothing can be compared: that is an
    `OptionError`. Sums are taken in float64; the gradient comes in the encodings' type.
    """

    def __init__(self, reduction: Reduction = "mean") -> None:
        self.reduction = check_reduction(reduction)

    def __call__(self, encodings: ArrayLike, labels: ArrayLike) -> Value:
        """Return the loss: a float, or an array with reduction="none"."""
        return self.vjp(encodings, labels)[0]

    def vjp(self, encodings: ArrayLike, labels: ArrayLike) -> tuple[Value, BatchPullback]:
        """Return the loss, and `pullback(dvalue=1.0)` -> `(dencodings, grads)`.

        `grads` maps the loss's own parameters, where it has any, to their gradients. The pullback is pure; the
        encodings must not be changed while it is in use.
        """
        x, classes = self._read(encodings, labels)
        terms = self._terms(x, classes)
        factors = term_factors(terms.each, terms.sizes or (terms.each.size,), self.reduction)
        value: Value = terms.each if self.reduction == "none" else float(np.vdot(terms.each, factors))

        def pullback(dvalue: ArrayLike = 1.0) -> tuple[Array, Gradients]:
            weight = np.asarray(dvalue, np.float64)
            if weight.ndim and weight.shape != np.shape(value):
                raise ShapeError(f"dvalue has shape {weight.shape}; the loss has {np.shape(value)}")
            dx, grads = terms.pull(weight * factors)
            return dx.astype(x.dtype, copy=False), grads

        return value, pullback

    def named_parameters(self) -> dict[str, Parameter]:
        """What the loss itself learns, by name: nothing, if it has no proxies."""
        return {}

    def _read(self, encodings: ArrayLike, labels: ArrayLike) -> tuple[Array, Array]:
        """The encodings, and the class of each as a number, both checked."""
        x, classes = read_batch(encodings, labels)
        check_comparable(classes)
        return x, classes

    def _terms(self, x: Array, classes: Array) -> Terms:
        raise NotImplementedError(f"{type(self).__name__} does not compute")


def check_reduction(reduction: Reduction) -> Reduction:
    if reduction not in REDUCTIONS:
        raise OptionError(f"reduction is {reduction!r}; it must be one of {', '.join(map(repr, REDUCTIONS))}")
    return reduction


def term_factors(each: Array, sizes: tuple[int, ...], reduction: Reduction) -> Array:
    """What each term counts in the value."""
    if reduction in ("sum", "none"):
        return np.ones(each.shape)
    nonzero = reduction == "mean_nonzero"
    factors = (each != 0).astype(np.float64) if nonzero else np.ones(each.shape)
    start = 0
    for size in sizes:
        part = factors[start : start + size]
        part /= max(float(part.sum()), 1.0)
        start += size
    return factors


def read_encodings(encodings: ArrayLike, name: str = "encodings") -> Array:
    x = np.ascontiguousarray(as_float(name, encodings))
    if x.ndim != 2:
        raise ShapeError(f"{name} has shape {x.shape}; wanted (rows, depth)")
    finite = np.isfinite(x).all(axis=1)
    if not finite.all():
        raise DivergedError(
            f"row {int(np.argmin(finite))} of {name} is not finite; the network that computed it has diverged, "
            "or its input is not finite"
        )
    return x


def read_batch(encodings: ArrayLike, labels: ArrayLike) -> tuple[Array, Array]:
    """Encodings, and their classes as int32 from 0."""
    x = read_encodings(encodings)
    return x, np.unique(read_labels(labels, len(x)), return_inverse=True)[1].astype(np.int32)


def check_comparable(classes: Array) -> None:
    """Refuses classes 0, 1, ... among which no triplet exists."""
    counts = np.bincount(classes) if classes.size else np.zeros(0, np.int64)
    if len(counts) < 2 or counts.max() < 2:
        what = "nothing at all" if not len(counts) else "one class alone" if len(counts) < 2 else "no class twice"
        raise OptionError(
            f"the {len(classes)} labels name {what}; two rows of one class and one of another are needed to compare: "
            "draw batches with PKSampler"
        )
