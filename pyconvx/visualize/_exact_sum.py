"""Sums of float64 that have the same bits in any order: shards of a set add up to what one pass over it gives.

A number is m 2^e with a whole m of 53 bits. It is added, exactly, to a fixed-point number that is kept in limbs of 32
bits, each in an int64 of its own, so that 2^30 additions need no carry. What is below 2^-200 of a number is cut off
before it is added, which depends on that number alone.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import OptionError

LIMBS = 12
_LOWEST = -200  # the exponent of the lowest bit
_MASK = (1 << 32) - 1


class ExactSum:
    """An array of sums; `limbs` (*shape, LIMBS) is all of its state."""

    def __init__(self, shape: tuple[int, ...], limbs: NDArray[np.int64] | None = None) -> None:
        self.limbs = np.zeros((*shape, LIMBS), np.int64) if limbs is None else limbs

    def add(self, values: NDArray[Any], where: Any = ()) -> None:
        """Add an array to the sums, or to those at the index `where` of the first axes.

        Raises
        ------
        OptionError
            If a value is not finite, or larger than 2^150.
        """
        mantissa, exponent = np.frexp(np.asarray(values, np.float64))
        if not np.isfinite(mantissa).all() or (exponent > 150).any():
            raise OptionError("values must be finite and below 2^150 to be summed")
        whole = np.ldexp(mantissa, 53).astype(np.int64)
        sign, whole = np.sign(whole), np.abs(whole)
        shift = exponent.astype(np.int64) - 53 - _LOWEST
        whole >>= np.clip(-shift, 0, 62)
        limb, bit = np.divmod(np.maximum(shift, 0), 32)
        low, high = (whole & _MASK) << bit, (whole >> 32) << bit
        target = self.limbs[where]
        for parts, offset in ((low & _MASK, 0), ((low >> 32) + (high & _MASK), 1), (high >> 32, 2)):
            place = limb[..., None] + offset
            added = np.take_along_axis(target, place, -1) + (sign * parts)[..., None]
            np.put_along_axis(target, place, added, -1)

    def merged(self, other: ExactSum) -> ExactSum:
        """Return the sums over both."""
        return ExactSum((), self.limbs + other.limbs)

    def divided(self, count: Any) -> NDArray[np.float64]:
        """Return the sums over `count`, correctly rounded; 0 where that is 0."""
        counts = np.broadcast_to(np.asarray(count), self.limbs.shape[:-1])
        result = np.zeros(self.limbs.shape[:-1])
        for index in np.ndindex(result.shape):
            total = sum(int(limb) << (32 * place) for place, limb in enumerate(self.limbs[index]))
            if counts[index]:
                result[index] = float(Fraction(total, int(counts[index])) / (1 << -_LOWEST))
        return result
