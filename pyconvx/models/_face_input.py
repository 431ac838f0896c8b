"""What both face networks take: (levels - mean) / 256 in float32, in the order R, G, B."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MEAN = (122.782, 117.001, 104.298)
SCALE = 256.0
PREPROCESSING = f"levels 0..255 in the order RGB, minus {list(MEAN)}, divided by {SCALE:g}"

_MEAN = np.array(MEAN, np.float32)
_INVERSE = np.float32(1 / SCALE)  # a power of 2: the product has the bits of the quotient


def normalize(levels: NDArray[Any]) -> NDArray[np.float32]:
    """Return the networks' input of RGB levels (..., width, 3) of any type."""
    x = levels.astype(np.float32, order="C")
    rows = x.reshape(*x.shape[:-2], -1)  # NumPy is slow where an inner axis has length 3
    rows -= np.tile(_MEAN, x.shape[-2])
    rows *= _INVERSE
    return x
