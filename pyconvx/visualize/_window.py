"""What a layer's output at one position reads of its input, along each spatial axis.

Three kinds of layers: those that look at the same position only, those that look at everything, and those with a
window. Letters: o an output position, i an input position, t a tap of the window; a convolution reads
i = o stride + t dilation - before, a transposed one has o = i stride + t dilation - before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx import nn
from pyconvx.errors import OptionError
from pyconvx.functional._arguments import output_size, padding_pairs, per_axis
from pyconvx.nn.composite import Composite

Positions = NDArray[np.int64]

_POINTWISE = (nn.ReLU, nn.PReLU, nn.BatchNorm, nn.L2Normalize, nn.Dropout)
_POOLINGS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d, nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)


@dataclass(frozen=True)
class AxisWindow:
    """A window along one axis, its padding resolved."""

    kernel: int
    stride: int
    dilation: int
    before: int
    after: int
    ceil_mode: bool = False
    transposed: bool = False
    extra: int = 0

    def output_size(self, size: int) -> int:
        """Return how many outputs an input of `size` has."""
        reach = self.dilation * (self.kernel - 1) + 1
        if self.transposed:
            return (size - 1) * self.stride + reach + self.extra - self.before - self.after
        count = output_size(size, self.kernel, self.stride, self.dilation, (self.before, self.after))
        spare = (size + self.before + self.after - reach) % self.stride
        # A last window that does not fit counts if it begins before the padding at the end.
        if self.ceil_mode and spare and count * self.stride < size + self.before:
            count += 1
        return count

    def read_by(self, outputs: Positions) -> Positions:
        """Return the input positions that any of `outputs` reads, inside or outside of the input, in order."""
        taps = np.arange(self.kernel, dtype=np.int64) * self.dilation
        if not self.transposed:
            return np.unique(outputs[:, None] * self.stride - self.before + taps)
        scaled = outputs[:, None] + self.before - taps
        return np.unique(scaled[scaled % self.stride == 0] // self.stride)

    def matrix(self, size: int) -> NDArray[np.bool_]:
        """Return which of `size` inputs (rows) each output (columns) reads."""
        outputs = self.output_size(size)
        reads = np.zeros((size, outputs), np.bool_)
        for tap in range(self.kernel):
            if self.transposed:
                inputs = np.arange(size)
                places = inputs * self.stride + tap * self.dilation - self.before
                inside = (places >= 0) & (places < outputs)
                reads[inputs[inside], places[inside]] = True
            else:
                places = np.arange(outputs)
                inputs = places * self.stride + tap * self.dilation - self.before
                inside = (inputs >= 0) & (inputs < size)
                reads[inputs[inside], places[inside]] = True
        return reads


class Point:
    """A layer that reads the position it writes."""


class Whole:
    """A layer after which there are no positions: each number of its output may depend on all of its input."""


Window = tuple[AxisWindow, ...]
Kind = Point | Whole | Window


def rank_of(net: nn.Layer) -> int | None:
    """Return how many spatial axes the network's input has, as its windows say; None if it has none."""
    layers = [node.layer for node in net.nodes] if hasattr(net, "nodes") else [net]
    for layer in layers:
        if isinstance(layer, (*_CONVOLUTIONS, *_POOLINGS, nn.ConvTranspose2d)):
            return len(layer.kernel_size)
    return None


def depends_on_size(net: Composite) -> bool:
    """Return whether a part of a picture, computed alone, may be padded otherwise, or end a network of odd branches."""
    layers = [node.layer for node in net.nodes]
    strided_same = any(getattr(one, "padding", 0) == "same" and max(getattr(one, "stride", (1,))) > 1 for one in layers)
    return strided_same or any(isinstance(layer, nn.ConvTranspose2d) for layer in layers)


def kind_of(name: str, layer: Any, size: tuple[int, ...] | None) -> Kind:
    """Return what a layer reads; `size` is the spatial size of its input, where known.

    Raises
    ------
    OptionError
        If the layer is of a class that nothing is known about, or its padding depends on a size that is not known.
    """
    if isinstance(layer, (*_POINTWISE, nn.Merge)):
        return Point()
    if isinstance(layer, (nn.Flatten, nn.GlobalAvgPool)):
        return Whole()
    if isinstance(layer, nn.Linear):
        return Point()
    if isinstance(layer, (*_CONVOLUTIONS, *_POOLINGS, nn.ConvTranspose2d)):
        return _window_of(name, layer, size)
    reach = getattr(layer, "receptive_window", None)
    if reach == "point":
        return Point()
    if reach == "whole":
        return Whole()
    raise OptionError(
        f"layer {name!r} is a {type(layer).__name__}: what it reads is not known; give its class an attribute "
        "receptive_window, 'point' if it reads the position that it writes or 'whole' if it reads all"
    )


def _window_of(name: str, layer: Any, size: tuple[int, ...] | None) -> Window:
    kernel, stride = layer.kernel_size, layer.stride
    rank = len(kernel)
    dilation = per_axis("dilation", getattr(layer, "dilation", 1), rank)
    if layer.padding == "same" and size is None and max(stride) > 1:
        raise OptionError(
            f"layer {name!r} has padding 'same' and stride {stride}: give input_size, which it depends on"
        )
    pairs = padding_pairs(layer.padding, (1,) * rank if size is None else size, kernel, stride, dilation)
    ceil_mode = bool(getattr(layer, "ceil_mode", False))
    transposed = isinstance(layer, nn.ConvTranspose2d)
    extra = per_axis("output_padding", getattr(layer, "output_padding", 0), rank, 0)
    return tuple(
        AxisWindow(kernel[axis], stride[axis], dilation[axis], *pairs[axis], ceil_mode, transposed, extra[axis])
        for axis in range(rank)
    )
