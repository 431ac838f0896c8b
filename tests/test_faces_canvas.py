"""The tiled canvas and the doubling of a picture."""

from __future__ import annotations

import face_oracle
import numpy as np
import pytest
from numpy.typing import NDArray

from pyconvx import ShapeError, num_threads
from pyconvx.faces._canvas import OUTER_PADDING, PADDING, layout, level_sizes, paint
from pyconvx.faces._enlarge import double, doubled_size
from pyconvx.functional._pyramid import paint_pyramid

MEAN = (122.782, 117.001, 104.298)

# The reference's sizes: square, wide, the ORL faces', and the largest that is common.
KNOWN = {(512, 512): (1895, 534, 24), (375, 500): (1405, 522, 22), (1024, 1024): (3732, 1046, 28)}


@pytest.mark.parametrize("size", KNOWN)
def test_canvases_are_as_large_as_known(size: tuple[int, int]) -> None:
    plan = layout(*size)
    assert (plan.height, plan.width, len(plan.tiles)) == KNOWN[size]


def test_levels_shrink_by_a_sixth_down_to_five_rows() -> None:
    sizes = level_sizes(100, 77)
    assert sizes[:3] == [(100, 77), (83, 64), (69, 53)]
    assert sizes[-1][0] >= 5 > 5 * sizes[-1][0] // 6
    assert level_sizes(900, 2)[-1] == (750, 1)
    assert level_sizes(3, 700) == [(3, 700)]


# Squares, strips, one pixel, primes: no tile may leave the canvas's inner part or come nearer than the padding.
@pytest.mark.parametrize("size", [(512, 512), (112, 92), (97, 389), (389, 97), (5, 5), (4, 900), (900, 4), (1, 1)])
def test_tiles_keep_apart(size: tuple[int, int]) -> None:
    plan = layout(*size)
    owner = np.zeros((plan.height, plan.width), int)
    for tile in plan.tiles:
        rows = slice(tile.top, tile.top + tile.height)
        columns = slice(tile.left, tile.left + tile.width)
        assert owner[rows, columns].shape == (tile.height, tile.width)
        assert not owner[rows, columns].any()
        owner[rows, columns] = 1
    edge = OUTER_PADDING
    assert owner.sum() == owner[edge:-edge, edge:-edge].sum()
    below = zip(plan.tiles, plan.tiles[1:], strict=False)
    assert all(b.top - a.top - a.height >= PADDING or b.left > a.left for a, b in below)


def evenly(old: int, new: int) -> list[float]:
    """Where new pixels lie among the old, corner on corner."""
    return [place * (old - 1) / max(new - 1, 1) for place in range(new)]


def by_fours(old: int, new: int) -> list[float]:
    """The same, four at a time by sums in float32, as far as all four have a neighbour on their right."""
    places, step = evenly(old, new), (old - 1) / max(new - 1, 1)
    four = [np.float32((lane - 4) * step) for lane in range(4)]
    for start in range(0, new, 4):
        four = [x + np.float32(4 * step) for x in four]
        if int(four[3]) + 1 >= old:
            break
        places[start : start + 4] = [float(x) for x in four[: new - start]]
    return places


def bilinear(level: NDArray[np.float64], rows: list[float], columns: list[float]) -> NDArray[np.float64]:
    """Pixel by pixel."""
    height, width = len(rows), len(columns)
    result = np.empty((height, width, level.shape[2]))
    for row in range(height):
        for column in range(width):
            y, x = rows[row], columns[column]
            top, left = int(y), int(x)
            bottom, right = min(top + 1, level.shape[0] - 1), min(left + 1, level.shape[1] - 1)
            upper = level[top, left] * (1 - x + left) + level[top, right] * (x - left)
            lower = level[bottom, left] * (1 - x + left) + level[bottom, right] * (x - left)
            result[row, column] = upper * (1 - y + top) + lower * (y - top)
    return result


# Several levels with more rows than a task has; one row, one column, one pixel; a strip whose levels are all narrow.
@pytest.mark.parametrize("size", [(60, 50), (200, 180), (1, 9), (9, 1), (1, 1), (5, 300), (300, 3)])
@pytest.mark.parametrize("threads", [1, 3])
def test_the_canvas_holds_every_level_and_zeros(size: tuple[int, int], threads: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    plan = layout(*size)
    with num_threads(threads):
        canvas = paint(picture, MEAN, 1 / 256, plan)
    level = (picture - np.array(MEAN, np.float32).astype(np.float64)) / 256
    for tile in plan.tiles:
        level = bilinear(level, evenly(level.shape[0], tile.height), by_fours(level.shape[1], tile.width))
        place = canvas[tile.top : tile.top + tile.height, tile.left : tile.left + tile.width]
        np.testing.assert_allclose(place, level, rtol=0, atol=2e-6)
        place[:] = 0
    assert not canvas.any()


def test_the_canvas_has_the_same_bits_for_any_number_of_threads_and_strides() -> None:
    wide = np.random.default_rng(0).integers(0, 256, (300, 520, 3), np.uint8)
    plan = layout(300, 260)
    with num_threads(1):
        expected = paint(np.ascontiguousarray(wide[:, ::2]), MEAN, 1 / 256, plan)
    for threads in (2, 5):
        with num_threads(threads):
            assert np.array_equal(paint(wide[:, ::2], MEAN, 1 / 256, plan), expected)


@pytest.mark.parametrize(
    "tiles",
    [
        [(11, 11, 40, 31)],
        [(11, 11, 40, 30), (-1, 50, 33, 25)],
        [(11, 11, 40, 30), (30, 50, 33, 25)],
        [(11, 11, 40, 30), (11, 50, 33, 51)],
        [(11, 11, 40, 30), (11, 50, 0, 25)],
        [(11, 11, 40, 30), (11, 2**62, 33, 2**62)],
        [],
    ],
)
def test_tiles_that_do_not_fit_are_refused(tiles: list[tuple[int, int, int, int]]) -> None:
    picture = np.zeros((30, 40, 3), np.uint8)
    with pytest.raises(ShapeError):
        paint_pyramid(picture, MEAN, 1 / 256, (100, 60), tiles)


@pytest.mark.dlib
@pytest.mark.parametrize("index", range(40))
def test_doubling_is_dlibs_to_the_byte(index: int) -> None:
    random = np.random.default_rng(index)
    height, width = random.integers(1, 14 if index < 20 else 300, 2)  # at the small ones the right edge is all there is
    picture = random.integers(0, 256, (height, width, 3), np.uint8)
    rows, columns = doubled_size(height, width)
    assert np.array_equal(double(picture), face_oracle.dlib().resize_image(picture, rows, columns))


def test_doubling_is_bilinear_and_truncated() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (20, 31, 3), np.uint8)
    ours = double(picture)
    assert ours.shape == (41, 64, 3)
    expected = bilinear(picture.astype(np.float64), evenly(20, 41), evenly(31, 64))
    assert (ours <= expected + 1e-3).all()
    assert (ours > expected - 1 - 1e-3).all()
