"""Luminance and colour, apart: Y = 0.299 R + 0.587 G + 0.114 B, Cb = (B - Y) / 1.772, Cr = (R - Y) / 1.402.

ITU-R BT.601 at full range, as in JPEG, but Cb and Cr are centred on zero: so all units (levels or 0..1) work alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import ShapeError

RED, GREEN, BLUE = 0.299, 0.587, 0.114


def luminance(rgb: NDArray[Any]) -> NDArray[Any]:
    """Return the luminance of a picture.

    Parameters
    ----------
    rgb : ndarray of shape (..., 3)
        In any unit. Integers are computed in float32.

    Returns
    -------
    ndarray of shape (...)
        In the unit of `rgb`.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import image
    >>> float(image.luminance(np.array([0.0, 1.0, 0.0])))
    0.587
    """
    values = _as_floats(rgb, "rgb")
    return np.asarray(RED * values[..., 0] + GREEN * values[..., 1] + BLUE * values[..., 2])


def rgb_to_ycbcr(rgb: NDArray[Any]) -> NDArray[Any]:
    """Return luminance and two colour differences, in the unit of `rgb`, colours centred on zero; shape (..., 3)."""
    values = _as_floats(rgb, "rgb")
    luma = luminance(values)
    return np.stack([luma, (values[..., 2] - luma) / 1.772, (values[..., 0] - luma) / 1.402], axis=-1)


def ycbcr_to_rgb(ycbcr: NDArray[Any]) -> NDArray[Any]:
    """Undo `rgb_to_ycbcr`, in floats; a colour that no screen has comes out of range and is not clipped."""
    values = _as_floats(ycbcr, "ycbcr")
    luma = values[..., 0]
    red, blue = luma + 1.402 * values[..., 2], luma + 1.772 * values[..., 1]
    return np.stack([red, (luma - RED * red - BLUE * blue) / GREEN, blue], axis=-1)


def _as_floats(values: NDArray[Any], name: str) -> NDArray[Any]:
    if values.ndim < 1 or values.shape[-1] != 3:
        raise ShapeError(f"{name}: got shape {values.shape}; wanted three channels last")
    return values if values.dtype.kind == "f" else values.astype(np.float32)
