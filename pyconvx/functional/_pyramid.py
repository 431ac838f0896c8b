"""All levels of a picture on one canvas, for detectors that look at every scale in one pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pyconvx import _core
from pyconvx.functional._arrays import Array, empty


def paint_pyramid(
    picture: NDArray[np.uint8],
    mean: Sequence[float],
    scale: float,
    size: tuple[int, int],
    tiles: Sequence[tuple[int, int, int, int]],
) -> Array:
    """Return a canvas (*size, 3) in float32: zeros, and levels of a picture (H, W, 3), as (v - mean) * scale.

    The first tile (left, top, width, height) takes the picture; each next one is shrunk to from the one before,
    bilinearly and corner on corner. Tiles must not overlap.
    """
    levels = (np.arange(256, dtype=np.float32) - np.array(mean, np.float32)[:, None]) * np.float32(scale)
    canvas = empty((*size, 3), np.dtype(np.float32))
    _core.paint_pyramid(np.ascontiguousarray(picture), levels, np.array(tiles, np.int64), canvas)
    return canvas
