"""Where a ReLU let its input through, in one bit an element, and the gradient masked by it.

A 512-pixel VGG-16 has 16.8 million activations in its first layer alone: 67 MB if the output is kept for the gradient,
2 MB in bits. Both directions go block by block, so that no other full-size array exists on the way. Masking is a
bitwise AND with 0 or -1: a blocked gradient becomes +0 whatever it was, an infinity or a NaN included.
"""

from __future__ import annotations

import numpy as np

from pyconvx.nn._arrays import Array

_BLOCK = 1 << 16  # elements; 256 KiB of float32 and a mask stay in the second-level cache; a multiple of 8


class ReluMask:
    """Remembers which elements of a ReLU's input or output are above zero, or NaN, which the ReLU let through too."""

    __slots__ = ("_blocked", "_size")

    def __init__(self, values: Array) -> None:
        flat = values.reshape(-1)
        self._size = flat.size
        self._blocked = np.empty(-(-flat.size // 8), np.uint8)
        low = np.empty(min(_BLOCK, flat.size), bool)
        for start in range(0, flat.size, _BLOCK):
            block = flat[start : start + _BLOCK]
            np.less_equal(block, 0, out=low[: block.size])
            packed = np.packbits(low[: block.size])
            self._blocked[start // 8 : start // 8 + packed.size] = packed

    def apply(self, dy: Array, overwrite: bool) -> Array:
        """Return `dy` where the input passed and +0 elsewhere; in place if allowed and `dy` is one piece."""
        source = dy.reshape(-1)
        in_place = overwrite and dy.flags.c_contiguous and dy.flags.writeable
        target = source if in_place else np.empty_like(source)
        word = np.dtype(np.int32 if dy.dtype == np.float32 else np.int64)
        keep = np.empty(min(_BLOCK, self._size), word)
        for start in range(0, self._size, _BLOCK):
            stop = min(start + _BLOCK, self._size)
            bits = np.unpackbits(self._blocked[start // 8 : -(-stop // 8)], count=stop - start).view(np.int8)
            mask = np.subtract(bits, 1, out=keep[: stop - start], dtype=word)  # blocked: 0, passed: all ones
            np.bitwise_and(source[start:stop].view(word), mask, out=target[start:stop].view(word))
        return dy if in_place else target.reshape(dy.shape)
