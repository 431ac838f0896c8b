"""Resizing, antialiased: Pillow's filters widen with the scale when a picture shrinks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import DTypeError, OptionError, ShapeError

FILTERS = ("lanczos", "bicubic", "bilinear", "box", "nearest")


def resize(array: NDArray[Any], size: tuple[int, int], *, resample: str = "lanczos") -> NDArray[Any]:
    """Resize a picture or a map.

    Parameters
    ----------
    array : ndarray of shape (H, W) or (H, W, C)
        uint8, float32 or float64. Floats may have any range; float64 is computed in float32.
    size : (int, int)
        Height and width of the result.
    resample : {"lanczos", "bicubic", "bilinear", "box", "nearest"}
        Lanczos and bicubic are sharp, and overshoot at edges: floats are not clipped.

    Returns
    -------
    ndarray of shape (height, width) or (height, width, C)
        In the type of `array`; never a view of it.

    Raises
    ------
    ShapeError, DTypeError, OptionError
        If an argument does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import image
    >>> image.resize(np.zeros((4, 6, 3), np.uint8), (2, 3)).shape
    (2, 3, 3)
    """
    from PIL import Image

    if array.ndim not in (2, 3) or array.size == 0:
        raise ShapeError(f"array: got shape {array.shape}; wanted (H, W) or (H, W, C), not empty")
    if array.dtype not in (np.uint8, np.float32, np.float64):
        raise DTypeError(f"array: got {array.dtype}; wanted uint8, float32 or float64")
    if resample not in FILTERS:
        raise OptionError(f"resample: got {resample!r}; one of {', '.join(FILTERS)}")
    height, width = _checked_size(size)
    method = Image.Resampling[resample.upper()]

    def resized(plane: NDArray[Any]) -> NDArray[Any]:
        picture = Image.fromarray(np.ascontiguousarray(plane)).resize((width, height), method)
        pixels: NDArray[Any] = np.array(picture)
        return pixels

    values = array if array.dtype == np.uint8 else np.asarray(array, np.float32)
    if (height, width) == array.shape[:2]:
        result = np.array(array)
    elif array.ndim == 2 or (array.dtype == np.uint8 and array.shape[2] == 3):
        result = resized(values)
    else:  # Pillow knows no floats of several channels
        result = np.stack([resized(values[:, :, channel]) for channel in range(values.shape[2])], axis=2)
    return np.asarray(result, array.dtype)


def scaled_size(size: tuple[int, ...], longest: int) -> tuple[int, int]:
    """Return (height, width) with the shape of `size` and the longest side of `longest` pixels.

    Examples
    --------
    >>> from pyconvx import image
    >>> image.scaled_size((300, 451), 256)
    (170, 256)
    """
    if longest < 1:
        raise OptionError(f"size: got {longest}; the longest side takes at least one pixel")
    height, width = size
    scale = longest / max(height, width)
    return max(1, round(height * scale)), max(1, round(width * scale))


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    if (
        not isinstance(size, tuple)
        or len(size) != 2
        or not all(isinstance(extent, (int, np.integer)) and extent >= 1 for extent in size)
    ):
        raise OptionError(f"size: got {size!r}; wanted (height, width) in whole pixels")
    return int(size[0]), int(size[1])
