"""The two face networks, written once: `encoder` and `detector` walk through their layers and call an `Ops`.

Every side brings its own `Ops`: arrays in float64, PyTorch's tensors, names of ONNX nodes, or shapes alone to count
operations. Weights are (*kernel, in, out); sizes are passed on, since not every side knows those of its values.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np

from bench.arrays import Array, oracle
from pyconvx.faces import FaceModels

Value = TypeVar("Value")
Weights = Mapping[str, Array]
Shape = tuple[int, int, int]  # height, width, channels
ENCODER_INPUT: Shape = (150, 150, 3)
# Channels of the encoder's blocks, and whether a block halves the map.
BLOCKS = [(32, False)] * 3 + [(width, index == 0) for width, n in ((64, 4), (128, 3), (256, 3)) for index in range(n)]
BLOCKS.append((256, True))
# Stride and padding of the detector's convolutions.
DETECTOR = [(2, 0), (2, 0), (2, 0), (1, 2), (1, 2), (1, 2), (1, 4)]


class Ops(Protocol[Value]):
    """What a side can do with its values."""

    def conv(self, x: Value, name: str, size: Shape, stride: int, padding: int, relu: bool) -> Value: ...
    def pool(self, x: Value, kernel: int, average: bool) -> Value: ...
    def sum_relu(self, a: Value, b: Value, pads: tuple[Shape, Shape]) -> Value:
        """The ReLU of a + b, each with zeros at the end of its axes."""
        ...

    def linear_of_mean(self, x: Value, name: str) -> Value: ...


class Walk(Generic[Value]):
    """A value on its way, with its size."""

    def __init__(self, ops: Ops[Value], weights: Weights, x: Value, size: Shape) -> None:
        self.ops, self.weights, self.x, self.size = ops, weights, x, size

    def conv(self, name: str, stride: int, padding: int, relu: bool = True) -> None:
        kernel, channels = self.weights[f"{name}.weight"].shape[0], self.weights[f"{name}.weight"].shape[-1]
        self.x = self.ops.conv(self.x, name, self.size, stride, padding, relu)
        rows, columns = ((n + 2 * padding - kernel) // stride + 1 for n in self.size[:2])
        self.size = rows, columns, channels

    def pool(self, kernel: int, average: bool) -> None:
        self.x = self.ops.pool(self.x, kernel, average)
        self.size = (self.size[0] - kernel) // 2 + 1, (self.size[1] - kernel) // 2 + 1, self.size[2]


def encoder(ops: Ops[Value], weights: Weights, x: Value) -> Value:
    """(n, 150, 150, 3), normalised, to (n, 128)."""
    walk = Walk(ops, weights, x, ENCODER_INPUT)
    walk.conv("conv1", 2, 0)
    walk.pool(3, average=False)
    for index, (_, halves) in enumerate(BLOCKS, 1):
        other = Walk(ops, weights, walk.x, walk.size)
        walk.conv(f"block{index}_conv1", *((2, 0) if halves else (1, 1)))
        kernel = weights[f"block{index}_conv2.weight"].shape[0]  # the last one sees one pixel
        walk.conv(f"block{index}_conv2", 1, kernel // 2, relu=False)
        if halves:
            other.pool(2, average=True)
        rows, columns, channels = (max(pair) for pair in zip(walk.size, other.size, strict=True))
        size = rows, columns, channels
        pads = missing(walk.size, size), missing(other.size, size)
        walk.x, walk.size = ops.sum_relu(walk.x, other.x, pads), size
    return ops.linear_of_mean(walk.x, "encoding")


def missing(size: Shape, wanted: Shape) -> Shape:
    return wanted[0] - size[0], wanted[1] - size[1], wanted[2] - size[2]


def detector(ops: Ops[Value], weights: Weights, x: Value, height: int, width: int) -> Value:
    """A canvas (1, height, width, 3) to scores (1, h, w, 1)."""
    walk = Walk(ops, weights, x, (height, width, 3))
    for index, (stride, padding) in enumerate(DETECTOR, 1):
        walk.conv(f"conv{index}", stride, padding, relu=index < len(DETECTOR))
    return walk.x


class Exact:
    """In float64, by tests/reference.py."""

    def __init__(self, weights: Weights) -> None:
        self.weights, self.reference = weights, oracle()

    def conv(self, x: Array, name: str, size: Shape, stride: int, padding: int, relu: bool) -> Array:
        w, b = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"]
        y: Array = self.reference.conv(x, w, b, (stride,) * 2, [(padding,) * 2] * 2, (1, 1), 1)
        return np.maximum(y, 0) if relu else y

    def pool(self, x: Array, kernel: int, average: bool) -> Array:
        rows, columns = ((n - kernel) // 2 + 1 for n in x.shape[1:3])
        taps = [
            x[:, row : row + 2 * rows - 1 : 2, column : column + 2 * columns - 1 : 2]
            for row in range(kernel)
            for column in range(kernel)
        ]
        return np.asarray(np.mean(taps, axis=0) if average else np.max(taps, axis=0))

    def sum_relu(self, a: Array, b: Array, pads: tuple[Shape, Shape]) -> Array:
        a, b = (np.pad(x, [(0, 0), *((0, extra) for extra in pad)]) for x, pad in zip((a, b), pads, strict=True))
        return np.asarray(np.maximum(a + b, 0))

    def linear_of_mean(self, x: Array, name: str) -> Array:
        return np.asarray(x.mean(axis=(1, 2)) @ self.weights[f"{name}.weight"].astype(np.float64))


class Count:
    """Counts 2 x products of the convolutions, in `flops`; its values are nothing."""

    def __init__(self, weights: Weights) -> None:
        self.weights, self.flops = weights, 0.0

    def conv(self, x: None, name: str, size: Shape, stride: int, padding: int, relu: bool) -> None:
        w = self.weights[f"{name}.weight"]
        rows, columns = ((n + 2 * padding - w.shape[0]) // stride + 1 for n in size[:2])
        self.flops += 2.0 * rows * columns * w.size

    def pool(self, x: None, kernel: int, average: bool) -> None: ...
    def sum_relu(self, a: None, b: None, pads: tuple[Shape, Shape]) -> None: ...
    def linear_of_mean(self, x: None, name: str) -> None: ...


def encoder_flops(weights: Weights) -> float:
    """Of one face."""
    count = Count(weights)
    encoder(count, weights, None)
    return count.flops


def detector_flops(weights: Weights, height: int, width: int) -> float:
    """Of one canvas."""
    count = Count(weights)
    detector(count, weights, None, height, width)
    return count.flops


def dlib_folder() -> Path | None:
    """Where dlib's three model files are: PYCONVX_DLIB_MODELS, or the package face_recognition_models."""
    if "PYCONVX_DLIB_MODELS" in os.environ:
        return Path(os.environ["PYCONVX_DLIB_MODELS"])
    spec = importlib.util.find_spec("face_recognition_models")
    return Path(spec.origin).parent / "models" if spec and spec.origin else None


def face_models() -> FaceModels:
    """The models with dlib's float32 weights, so that all sides compute the same; or the packaged ones."""
    folder = dlib_folder()
    return FaceModels.from_dlib(folder) if folder else FaceModels()
