"""Small pictures of inputs and gradients of every rank, RGB in 8 bits.

2D: the picture. 1D: its channels as lines. 3D: the middle slices along the three axes, and the largest values along the
first one; three channels are colours in two and three dimensions, and others are shown one above the other as grey.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx import image as pictures
from pyconvx.visualize.fields import Box

Array = NDArray[Any]
Tile = NDArray[np.uint8]

TILE = 60
GAP = 2
VOLUME_GAP = 8  # between volumes, each of which is several views
PAPER = (255, 255, 255)
# What lies beside the picture.
OUTSIDE = 128
PANEL = (246, 246, 246)
_LINES = ((31, 90, 170), (200, 80, 30), (40, 140, 70), (130, 60, 150))


def levels_of(net: Any, x: Array) -> Array:
    """Return an input as numbers in 0..1: as a model takes it back, as it is if it lies there, else stretched."""
    if hasattr(net, "deprocess") and x.ndim == 3:
        picture: Tile = np.asarray(net.deprocess(x), np.uint8)
        levels: Array = picture.astype(np.float32) / np.float32(255)
        return levels
    low, high = float(x.min(initial=0)), float(x.max(initial=0))
    if low >= 0 and high <= 1:
        return np.asarray(x, np.float32)
    return np.asarray((x - low) / (high - low), np.float32)


def signed_levels(gradient: Array) -> Array:
    """Return a gradient as numbers in 0..1, zero in the middle, its largest size at an end; channels may be swapped."""
    largest = float(np.abs(gradient).max(initial=0))
    return np.asarray(0.5 + gradient / (2 * largest) if largest else np.full(gradient.shape, 0.5), np.float32)


def tile_of(levels: Array, box: Box | None = None, extents: tuple[int, ...] = (), size: int = TILE) -> Tile:
    """Return a tile of levels `(*spatial, channels)`; `box` and `extents` of its picture tell what lies outside."""
    rank = levels.ndim - 1
    if rank == 0:
        return np.full((size, size, 3), OUTSIDE, np.uint8)
    outside = _outside(box, extents)
    if rank == 1:
        return _lines(levels, outside, size)
    if rank == 2:
        return _fitted(_rgb(_greyed(levels, outside)), size)
    return _volume(levels, outside, 2 * size)


def grid(tiles: list[Tile], columns: int, gap: int = GAP) -> Tile:
    """Return tiles of one size side by side, on white."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    page = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), PAPER, np.uint8)
    for index, tile in enumerate(tiles):
        top, left = index // columns * (height + gap), index % columns * (width + gap)
        page[top : top + height, left : left + width] = tile
    return page


def _outside(box: Box | None, extents: tuple[int, ...]) -> NDArray[np.bool_] | None:
    if box is None or not extents or all(a >= 0 and b <= n for (a, b), n in zip(box, extents, strict=True)):
        return None
    inside = np.ones([stop - start for start, stop in box], np.bool_)
    for axis, ((start, stop), extent) in enumerate(zip(box, extents, strict=True)):
        places = np.arange(start, stop)
        shape = [-1 if other == axis else 1 for other in range(len(box))]
        inside &= ((places >= 0) & (places < extent)).reshape(shape)
    return ~inside


def _rgb(levels: Array) -> Tile:
    """(height, width, channels) in 0..1 as RGB."""
    if levels.shape[-1] == 3:
        chosen = levels
    elif levels.shape[-1] == 1:
        chosen = np.repeat(levels, 3, axis=-1)
    else:
        stacked = np.concatenate([levels[..., channel] for channel in range(min(4, levels.shape[-1]))])
        chosen = np.repeat(stacked[..., None], 3, axis=-1)
    rounded: Tile = np.rint(np.clip(chosen, 0, 1) * 255).astype(np.uint8)
    return rounded


def _fitted(rgb: Tile, size: int) -> Tile:
    """Fit into a square: enlarged by whole pixels, made smaller smoothly, white beside it."""
    height, width = pictures.scaled_size(rgb.shape[:2], size)
    method = "nearest" if height >= rgb.shape[0] else "lanczos"
    small = pictures.resize(np.ascontiguousarray(rgb), (height, width), resample=method)
    tile = np.full((size, size, 3), PAPER, np.uint8)
    top, left = (size - height) // 2, (size - width) // 2
    tile[top : top + height, left : left + width] = small
    return tile


def _greyed(levels: Array, outside: NDArray[np.bool_] | None) -> Array:
    return levels if outside is None else np.where(outside[..., None], np.float32(OUTSIDE / 255), levels)


def _volume(levels: Array, outside: NDArray[np.bool_] | None, size: int) -> Tile:
    """The slices through the middle of what lies inside, and the largest values of that along the first axis."""
    half = (size - GAP) // 2
    inside = np.ones(levels.shape[:-1], np.bool_) if outside is None else ~outside
    if not inside.any():
        return np.full((size, size, 3), OUTSIDE, np.uint8)
    middle = [int(axis.mean()) for axis in np.nonzero(inside)]
    shown = _greyed(levels, outside)
    views = [np.take(shown, middle[axis], axis) for axis in range(3)]
    largest = np.where(inside[..., None], levels, -np.inf).max(axis=0)
    views.append(_greyed(largest, np.logical_not(np.asarray(inside.any(axis=0)))))
    four = grid([_fitted(_rgb(view), half) for view in views], 2)
    tile = np.full((size, size, 3), PAPER, np.uint8)
    tile[: four.shape[0], : four.shape[1]] = four
    return tile


def _lines(levels: Array, outside: NDArray[np.bool_] | None, size: int) -> Tile:
    """A line a channel, from edge to edge; grey where the signal has not begun or has ended."""
    from PIL import Image, ImageDraw

    width, height = 2 * size, size
    canvas = Image.new("RGB", (width, height), PANEL)
    draw = ImageDraw.Draw(canvas)
    inside = np.flatnonzero(~outside) if outside is not None else np.arange(len(levels))
    across = (width - 7) / max(1, len(levels) - 1)
    if not len(inside):
        return np.full((height, width, 3), OUTSIDE, np.uint8)
    if inside[0] > 0:
        draw.rectangle((0, 0, 2 + inside[0] * across, height), fill=(OUTSIDE,) * 3)
    if inside[-1] < len(levels) - 1:
        draw.rectangle((4 + inside[-1] * across, 0, width, height), fill=(OUTSIDE,) * 3)
    low, high = float(levels[inside].min()), float(levels[inside].max())
    scale = (height - 7) / (high - low) if high > low else 0.0
    for channel in range(levels.shape[-1]):
        line = [(3 + i * across, height - 4 - (float(levels[i, channel]) - low) * scale) for i in inside]
        if len(line) == 1:
            line.append((line[0][0] + 3, line[0][1]))
        draw.line(line, fill=_LINES[channel % len(_LINES)], width=1)
    return np.array(canvas)
