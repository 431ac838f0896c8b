"""What every layer asks of the arrays it is given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import DTypeError, OptionError, ShapeError

Array = NDArray[Any]

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def as_float(value: ArrayLike, name: str) -> Array:
    """Take float32 and float64 as they are, and read float16 as float32."""
    array = np.asarray(value)
    if array.dtype in _FLOATS:
        return array
    if array.dtype == np.float16:
        return array.astype(np.float32)
    raise DTypeError(f"{name} has type {array.dtype}; layers take float32 or float64: {name}.astype(np.float32)")


def check_axes(x: Array, least: int, layer: str, wanted: str) -> None:
    if x.ndim < least:
        raise ShapeError(f"x has shape {x.shape}; {layer} takes {wanted}")


def check_channels(x: Array, channels: int, layer: str) -> None:
    if x.ndim == 0 or x.shape[-1] != channels:
        raise ShapeError(f"x has shape {x.shape}; {layer} takes {channels} channels, on the last axis")


def check_same_type(x: Array, dtype: np.dtype[Any], layer: str) -> None:
    if x.dtype != dtype:
        raise DTypeError(
            f"x is {x.dtype}, but {layer} has {dtype} parameters; pass x.astype(np.{dtype}), "
            f"or build the layer with dtype=np.{x.dtype}"
        )


def positive(value: int, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise OptionError(f"{name} is {value!r}; it must be a whole number from 1 up")
    return int(value)


def generator(random_state: int | np.random.Generator | None) -> np.random.Generator:
    """A generator from a seed, or the one that was given, or one that nobody can predict."""
    return np.random.default_rng(random_state)
