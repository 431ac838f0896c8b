"""Max and average pooling and their gradients: one rank, three faces. The work is in _pool.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import ArrayLike

from pyconvx.functional._arguments import Padding, PerAxis
from pyconvx.functional._arrays import Array
from pyconvx.functional._documentation import documented
from pyconvx.functional._pool import avg_forward, avg_grad, max_forward, max_grad


@documented
def max_pool1d(
    x: ArrayLike,
    kernel_size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    data_format: str = "channels_last",
    out: Array | None = None,
) -> Any:
    return max_forward(1, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, data_format, out)


@documented
def max_pool2d(
    x: ArrayLike,
    kernel_size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    data_format: str = "channels_last",
    out: Array | None = None,
) -> Any:
    return max_forward(2, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, data_format, out)


@documented
def max_pool3d(
    x: ArrayLike,
    kernel_size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    data_format: str = "channels_last",
    out: Array | None = None,
) -> Any:
    return max_forward(3, x, kernel_size, stride, padding, dilation, ceil_mode, return_indices, data_format, out)


@documented
def max_pool1d_grad(
    dy: ArrayLike,
    indices: ArrayLike,
    input_size: Sequence[int],
    kernel_size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    data_format: str = "channels_last",
    out: Array | None = None,
) -> Array:
    return max_grad(1, dy, indices, input_size, kernel_size, stride, padding, dilation, ceil_mode, data_format, out)


@documented
def max_pool2d_grad(
    dy: ArrayLike,
    indices: ArrayLike,
    input_size: Sequence[int],
    kernel_size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    data_format: str = "channels_last",
    out: Array | None = None,
) -> Array:
    return max_grad(2, dy, indices, input_size, kernel_size, stride, padding, dilation, ceil_mode, data_format, out)


@documented
def max_pool3d_grad(
    dy: ArrayLike,
    indices: ArrayLike,
    input_size: Sequence[int],
    kernel_size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
    data_format: str = "channels_last",
    out: Array | None = None,
) -> Array:
    return max_grad(3, dy, indices, input_size, kernel_size, stride, padding, dilation, ceil_mode, data_format, out)


@documented
def avg_pool1d(
    x: ArrayLike,
    kernel_size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    data_format: str = "channels_last",
    out: Array | None = None,
) -> Array:
    return avg_forward(1, x, kernel_size, stride, padding, ceil_mode, count_include_pad, data_format, out)


@documented
def avg_pool2d(
    x: ArrayLike,
    kernel_size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    data_format: str = "channels_last",
    out: Array | None = None,
) -> Array:
    return avg_forward(2, x, kernel_size, stride, padding, ceil_mode, count_include_pad, data_format, out)


@documented
def avg_pool3d(
    x: ArrayLike,
    kernel_size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    data_format: str = "channels_last",
    out: Array | None = None,
) -> Array:
    return avg_forward(3, x, kernel_size, stride, padding, ceil_mode, count_include_pad, data_format, out)


@documented
def avg_pool1d_grad(
    dy: ArrayLike,
    input_size: Sequence[int],
    kernel_size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    data_format: str = "channels_last",
    out: Array | None = None,
) -> Array:
    return avg_grad(1, dy, input_size, kernel_size, stride, padding, ceil_mode, count_include_pad, data_format, out)


@documented
def avg_pool2d_grad(
    dy: ArrayLike,
    input_size: Sequence[int],
    kernel_size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    data_format: str = "channels_last",
    out: Array | None = None,
) -> Array:
    return avg_grad(2, dy, input_size, kernel_size, stride, padding, ceil_mode, count_include_pad, data_format, out)


@documented
def avg_pool3d_grad(
    dy: ArrayLike,
    input_size: Sequence[int],
    kernel_size: PerAxis,
    *,
    stride: PerAxis | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    data_format: str = "channels_last",
    out: Array | None = None,
) -> Array:
    return avg_grad(3, dy, input_size, kernel_size, stride, padding, ceil_mode, count_include_pad, data_format, out)
