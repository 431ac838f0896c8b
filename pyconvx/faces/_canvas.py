"""All scales of a picture on one canvas, so that one pass of a detector with a window of one size sees them all.

Level 0 is the picture; each level is five sixths of the one before. Levels stand below one another from the top left,
then upwards along the right edge. The detector sees what is around a level, so places are as they were in training.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyconvx.functional._pyramid import paint_pyramid

PADDING, OUTER_PADDING = 10, 11  # pixels between levels, and around all
LEAST_HEIGHT = 5


class Tile(NamedTuple):
    """Where a level stands on the canvas."""

    left: int
    top: int
    width: int
    height: int


class Layout(NamedTuple):
    """A canvas: its size, and the tiles from the largest level to the smallest."""

    height: int
    width: int
    tiles: tuple[Tile, ...]


def level_sizes(height: int, width: int) -> list[tuple[int, int]]:
    """Return (height, width) of all levels."""
    sizes = [(height, width)]
    while True:
        height, width = 5 * height // 6, 5 * width // 6
        if height < LEAST_HEIGHT or width < 1:
            return sizes
        sizes.append((height, width))


def layout(height: int, width: int) -> Layout:
    """Return the canvas of a picture of height x width."""
    sizes = level_sizes(height, width)
    column = _first_column(sizes)
    floor = column + OUTER_PADDING
    tiles: list[Tile] = []
    y = OUTER_PADDING
    for level_height, level_width in sizes:
        if y >= floor:
            break
        tiles.append(Tile(OUTER_PADDING, y, level_width, level_height))
        y += level_height + PADDING
    y -= PADDING
    for level_height, level_width in sizes[len(tiles) :]:
        left, top = OUTER_PADDING + width - level_width, y - level_height
        if left < OUTER_PADDING + width and top < OUTER_PADDING + height:
            break  # it would stand on level 0, which is as wide as the column
        tiles.append(Tile(left, top, level_width, level_height))
        y -= level_height + PADDING
    return Layout(column + 2 * OUTER_PADDING, width + 2 * OUTER_PADDING, tuple(tiles))


def _first_column(sizes: list[tuple[int, int]]) -> int:
    """Height of the column of levels from the top left: until the rest fits beside it, about half way down."""
    (first_height, first_width), total = sizes[0], sum(height + PADDING for height, _ in sizes) - 2 * PADDING
    column = previous_width = 0
    for height, width in sizes:
        if width <= first_width - previous_width - PADDING and 2 * (column - first_height) >= total - first_height:
            break
        column += height + PADDING
        previous_width = width
    return column - PADDING


def paint(picture: NDArray[np.uint8], mean: Sequence[float], scale: float, plan: Layout) -> NDArray[np.float32]:
    """Return the canvas (H, W, 3): zeros, and all levels in units of the network, (v - mean) * scale."""
    return paint_pyramid(picture, mean, scale, (plan.height, plan.width), plan.tiles)
