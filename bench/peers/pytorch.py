"""PyTorch: channels-last and NCHW, forward also with weights packed for oneDNN (what its compiler does when freezing).

1D problems run channels-last as 2D with a height of one, which PyTorch's own layout rules need.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from bench.arrays import Array, ConvData
from bench.harness import Side
from bench.shapes import ConvProblem

FORMATS = {4: torch.channels_last, 5: torch.channels_last_3d}


def tensor(a: Array, rank: int, channels_last: bool) -> torch.Tensor:
    """A channels-last array as a tensor (batch, channels, *spatial) in the wanted memory format."""
    t = torch.from_numpy(np.ascontiguousarray(a)).movedim(-1, 1)
    if rank == 1 and channels_last:
        t = t.unsqueeze(2)
    return t.contiguous(memory_format=FORMATS[t.ndim]) if channels_last else t.contiguous()


def array(t: torch.Tensor, rank: int) -> Array:
    """The inverse, as a view."""
    if t.ndim == 4 and rank == 1:
        t = t.squeeze(2)
    result: Array = t.movedim(1, -1).numpy()
    return result


def weight_tensor(w: Array, rank: int, channels_last: bool) -> torch.Tensor:
    """(*kernel, in, out) as (out, in, *kernel)."""
    return tensor(np.moveaxis(w, -1, 0), rank, channels_last)


def axes(values: tuple[int, ...], rank: int, channels_last: bool, unit: int) -> list[int]:
    return [unit, *values] if rank == 1 and channels_last else list(values)


def conv(problem: ConvProblem, direction: str, data: ConvData, threads: int) -> list[Side]:
    torch.set_num_threads(threads)
    build = {"forward": forward, "input_grad": input_grad, "weight_grad": weight_grad}[direction]
    sides = [build(problem, data, channels_last=True), build(problem, data, channels_last=False)]
    if direction == "forward":
        sides.append(prepacked(problem, data))
    return sides


def geometry(problem: ConvProblem, channels_last: bool) -> tuple[list[int], list[int], list[int]]:
    """stride, padding, dilation."""
    rank = problem.rank
    return (
        axes(problem.stride, rank, channels_last, 1),
        axes(problem.padding, rank, channels_last, 0),
        axes(problem.dilation, rank, channels_last, 1),
    )


def name_of(channels_last: bool) -> str:
    return "torch channels-last" if channels_last else "torch NCHW"


def forward(problem: ConvProblem, data: ConvData, channels_last: bool) -> Side:
    rank = problem.rank
    x, w = tensor(data.x, rank, channels_last), weight_tensor(data.w, rank, channels_last)
    b, where = torch.from_numpy(data.b), geometry(problem, channels_last)
    convolve = (functional.conv1d, functional.conv2d, functional.conv3d)[x.ndim - 3]
    return Side(name_of(channels_last), lambda: convolve(x, w, b, *where, problem.groups), lambda y: (array(y, rank),))


def prepacked(problem: ConvProblem, data: ConvData) -> Side:
    rank = problem.rank
    x, w, b = tensor(data.x, rank, True), weight_tensor(data.w, rank, False), torch.from_numpy(data.b)
    if rank == 1:
        w = w.unsqueeze(2)
    stride, padding, dilation = geometry(problem, True)
    operations: Any = torch.ops.mkldnn
    packed = operations._reorder_convolution_weight(w, padding, stride, dilation, problem.groups, list(x.shape))

    def call() -> torch.Tensor:
        y: torch.Tensor = operations._convolution_pointwise(
            x, packed, b, padding, stride, dilation, problem.groups, "none", [], ""
        )
        return y

    return Side("torch prepacked", call, lambda y: (array(y, rank),))


def backward(
    problem: ConvProblem, data: ConvData, channels_last: bool, wanted: tuple[bool, bool, bool]
) -> Callable[[], Any]:
    rank = problem.rank
    x, dy = tensor(data.x, rank, channels_last), tensor(data.dy, rank, channels_last)
    w = weight_tensor(data.w, rank, channels_last)
    stride, padding, dilation = geometry(problem, channels_last)
    operation: Any = torch.ops.aten.convolution_backward
    none = [0] * len(stride)
    return lambda: operation(
        dy, x, w, [problem.out_channels], stride, padding, dilation, False, none, problem.groups, wanted
    )


def input_grad(problem: ConvProblem, data: ConvData, channels_last: bool) -> Side:
    call = backward(problem, data, channels_last, (True, False, False))
    return Side(name_of(channels_last), call, lambda result: (array(result[0], problem.rank),))


def weight_grad(problem: ConvProblem, data: ConvData, channels_last: bool) -> Side:
    call = backward(problem, data, channels_last, (False, True, True))

    def read(result: Any) -> tuple[Array, ...]:
        return np.moveaxis(array(result[1], problem.rank), 0, -1), result[2].numpy()

    return Side(name_of(channels_last), call, read)
