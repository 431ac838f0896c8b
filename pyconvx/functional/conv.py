"""Convolution (cross-correlation) and its two gradients: one rank, three faces. The work is in _conv.py."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from pyconvx.functional._arguments import Padding, PerAxis
from pyconvx.functional._arrays import Array
from pyconvx.functional._conv import forward, input_grad, weight_grad
from pyconvx.functional._documentation import documented


@documented
def conv1d(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    activation: str | None = None,
    data_format: str = "channels_last",
    algorithm: str = "auto",
    precision: str = "default",
    out: Array | None = None,
) -> Array:
    options = (stride, padding, dilation, groups, data_format, algorithm, precision)
    return forward(1, x, w, b, options, activation, out)


@documented
def conv2d(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    activation: str | None = None,
    data_format: str = "channels_last",
    algorithm: str = "auto",
    precision: str = "default",
    out: Array | None = None,
) -> Array:
    options = (stride, padding, dilation, groups, data_format, algorithm, precision)
    return forward(2, x, w, b, options, activation, out)


@documented
def conv3d(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    activation: str | None = None,
    data_format: str = "channels_last",
    algorithm: str = "auto",
    precision: str = "default",
    out: Array | None = None,
) -> Array:
    options = (stride, padding, dilation, groups, data_format, algorithm, precision)
    return forward(3, x, w, b, options, activation, out)


@documented
def conv1d_input_grad(
    dy: ArrayLike,
    w: ArrayLike,
    input_size: Sequence[int],
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    algorithm: str = "auto",
    precision: str = "default",
    out: Array | None = None,
) -> Array:
    options = (stride, padding, dilation, groups, data_format, algorithm, precision)
    return input_grad(1, dy, w, input_size, options, out)


@documented
def conv2d_input_grad(
    dy: ArrayLike,
    w: ArrayLike,
    input_size: Sequence[int],
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    algorithm: str = "auto",
    precision: str = "default",
    out: Array | None = None,
) -> Array:
    options = (stride, padding, dilation, groups, data_format, algorithm, precision)
    return input_grad(2, dy, w, input_size, options, out)


@documented
def conv3d_input_grad(
    dy: ArrayLike,
    w: ArrayLike,
    input_size: Sequence[int],
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    algorithm: str = "auto",
    precision: str = "default",
    out: Array | None = None,
) -> Array:
    options = (stride, padding, dilation, groups, data_format, algorithm, precision)
    return input_grad(3, dy, w, input_size, options, out)


@documented
def conv1d_weight_grad(
    x: ArrayLike,
    dy: ArrayLike,
    kernel_size: PerAxis,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    algorithm: str = "auto",
    precision: str = "default",
) -> tuple[Array, Array]:
    options = (stride, padding, dilation, groups, data_format, algorithm, precision)
    return weight_grad(1, x, dy, kernel_size, options)


@documented
def conv2d_weight_grad(
    x: ArrayLike,
    dy: ArrayLike,
    kernel_size: PerAxis,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    algorithm: str = "auto",
    precision: str = "default",
) -> tuple[Array, Array]:
    options = (stride, padding, dilation, groups, data_format, algorithm, precision)
    return weight_grad(2, x, dy, kernel_size, options)


@documented
def conv3d_weight_grad(
    x: ArrayLike,
    dy: ArrayLike,
    kernel_size: PerAxis,
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    algorithm: str = "auto",
    precision: str = "default",
) -> tuple[Array, Array]:
    options = (stride, padding, dilation, groups, data_format, algorithm, precision)
    return weight_grad(3, x, dy, kernel_size, options)
