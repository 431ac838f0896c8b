"""From scores to boxes, and which box stays."""

from __future__ import annotations

import numpy as np
import pytest

from pyconvx.faces._boxes import on_level_zero, rounded, suppressed
from pyconvx.faces._canvas import layout

STRIDE, ORIGIN, WINDOW = 8, 14, 80


def test_halves_are_rounded_away_from_zero() -> None:
    assert rounded(np.array([0.5, 1.5, 2.4999, -0.5, -1.5, -2.4])).tolist() == [1, 2, 2, -1, -2, -2]


def test_a_cell_is_taken_back_to_the_picture() -> None:
    """By hand, on a level that is neither the first nor the last: the middle of the window goes where it came from."""
    plan = layout(300, 260)
    tile = plan.tiles[3]
    row, column = (tile.top + 90 - ORIGIN) // STRIDE, (tile.left + 80 - ORIGIN) // STRIDE
    scores = np.full((plan.height // 8, plan.width // 8), -1, np.float32)
    scores[row, column] = 0.5
    corners, found = on_level_zero(scores, plan, 0.0, STRIDE, ORIGIN, WINDOW)
    x, y = STRIDE * column + ORIGIN - tile.left, STRIDE * row + ORIGIN - tile.top
    expected = np.array([x - 39.5, y - 39.5, x + 39.5, y + 39.5])
    for _ in range(3):
        expected = expected * 1.2 + 0.3
    np.testing.assert_allclose(corners, [expected])
    assert found.tolist() == [0.5]


def test_a_point_between_levels_belongs_to_the_nearest() -> None:
    plan = layout(297, 260)
    first = plan.tiles[0]
    row = (first.top + first.height + 2 - ORIGIN) // STRIDE
    assert STRIDE * row + ORIGIN - first.top == 299  # two pixels below level 0, which ends at 296; eight above level 1
    scores = np.full((plan.height // 8, plan.width // 8), -1, np.float32)
    scores[row, 10] = 1
    corners, _ = on_level_zero(scores, plan, 0.0, STRIDE, ORIGIN, WINDOW)
    assert corners[0, 3] - corners[0, 1] == WINDOW - 1


def test_the_best_comes_first_and_the_least_score_is_exclusive() -> None:
    plan = layout(300, 260)
    scores = np.zeros((plan.height // 8, plan.width // 8), np.float32)
    scores[4, 4], scores[9, 4], scores[14, 4] = 0.25, 0.75, 0.5
    assert on_level_zero(scores, plan, 0.0, STRIDE, ORIGIN, WINDOW)[1].tolist() == [0.75, 0.5, 0.25]
    assert on_level_zero(scores, plan, 0.5, STRIDE, ORIGIN, WINDOW)[1].tolist() == [0.75]
    assert len(on_level_zero(scores - 9, plan, 0.0, STRIDE, ORIGIN, WINDOW)[0]) == 0


def naive_suppressed(boxes: list[tuple[int, int, int, int]], most: float) -> list[int]:
    """With sets of pixels."""

    def pixels(left: int, top: int, right: int, bottom: int) -> set[tuple[int, int]]:
        return {(x, y) for x in range(left, right + 1) for y in range(top, bottom + 1)}

    kept: list[int] = []
    for index, box in enumerate(boxes):
        for other in (boxes[place] for place in kept):
            around = [min(box[0], other[0]), min(box[1], other[1]), max(box[2], other[2]), max(box[3], other[3])]
            if len(pixels(*box) & pixels(*other)) / len(pixels(*around)) > most:
                break
        else:
            kept.append(index)
    return kept


@pytest.mark.parametrize("seed", range(10))
def test_suppression_counts_pixels(seed: int) -> None:
    random = np.random.default_rng(seed)
    corners = random.integers(-10, 20, (25, 2))
    boxes = np.concatenate([corners, corners + random.integers(3, 14, (25, 2))], axis=1)
    kept = suppressed(boxes)
    assert kept == naive_suppressed([tuple(box) for box in boxes.tolist()], 0.3382761351109955)
    assert 0 in kept
    assert 1 < len(kept) < 25


def test_the_denominator_is_the_box_around_both() -> None:
    """Two boxes on a diagonal: a third of their union, a quarter of the box around them; both stay."""
    assert suppressed(np.array([[0, 0, 9, 9], [3, 3, 12, 12]])) == [0, 1]
    assert suppressed(np.array([[0, 0, 9, 9], [4, 0, 13, 9]])) == [0]
    assert suppressed(np.empty((0, 4), np.int64)) == []
