"""PyTorch: the two face networks, forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from bench.arrays import Array
from bench.face_networks import Shape, Weights, detector, encoder
from bench.harness import Side
from bench.peers.pytorch import name_of, tensor, weight_tensor
from pyconvx.models import FaceDetector

Tensor = torch.Tensor


class Ops:
    """Plain calls, weights in the layout of the data."""

    def __init__(self, weights: Weights, channels_last: bool) -> None:
        self.weights = {
            name: weight_tensor(value, 2, channels_last) if value.ndim == 4 else torch.from_numpy(np.array(value))
            for name, value in weights.items()
        }

    def conv(self, x: Tensor, name: str, size: Shape, stride: int, padding: int, relu: bool) -> Tensor:
        y = functional.conv2d(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], stride, padding)
        return y.relu_() if relu else y

    def pool(self, x: Tensor, kernel: int, average: bool) -> Tensor:
        return functional.avg_pool2d(x, kernel, 2) if average else functional.max_pool2d(x, kernel, 2)

    def sum_relu(self, a: Tensor, b: Tensor, pads: tuple[Shape, Shape]) -> Tensor:
        return (padded(a, pads[0]) + padded(b, pads[1])).relu_()

    def linear_of_mean(self, x: Tensor, name: str) -> Tensor:
        return x.mean((2, 3)) @ self.weights[f"{name}.weight"]


class PackedOps(Ops):
    """Weights packed for oneDNN at the first call, and ReLUs fused, as PyTorch's compiler does for a frozen network."""

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights, channels_last=False)
        self.operations: Any = torch.ops.mkldnn
        self.packed: dict[str, Any] = {}

    def conv(self, x: Tensor, name: str, size: Shape, stride: int, padding: int, relu: bool) -> Tensor:
        steps, pads = [stride] * 2, [padding] * 2
        if name not in self.packed:
            w = self.weights[f"{name}.weight"]
            self.packed[name] = self.operations._reorder_convolution_weight(w, pads, steps, [1, 1], 1, list(x.shape))
        last = "relu" if relu else "none"
        bias = self.weights[f"{name}.bias"]
        y: Tensor = self.operations._convolution_pointwise(
            x, self.packed[name], bias, pads, steps, [1, 1], 1, last, [], ""
        )
        return y


def padded(x: Tensor, pad: Shape) -> Tensor:
    return functional.pad(x, (0, pad[1], 0, pad[0], 0, pad[2])) if any(pad) else x


def face_encoding(weights: Weights, chips: Array, threads: int) -> list[Side]:
    x = ((chips - np.array(FaceDetector.mean)) / FaceDetector.scale).astype(np.float32)
    return sides(lambda ops, source: encoder(ops, weights, source), weights, x, threads, lambda y: (y.numpy(),))


def face_scores(weights: Weights, canvas: Array, threads: int) -> list[Side]:
    height, width = canvas.shape[:2]
    run = lambda ops, source: detector(ops, weights, source, height, width)  # noqa: E731
    return sides(run, weights, canvas[None], threads, lambda y: (y[0, 0].numpy(),))


def sides(
    run: Callable[[Ops, Tensor], Tensor], weights: Weights, x: Array, threads: int, read: Callable[[Tensor], Any]
) -> list[Side]:
    torch.set_num_threads(threads)

    def side(name: str, ops: Ops, source: Tensor) -> Side:
        @torch.no_grad()
        def call() -> Tensor:
            return run(ops, source)

        return Side(name, call, read)

    plain = [side(name_of(last), Ops(weights, last), tensor(x, 2, last)) for last in (True, False)]
    return [*plain, side("torch prepacked", PackedOps(weights), tensor(x, 2, True))]
