"""ONNX Runtime: one-node models whose weights are constants, so that it packs them when the session is made.

Input and output are bound, so nothing is copied in or out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from bench.arrays import Array, ConvData, first, last, output_padding, weight_first
from bench.harness import Side
from bench.peers import Unsupported
from bench.shapes import ConvProblem, Trunk


def session(model: onnx.ModelProto, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


def side(
    operator: str, x: Array, constants: dict[str, Array], y_shape: tuple[int, ...], threads: int, **options: Any
) -> Side:
    """A side that runs one operator on channels-first x."""
    return run([helper.make_node(operator, ["x", *constants], ["y"], **options)], x, constants, y_shape, threads)


def run(nodes: list[Any], x: Array, constants: dict[str, Array], y_shape: tuple[int, ...], threads: int) -> Side:
    """A side that runs a network from "x", channels-first, to "y"."""
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, y_shape)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    runner = session(model, threads)
    binding = runner.io_binding()
    source = onnxruntime.OrtValue.ortvalue_from_numpy(x)
    target = onnxruntime.OrtValue.ortvalue_from_shape_and_type(list(y_shape), np.float32)
    binding.bind_ortvalue_input("x", source)
    binding.bind_ortvalue_output("y", target)
    return Side("onnxruntime", lambda: runner.run_with_iobinding(binding), lambda _: (last(target.numpy()),))


def conv(problem: ConvProblem, direction: str, data: ConvData, threads: int) -> list[Side]:
    options: dict[str, Any] = {
        "strides": problem.stride,
        "dilations": problem.dilation,
        "pads": problem.padding * 2,
        "group": problem.groups,
        "kernel_shape": problem.kernel,
    }
    w, dy_shape = weight_first(data.w), (problem.batch, problem.out_channels, *problem.out_size)
    if direction == "forward":
        return [side("Conv", first(data.x), {"w": w, "b": data.b}, dy_shape, threads, **options)]
    if direction == "input_grad":
        options["output_padding"] = output_padding(problem)
        x_shape = (problem.batch, problem.in_channels, *problem.size)
        return [side("ConvTranspose", first(data.dy), {"w": w}, x_shape, threads, **options)]
    raise Unsupported("no gradient of the weight")


def pool(direction: str, x: Array, dy: Array, threads: int) -> list[Side]:
    if "gradient" in direction:
        raise Unsupported("no gradients")
    window = [2] * (x.ndim - 2)
    operator = "MaxPool" if direction == "max" else "AveragePool"
    y_shape = (1, x.shape[-1], *dy.shape[1:-1])
    return [side(operator, first(x), {}, y_shape, threads, kernel_shape=window, strides=window)]


def trunk(steps: Trunk, x: Array, y_shape: tuple[int, ...], threads: int) -> list[Side]:
    nodes, source = [], "x"
    constants: dict[str, Array] = {}
    for index, step in enumerate(steps):
        name = "y" if index == len(steps) - 1 else f"step{index}"
        if step is None:
            nodes.append(helper.make_node("MaxPool", [source], [name], kernel_shape=[2, 2], strides=[2, 2]))
        else:
            constants |= {f"w{index}": weight_first(step[0]), f"b{index}": step[1]}
            inputs = [source, f"w{index}", f"b{index}"]
            nodes.append(helper.make_node("Conv", inputs, [f"conv{index}"], kernel_shape=[3, 3], pads=[1] * 4))
            nodes.append(helper.make_node("Relu", [f"conv{index}"], [name]))
        source = name
    return [run(nodes, first(x), constants, (y_shape[0], y_shape[-1], *y_shape[1:-1]), threads)]
