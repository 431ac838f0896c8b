"""The transposed convolution of pictures: a learned enlargement."""

from __future__ import annotations

import math
from types import ModuleType
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from pyconvx.functional import _conv_transpose
from pyconvx.functional._arguments import Padding, PerAxis, padding_pairs, per_axis
from pyconvx.functional._options import ConvOptions
from pyconvx.nn._kernel_layer import KernelLayer


class ConvTranspose2d(KernelLayer):
    """Transposed convolution over height and width: the adjoint of a convolution, plus `b`.

    Parameters
    ----------
    in_channels, out_channels : int
        Sizes of the last axis of `x` and `y`; multiples of `groups`.
    kernel_size, stride, dilation : int or tuple of 2 int
        One number for both spatial axes, or one for each.
    padding : int, tuple or str
        What is cut away around `y`, in every form that `pyconvx.conv_transpose2d` takes.
    output_padding : int or tuple of 2 int
        More room at the end of `y`, which is else `(n - 1) stride - 2 padding + dilation (kernel_size - 1) + 1` long.
    groups : int
        Channels fall into so many groups that know nothing of each other.
    bias : bool
        Whether there is a `b`; it starts at zero.
    dtype : float32 or float64
        Type of the parameters, and of `x`.
    precision : "default" or "fast"
        "fast" allows algorithms with a larger rounding error.
    random_state : int, numpy.random.Generator or None
        For the first weights: uniform, with the variance that a ReLU needs (He et al., 2015).

    Notes
    -----
    `x` is `(batch, height, width, in_channels)` or lacks the batch axis; `weight` is
    `(*kernel_size, out_channels // groups, in_channels)`.
    """

    _functions: ClassVar[ModuleType] = _conv_transpose
    _rank: ClassVar[int] = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis = 1,
        padding: Padding = 0,
        output_padding: PerAxis = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: PerAxis = 1,
        *,
        dtype: DTypeLike = np.float32,
        precision: str = "default",
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self._set_channels(in_channels, out_channels, groups)
        self.kernel_size = per_axis("kernel_size", kernel_size, 2)
        self.stride = per_axis("stride", stride, 2)
        self.dilation = per_axis("dilation", dilation, 2)
        self.output_padding = per_axis("output_padding", output_padding, 2, 0)
        padding_pairs(padding, (1, 1), self.kernel_size, self.stride, self.dilation)  # to refuse early
        self.padding = padding
        self._options = ConvOptions(
            self.stride,
            padding,
            self.dilation,
            self.groups,
            precision=precision,
            output_padding=self.output_padding,
        )
        self._options.check()
        # Each output is reached by one kernel place in stride**2 only.
        reads = math.prod(self.kernel_size) * (self.in_channels // self.groups) / math.prod(self.stride)
        channels = (self.out_channels // self.groups, self.in_channels)
        self._make_parameters(channels, max(reads, 1.0), bias, dtype, random_state)
