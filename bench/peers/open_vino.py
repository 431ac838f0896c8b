"""OpenVINO: models of one operation, weights constant, float32 asked for, input and output shared."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import openvino
from openvino import opset1
from openvino import opset13 as operations

from bench.arrays import Array, ConvData, first, last, output_padding, weight_first
from bench.harness import Side
from bench.peers import Unsupported
from bench.shapes import ConvProblem, Trunk

CORE = openvino.Core()


def side(node: Any, parameter: Any, x: Array, threads: int) -> Side:
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }
    request = CORE.compile_model(openvino.Model([node], [parameter]), "CPU", settings).create_infer_request()
    source = openvino.Tensor(x, shared_memory=True)
    request.set_input_tensor(source)

    def read(_: Any) -> tuple[Array, ...]:
        return (last(np.array(request.get_output_tensor().data)),)

    return Side("openvino", partial(infer, request, source, x), read)


def infer(request: Any, *looked_into: Any) -> None:
    """`looked_into` is what the request reads and does not own."""
    request.infer()


def conv(problem: ConvProblem, direction: str, data: ConvData, threads: int) -> list[Side]:
    if direction == "weight_grad":
        raise Unsupported("no gradient of the weight")
    forward = direction == "forward"
    x, w = first(data.x if forward else data.dy), weight_first(data.w)
    if problem.groups > 1:
        w = w.reshape(problem.groups, w.shape[0] // problem.groups, *w.shape[1:])
    parameter = operations.parameter(list(x.shape), np.float32)
    begin = end = list(problem.padding)
    if forward:
        make = operations.group_convolution if problem.groups > 1 else operations.convolution
        node = make(parameter, operations.constant(w), problem.stride, begin, end, problem.dilation)
        bias = data.b.reshape(1, -1, *(1,) * problem.rank)
        return [side(operations.add(node, operations.constant(bias)), parameter, x, threads)]
    back = problem.groups > 1
    make = operations.group_convolution_backprop_data if back else operations.convolution_backprop_data
    node = make(
        parameter,
        operations.constant(w),
        list(problem.stride),
        pads_begin=begin,
        pads_end=end,
        dilations=list(problem.dilation),
        output_padding=list(output_padding(problem)),
    )
    return [side(node, parameter, x, threads)]


def trunk(steps: Trunk, x: Array, y_shape: tuple[int, ...], threads: int) -> list[Side]:
    source = first(x)
    parameter = node = operations.parameter(list(source.shape), np.float32)
    for step in steps:
        if step is None:
            node = opset1.max_pool(node, [2, 2], [0, 0], [0, 0], [2, 2])
        else:
            bias = operations.constant(step[1].reshape(1, -1, 1, 1))
            node = operations.convolution(
                node, operations.constant(weight_first(step[0])), [1, 1], [1, 1], [1, 1], [1, 1]
            )
            node = operations.relu(operations.add(node, bias))
    return [side(node, parameter, source, threads)]
