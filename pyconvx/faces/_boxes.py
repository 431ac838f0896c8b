"""From a map of scores to boxes in the picture: which level, back through the scales, one box a face.

A box is left, top, right, bottom; all four lie inside, so its width is right - left + 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyconvx.faces._canvas import Layout

OVERLAP = 0.3382761351109955  # more of it, and the weaker of two boxes goes; measured on the detector's training data
UP, UP_SHIFT = 1.2, 0.3  # a point on a level, on the level before


def on_level_zero(
    scores: NDArray[np.float32], plan: Layout, least: float, stride: int, origin: int, window: int
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Return corners (n, 4) in pixels of level 0, not rounded, and their scores, best first.

    Cell (r, c) of the map looks at the point `origin + stride * (c, r)` of the canvas, in the middle of the window.
    """
    rows, columns = np.nonzero(scores > least)
    found = scores[rows, columns]
    order = np.argsort(-found, kind="stable")
    cells = np.stack([columns[order], rows[order]], axis=1)
    points: NDArray[np.float64] = cells.astype(np.float64) * stride + origin
    half = (window - 1) / 2
    corners = np.concatenate([points - half, points + half], axis=1)
    levels = _levels(points, plan)
    corners -= np.array(plan.tiles, np.float64)[levels][:, [0, 1, 0, 1]]
    for level in range(1, len(plan.tiles)):
        higher = levels >= level
        corners[higher] = corners[higher] * UP + UP_SHIFT
    return corners, found[order]


def _levels(points: NDArray[np.float64], plan: Layout) -> NDArray[np.intp]:
    """For each point the first tile that it lies in, or else the nearest."""
    tiles = np.array(plan.tiles, np.float64)
    first = tiles[:, :2]
    last = first + tiles[:, 2:] - 1
    whole = np.floor(points + 0.5)[:, None]
    outside = np.maximum(np.maximum(first - whole, whole - last), 0)
    return np.asarray(np.argmin((outside**2).sum(axis=2), axis=1))


def rounded(corners: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round to whole pixels, halves away from zero."""
    return (np.sign(corners) * np.floor(np.abs(corners) + 0.5)).astype(np.int64)


def suppressed(boxes: NDArray[np.int64], most: float = OVERLAP) -> list[int]:
    """Return the boxes that stay, best first: none shares more than `most` with a better one that stays.

    What two boxes share is divided by the smallest box around both, which is more than their union.
    """
    kept: list[int] = []
    left = np.arange(len(boxes))
    while left.size:
        best, others = boxes[left[0]], boxes[left]
        kept.append(int(left[0]))
        inner = _area(np.maximum(others[:, :2], best[:2]), np.minimum(others[:, 2:], best[2:]))
        outer = _area(np.minimum(others[:, :2], best[:2]), np.maximum(others[:, 2:], best[2:]))
        left = left[1:][(inner <= most * outer)[1:]]
    return kept


def _area(first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.int64]:
    sides = np.maximum(last - first + 1, 0)
    return np.asarray(sides[:, 0] * sides[:, 1])
