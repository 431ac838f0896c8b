"""Pooling layers: the largest or the mean of each window, for one, two and three spatial axes; and the mean of all."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np

from pyconvx.errors import OptionError
from pyconvx.functional import _pool
from pyconvx.functional._arguments import Padding, PerAxis, padding_pairs, per_axis
from pyconvx.functional._elementwise import keep_passed, passed_bits, relu_over
from pyconvx.functional._replay import Key
from pyconvx.nn._arrays import Array, check_axes
from pyconvx.nn.layer import Backward, FusesReLU, Gradients, Layer, Wants

_WINDOW = """kernel_size : int or tuple of {rank} int
        Size of the window.
    stride : int or tuple of {rank} int, optional
        Steps of the window; `kernel_size` if not given.
    padding : int, tuple or str
        Room around `x`, in every form that `pyconvx.{name}_pool{rank}d` takes; at most half the window."""

_MAX = (
    """The largest element of each window; a NaN is larger than everything.

    Parameters
    ----------
    """
    + _WINDOW
    + """ Never the largest.
    dilation : int or tuple of {rank} int
        Distance of the elements of a window.
    ceil_mode : bool
        Whether a last window that does not fit as a whole counts.

    Notes
    -----
    For the gradient one small integer is kept for each output, and not `x`.
    """
)
_AVG = (
    """The mean of each window.

    Parameters
    ----------
    """
    + _WINDOW
    + """
    ceil_mode : bool
        Whether a last window that does not fit as a whole counts.
    count_include_pad : bool
        Whether padding counts as zeros.
    """
)


class _MaxPool(FusesReLU):
    _rank: ClassVar[int]
    _makes_new = True
    takes_mask = True

    def __init__(
        self,
        kernel_size: PerAxis,
        stride: PerAxis | None = None,
        padding: Padding = 0,
        dilation: PerAxis = 1,
        *,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = _window(kernel_size, stride, padding, self._rank)
        self.padding = padding
        self.dilation = per_axis("dilation", dilation, self._rank)
        self.ceil_mode = ceil_mode

    def _forward(self, x: Array, relu: bool = False) -> Array:
        y: Array = _pool.max_forward(self._rank, x, *self._geometry(), False, "channels_last", None)
        return relu_over(y) if relu else y

    def _key(self, relu: bool) -> Key | None:
        return None if relu else _pool.max_key(self._rank, ..., *self._geometry(), False, "channels_last")

    def _vjp(self, x: Array, wants: Wants, relu: bool = False, mask: bool = False) -> tuple[Array, Backward]:
        y, indices = _pool.max_forward(self._rank, x, *self._geometry(), True, "channels_last", None)
        y = relu_over(y) if relu else y
        bits = passed_bits(y) if mask else None
        shape = x.shape

        def backward(dy: Array, overwrite: bool) -> tuple[Array, Gradients]:
            if bits is not None:
                dy = keep_passed(dy, bits, overwrite)
            return _pool.max_grad(self._rank, dy, indices, shape, *self._geometry(), "channels_last", None), {}

        return y, backward

    def _geometry(self) -> tuple[PerAxis, PerAxis, Padding, PerAxis, bool]:
        return self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode


class _AvgPool(Layer):
    _rank: ClassVar[int]
    _makes_new = True

    def __init__(
        self,
        kernel_size: PerAxis,
        stride: PerAxis | None = None,
        padding: Padding = 0,
        *,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = _window(kernel_size, stride, padding, self._rank)
        self.padding = padding
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def _forward(self, x: Array) -> Array:
        return _pool.avg_forward(self._rank, x, *self._geometry(), "channels_last", None)

    def _key(self, relu: bool) -> Key:
        return _pool.avg_key(self._rank, ..., *self._geometry(), "channels_last")

    def _vjp(self, x: Array, wants: Wants) -> tuple[Array, Backward]:
        shape = x.shape

        def backward(dy: Array, overwrite: bool) -> tuple[Array, Gradients]:
            return _pool.avg_grad(self._rank, dy, shape, *self._geometry(), "channels_last", None), {}

        return self._forward(x), backward

    def _geometry(self) -> tuple[PerAxis, PerAxis, Padding, bool, bool]:
        return self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad


class MaxPool1d(_MaxPool):
    __doc__ = _MAX.format(rank=1, name="max")
    _rank = 1


class MaxPool2d(_MaxPool):
    __doc__ = _MAX.format(rank=2, name="max")
    _rank = 2


class MaxPool3d(_MaxPool):
    __doc__ = _MAX.format(rank=3, name="max")
    _rank = 3


class AvgPool1d(_AvgPool):
    __doc__ = _AVG.format(rank=1, name="avg")
    _rank = 1


class AvgPool2d(_AvgPool):
    __doc__ = _AVG.format(rank=2, name="avg")
    _rank = 2


class AvgPool3d(_AvgPool):
    __doc__ = _AVG.format(rank=3, name="avg")
    _rank = 3


class GlobalAvgPool(Layer):
    """The mean over all spatial axes: `(batch, *spatial, channels)` to `(batch, channels)`; needs the batch axis."""

    _makes_new = True

    def _forward(self, x: Array) -> Array:
        check_axes(x, 3, "GlobalAvgPool", "(batch, *spatial, channels), with a batch axis")
        batch, channels, positions = x.shape[0], x.shape[-1], math.prod(x.shape[1:-1])
        if not positions:
            raise OptionError(f"x has shape {x.shape}; there are no positions to take the mean of")
        y = np.empty((batch, channels), x.dtype)
        for i in range(batch):  # one by one, so that a picture's sum has the same order alone and in a batch
            y[i] = x[i].reshape(positions, channels).sum(axis=0, dtype=np.float64) / positions
        return y

    def _vjp(self, x: Array, wants: Wants) -> tuple[Array, Backward]:
        shape = x.shape

        def backward(dy: Array, overwrite: bool) -> tuple[Array, Gradients]:
            share = dy / dy.dtype.type(math.prod(shape[1:-1]))
            spread = share.reshape(shape[0], *(1,) * (len(shape) - 2), shape[-1])
            return np.broadcast_to(spread, shape).copy(), {}

        return self._forward(x), backward


def _window(
    kernel_size: PerAxis, stride: PerAxis | None, padding: Padding, rank: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    kernel = per_axis("kernel_size", kernel_size, rank)
    steps = kernel if stride is None else per_axis("stride", stride, rank)
    padding_pairs(padding, (1,) * rank, kernel, steps, (1,) * rank)  # to refuse early
    return kernel, steps
