"""A convolution's sizes, checked once and remembered: rank is erased here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from pyconvx import _core
from pyconvx.errors import OptionError, ShapeError
from pyconvx.functional._arguments import (
    integer,
    output_size,
    padding_pairs,
    per_axis,
    require_fit,
    simple,
)
from pyconvx.functional._options import ConvOptions

_DATA = tuple[int, ...]


class ConvPlan(NamedTuple):
    """What the core needs, and the shapes that the caller sees (channels-last, with batch)."""

    shape: _core.ConvShape
    axes: tuple[int, ...]  # of the core's three, each spatial axis
    x_shape: tuple[int, ...]
    w_shape: tuple[int, ...]
    y_shape: tuple[int, ...]
    weight_key: tuple[Any, ...]  # equal for two plans that can share a packed weight
    choices: dict[tuple[Any, ...], tuple[int, ...]]  # what tiles() came to

    def tiles(self, direction: str, options: ConvOptions, dtype: np.dtype[Any], kept: bool) -> tuple[int, ...]:
        """The tiles of Winograd's algorithm on three axes, or (1, 1, 1) for the direct one.

        A pure function of shape, element type, instruction set, options, and whether the packed weight is kept.
        OptionError where the wanted algorithm cannot do this problem.
        """
        wanted, wide = options.algorithm, dtype == np.float64
        key = (direction, wanted, options.fast, wide, kept, _core.active_isa())
        tiles = self.choices.get(key)
        if tiles is None:
            try:
                tiles = tuple(_core.conv_tiles(self.shape, direction, wanted, wide, kept, options.fast))
            except ValueError as error:
                raise OptionError(f"algorithm is {wanted!r}, which cannot do this: {error}; use 'auto'") from None
            self.choices[key] = tiles
        return tiles


def plan_conv(x_shape: tuple[int, ...], w_shape: tuple[int, ...], options: ConvOptions) -> ConvPlan:
    """The plan for channels-last x (batch, *spatial, channels) and w (*kernel, channels / groups, out channels)."""
    stride, padding = simple("stride", options.stride), simple("padding", options.padding)
    return _plan(x_shape, w_shape, stride, padding, simple("dilation", options.dilation), options.groups)


@lru_cache(maxsize=1024, typed=True)
def _plan(x_shape: _DATA, w_shape: _DATA, stride: Any, padding: Any, dilation: Any, groups: Any) -> ConvPlan:
    rank = len(x_shape) - 2
    kernel, size, in_channels, out_channels = w_shape[:-2], x_shape[1:-1], x_shape[-1], w_shape[-1]
    strides, dilations = per_axis("stride", stride, rank), per_axis("dilation", dilation, rank)
    count = integer("groups", groups, 1)
    if in_channels % count or out_channels % count:
        raise ShapeError(
            f"groups={count} must divide the {in_channels} input channels and the {out_channels} output channels"
        )
    if w_shape[-2] * count != in_channels:
        raise ShapeError(
            f"w has {w_shape[-2]} input channels a group and groups={count}, so x must have {w_shape[-2] * count} "
            f"channels; it has {in_channels}"
        )
    if 0 in kernel:
        raise ShapeError(f"w has an empty kernel: {kernel}")
    pairs = padding_pairs(padding, size, kernel, strides, dilations)
    require_fit(size, kernel, dilations, pairs)
    axes = core_axes(size, kernel, pairs)
    shape = _core.ConvShape(
        x_shape[0],
        in_channels,
        out_channels,
        count,
        on_core_axes(size, 1, axes),
        on_core_axes(kernel, 1, axes),
        on_core_axes(strides, 1, axes),
        on_core_axes(dilations, 1, axes),
        on_core_axes(tuple(before for before, _ in pairs), 0, axes),
        on_core_axes(tuple(after for _, after in pairs), 0, axes),
    )
    y_shape = (x_shape[0], *(shape.output[axis] for axis in axes), out_channels)
    weight_key = (w_shape, count, strides, dilations, tuple(before for before, _ in pairs))
    return ConvPlan(shape, axes, x_shape, w_shape, y_shape, weight_key, {})


def core_axes(size: _DATA, kernel: _DATA, pairs: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """The place of each spatial axis among three, in their order, but for those of one place, which go in front.

    A signal of shape (n, 1) lies in memory as one of (n,) does, and is computed as that.
    """
    unit = [n == k == 1 and not any(pair) for n, k, pair in zip(size, kernel, pairs, strict=True)]
    order = sorted(range(len(size)), key=lambda axis: not unit[axis])
    return tuple(3 - len(size) + order.index(axis) for axis in range(len(size)))


def on_core_axes(values: tuple[int, ...], unit: int, axes: tuple[int, ...]) -> tuple[int, ...]:
    """The values of the spatial axes on the core's three, of which the others have `unit`."""
    three = [unit] * 3
    for axis, value in zip(axes, values, strict=True):
        three[axis] = value
    return tuple(three)


def transposed_size(y_spatial: tuple[int, ...], kernel: tuple[int, ...], options: ConvOptions) -> tuple[int, ...]:
    """Spatial size of a transposed convolution's result: the input size of the convolution that it is the adjoint of.

    (n - 1) stride - before - after + dilation (kernel - 1) + output_padding + 1, and n * stride with padding="same".
    """
    rank = len(y_spatial)
    strides = per_axis("stride", simple("stride", options.stride), rank)
    dilations = per_axis("dilation", simple("dilation", options.dilation), rank)
    extra = per_axis("output_padding", simple("output_padding", options.output_padding), rank, 0)
    padding = simple("padding", options.padding)
    for e, s in zip(extra, strides, strict=True):
        if e >= s:
            raise OptionError(
                f"output_padding is {e}; wanted less than the stride, {s}: more has no convolution's sizes"
            )
    if padding == "same":
        if any(extra):
            raise OptionError("output_padding cannot go with padding='same', whose result has size n * stride")
        return tuple(n * s for n, s in zip(y_spatial, strides, strict=True))
    pairs = padding_pairs(padding, y_spatial, kernel, strides, dilations)
    size = tuple(
        (n - 1) * s - sum(pair) + d * (k - 1) + e + 1
        for n, k, s, d, e, pair in zip(y_spatial, kernel, strides, dilations, extra, pairs, strict=True)
    )
    if min(size) < 1:
        raise ShapeError(f"the result would have spatial size {size}: the padding takes away more than there is")
    return size


def check_input_size(plan: ConvPlan, dy_shape: tuple[int, ...]) -> None:
    """Refuses a dy that is not of the shape which the forward convolution gives."""
    if plan.y_shape != dy_shape:
        raise ShapeError(f"dy has shape {dy_shape}; the convolution's result has shape {plan.y_shape}")


__all__ = ["ConvPlan", "check_input_size", "core_axes", "on_core_axes", "output_size", "plan_conv", "transposed_size"]
