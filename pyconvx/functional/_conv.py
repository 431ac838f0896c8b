"""Convolution and its two gradients for any rank; conv.py gives them their three faces."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pyconvx import _core
from pyconvx.errors import ShapeError
from pyconvx.functional._arguments import PerAxis, choice, integer, per_axis, simple
from pyconvx.functional._arrays import (
    Array,
    Output,
    as_float,
    batched,
    batched_alike,
    empty,
    is_channels_first,
    to_last,
)
from pyconvx.functional._options import ConvOptions
from pyconvx.functional._packing import PackedWeights, compute
from pyconvx.functional._plan import check_input_size, plan_conv
from pyconvx.functional._replay import Key


def weight_to_last(w: Array, rank: int, first: bool) -> Array:
    """A weight as contiguous (*kernel, in, out)."""
    if w.ndim != rank + 2:
        wanted = "(out, in // groups, *kernel)" if first else "(*kernel, in // groups, out)"
        raise ShapeError(f"w has {w.ndim} axes, shape {w.shape}; wanted {rank + 2}: {wanted}")
    return np.ascontiguousarray(w.transpose(*range(2, rank + 2), 1, 0) if first else w)


def weight_from_last(w: Array, rank: int, first: bool) -> Array:
    """The inverse of weight_to_last."""
    return np.ascontiguousarray(w.transpose(rank + 1, rank, *range(rank))) if first else w


def read_weight(w: ArrayLike | PackedWeights, rank: int, first: bool, like: Array) -> tuple[Array, Any]:
    """The weight's array, channels-last, and what to pack: itself, or the PackedWeights that remember."""
    if isinstance(w, PackedWeights):
        return as_float("w", w.w, like), w
    array = weight_to_last(as_float("w", w, like), rank, first)
    return array, array


def read_bias(b: ArrayLike | None, channels: int, like: Array) -> Array | None:
    if b is None:
        return None
    array = as_float("b", b, like)
    if array.shape != (channels,):
        raise ShapeError(f"b has shape {array.shape}; wanted ({channels},), one number for each output channel")
    return np.ascontiguousarray(array)


def forward_key(rank: int, x: Any, w: Any, b: Any, options: Any, activation: str | None) -> Key:
    """What `_core.recall` knows a call of `forward` by."""
    return ("conv", rank, x, w, b, options, activation)


def forward(
    rank: int,
    x: ArrayLike,
    w: ArrayLike | PackedWeights,
    b: ArrayLike | None,
    options: ConvOptions | tuple[Any, ...],
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    """`options` are those of ConvOptions, as one or as a tuple, which is made faster."""
    known: Array | None = _core.recall_into(out, "conv", rank, x, w, b, options, activation)
    if known is not None:
        return known
    return _forward(rank, x, w, b, options, activation, out)


def _forward(
    rank: int,
    x: ArrayLike,
    w: ArrayLike | PackedWeights,
    b: ArrayLike | None,
    asked: ConvOptions | tuple[Any, ...],
    activation: str | None,
    out: Array | None,
) -> Array:
    options = ConvOptions(*asked)
    options.check()
    choice("activation", activation, (None, "relu"))
    first = is_channels_first(options.data_format)
    given = as_float("x", x)
    tensor, unbatched = batched("x", given, rank)
    tensor = to_last(tensor, first)
    weight, source = read_weight(w, rank, first, tensor)
    plan = plan_conv(tensor.shape, weight.shape, options)
    bias = read_bias(b, plan.w_shape[-1], tensor)
    result = Output(
        plan.y_shape, tensor.dtype, first=first, unbatched=unbatched, out=out, inputs=(given, weight, bias, w, b)
    )
    call = compute(plan, "forward", options, source, tensor, bias, activation == "relu", result.array)
    y = result.finish()
    if not first:
        _core.remember_conv(*call, y.shape, forward_key(rank, x, w, b, asked, activation))
    return y


def full_shape(name: str, value: Sequence[int], rank: int, unbatched: bool, first: bool) -> tuple[int, ...]:
    """A tensor's full shape as the caller writes it, given back channels-last with a batch axis."""
    sizes = tuple(integer(name, size, 0) for size in value) if hasattr(value, "__len__") else ()
    if len(sizes) != rank + 2 - unbatched:
        layout = "(batch, channels, *spatial)" if first else "(batch, *spatial, channels)"
        without = ", without the batch as in dy" if unbatched else ""
        raise ShapeError(f"{name} is {value!r}; wanted the full shape of x, {layout}{without}")
    if unbatched:
        sizes = (1, *sizes)
    return (sizes[0], *sizes[2:], sizes[1]) if first else sizes


def input_grad(
    rank: int,
    dy: ArrayLike,
    w: ArrayLike | PackedWeights,
    input_size: Sequence[int],
    options: ConvOptions | tuple[Any, ...],
    out: Array | None = None,
) -> Array:
    known: Array | None = _core.recall_into(out, "conv_input_grad", rank, dy, w, (input_size, options))
    if known is not None:
        return known
    return _input_grad(rank, dy, w, input_size, options, out)


def _input_grad(
    rank: int,
    dy: ArrayLike,
    w: ArrayLike | PackedWeights,
    input_size: Sequence[int],
    asked: ConvOptions | tuple[Any, ...],
    out: Array | None,
) -> Array:
    options = ConvOptions(*asked)
    options.check()
    first = is_channels_first(options.data_format)
    given = as_float("dy", dy)
    tensor, unbatched = batched("dy", given, rank)
    tensor = to_last(tensor, first)
    weight, source = read_weight(w, rank, first, tensor)
    x_shape = full_shape("input_size", input_size, rank, unbatched, first)
    plan = plan_conv(x_shape, weight.shape, options)
    check_input_size(plan, tensor.shape)
    result = Output(x_shape, tensor.dtype, first=first, unbatched=unbatched, out=out, inputs=(given, weight, w))
    call = compute(plan, "input_grad", options, source, tensor, None, False, result.array)
    dx = result.finish()
    if not first:
        _core.remember_conv(*call, dx.shape, ("conv_input_grad", rank, dy, w, (input_size, asked)))
    return dx


def weight_grad(
    rank: int, x: ArrayLike, dy: ArrayLike, kernel_size: PerAxis, options: ConvOptions | tuple[Any, ...]
) -> tuple[Array, Array]:
    known: tuple[Array, Array] | None = _core.recall("conv_weight_grad", rank, x, dy, (kernel_size, options))
    return _weight_grad(rank, x, dy, kernel_size, options) if known is None else known


def _weight_grad(
    rank: int, x: ArrayLike, dy: ArrayLike, kernel_size: PerAxis, asked: ConvOptions | tuple[Any, ...]
) -> tuple[Array, Array]:
    options = ConvOptions(*asked)
    options.check()
    first = is_channels_first(options.data_format)
    tensor, gradient = batched_alike(as_float("x", x), dy, rank)
    tensor, gradient = to_last(tensor, first), to_last(gradient, first)
    kernel = per_axis("kernel_size", simple("kernel_size", kernel_size), rank)
    count = integer("groups", options.groups, 1)
    if tensor.shape[-1] % count:
        raise ShapeError(f"groups={count} must divide the {tensor.shape[-1]} channels of x")
    w_shape = (*kernel, tensor.shape[-1] // count, gradient.shape[-1])
    plan = plan_conv(tensor.shape, w_shape, options)
    check_input_size(plan, gradient.shape)
    dw, db = empty(w_shape, tensor.dtype), empty(w_shape[-1:], tensor.dtype)
    tiles = plan.tiles("weight_grad", options, tensor.dtype, False)
    _core.conv_weight_grad(plan.shape, tiles, tensor, gradient, dw, db)
    if not first:
        args = ("conv_weight_grad", rank, x, dy, (kernel_size, asked))
        _core.remember_conv(plan.shape, "weight_grad", tiles, False, tensor.itemsize == 8, w_shape, args)
    return weight_from_last(dw, rank, first), db
