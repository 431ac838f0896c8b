"""ONNX Runtime: the two face networks, forward."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper

from bench.arrays import Array, first, weight_first
from bench.face_networks import Shape, Weights, detector, encoder
from bench.harness import Side
from bench.peers.onnx_runtime import run
from pyconvx.models import FaceDetector


class Ops:
    """Appends nodes; its values are their names."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}

    def add(self, operator: str, inputs: list[str], **options: Any) -> str:
        name = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **options))
        return name

    def constant(self, name: str, value: Array) -> str:
        self.constants[name] = value
        return name

    def conv(self, x: str, name: str, size: Shape, stride: int, padding: int, relu: bool) -> str:
        w = self.constant(f"{name}.weight", weight_first(self.weights[f"{name}.weight"]))
        b = self.constant(f"{name}.bias", np.array(self.weights[f"{name}.bias"]))
        kernel = self.weights[f"{name}.weight"].shape[:2]
        y = self.add("Conv", [x, w, b], kernel_shape=kernel, strides=[stride] * 2, pads=[padding] * 4)
        return self.add("Relu", [y]) if relu else y

    def pool(self, x: str, kernel: int, average: bool) -> str:
        operator = "AveragePool" if average else "MaxPool"
        return self.add(operator, [x], kernel_shape=[kernel] * 2, strides=[2, 2])

    def sum_relu(self, a: str, b: str, pads: tuple[Shape, Shape]) -> str:
        parts = [self.padded(x, pad) for x, pad in zip((a, b), pads, strict=True)]
        return self.add("Relu", [self.add("Add", parts)])

    def padded(self, x: str, pad: Shape) -> str:
        if not any(pad):
            return x
        ends = np.array([0, 0, 0, 0, 0, pad[2], pad[0], pad[1]], np.int64)
        return self.add("Pad", [x, self.constant(f"pads{len(self.nodes)}", ends)])

    def linear_of_mean(self, x: str, name: str) -> str:
        mean = self.add("Flatten", [self.add("GlobalAveragePool", [x])])
        return self.add("MatMul", [mean, self.constant(f"{name}.weight", np.array(self.weights[f"{name}.weight"]))])


def face_encoding(weights: Weights, chips: Array, threads: int) -> list[Side]:
    x = ((chips - np.array(FaceDetector.mean)) / FaceDetector.scale).astype(np.float32)
    ops = Ops(weights)
    encoder(ops, weights, "x")
    return [network(ops, first(x), (len(chips), 128), threads)]


def face_scores(weights: Weights, canvas: Array, threads: int) -> list[Side]:
    ops = Ops(weights)
    height, width = canvas.shape[:2]
    detector(ops, weights, "x", height, width)
    rows, columns = ((n - 29) // 8 + 1 for n in (height, width))
    side = network(ops, first(canvas[None]), (1, 1, rows, columns), threads)
    return [Side(side.name, side.call, lambda found: (side.read(found)[0].reshape(rows, columns),))]


def network(ops: Ops, x: Array, y_shape: tuple[int, ...], threads: int) -> Side:
    ops.nodes[-1].output[0] = "y"
    return run(ops.nodes, x, ops.constants, y_shape, threads)
