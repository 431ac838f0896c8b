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
from bench.shapes import ConvProblem

PLACES = (0, 10, 20)  # option numbers of the last axis, the one before, and so on


def network(layer: str, options: dict[int, int], weights: bytes, threads: int, winograd63: bool) -> Any:
    net = ncnn.Net()
    net.opt.num_threads = threads
    net.opt.use_vulkan_compute = False
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = net.opt.use_bf16_packed = False
    net.opt.use_winograd63_convolution = winograd63
    listed = " ".join(f"{key}={value}" for key, value in options.items())
    text = f"7767517\n2 2\nInput in0 0 1 in0\n{layer} layer 1 1 in0 out0 {listed}\n"
    if net.load_param_mem(text) != 0:
        raise Unsupported(f"no layer {layer}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.bin"
        path.write_bytes(weights)
        if net.load_model(str(path)) != 0:
            raise Unsupported(f"{layer} refuses its weights")
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
