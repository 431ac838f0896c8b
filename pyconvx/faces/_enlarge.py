"""Doubling a picture, byte for byte as the detector's authors do it: bilinear, corner on corner, truncated.

Truncation makes the last bit of every weight visible. So columns are computed as the reference does: four at a time
with positions summed up in float32, and what is left over at the right edge in float64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LANES = 4
BAND = 16  # rows at a time, so that they stay in cache
SHIFT = (1.25, 0.75)  # of a point (x, y) in the small picture, before it is doubled


def doubled_size(height: int, width: int) -> tuple[int, int]:
    """Return height and width of the larger picture."""
    return 2 * height + 1, 2 * width + 2


def double(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture (H, W, 3) of `doubled_size`."""
    old_height, old_width = picture.shape[:2]
    height, width = doubled_size(old_height, old_width)
    y_step, x_step = (old_height - 1) / (height - 1), (old_width - 1) / (width - 1)
    y: NDArray[np.float64] = np.add.accumulate(np.append(0.0, np.full(height - 1, y_step)))
    top = y.astype(np.intp)
    below: NDArray[np.float64] = y - top
    bottom = np.minimum(top + 1, old_height - 1)
    x = _columns(x_step, old_width, width)
    left = x.astype(np.intp)
    index = (3 * left[:, None] + np.arange(3)).ravel()
    across = np.repeat(x - left.astype(np.float32), 3)
    rows = picture.reshape(old_height, -1).astype(np.float32)
    result = np.empty((height, width, 3), np.uint8)
    flat = result.reshape(height, -1)
    for start in range(0, height, BAND):
        band = slice(start, start + BAND)
        upper, lower = rows[top[band]], rows[bottom[band]]
        low, high = (1 - below[band]).astype(np.float32)[:, None], below[band].astype(np.float32)[:, None]
        values = low * (1 - across) * upper.take(index, axis=1)
        values += low * across * upper.take(index + 3, axis=1)
        values += high * (1 - across) * lower.take(index, axis=1)
        values += high * across * lower.take(index + 3, axis=1)
        flat[band, : index.size] = values
    _right_edge(picture, result, len(x), x_step, (top, bottom, below))
    return result


def _columns(step: float, old_width: int, width: int) -> NDArray[np.float32]:
    """Positions of the columns that are computed by fours: as many as have both neighbours in the old picture."""
    groups = width // LANES + 1
    lanes = np.full((groups + 1, LANES), np.float32(LANES * step), np.float32)
    lanes[0] = [(lane - LANES) * step for lane in range(LANES)]
    x = np.add.accumulate(lanes, axis=0, dtype=np.float32)[1:]
    whole = x[:, -1].astype(np.int32) + 1 < old_width
    count = groups if whole.all() else int(np.argmin(whole))
    return x[:count].ravel()[:width]


def _right_edge(
    picture: NDArray[np.uint8],
    result: NDArray[np.uint8],
    first: int,
    step: float,
    rows: tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]],
) -> None:
    """The columns from `first` on, at most seven."""
    top, bottom, below = rows
    high = below[:, None]
    x = first * step - step
    for column in range(first, result.shape[1]):
        x += step
        left = int(x)
        right, across = min(left + 1, picture.shape[1] - 1), x - left
        pair = (1 - across) * picture[:, left] + across * picture[:, right]
        result[:, column] = (1 - high) * pair[top] + high * pair[bottom]
