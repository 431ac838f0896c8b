"""Pictures with and without faces, made of those in the package."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyconvx import image

ASTRONAUT = image.packaged("astronaut")
PIXELS = image.load(ASTRONAUT)


def group() -> NDArray[np.uint8]:
    """Four faces in two sizes."""
    small = image.resize(PIXELS, (288, 288))
    low = np.zeros((320, 640, 3), np.uint8)
    low[16:304, 16:304] = low[16:304, 336:624] = small
    return np.concatenate([np.concatenate([PIXELS, PIXELS], axis=1), low])


PICTURES = {
    "astronaut": (PIXELS, 0),
    "doubled": (np.ascontiguousarray(PIXELS[20:220, 60:260]), 1),
    "doubled twice": (image.resize(PIXELS, (70, 80)), 2),
    "group": (group(), 0),
    "turned over": (np.ascontiguousarray(PIXELS[::-1, ::-1]), 0),
    "large": (image.resize(PIXELS, (500, 620), resample="bicubic"), 0),
    "cut at the edge": (np.ascontiguousarray(PIXELS[80:, 120:]), 1),
    "no face": (image.load(image.packaged("chelsea")), 1),
}
