"""Labelled examples as a trainer takes them, checked before any work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import DTypeError, OptionError, ShapeError

Array = NDArray[Any]

_FLOATS = (np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.float64))
_CHUNK = 1 << 24  # elements looked at together


class Examples(NamedTuple):
    """Inputs `(examples, *spatial, channels)`, the class of each from 0, and the label of each class."""

    x: Array
    classes: NDArray[np.int64]
    names: Array


def read_examples(x: ArrayLike, labels: ArrayLike, name: str = "x") -> Examples:
    """Check inputs and labels; nothing is copied that is an array already, so a memory map stays one.

    Raises
    ------
    ShapeError, DTypeError
        No examples, labels of another number, types that are not floating point or not labels.
    OptionError
        A number that is not finite, one class alone, or no class with two examples.
    """
    inputs = as_inputs(x, name)
    if inputs.dtype.newbyteorder("=") not in _FLOATS:
        raise DTypeError(f"{name} is {inputs.dtype}; wanted float32, float64 or float16: {name}.astype(np.float32)")
    if inputs.ndim < 2 or not inputs.size:
        raise ShapeError(f"{name} has shape {inputs.shape}; wanted (examples, *spatial, channels), not empty")
    given = read_labels(labels, len(inputs))
    bad = first_not_finite(inputs)
    if bad is not None:
        raise OptionError(f"example {bad} of {name} has NaN or infinity in it; mend it, or leave it out")
    names, classes = np.unique(given, return_inverse=True)
    if len(names) < 2:
        only = names[0].item()
        raise OptionError(f"all {len(given)} labels are {only!r}; a similarity is learned from two classes or more")
    if len(names) == len(given):
        raise OptionError(f"each of the {len(given)} examples has a class of its own; wanted classes of two or more")
    return Examples(inputs, classes.reshape(-1).astype(np.int64), names)


def as_inputs(x: ArrayLike, name: str = "x") -> Array:
    """The examples as one array; a list must have examples of one shape."""
    if isinstance(x, Sequence):  # before NumPy is asked, which up to 1.23 makes an array of objects of them
        shapes = list(dict.fromkeys(np.shape(example) for example in x if isinstance(example, np.ndarray)))
        if len(shapes) > 1:
            raise ShapeError(
                f"{name} has examples of several shapes, such as {shapes[0]} and {shapes[1]}; bring all to one"
            )
    try:
        return np.asarray(x)
    except ValueError:
        raise ShapeError(f"{name} has examples of several shapes; bring all to one") from None


def read_labels(labels: ArrayLike, rows: int | None = None) -> Array:
    """The labels as an array, one a row."""
    given = np.asarray(labels)
    if given.dtype.kind not in "iubUS":
        raise DTypeError(f"labels have type {given.dtype}; give integers or strings, equal for the same class")
    if given.ndim != 1 or (rows is not None and len(given) != rows):
        raise ShapeError(f"labels have shape {given.shape}; wanted ({'rows' if rows is None else rows},), one a row")
    return given


def first_not_finite(x: Array) -> int | None:
    """The first row with a number that is not finite, looking at a part at a time."""
    rows = max(1, _CHUNK // max(1, x[:1].size))
    for start in range(0, len(x), rows):
        part = np.asarray(x[start : start + rows]).reshape(len(x[start : start + rows]), -1)
        # A sum is finite if all of its terms are, unless it overflows: only then are they looked at one by one.
        with np.errstate(over="ignore", invalid="ignore"):
            if np.isfinite(part.sum(dtype=np.float64)):
                continue
        finite = np.isfinite(part).all(axis=1)
        if not finite.all():
            return start + int(np.argmin(finite))
    return None
