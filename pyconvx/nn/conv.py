"""Convolutional layers for one, two and three spatial axes."""

from __future__ import annotations

import math
from types import ModuleType
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from pyconvx.functional import _conv
from pyconvx.functional._arguments import Padding, PerAxis, padding_pairs, per_axis
from pyconvx.functional._options import ConvOptions
from pyconvx.nn._kernel_layer import KernelLayer

_AXES = ("length", "height, width", "depth, height, width")
_DOCUMENTATION = """Convolution (cross-correlation) over {rank} spatial {axes}: `y = x * w + b`.

    Parameters
    ----------
    in_channels, out_channels : int
        Sizes of the last axis of `x` and `y`; multiples of `groups`.
    kernel_size, stride, dilation : int or tuple of {rank} int
        One number for all spatial axes, or one for each.
    padding : int, tuple or str
        Zeros around `x`, in every form that `pyconvx.conv{rank}d` takes: one number, one or a pair (before, after) for
        each axis, "valid", "same"{causal}.
    groups : int
        Channels fall into so many groups that know nothing of each other; `in_channels` of them is a depthwise layer.
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
    `x` is `(batch, {sizes}, in_channels)` or lacks the batch axis; `weight` is
    `(*kernel_size, in_channels // groups, out_channels)`. The form of the weight that the kernels read is made once for
    each version of the weight, and kept.
    """


class _Conv(KernelLayer):
    _functions: ClassVar[ModuleType] = _conv

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis = 1,
        padding: Padding = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
        precision: str = "default",
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self._set_channels(in_channels, out_channels, groups)
        self.kernel_size = per_axis("kernel_size", kernel_size, self._rank)
        self.stride = per_axis("stride", stride, self._rank)
        self.dilation = per_axis("dilation", dilation, self._rank)
        padding_pairs(padding, (1,) * self._rank, self.kernel_size, self.stride, self.dilation)  # to refuse early
        self.padding = padding
        self._options = ConvOptions(self.stride, padding, self.dilation, self.groups, precision=precision)
        self._options.check()
        group_channels = self.in_channels // self.groups
        reads = math.prod(self.kernel_size) * group_channels
        self._make_parameters((group_channels, self.out_channels), reads, bias, dtype, random_state)


class Conv1d(_Conv):
    __doc__ = _DOCUMENTATION.format(rank=1, axes="axis", causal=', "causal"', sizes=_AXES[0])
    _rank = 1


class Conv2d(_Conv):
    __doc__ = _DOCUMENTATION.format(rank=2, axes="axes", causal="", sizes=_AXES[1])
    _rank = 2


class Conv3d(_Conv):
    __doc__ = _DOCUMENTATION.format(rank=3, axes="axes", causal="", sizes=_AXES[2])
    _rank = 3
