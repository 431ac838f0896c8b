"""Cutting an upright square of 150x150 pixels out of a picture, with the arithmetic of the encoder's training data.

A crop is a square (centre, side, angle) in the picture. The similarity that takes the mean face to five landmarks gives
it (Umeyama 1991, here in closed form with complex numbers). A large crop is halved until bilinear interpolation skips
no pixels; then each pixel of the chip is interpolated in float64 and truncated, as these bytes were in training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIZE = 150
PADDING = 0.25
# x + iy of the five landmarks on the mean face, whose box is the unit square.
MEAN_FACE = np.array(
    [
        0.8595674595992 + 0.2134981538014j,
        0.6460604764104 + 0.2289674387677j,
        0.1205750620789 + 0.2137274526848j,
        0.3340850613712 + 0.2290642403242j,
        0.4901123135679 + 0.6277975316475j,
    ]
)
ON_CHIP = (PADDING * (1 + 1j) + MEAN_FACE) / (1 + 2 * PADDING) * SIZE
HALVED = complex(1.25, 0.75)  # where the first pixel of a halved picture lies, in halved pixels


@dataclass(frozen=True)
class Crop:
    """A square in a picture: centre x + iy, side in pixels, angle in radians (clockwise on screen)."""

    center: complex
    side: float
    angle: float
    mirrored: bool = False

    @property
    def corners(self) -> tuple[complex, complex, complex, complex]:
        """Top left, top right, bottom left, bottom right, as turned; pixels are points, so the extent is side - 1."""
        half, turn = (self.side - 1) / 2, complex(math.cos(self.angle), math.sin(self.angle))
        offsets = (-half - half * 1j, half - half * 1j, -half + half * 1j, half + half * 1j)
        top_left, top_right, bottom_left, bottom_right = (self.center + turn * offset for offset in offsets)
        return top_left, top_right, bottom_left, bottom_right

    def halved(self) -> Crop:
        """The same square in the picture that `halve` makes."""
        return Crop(self.center / 2 - HALVED, (self.side - 1) / 2 + 1, self.angle, self.mirrored)

    def moved(self, offset: complex) -> Crop:
        """The same square, where the picture's origin lies at `offset`."""
        return Crop(self.center - offset, self.side, self.angle, self.mirrored)


def crop_of(landmarks: NDArray[np.int64]) -> Crop:
    """Return the crop in which five landmarks lie as on the mean face, as nearly as a similarity can bring them."""
    points = landmarks[:, 0] + 1j * landmarks[:, 1]
    chip_mean, mean = ON_CHIP.mean(), points.mean()
    chip = ON_CHIP - chip_mean
    turn_and_scale = complex(np.vdot(chip, points - mean) / np.vdot(chip, chip).real)
    center = turn_and_scale * ((1 + 1j) * SIZE / 2 - chip_mean) + mean
    return Crop(complex(center), SIZE * abs(turn_and_scale), math.atan2(turn_and_scale.imag, turn_and_scale.real))


def jittered(crop: Crop, count: int, random: np.random.Generator) -> list[Crop]:
    """Return `count` crops near `crop`: turned by up to 3 degrees, moved by up to 2%, 1 to 4% closer, half mirrored."""
    inner = (SIZE - 6) / SIZE
    crops = []
    for _ in range(count):
        shift = complex(*random.uniform(-0.02, 0.02, 2)) * inner * crop.side
        side = crop.side * inner / random.uniform(0.97, 1)
        turn = math.radians(random.uniform(-3, 3))
        upright = complex(math.cos(crop.angle), math.sin(crop.angle))
        crops.append(Crop(crop.center + shift * upright, side, crop.angle + turn, bool(random.random() > 0.5)))
    return crops


def cut(image: NDArray[np.uint8], crop: Crop) -> NDArray[np.uint8]:
    """Return the chip (150, 150, 3) of a crop; what lies outside of the picture (H, W, 3) is black."""
    depth, grow, halved = 0, 2.0, crop.halved()
    while halved.side * halved.side > SIZE * SIZE:
        depth, grow, halved = depth + 1, grow * 2 + 2, halved.halved()
    left, top, right, bottom = _bounds(crop, grow, image.shape)
    if right < left or bottom < top:
        return np.zeros((SIZE, SIZE, 3), np.uint8)
    level = image[top : bottom + 1, left : right + 1]
    crop = crop.moved(complex(left, top))
    for _ in range(depth):
        level, crop = halve(level), crop.halved()
    chip = _interpolate(level, crop)
    return np.ascontiguousarray(chip[:, ::-1]) if crop.mirrored else chip


def _bounds(crop: Crop, grow: float, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The part of the picture that a crop needs, with `grow` pixels around; empty if it lies outside."""
    x = [corner.real for corner in crop.corners]
    y = [corner.imag for corner in crop.corners]
    left, top = max(min(x) - grow, 0), max(min(y) - grow, 0)
    right, bottom = min(max(x) + grow, shape[1] - 1), min(max(y) + grow, shape[0] - 1)
    if right < left or bottom < top:
        return 0, 0, -1, -1
    return math.floor(left + 0.5), math.floor(top + 0.5), math.floor(right + 0.5), math.floor(bottom + 0.5)


def halve(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture of half the size: [1 4 6 4 1] / 16 along both axes, whole numbers, truncated once at the end.

    Pixel (r, c) is centred on (2r + 2, 2c + 2); where the filter does not fit, there is no pixel.
    """
    height, width = max((image.shape[0] - 3) // 2, 0), max((image.shape[1] - 3) // 2, 0)
    if not height or not width:
        return np.zeros((height, width, 3), np.uint8)
    rows = _filtered([image[:, tap : tap + 2 * width - 1 : 2].astype(np.uint16) for tap in range(5)])
    both = _filtered([rows[tap : tap + 2 * height - 1 : 2] for tap in range(5)])  # at most 255 * 256: fits 16 bits
    return (both >> 8).astype(np.uint8)


def _filtered(taps: list[NDArray[np.uint16]]) -> NDArray[np.uint16]:
    total = taps[1] + taps[3]
    total <<= 2
    total += taps[0]
    total += taps[4]
    total += taps[2] * np.uint16(6)
    return total


def _interpolate(level: NDArray[np.uint8], crop: Crop) -> NDArray[np.uint8]:
    """Bilinear, in float64: the four neighbours of a pixel are gathered as 32-bit words of three channels."""
    height, width = level.shape[:2]
    top_left, top_right, bottom_left, _ = crop.corners
    steps = np.arange(SIZE, dtype=np.float64)
    along, down = (top_right - top_left) / (SIZE - 1), (bottom_left - top_left) / (SIZE - 1)
    x = (along.real * steps[None, :] + down.real * steps[:, None] + top_left.real).ravel()
    y = (along.imag * steps[None, :] + down.imag * steps[:, None] + top_left.imag).ravel()
    left, top = np.floor(x), np.floor(y)
    inside = (left >= 0) & (top >= 0) & (left + 1 < width) & (top + 1 < height)
    if height < 2 or width < 2 or not inside.any():
        return np.zeros((SIZE, SIZE, 3), np.uint8)
    words = np.zeros((height, width, 4), np.uint8)
    words[:, :, :3] = level
    pixels = words.reshape(-1).view(np.uint32)
    index = np.where(inside, top * width + left, 0).astype(np.intp)

    def neighbour(offset: int) -> NDArray[np.float64]:
        levels = pixels.take(index + offset).view(np.uint8).reshape(-1, 4)
        return np.ascontiguousarray(levels[:, :3].T, np.float64)

    across, below = x - left, y - top
    upper = (1 - across) * neighbour(0) + across * neighbour(1)
    lower = (1 - across) * neighbour(width) + across * neighbour(width + 1)
    values = (1 - below) * upper + below * lower
    values *= inside
    return np.ascontiguousarray(values.T, np.uint8).reshape(SIZE, SIZE, 3)
