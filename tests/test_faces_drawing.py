"""Drawing, cutting out and blurring: where pixels change, and that blurring cannot be undone."""

from __future__ import annotations

import numpy as np
import pytest

from pyconvx import faces, image
from pyconvx.errors import OptionError, ShapeError
from pyconvx.faces import Face


def noise(height: int = 90, width: int = 120, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


def test_a_box_is_drawn_on_its_pixels() -> None:
    picture = noise()
    drawn = faces.draw(picture, [Face((20, 10, 59, 49))], color=(255, 0, 0), width=2)
    changed = (drawn == (255, 0, 0)).all(axis=2)
    wanted = np.zeros((90, 120), bool)
    wanted[10:50, 20:60] = True
    wanted[12:48, 22:58] = False
    np.testing.assert_array_equal(changed, wanted)
    np.testing.assert_array_equal(drawn[~wanted], picture[~wanted])
    np.testing.assert_array_equal(picture, noise())


def test_names_and_landmarks_are_drawn() -> None:
    face = Face((20, 10, 79, 49), landmarks=np.array([[30, 20], [40, 20], [50, 20], [60, 20], [45, 40]]))
    plain = faces.draw(noise(), [face])
    named = faces.draw(noise(), [face], ["Zo\u00eb"])
    assert (plain != named)[50:].any()
    np.testing.assert_array_equal(faces.draw(noise(), [face], [None]), plain)
    marked = faces.draw(noise(), [face], landmarks=True)
    assert marked[20, 30].tolist() == [0, 200, 83]


def test_boxes_may_leave_the_picture() -> None:
    for box in ((-20, -20, 10, 10), (100, 70, 300, 300), (-50, -50, 300, 300), (500, 500, 600, 600)):
        assert faces.draw(noise(), [box], ["somebody with quite a long name"]).shape == (90, 120, 3)
        assert faces.blur(noise(), [box]).shape == (90, 120, 3)
    with pytest.raises(ShapeError, match="outside the picture of 120 x 90"):
        faces.crop(noise(), (500, 500, 600, 600))


def test_a_crop_is_the_box_and_its_margin() -> None:
    picture = noise()
    np.testing.assert_array_equal(faces.crop(picture, (20, 10, 59, 49), margin=0), picture[10:50, 20:60])
    np.testing.assert_array_equal(faces.crop(picture, (20, 10, 59, 49), margin=0.5), picture[:70, :80])
    part = faces.crop(picture, Face((0, 0, 9, 9)), margin=0)
    part[:] = 0
    np.testing.assert_array_equal(picture, noise())


@pytest.mark.parametrize("method", ["pixelate", "gaussian", "fill"])
def test_only_faces_are_blurred(method: str) -> None:
    picture = noise()
    blurred = faces.blur(picture, [(20, 10, 59, 49)], method=method, margin=0.1)
    inside = np.zeros((90, 120), bool)
    inside[6:54, 16:64] = True
    np.testing.assert_array_equal(blurred[~inside], picture[~inside])
    assert (blurred[inside] != picture[inside]).mean() > 0.9
    np.testing.assert_array_equal(picture, noise())


@pytest.mark.parametrize("method", ["pixelate", "gaussian", "fill"])
def test_nothing_but_the_means_of_cells_is_left(method: str) -> None:
    """Two different faces with the same means give the same bytes: no program can tell which it was."""
    picture = noise()
    other = picture.copy()
    rng = np.random.default_rng(1)
    for row in range(10, 46, 6):
        for column in range(20, 56, 6):
            cell = other[row : row + 6, column : column + 6].reshape(-1, 3)
            other[row : row + 6, column : column + 6] = rng.permutation(cell).reshape(6, 6, 3)
    assert (picture != other).any()
    blurred = [faces.blur(one, [(20, 10, 55, 45)], method=method, margin=0) for one in (picture, other)]
    np.testing.assert_array_equal(*blurred)


@pytest.mark.parametrize("size", [(4, 4), (13, 200), (1, 1), (37, 61), (200, 150)])
def test_strength_follows_the_size_of_the_face(size: tuple[int, int]) -> None:
    picture = noise(220, 220)
    height, width = size
    box = (5, 7, 5 + width - 1, 7 + height - 1)
    region = faces.blur(picture, [box], margin=0, cells=6)[7 : 7 + height, 5 : 5 + width]
    assert len(np.unique(region.reshape(-1, 3), axis=0)) <= 36


def test_a_blurred_face_is_not_recognised() -> None:
    picture = image.load(image.packaged("astronaut"))
    (face,) = faces.encode(picture)
    for method in ("pixelate", "gaussian", "fill"):
        blurred = faces.blur(picture, [face], method=method)
        assert faces.detect(blurred) == []
        (same_place,) = faces.encode(blurred, [face.with_(encoding=None)])
        assert np.linalg.norm(same_place.encoding - face.encoding) > 0.6


def test_wrong_options() -> None:
    for wrong in ({"method": "smear"}, {"cells": 0}, {"cells": 13}, {"cells": 2.5}, {"margin": -0.1}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            faces.blur(noise(), [(0, 0, 9, 9)], **wrong)
    for wrong in ({"color": (1, 2)}, {"color": (0, 0, 256)}, {"width": 0}, {"width": 1.5}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            faces.draw(noise(), [(0, 0, 9, 9)], **wrong)
    with pytest.raises(ShapeError, match="1 for 2 faces"):
        faces.draw(noise(), [(0, 0, 9, 9), (0, 0, 5, 5)], ["Ann"])
    with pytest.raises(ShapeError, match="box"):
        faces.blur(noise(), [(9, 9, 0, 0)])
