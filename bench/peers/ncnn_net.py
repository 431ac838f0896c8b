"""ncnn: a network of one layer, with and without the Winograd form F(6,3) that its accuracy may not survive.

Weights are transformed when the network is loaded. Input and output stay in ncnn's own layout, channels in packs of 16,
8 or 4, as they would between the layers of a network. Images alone: ncnn has no batches.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import ncnn
import numpy as np

import pyconvx
from bench.arrays import Array, ConvData, first, last, output_padding, weight_first
from bench.harness import Side
from bench.peers import Unsupported
from bench.shapes import ConvProblem, Trunk

PLACES = (0, 10, 20)  # option numbers of the last axis, the one before, and so on


def network(layer: str, options: dict[int, int], weights: bytes, threads: int, winograd63: bool) -> Any:
    return network_of([(layer, options)], weights, threads, winograd63)


def network_of(layers: list[tuple[str, dict[int, int]]], weights: bytes, threads: int, winograd63: bool) -> Any:
    """Layers one after the other, from in0 to out0."""
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = net.opt.use_bf16_packed = False
    net.opt.use_winograd63_convolution = winograd63
    lines, source = ["Input in0 0 1 in0"], "in0"
    for index, (layer, options) in enumerate(layers):
        name = "out0" if index == len(layers) - 1 else f"blob{index}"
        listed = " ".join(f"{key}={value}" for key, value in options.items())
        lines.append(f"{layer} layer{index} 1 1 {source} {name} {listed}")
        source = name
    count = len(lines)
    if net.load_param_mem("\n".join(["7767517", f"{count} {count}", *lines, ""])) != 0:
        raise Unsupported(f"no layer {layers[0][0]}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.bin"
        path.write_bytes(weights)
        if net.load_model(str(path)) != 0:
            raise Unsupported(f"{layers[0][0]} refuses its weights")
    return net


def side(name: str, net: Any, x: Array) -> Side:
    """A side that runs the network on one channels-first image."""
    source = packed(x)

    def call() -> Any:
        with net.create_extractor() as extractor:
            extractor.input("in0", source)
            code, result = extractor.extract("out0", 1)  # 1: as it is, without unpacking
        if code != 0:
            raise RuntimeError(f"ncnn returned {code}")
        return result

    def read(result: Any) -> tuple[Array, ...]:
        plain = ncnn.Mat()
        ncnn.convert_packing(result, plain, 1)
        return (last(np.array(plain)[np.newaxis]),)

    return Side(name, call, read)


def packed(x: Array) -> Any:
    """A channels-first image with as many channels to a pack as the instruction set likes."""
    most = 16 if "avx512" in pyconvx.available_isas() else 8 if "avx2" in pyconvx.available_isas() else 4
    lanes = next((lanes for lanes in (16, 8, 4) if lanes <= most and x.shape[0] % lanes == 0), 1)
    plain, result = ncnn.Mat(x), ncnn.Mat()
    ncnn.convert_packing(plain, result, lanes)
    return result if lanes > 1 else plain.clone()  # plain looks into x, which goes away


def per_axis(base: int, values: tuple[int, ...]) -> dict[int, int]:
    return {base + place: value for place, value in zip(PLACES, reversed(values), strict=False)}


def conv(problem: ConvProblem, direction: str, data: ConvData, threads: int) -> list[Side]:
    if direction == "weight_grad":
        raise Unsupported("no gradient of the weight")
    if problem.batch > 1:
        raise Unsupported("no batches")
    forward = direction == "forward"
    layer = "Convolution" if forward else "Deconvolution"
    layer += "DepthWise" if problem.groups > 1 else ""
    layer += {1: "1D", 2: "", 3: "3D"}[problem.rank]
    options = {0: problem.out_channels if forward else problem.in_channels, 5: int(forward), 6: data.w.size}
    options |= per_axis(1, problem.kernel) | per_axis(2, problem.dilation)
    options |= per_axis(3, problem.stride) | per_axis(4, problem.padding)
    if problem.groups > 1:
        options[7] = problem.groups
    if not forward:
        options |= {18 + place: extra for place, extra in enumerate(reversed(output_padding(problem)))}
    weight = weight_first(data.w)
    if not forward:
        weight = swapped(weight, problem.groups)
    stored = b"\0\0\0\0" + weight.tobytes() + (data.b.tobytes() if forward else b"")
    x = first(data.x if forward else data.dy)[0]
    sides = [side("ncnn", network(layer, options, stored, threads, winograd63=True), x)]
    if forward and problem.rank == 2 and set(problem.kernel) == {3} and set(problem.stride) == {1}:
        sides.append(side("ncnn, no F(6,3)", network(layer, options, stored, threads, winograd63=False), x))
    return sides


def swapped(w: Array, groups: int) -> Array:
    """(out, in, *kernel) with in and out changing places within each group."""
    split = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    return np.ascontiguousarray(split.swapaxes(1, 2))


def pool(direction: str, x: Array, dy: Array, threads: int) -> list[Side]:
    if "gradient" in direction:
        raise Unsupported("no gradients")
    rank = x.ndim - 2
    layer = "Pooling" + {1: "1D", 2: "", 3: "3D"}[rank]
    options = {0: int(direction == "average")} | per_axis(1, (2,) * rank) | per_axis(2, (2,) * rank)
    return [side("ncnn", network(layer, options, b"", threads, winograd63=True), first(x)[0])]


def trunk(steps: Trunk, x: Array, y_shape: tuple[int, ...], threads: int) -> list[Side]:
    layers, stored = [], b""
    for step in steps:
        if step is None:
            layers.append(("Pooling", {0: 0} | per_axis(1, (2, 2)) | per_axis(2, (2, 2))))
        else:
            w, b = step
            options = {0: w.shape[-1], 5: 1, 6: w.size, 9: 1}  # 9: a ReLU at the end
            layers.append(("Convolution", options | per_axis(1, (3, 3)) | per_axis(4, (1, 1))))
            stored += b"\0\0\0\0" + weight_first(w).tobytes() + b.tobytes()
    return [
        side(name, network_of(layers, stored, threads, winograd63), first(x)[0])
        for name, winograd63 in (("ncnn", True), ("ncnn, no F(6,3)", False))
    ]
