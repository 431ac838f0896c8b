"""A weight together with its packed forms, so that a layer packs once; and a call with either kind of weight.

`PackedWeights(w)` wraps a channels-last weight; it goes in place of `w` to the functions of this package that layers
call. A packed form depends on direction, instruction set, stride, dilation, padding, groups and the algorithm's tiles.
"""

from __future__ import annotations

from pyconvx import _core
from pyconvx._core import PackedWeights
from pyconvx.functional._arrays import Array
from pyconvx.functional._options import ConvOptions
from pyconvx.functional._plan import ConvPlan


def compute(
    plan: ConvPlan,
    direction: str,
    options: ConvOptions,
    w: Array | PackedWeights,
    x: Array,
    bias: Array | None,
    relu: bool,
    y: Array,
) -> tuple[_core.ConvShape, str, tuple[int, ...], bool, bool]:
    """Fill `y` with one direction of a convolution; x and y contiguous, channels-last, of the plan's sizes.

    Returns what `remember_conv` takes, so that the next call like this one need not come here.
    """
    tiles = plan.tiles(direction, options, x.dtype, isinstance(w, PackedWeights))
    _core.convolve(plan.shape, direction, tiles, x, w, bias, relu, y)
    return plan.shape, direction, tiles, relu, x.itemsize == 8


__all__ = ["PackedWeights", "compute"]
