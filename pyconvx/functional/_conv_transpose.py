"""Transposed convolution for any rank: the adjoint of a convolution, whose gradients are that convolution's.

Its input x plays dy, its result plays x: out_channels of the transposed are in_channels of the convolution.
"""

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
from pyconvx.functional._conv import full_shape, read_bias, read_weight, weight_from_last
from pyconvx.functional._options import ConvOptions
from pyconvx.functional._packing import PackedWeights, compute
from pyconvx.functional._plan import ConvPlan, plan_conv, transposed_size
from pyconvx.functional._replay import Key


def _plan(x_shape: tuple[int, ...], w_shape: tuple[int, ...], options: ConvOptions) -> ConvPlan:
    """The plan of the convolution that this one is the adjoint of; x and w channels-last."""
    count = integer("groups", options.groups, 1)
    if w_shape[-1] != x_shape[-1]:
        raise ShapeError(
            f"w takes {w_shape[-1]} input channels, x has {x_shape[-1]}; a transposed convolution's weight is "
            "(*kernel, out_channels // groups, in_channels), channels-first (in, out // groups, *kernel)"
        )
    size = transposed_size(x_shape[1:-1], w_shape[:-2], options)
    plan = plan_conv((x_shape[0], *size, w_shape[-2] * count), w_shape, options)
    if plan.y_shape != x_shape:
        raise ShapeError(f"x has shape {x_shape}, and no size of result gives it back; nearest is {plan.y_shape}")
    return plan


def forward_key(rank: int, x: Any, w: Any, b: Any, options: Any, activation: str | None) -> Key:
    """What `_core.recall` knows a call of `forward` by."""
    return ("conv_transpose", rank, x, w, b, options, activation)


def forward(
    rank: int,
    x: ArrayLike,
    w: ArrayLike | PackedWeights,
    b: ArrayLike | None,
    options: ConvOptions,
    activation: str | None = None,
    out: Array | None = None,
) -> Array:
    known: Array | None = _core.recall_into(out, "conv_transpose", rank, x, w, b, options, activation)
    if known is not None:
        return known
    options.check()
    choice("activation", activation, (None, "relu"))
    first = is_channels_first(options.data_format)
    given = as_float("x", x)
    tensor, unbatched = batched("x", given, rank)
    tensor = to_last(tensor, first)
    weight, source = read_weight(w, rank, first, tensor)
    plan = _plan(tensor.shape, weight.shape, options)
    bias = read_bias(b, plan.x_shape[-1], tensor)
    result = Output(
        plan.x_shape, tensor.dtype, first=first, unbatched=unbatched, out=out, inputs=(given, weight, bias, w, b)
    )
    call = compute(plan, "input_grad", options, source, tensor, bias, activation == "relu", result.array)
    y = result.finish()
    if not first:
        _core.remember_conv(*call, y.shape, forward_key(rank, x, w, b, options, activation))
    return y


def _check_gradient(dy: Array, plan: ConvPlan) -> None:
    if dy.shape != plan.x_shape:
        raise ShapeError(f"dy has shape {dy.shape}; the transposed convolution's result has shape {plan.x_shape}")


def input_grad(
    rank: int,
    dy: ArrayLike,
    w: ArrayLike | PackedWeights,
    input_size: Sequence[int],
    options: ConvOptions,
    out: Array | None = None,
) -> Array:
    known: Array | None = _core.recall_into(out, "conv_transpose_input_grad", rank, dy, w, (input_size, options))
    if known is not None:
        return known
    options.check()
    first = is_channels_first(options.data_format)
    given = as_float("dy", dy)
    tensor, unbatched = batched("dy", given, rank)
    tensor = to_last(tensor, first)
    weight, source = read_weight(w, rank, first, tensor)
    x_shape = full_shape("input_size", input_size, rank, unbatched, first)
    plan = _plan(x_shape, weight.shape, options)
    _check_gradient(tensor, plan)
    result = Output(x_shape, tensor.dtype, first=first, unbatched=unbatched, out=out, inputs=(given, weight, w))
    call = compute(plan, "forward", options, source, tensor, None, False, result.array)
    dx = result.finish()
    if not first:
        _core.remember_conv(*call, dx.shape, ("conv_transpose_input_grad", rank, dy, w, (input_size, options)))
    return dx


def weight_grad(
    rank: int, x: ArrayLike, dy: ArrayLike, kernel_size: PerAxis, options: ConvOptions
) -> tuple[Array, Array]:
    options.check()
    first = is_channels_first(options.data_format)
    tensor, gradient = batched_alike(as_float("x", x), dy, rank)
    tensor, gradient = to_last(tensor, first), to_last(gradient, first)
    count = integer("groups", options.groups, 1)
    if gradient.shape[-1] % count:
        raise ShapeError(f"groups={count} must divide the {gradient.shape[-1]} channels of dy")
    kernel = per_axis("kernel_size", simple("kernel_size", kernel_size), rank)
    w_shape = (*kernel, gradient.shape[-1] // count, tensor.shape[-1])
    plan = _plan(tensor.shape, w_shape, options)
    _check_gradient(gradient, plan)
    dw = empty(w_shape, tensor.dtype)
    tiles = plan.tiles("weight_grad", options, tensor.dtype, False)
    _core.conv_weight_grad(plan.shape, tiles, gradient, tensor, dw, None)
    db = np.add.reduce(gradient, axis=tuple(range(rank + 1)), dtype=np.float64).astype(tensor.dtype)
    return weight_from_last(dw, rank, first), db
