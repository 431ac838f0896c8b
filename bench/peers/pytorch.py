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
from bench.harness import Results, Side
from bench.peers import Unsupported
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
    layouts = [] if direction == "weight_grad" and writes_elsewhere(problem) else [True, False]
    sides = [build(problem, data, channels_last) for channels_last in layouts]
    if direction == "forward":
        sides.append(prepacked(problem, data))
    return sides


def writes_elsewhere(problem: ConvProblem) -> bool:
    """Whether PyTorch 2.13's weight gradient corrupts the heap, seen without this library as well.

    It does for kernels of 1 whose stride leaves the last elements unread: with channels last 1x1 with stride 2 over
    4 x 146, in its own layout 1x1 with stride 3 over 120 x 216, 2 channels to 319.
    """
    return max(problem.kernel) == 1 and max(problem.stride) > 1


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


def gram(direction: str, x: Array, dg: Array, threads: int) -> list[Side]:
    torch.set_num_threads(threads)
    positions_first = torch.from_numpy(x.reshape(-1, x.shape[-1]))
    channels_first, d = positions_first.T.contiguous(), torch.from_numpy(dg[0])
    if direction == "forward":
        return [
            Side(name_of(True), lambda: positions_first.T @ positions_first, lambda g: (g.numpy()[None],)),
            Side(name_of(False), lambda: channels_first @ channels_first.T, lambda g: (g.numpy()[None],)),
        ]
    return [
        Side(name_of(True), lambda: positions_first @ (d + d.T), lambda dx: (dx.numpy().reshape(x.shape),)),
        Side(name_of(False), lambda: (d + d.T) @ channels_first, lambda dx: (dx.T.numpy().reshape(x.shape),)),
    ]


def pool(direction: str, x: Array, dy: Array, threads: int) -> list[Side]:
    torch.set_num_threads(threads)
    sides = [pool_side(direction, x, dy, channels_last) for channels_last in (True, False)]
    if x.ndim == 3 and direction in ("max", "average"):
        source = tensor(x, 1, False)
        plain = functional.max_pool1d if direction == "max" else functional.avg_pool1d
        sides.append(Side("torch 1D", lambda: plain(source, 2), lambda y: (array(y, 1),)))
    return sides


def pool_side(direction: str, x: Array, dy: Array, channels_last: bool) -> Side:
    """1D runs as 2D with a height of one in both layouts: PyTorch's own 1D pooling has no backward to call."""
    rank = x.ndim - 2
    if rank == 1:
        x, dy = x[:, None], dy[:, None]
    axes_ = x.ndim - 2
    source, gradient = tensor(x, axes_, channels_last), tensor(dy, axes_, channels_last)
    window, none, unit = [1, 2] if rank == 1 else [2] * rank, [0] * axes_, [1] * axes_
    operations: Any = torch.ops.aten
    name = name_of(channels_last)

    def read(*results: torch.Tensor) -> tuple[Array, ...]:
        back = [array(result, axes_) for result in results]
        return tuple(a[:, 0] if rank == 1 else a for a in back)

    if direction == "average":
        average = getattr(operations, f"avg_pool{axes_}d")
        return Side(name, lambda: average(source, window, window), read)
    if direction == "average, its gradient":
        back = getattr(operations, f"avg_pool{axes_}d_backward")
        return Side(name, lambda: back(gradient, source, window, window, none, False, True, None), read)
    largest = getattr(operations, f"max_pool{axes_}d_with_indices")
    if direction == "max":
        plain = functional.max_pool2d if axes_ == 2 else functional.max_pool3d
        return Side(name, lambda: plain(source, window), read)
    back = getattr(operations, f"max_pool{axes_}d_with_indices_backward")

    def both() -> tuple[torch.Tensor, torch.Tensor]:
        y, indices = largest(source, window, window)
        return y, back(gradient, source, window, window, none, unit, False, indices)

    return Side(name, both, lambda results: read(*results))


def distances(metric: str, queries: Array, gallery: Array, threads: int) -> list[Side]:
    torch.set_num_threads(threads)
    a, b = torch.from_numpy(queries), torch.from_numpy(gallery)
    if metric == "sqeuclidean":
        return [Side("torch", lambda: torch.cdist(a, b).square_(), lambda d: (d.numpy(),))]
    if metric == "manhattan":
        return [Side("torch", lambda: torch.cdist(a, b, p=1.0), lambda d: (d.numpy(),))]
    if metric == "cosine":
        normalize = functional.normalize
        return [Side("torch", lambda: 1 - normalize(a) @ normalize(b).T, lambda d: (d.numpy(),))]
    raise Unsupported(f"no {metric}")


def nearest(queries: Array, gallery: Array, read: Callable[[Any], Results], threads: int) -> list[Side]:
    torch.set_num_threads(threads)
    a, b = torch.from_numpy(queries), torch.from_numpy(gallery)

    def call() -> tuple[torch.Tensor, torch.Tensor]:
        least, index = torch.cdist(a, b).min(dim=1)
        return least.square_(), index

    return [Side("torch", call, read)]
