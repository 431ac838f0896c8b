"""The primitives of dlib's serialisation, read from bytes that nobody vouches for.

An integer is a control byte (size in its low nibble, sign in its highest bit) and so many bytes of magnitude; a float
is two integers, mantissa and exponent of 2. The caller always knows how many values must come: no number in the file
makes anything be allocated or repeated.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import WeightsError
from pyconvx.models._foreign import ANEW

_MOST_BYTES = 7  # of an integer's magnitude; none of these files has larger ones
_MOST_TEXT = 64  # names of layers are shorter
# Finite float32 and float64 have exponents well within; 32000 and more stand for infinity and NaN.
_MOST_EXPONENT = 1100
# Control byte -> length of the integer with it; 0 for a byte that no integer starts with.
_STEPS = bytes(1 + (byte & 15) if byte & 0x70 == 0 and byte & 15 <= _MOST_BYTES else 0 for byte in range(256))


class Stream:
    """Bytes and a position; every method reads on from there, or raises WeightsError with the place."""

    def __init__(self, data: bytes, source: str) -> None:
        self.data = data
        self.source = source
        self.at = 0

    def fail(self, what: str) -> WeightsError:
        """An error that names file and place, to be raised."""
        return WeightsError(
            f"{self.source}: {what}, at byte {self.at}; the file is damaged, or of another model than the three that "
            f"load_dlib names: {ANEW}"
        )

    def take(self, count: int) -> bytes:
        """The next bytes."""
        if count > len(self.data) - self.at:
            raise self.fail("ends too early")
        self.at += count
        return self.data[self.at - count : self.at]

    def integer(self) -> int:
        """One integer."""
        control = self.take(1)[0]
        if not _STEPS[control]:
            self.at -= 1
            raise self.fail("holds no integer where one must be")
        magnitude = int.from_bytes(self.take(_STEPS[control] - 1), "little")
        return -magnitude if control & 0x80 else magnitude

    def expect(self, what: str, *wanted: int) -> int:
        """One integer that must be one of those wanted."""
        start = self.at
        value = self.integer()
        if value not in wanted:
            self.at = start
            raise self.fail(f"{what} is {value}, wanted {' or '.join(map(str, wanted))}")
        return value

    def boolean(self) -> bool:
        """One "0" or "1"."""
        value = self.take(1)
        if value not in (b"0", b"1"):
            self.at -= 1
            raise self.fail("holds no truth value where one must be")
        return value == b"1"

    def real(self) -> float:
        """One finite float."""
        return float(self.reals(1)[0])

    def text(self) -> str:
        """One short string."""
        length = self.integer()
        if not 0 <= length <= _MOST_TEXT:
            raise self.fail(f"a name has {length} letters")
        return self.take(length).decode("ascii", "replace")

    def tensor(self, count: int | None) -> NDArray[np.float32]:
        """One tensor of `count` elements, flat; None: of any number, which is skipped."""
        self.expect("the version of a tensor", 2)
        sizes = [self.integer() for _ in range(4)]
        total = math.prod(sizes)
        if min(sizes) < 0 or (count is not None and total != count):
            raise self.fail(f"a tensor has sizes {sizes}" + ("" if count is None else f", wanted {count} elements"))
        if count is None:
            if total > (len(self.data) - self.at) // 4:
                raise self.fail("ends too early")
            self.at += 4 * total
            return np.empty(0, np.float32)
        values = np.frombuffer(self.take(4 * total), "<f4").astype(np.float32)
        if not np.isfinite(values).all():
            raise self.fail("weights hold NaN or infinity")
        return values

    def integers(self, count: int) -> NDArray[np.int64]:
        """So many integers one after the other."""
        if count > len(self.data) - self.at:  # of one byte or more each
            raise self.fail("ends too early")
        window = self.data[self.at : self.at + count * (1 + _MOST_BYTES)]
        padded = window + bytes(1 + _MOST_BYTES)
        # A walk, as each length is known only when the one before was read; at the end of the data, or at what is no
        # integer, it stays where it is.
        steps = window.translate(_STEPS) + bytes(1 + _MOST_BYTES)
        starts = [0] * count
        place = 0
        for index in range(count):
            starts[index] = place
            place += steps[place]
        if count and (place > len(window) or not steps[starts[-1]]):
            self.at += min(place, len(window))
            raise self.fail("ends too early" if place >= len(window) else "holds no integer where one must be")
        self.at += place
        return _decode(np.frombuffer(padded, np.uint8), np.array(starts, np.int64))

    def reals(self, count: int) -> NDArray[np.float64]:
        """So many finite floats one after the other."""
        pairs = self.integers(2 * count).reshape(count, 2)
        return self.join(pairs[:, 0], pairs[:, 1])

    def join(self, mantissa: NDArray[np.int64], exponent: NDArray[np.int64]) -> NDArray[np.float64]:
        """Floats of their parts."""
        if np.abs(exponent).max(initial=0) > _MOST_EXPONENT:
            raise self.fail("a number is NaN or infinite")
        with np.errstate(over="ignore"):
            values: NDArray[np.float64] = np.ldexp(mantissa.astype(np.float64), exponent.astype(np.int32))
        if not np.isfinite(values).all():
            raise self.fail("a number is NaN or infinite")
        return values

    def narrow(self, values: NDArray[np.float64]) -> NDArray[np.float32]:
        """The same in float32, contiguous."""
        with np.errstate(over="ignore"):
            narrow = np.ascontiguousarray(values, np.float32)
        if not np.isfinite(narrow).all():
            raise self.fail("a number is too large for float32")
        return narrow

    def end(self) -> None:
        """Refuse what comes after the last value."""
        if self.at != len(self.data):
            raise self.fail(f"goes on for {len(self.data) - self.at} bytes after its end")


def _decode(octets: NDArray[np.uint8], starts: NDArray[np.int64]) -> NDArray[np.int64]:
    """The integers that begin at `starts`; seven bytes follow each control byte, with those of other values."""
    control = octets[starts]
    sizes = (control & 15).astype(np.int64)
    words = octets[starts[:, None] + np.arange(1 + _MOST_BYTES)].view("<i8")[:, 0] >> 8
    magnitude = words & ((np.int64(1) << (8 * sizes)) - 1)
    signed: NDArray[np.int64] = np.where(control & 0x80 != 0, -magnitude, magnitude)
    return signed
