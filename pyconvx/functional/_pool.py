"""Pooling and its gradients for any rank; pool.py gives them their three faces."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pyconvx import _core
from pyconvx.errors import DTypeError, OptionError, ShapeError
from pyconvx.functional._arguments import Padding, Pairs, PerAxis, padding_pairs, per_axis, simple
from pyconvx.functional._arrays import (
    Array,
    Output,
    as_float,
    batched,
    empty,
    from_last,
    is_channels_first,
    to_last,
)
from pyconvx.functional._conv import full_shape
from pyconvx.functional._plan import core_axes, on_core_axes
from pyconvx.functional._replay import Key

_Sizes = tuple[int, ...]
_F32 = np.dtype(np.float32)
_MOST_POSITIONS = 1 << 32


class PoolPlan(NamedTuple):
    """What the core needs, and the shape of the result (channels-last, with batch)."""

    shape: _core.PoolShape
    y_shape: _Sizes
    index_type: np.dtype[Any]  # the smallest unsigned integer that holds a position in the window


def plan_pool(
    x_shape: _Sizes,
    kernel_size: PerAxis,
    stride: PerAxis | None,
    padding: Padding,
    dilation: PerAxis,
    ceil_mode: bool,
) -> PoolPlan:
    """The plan for channels-last x (batch, *spatial, channels)."""
    if not isinstance(ceil_mode, (bool, np.bool_)):
        raise OptionError(f"ceil_mode is {ceil_mode!r}; wanted True or False")
    kernel = simple("kernel_size", kernel_size)
    steps = kernel if stride is None else simple("stride", stride)
    return _plan(x_shape, kernel, steps, simple("padding", padding), simple("dilation", dilation), bool(ceil_mode))


@lru_cache(maxsize=1024, typed=True)
def _plan(x_shape: _Sizes, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool) -> PoolPlan:
    rank, size = len(x_shape) - 2, x_shape[1:-1]
    kernels = per_axis("kernel_size", kernel, rank)
    strides, dilations = per_axis("stride", stride, rank), per_axis("dilation", dilation, rank)
    pairs = padding_pairs(padding, size, kernels, strides, dilations)
    reaches = tuple(d * (k - 1) + 1 for k, d in zip(kernels, dilations, strict=True))
    _check_sizes(size, kernels, strides, dilations, reaches, pairs, ceil_mode)
    before, after = (tuple(pair[side] for pair in pairs) for side in (0, 1))
    axes = core_axes(size, kernels, pairs)
    shape = _core.PoolShape(
        x_shape[0],
        x_shape[-1],
        on_core_axes(size, 1, axes),
        on_core_axes(kernels, 1, axes),
        on_core_axes(strides, 1, axes),
        on_core_axes(dilations, 1, axes),
        on_core_axes(before, 0, axes),
        on_core_axes(after, 0, axes),
        ceil_mode,
    )
    y_shape = (x_shape[0], *(shape.output[axis] for axis in axes), x_shape[-1])
    return PoolPlan(shape, y_shape, np.dtype(f"u{shape.index_bytes}"))


def _check_sizes(
    size: _Sizes,
    kernel: _Sizes,
    stride: _Sizes,
    dilation: _Sizes,
    reach: _Sizes,
    pairs: Pairs,
    ceil_mode: bool,
) -> None:
    if math.prod(kernel) > _MOST_POSITIONS:
        raise ShapeError(f"kernel_size is {kernel}; wanted at most 2^32 positions in a window")
    for axis, (n, r, pair) in enumerate(zip(size, reach, pairs, strict=True)):
        if n == 0:
            raise ShapeError(f"x is empty on spatial axis {axis}: there is nothing to pool")
        if max(pair) > r // 2:
            raise OptionError(
                f"padding is {pair} on spatial axis {axis}; wanted at most half the window, {r // 2}: "
                "a window must not lie in the padding alone"
            )
        if r > n + sum(pair) + (stride[axis] - 1 if ceil_mode else 0):
            raise ShapeError(
                f"the window is larger than the input on spatial axis {axis}: it spans {r} (size {kernel[axis]}, "
                f"dilation {dilation[axis]}), the padded input has {n + sum(pair)}; use a smaller window"
            )


def max_key(rank: int, x: Any, *options: Any) -> Key:
    """What `_core.recall` knows a call of `max_forward` by; options in its order, without `out`."""
    return ("max_pool", rank, x, options)


def max_forward(
    rank: int,
    x: ArrayLike,
    kernel_size: PerAxis,
    stride: PerAxis | None,
    padding: Padding,
    dilation: PerAxis,
    ceil_mode: bool,
    return_indices: bool,
    data_format: str,
    out: Array | None,
) -> Any:
    args = max_key(rank, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, data_format)
    known = _core.recall_into(out, *args)
    if known is not None:
        return known
    first = is_channels_first(data_format)
    given = as_float("x", x)
    tensor, unbatched = batched("x", given, rank)
    tensor = to_last(tensor, first)
    plan = plan_pool(tensor.shape, kernel_size, stride, padding, dilation, ceil_mode)
    result = Output(plan.y_shape, tensor.dtype, first=first, unbatched=unbatched, out=out, inputs=(given, x))
    indices = _empty_indices(plan) if return_indices else None
    _core.max_pool(plan.shape, tensor, result.array, indices)
    y = result.finish()
    if not first:
        _core.remember_max_pool(plan.shape, bool(return_indices), tensor.itemsize == 8, y.shape, args)
    if indices is None:
        return y
    indices = from_last(indices, first)
    return y, indices[0] if unbatched else indices


def _empty_indices(plan: PoolPlan) -> Array:
    """New indices, in memory of the pool, which deals in floats."""
    count = math.prod(plan.y_shape)
    floats = empty((-(-count * plan.index_type.itemsize // 4),), _F32)
    return floats.view(plan.index_type)[:count].reshape(plan.y_shape)


def max_grad(
    rank: int,
    dy: ArrayLike,
    indices: ArrayLike,
    input_size: Sequence[int],
    kernel_size: PerAxis,
    stride: PerAxis | None,
    padding: Padding,
    dilation: PerAxis,
    ceil_mode: bool,
    data_format: str,
    out: Array | None,
) -> Array:
    options = (input_size, kernel_size, stride, padding, dilation, ceil_mode, data_format)
    args = ("max_pool_grad", rank, dy, indices, options)
    known: Array | None = _core.recall_into(out, *args)
    if known is not None:
        return known
    first = is_channels_first(data_format)
    given = as_float("dy", dy)
    tensor, unbatched = batched("dy", given, rank)
    positions = np.asarray(indices)
    if positions.shape != given.shape:
        raise ShapeError(f"indices have shape {positions.shape}, dy has shape {given.shape}; wanted the same")
    tensor = to_last(tensor, first)
    x_shape = full_shape("input_size", input_size, rank, unbatched, first)
    plan = plan_pool(x_shape, kernel_size, stride, padding, dilation, ceil_mode)
    _check_dy(tensor, plan)
    if positions.dtype != plan.index_type:
        raise DTypeError(
            f"indices are {positions.dtype}; wanted {plan.index_type}, as max_pool{rank}d returns them for this window"
        )
    positions = to_last(positions[np.newaxis] if unbatched else positions, first)
    result = Output(x_shape, tensor.dtype, first=first, unbatched=unbatched, out=out, inputs=(given, dy, positions))
    _core.max_pool_grad(plan.shape, tensor, positions, result.array)
    dx = result.finish()
    if not first:
        _core.remember_max_pool_grad(plan.shape, tensor.itemsize == 8, dx.shape, args)
    return dx


def avg_key(rank: int, x: Any, *options: Any) -> Key:
    """What `_core.recall` knows a call of `avg_forward` by; options in its order, without `out`."""
    return ("avg_pool", rank, x, options)


def avg_forward(
    rank: int,
    x: ArrayLike,
    kernel_size: PerAxis,
    stride: PerAxis | None,
    padding: Padding,
    ceil_mode: bool,
    count_include_pad: bool,
    data_format: str,
    out: Array | None,
) -> Array:
    args = avg_key(rank, x, kernel_size, stride, padding, ceil_mode, count_include_pad, data_format)
    known: Array | None = _core.recall_into(out, *args)
    if known is not None:
        return known
    first = is_channels_first(data_format)
    given = as_float("x", x)
    tensor, unbatched = batched("x", given, rank)
    tensor = to_last(tensor, first)
    plan = plan_pool(tensor.shape, kernel_size, stride, padding, 1, ceil_mode)
    result = Output(plan.y_shape, tensor.dtype, first=first, unbatched=unbatched, out=out, inputs=(given, x))
    _core.avg_pool(plan.shape, tensor, bool(count_include_pad), result.array)
    y = result.finish()
    if not first:
        _core.remember_avg_pool(plan.shape, bool(count_include_pad), False, tensor.itemsize == 8, y.shape, args)
    return y


def avg_grad(
    rank: int,
    dy: ArrayLike,
    input_size: Sequence[int],
    kernel_size: PerAxis,
    stride: PerAxis | None,
    padding: Padding,
    ceil_mode: bool,
    count_include_pad: bool,
    data_format: str,
    out: Array | None,
) -> Array:
    options = (input_size, kernel_size, stride, padding, ceil_mode, count_include_pad, data_format)
    args = ("avg_pool_grad", rank, dy, options)
    known: Array | None = _core.recall_into(out, *args)
    if known is not None:
        return known
    first = is_channels_first(data_format)
    given = as_float("dy", dy)
    tensor, unbatched = batched("dy", given, rank)
    tensor = to_last(tensor, first)
    x_shape = full_shape("input_size", input_size, rank, unbatched, first)
    plan = plan_pool(x_shape, kernel_size, stride, padding, 1, ceil_mode)
    _check_dy(tensor, plan)
    result = Output(x_shape, tensor.dtype, first=first, unbatched=unbatched, out=out, inputs=(given, dy))
    _core.avg_pool_grad(plan.shape, tensor, bool(count_include_pad), result.array)
    dx = result.finish()
    if not first:
        _core.remember_avg_pool(plan.shape, bool(count_include_pad), True, tensor.itemsize == 8, dx.shape, args)
    return dx


def _check_dy(dy: Array, plan: PoolPlan) -> None:
    if dy.shape != plan.y_shape:
        raise ShapeError(f"dy has shape {dy.shape}; pooling an x of that input_size gives shape {plan.y_shape}")
