"""Distances and answers as every figure here takes them, checked once."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import DTypeError, OptionError, ShapeError

Distances = NDArray[np.float64]
Answers = NDArray[np.bool_]


def pairs_of(distances: ArrayLike, same: ArrayLike) -> tuple[Distances, Answers]:
    """Distances of pairs, and whether each is of the same person; at least one pair."""
    measured, answers = np.asarray(distances), np.asarray(same)
    if measured.dtype.kind not in "fiu":
        raise DTypeError(f"distances are {measured.dtype}; wanted numbers")
    if answers.dtype != np.bool_:
        if answers.dtype.kind not in "iuf" or not np.isin(answers, (0, 1)).all():
            raise DTypeError("same: wanted True or 1 for pairs of the same person, False or 0 for others")
        answers = answers.astype(np.bool_)
    if measured.ndim != 1 or measured.shape != answers.shape:
        raise ShapeError(
            f"distances and same have shapes {measured.shape} and {answers.shape}; wanted (pairs,) of both"
        )
    if not len(measured):
        raise ShapeError("distances are empty; wanted at least one pair")
    values = measured.astype(np.float64)
    if np.isnan(values).any():
        raise OptionError("distances: one is NaN, which is neither near nor far; leave its pair out")
    return values, answers


def split(distances: ArrayLike, same: ArrayLike) -> tuple[Distances, Distances]:
    """Sorted distances of genuine and of impostor pairs; at least one of each."""
    values, answers = pairs_of(distances, same)
    genuine, impostor = np.sort(values[answers]), np.sort(values[~answers])
    if not len(genuine) or not len(impostor):
        raise ShapeError(
            f"{len(genuine)} genuine and {len(impostor)} impostor pairs came; wanted at least one of each kind"
        )
    return genuine, impostor


def rate(name: str, value: Any) -> float:
    """A rate between 0 and 1, both excluded."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1:
        raise OptionError(f"{name} is {value!r}; wanted a rate between 0 and 1, such as 1e-3")
    return float(value)


def count_within(ordered: Distances, thresholds: ArrayLike) -> NDArray[np.int64]:
    """How many of the sorted distances are accepted at each threshold: d <= threshold."""
    return np.searchsorted(ordered, thresholds, side="right").astype(np.int64)
