"""The sizes that a picture is painted at, coarse to fine, and the steps that each gets.

Coarse levels place the large strokes cheaply (a quarter of the pixels a level); fine levels only sharpen them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from pyconvx.errors import OptionError
from pyconvx.image import scaled_size
from pyconvx.style.options import SMALLEST_SIZE

AUTO_FROM = 384
"""Long edge in pixels from which "auto" uses more than one level."""

_AUTO_SMALLEST = 192


class Level(NamedTuple):
    """One size of the pyramid, in pixels, and the optimiser's steps there."""

    height: int
    width: int
    steps: int


def schedule(height: int, width: int, steps: int, pyramid: int | Literal["auto", "off"] = "auto") -> list[Level]:
    """Return the levels for a picture, coarse to fine; each has twice the size of the one before.

    Parameters
    ----------
    height, width : int
        Size of the finished picture in pixels.
    steps : int
        Steps at the coarsest level; each finer level gets half of those of the level before it, and at least one.
    pyramid : int, "auto" or "off"
        Number of levels. "auto": one below 384 px of the long edge; from there as many as keep the long edge of the
        coarsest at 192 px or more. "off": one.

    Returns
    -------
    list of Level

    Raises
    ------
    OptionError
        If the coarsest level would be smaller than 16 px.

    Examples
    --------
    >>> schedule(384, 512, 200)
    [Level(height=192, width=256, steps=200), Level(height=384, width=512, steps=100)]
    """
    count = _count(max(height, width), pyramid)
    levels = []
    for index in range(count):
        shrink = 2 ** (count - 1 - index)
        levels.append(Level(max(1, round(height / shrink)), max(1, round(width / shrink)), max(1, steps >> index)))
    if count > 1 and min(levels[0][:2]) < SMALLEST_SIZE:
        raise OptionError(
            f"pyramid: {count} levels for {width}x{height} px make the coarsest {levels[0].width}x{levels[0].height}, "
            f"smaller than {SMALLEST_SIZE} px; use fewer levels"
        )
    return levels


def fit(shape: tuple[int, int], size: int | None) -> tuple[int, int]:
    """Return (height, width) with the long edge `size`, in the shape's proportions."""
    height, width = shape if size is None else scaled_size(shape, size)
    if min(height, width) < SMALLEST_SIZE:
        raise OptionError(
            f"size: the painting would be {width}x{height} px; the network needs {SMALLEST_SIZE} px or more each way, "
            "so use a larger size or a less narrow picture"
        )
    return height, width


def _count(long_edge: int, pyramid: int | str) -> int:
    if pyramid == "off":
        return 1
    if pyramid == "auto":
        count = 1
        while long_edge >= AUTO_FROM and long_edge / 2**count >= _AUTO_SMALLEST:
            count += 1
        return count
    if isinstance(pyramid, bool) or not isinstance(pyramid, int) or pyramid < 1:
        raise OptionError(f"pyramid must be 'auto', 'off' or a number of levels from 1: got {pyramid!r}")
    return pyramid
