"""float32 in three of its four bytes: 15 bits of fraction, rounded to the nearest, where 16-bit floats have 10.

The bytes lie in planes, the highest first: signs and exponents are alike, so that their plane is compressed well.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BYTES = 3
_DROPPED = 8  # bits


def split(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Planes (3, *shape) of bytes; halfway between two, the even one is taken."""
    words = values.astype("<f4").view("<u4").astype(np.uint64)
    half = (1 << _DROPPED - 1) - 1
    rounded = (words + half + (words >> _DROPPED & 1)) >> _DROPPED
    return np.stack([rounded >> 8 * place & 255 for place in reversed(range(BYTES))]).astype(np.uint8)


def join(planes: NDArray[Any]) -> NDArray[np.float32]:
    """The numbers of planes (3, *shape)."""
    octets = np.zeros((*planes.shape[1:], 1 + BYTES), np.uint8)
    for place, plane in enumerate(planes):
        octets[..., BYTES - place] = plane
    return octets.view("<f4")[..., 0].astype(np.float32)
