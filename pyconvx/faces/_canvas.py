"""All scales of a picture on one canvas, so that one pass of a detector with a window of one size sees them all.

Level 0 is the picture; each level is five sixths of the one before. Levels stand below one another from the top left,
then upwards along the right edge. The detector sees what is around a level, so places are as they were in training.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

PADDING, OUTER_PADDING = 10, 11  # pixels between levels, and around all
LEAST_HEIGHT = 5
BAND = 32  # rows that are interpolated at a time, so that they stay in cache


# Rows `first` to `last` of a level, (last - first, W, 4).
ReadRows = Callable[[int, int], NDArray[np.float32]]


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


def paint(picture: NDArray[np.uint8], mean: NDArray[np.float32], scale: float, plan: Layout) -> NDArray[np.float32]:
    """Return the canvas (H, W, 3): zeros, and levels in units of the network, (v - mean) * scale.

    Each level is interpolated bilinearly, corner on corner, from the one before. Until it is painted a pixel has a
    fourth channel: it is one word of 16 bytes then, which NumPy gathers four times faster than three floats.
    """
    canvas = np.zeros((plan.height, plan.width, 3), np.float32)

    def rows_of_picture(first: int, last: int) -> NDArray[np.float32]:
        rows = np.zeros((last - first, picture.shape[1], 4), np.float32)
        for channel in range(3):  # one by one: NumPy's inner loop is along the rows then
            np.subtract(picture[first:last, :, channel], mean[channel], out=rows[:, :, channel], dtype=np.float32)
        rows *= np.float32(scale)
        return rows

    first, *rest = plan.tiles
    for start in range(0, first.height, BAND):  # in bands, so that the largest level exists on the canvas only
        end = min(start + BAND, first.height)
        _place(canvas, first._replace(top=first.top + start, height=end - start), rows_of_picture(start, end))
    read: ReadRows = rows_of_picture
    size: tuple[int, ...] = picture.shape[:2]
    for tile in rest:
        level = shrink(read, size, (tile.height, tile.width))
        _place(canvas, tile, level)
        read, size = level_reader(level), level.shape[:2]
    return canvas


def _place(canvas: NDArray[np.float32], tile: Tile, level: NDArray[np.float32]) -> None:
    place = canvas[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
    for channel in range(3):
        place[:, :, channel] = level[:, :, channel]


def level_reader(level: NDArray[np.float32]) -> ReadRows:
    """How `shrink` reads a level that is in memory."""
    return lambda first, last: level[first:last]


def shrink(read: ReadRows, old: tuple[int, ...], new: tuple[int, int]) -> NDArray[np.float32]:
    """Bilinear, corner on corner; of `read(first, last)`, rows (n, W, 4) of a level of size `old`, to (*new, 4)."""
    upper, lower, below = _taps(old[0], new[0])
    left, right, across = _taps(old[1], new[1])
    result = np.empty((*new, 4), np.float32)
    weights = np.repeat(across, 4)
    for start in range(0, new[0], BAND):
        band = slice(start, min(start + BAND, new[0]))
        first = int(upper[start])
        source = read(first, int(lower[band.stop - 1]) + 1)
        rows = _lerp(source[upper[band] - first], source[lower[band] - first], below[band, None, None])
        words = rows.view(np.complex128)[:, :, 0]
        pair = [words.take(columns, axis=1).view(np.float32) for columns in (left, right)]
        result[band] = _lerp(pair[0], pair[1], weights).reshape(-1, new[1], 4)
    return result


def _lerp(a: NDArray[np.float32], b: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """a + (b - a) * weight, in the memory of both."""
    b -= a
    b *= weight
    a += b
    return a


def _taps(old: int, new: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each new position the old ones before and after it, and how far it is towards the second."""
    positions = np.arange(new) * ((old - 1) / max(new - 1, 1))
    before = np.minimum(positions.astype(np.intp), old - 1)
    return before, np.minimum(before + 1, old - 1), (positions - before).astype(np.float32)
