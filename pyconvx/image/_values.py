"""What the numbers of a picture mean: element types in, 8-bit levels or floats in 0..1 out.

bool: 0 and 1. uint8: levels. uint16: 0..65535. Other integers: levels 0..255 in a wider type. Floats: 0..1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import ImageError

# Rounding in someone's colour conversion may leave 0..1 by a little; a fortieth of an 8-bit level is not a mistake.
FLOAT_SLACK = 1e-4


def as_levels(values: NDArray[Any], source: str) -> NDArray[np.uint8]:
    """Return `values` as 8-bit levels, rounded to the nearest."""
    if values.dtype.kind == "b":
        values = values.astype(np.uint8) * np.uint8(255)
    elif _is_uint16(values):
        values = (values.astype(np.uint32) + 128) // 257  # 65535 / 255 = 257
    elif values.dtype.kind in "iu":
        values = _checked_levels(values, source)
    else:
        values = np.rint(_checked_floats(values, source) * np.float32(255))
    return np.asarray(values, np.uint8)


def as_unit(values: NDArray[Any], source: str) -> NDArray[np.float32]:
    """Return `values` as float32 in 0..1."""
    if values.dtype.kind not in "biu":
        return _checked_floats(values, source)
    if values.dtype.kind == "b":
        whole = 1
    elif _is_uint16(values):
        whole = 65535
    else:
        values, whole = _checked_levels(values, source), 255
    unit: NDArray[np.float32] = np.asarray(values, np.float32) / np.float32(whole)
    return unit


def _is_uint16(values: NDArray[Any]) -> bool:
    return values.dtype.kind == "u" and values.dtype.itemsize == 2


def _checked_levels(values: NDArray[Any], source: str) -> NDArray[Any]:
    if values.dtype == np.uint8:
        return values
    low, high = values.min(), values.max()
    if low < 0 or high > 255:
        raise ImageError(
            f"{source}: {values.dtype} values from {low} to {high}; integers other than uint16 must be levels in 0..255"
        )
    return values


def _checked_floats(values: NDArray[Any], source: str) -> NDArray[np.float32]:
    if values.dtype.kind != "f":
        raise ImageError(f"{source}: elements of type {values.dtype}; a picture has integers or floats")
    low, high = values.min(), values.max()
    if not (low >= -FLOAT_SLACK and high <= 1 + FLOAT_SLACK):  # written so that NaN fails it
        hint = "divide by 255 if they are levels" if high > 1 else "clip or rescale them"
        raise ImageError(f"{source}: float values from {low:.6g} to {high:.6g}; floats must lie in 0..1: {hint}")
    return np.asarray(np.clip(values, 0, 1), np.float32)
