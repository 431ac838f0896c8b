"""Chips: against dlib where it is installed, and by what must hold of them without it."""

from __future__ import annotations

import face_oracle
import numpy as np
import pytest
from numpy.typing import NDArray

from pyconvx.faces import _chip
from pyconvx.faces._chip import MEAN_FACE, ON_CHIP, SIZE, Crop, crop_of, cut, halve, jittered


def landmarks_at(side: float, angle: float, center: complex) -> NDArray[np.int64]:
    points = (MEAN_FACE - (0.5 + 0.5j)) * side * np.exp(1j * angle) + center
    return np.rint(np.stack([points.real, points.imag], axis=1)).astype(np.int64)


def random_case(index: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Noise, with a face of any size, turn and place; a part of it may lie outside."""
    random = np.random.default_rng(index)
    height, width = random.integers(40, 900, 2)
    pixels = random.integers(0, 256, (height, width, 3), np.uint8)
    center = complex(*random.uniform(0, 1, 2) * (width, height))
    landmarks = landmarks_at(random.uniform(20, 900), random.uniform(-3, 3), center)
    return pixels, landmarks + random.integers(-4, 5, (5, 2))


@pytest.mark.dlib
@pytest.mark.parametrize("index", range(40))
def test_chips_are_dlibs_to_the_byte(index: int) -> None:
    pixels, landmarks = random_case(index)
    theirs = face_oracle.chip(pixels, landmarks)
    assert np.array_equal(cut(pixels, crop_of(landmarks)), theirs)


@pytest.mark.dlib
def test_the_comparison_can_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels, landmarks = random_case(0)
    theirs = face_oracle.chip(pixels, landmarks)
    monkeypatch.setattr(_chip, "PADDING", 0.26)
    monkeypatch.setattr(_chip, "ON_CHIP", (0.26 * (1 + 1j) + MEAN_FACE) / 1.52 * SIZE)
    assert not np.array_equal(cut(pixels, crop_of(landmarks)), theirs)


def naive_halve(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    tap = np.array([1, 4, 6, 4, 1])
    window = np.outer(tap, tap)[:, :, None]
    height, width = max((image.shape[0] - 3) // 2, 0), max((image.shape[1] - 3) // 2, 0)
    result = np.zeros((height, width, 3), np.uint8)
    for row in range(height):
        for column in range(width):
            part = image[2 * row : 2 * row + 5, 2 * column : 2 * column + 5].astype(int)
            result[row, column] = (part * window).sum(axis=(0, 1)) // 256
    return result


# 4: none; 5, 6: the least that gives a pixel, and one more; 255 everywhere is the largest sum.
@pytest.mark.parametrize("shape", [(4, 9), (5, 5), (5, 6), (6, 7), (11, 12), (30, 17)])
def test_halving_is_the_binomial_filter(shape: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8)
    assert np.array_equal(halve(image), naive_halve(image))
    assert (halve(np.full((*shape, 3), 255, np.uint8)) == 255).all()


def test_landmarks_like_the_mean_face_give_its_crop() -> None:
    crop = crop_of(landmarks_at(2000, 0.3, 3000 + 2000j))
    assert crop.angle == pytest.approx(0.3, abs=1e-3)
    assert crop.side == pytest.approx(2000 * 1.5, rel=1e-3)
    assert crop.center == pytest.approx(3000 + 2000j, abs=3)


def test_a_crop_lands_on_the_chip() -> None:
    """A dot on each landmark of a large face is where the mean face has that landmark on the chip."""
    landmarks = landmarks_at(600, 0.2, 700 + 600j)
    pixels = np.zeros((1300, 1500, 3), np.uint8)
    for x, y in landmarks:
        pixels[y - 12 : y + 13, x - 12 : x + 13] = 255
    chip = cut(pixels, crop_of(landmarks))
    for point in ON_CHIP:
        assert chip[round(point.imag), round(point.real)].min() > 128
    assert 0.003 < (chip > 128).mean() < 0.02


# Wholly outside on each side; a crop that needs one row, and a picture of one pixel.
@pytest.mark.parametrize("center", [-500 + 50j, 900 + 50j, 50 - 500j, 50 + 900j])
def test_outside_is_black(center: complex) -> None:
    pixels = np.full((100, 100, 3), 255, np.uint8)
    assert not cut(pixels, Crop(center, 200, 0.1)).any()
    assert not cut(pixels[:1, :1], Crop(center, 200, 0.1)).any()
    assert cut(pixels, Crop(50 + 50j, 200, 0.1)).any()


def test_jitter_is_drawn_by_its_seed_and_stays_near() -> None:
    crop = Crop(100 + 80j, 90, 0.5)
    crops = jittered(crop, 200, np.random.default_rng(3))
    assert crops == jittered(crop, 200, np.random.default_rng(3)) != jittered(crop, 200, np.random.default_rng(4))
    assert max(abs(other.center - crop.center) for other in crops) <= 0.02 * 2**0.5 * 90
    assert max(abs(other.angle - crop.angle) for other in crops) <= np.radians(3)
    assert all(0.95 * 90 < other.side < 90 for other in crops)
    assert 60 < sum(other.mirrored for other in crops) < 140


def test_a_mirrored_crop_is_the_mirrored_chip() -> None:
    pixels, landmarks = random_case(5)
    crop = crop_of(landmarks)
    mirrored = Crop(crop.center, crop.side, crop.angle, True)
    assert np.array_equal(cut(pixels, mirrored), cut(pixels, crop)[:, ::-1])
