"""A margin that is painted with the picture, and cut off at the end.

At the edge of what is painted the network sees zeros where there is no picture, and fewer of its features see a pixel:
the edge takes on the frame of the style picture, and a tint. A few pixels further in there is nothing of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[Any]


def extend(picture: Picture, margin: int) -> Picture:
    """Return `(height, width, channels)` with its mirror image around it, `margin` pixels on each side."""
    return np.pad(picture, ((margin, margin), (margin, margin), (0, 0)), "reflect")


def cut(picture: Picture, margin: int) -> Picture:
    """Return what `extend` was given."""
    height, width, _ = picture.shape
    return np.ascontiguousarray(picture[margin : height - margin, margin : width - margin])
