"""dlib's two face networks from their .dat files: names of our layers to weights, affine layers folded.

A file nests its network from the loss inwards, versions first, so that it reads: loss; a version for each layer from
the outermost to the innermost; the input layer; then the layers in the order of the computation, where tags and skips
hold nothing more. It has no list of layers: the reader knows which network it reads.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyconvx.models._dlib_stream import Stream
from pyconvx.models._face_input import MEAN
from pyconvx.models._face_layers import (
    BLOCKS,
    DETECTOR_CONVS,
    ENCODING,
    FEATURES,
    LAST_CONV,
    MIDDLE,
    ConvPlan,
    encoder_convs,
)

State = dict[str, NDArray[np.float32]]
_Float64 = NDArray[np.float64]

ENCODER_LOSS = "loss_metric_2"
DETECTOR_LOSS = "loss_mmod_"
CHIP = 150  # pixels a side of the encoder's input
WINDOW = 80  # pixels a side of the faces that the detector sees
_VERSIONS = {"tag": (1,), "skip": (1,)}  # of all others 1 or 2
# Kind of pooling -> what the file calls it, and window, stride and padding of rows and columns; 0: the whole picture.
_POOLS = {
    "max_pool": ("max_pool_2", (3, 3, 2, 2, 0, 0)),
    "avg_pool": ("avg_pool_2", (2, 2, 2, 2, 0, 0)),
    "mean": ("avg_pool_2", (0, 0, 1, 1, 0, 0)),
}
# Kind of input -> the sizes that follow its means.
_SIZED: dict[str, tuple[int, ...]] = {"input_rgb_image_sized": (CHIP, CHIP)}
_PYRAMIDS: dict[str, tuple[int, ...]] = {"input_rgb_image_pyramid": (), "input_rgb_image_pyramid2": (10, 11)}


class _Layer(NamedTuple):
    kind: str
    name: str = ""


def read_encoder(stream: Stream) -> State:
    """Read a whole file with the ResNet; raises WeightsError."""
    _read_loss(stream, ENCODER_LOSS)
    stream.reals(2)  # margin and distance threshold of the loss
    state = _read_network(stream, _SIZED, _encoder_order(), encoder_convs())
    state[f"{LAST_CONV}.weight"] = np.ascontiguousarray(state[f"{LAST_CONV}.weight"][MIDDLE, MIDDLE])
    return state


def read_detector(stream: Stream) -> State:
    """Read a whole file with the detector; raises WeightsError."""
    _read_loss(stream, DETECTOR_LOSS)
    stream.expect("the version of the detector's options", 1)
    for side in ("width", "height"):
        stream.expect(f"the {side} of the detector's window", WINDOW)
    stream.reals(7)  # costs in training, and overlaps: what they mean at use belongs to the application
    return _read_network(stream, _PYRAMIDS, _detector_order(), DETECTOR_CONVS)


def _read_loss(stream: Stream, name: str) -> None:
    stream.expect("the version of the file", 1)
    _tag(stream, name)


def _detector_order() -> list[_Layer]:
    *hidden, last = DETECTOR_CONVS
    order = [_Layer(kind, name) for name in hidden for kind in ("con", "affine", "relu")]
    return [*order, _Layer("con", last)]


def _encoder_order() -> list[_Layer]:
    order = [_Layer("con", "conv1"), _Layer("affine", "conv1"), _Layer("relu"), _Layer("max_pool")]
    for index, (_, halves) in enumerate(BLOCKS, 1):
        first, second = f"block{index}_conv1", f"block{index}_conv2"
        order += [_Layer("tag"), _Layer("con", first), _Layer("affine", first), _Layer("relu")]
        order += [_Layer("con", second), _Layer("affine", second)]
        order += [_Layer("tag"), _Layer("skip"), _Layer("avg_pool")] if halves else []
        order += [_Layer("add_prev"), _Layer("relu")]
    return [*order, _Layer("mean"), _Layer("fc", "encoding")]


def _read_network(
    stream: Stream, inputs: dict[str, tuple[int, ...]], order: list[_Layer], convs: dict[str, ConvPlan]
) -> State:
    versions = [stream.expect("a layer's version", *_VERSIONS.get(layer.kind, (1, 2))) for layer in order[:0:-1]]
    versions.append(stream.expect("the first layer's version", 2, 3))
    _read_input(stream, inputs)
    folded: dict[str, tuple[_Float64, _Float64]] = {}
    state: State = {}
    for layer, version in zip(order, reversed(versions), strict=True):
        if layer.kind in ("tag", "skip"):
            continue
        if layer.kind == "con":
            folded[layer.name] = _read_conv(stream, convs[layer.name])
        elif layer.kind == "affine":
            gain, shift = _read_affine(stream, convs[layer.name].out_channels)
            weight, bias = folded[layer.name]
            folded[layer.name] = weight * gain, bias * gain + shift
        elif layer.kind == "fc":
            state[f"{layer.name}.weight"] = _read_linear(stream)
        else:
            _read_plain(stream, layer.kind)
        _skip_tensors(stream, version, first=layer is order[0])
    stream.end()
    for name, (weight, bias) in folded.items():
        state |= {f"{name}.weight": stream.narrow(weight), f"{name}.bias": stream.narrow(bias)}
    return state


def _read_input(stream: Stream, inputs: dict[str, tuple[int, ...]]) -> None:
    kind = _tag(stream, *inputs)
    if not np.allclose(stream.reals(3), MEAN, rtol=0, atol=1e-4):
        raise stream.fail(f"the mean of the input is not {MEAN}")
    for wanted in inputs[kind]:
        stream.expect("a size of the input", wanted)


def _read_conv(stream: Stream, plan: ConvPlan) -> tuple[_Float64, _Float64]:
    """Kernel as (kh, kw, in, out) and bias."""
    kind = _tag(stream, "con_4", "con_5", "con_6")
    size = plan.out_channels * plan.in_channels * plan.kernel**2
    values = stream.tensor(size + plan.out_channels).astype(np.float64)
    stream.expect("the number of filters", plan.out_channels)
    for what, wanted in (("height", plan.kernel), ("width", plan.kernel)):
        stream.expect(f"the {what} of a filter", wanted)
    for wanted in (plan.stride, plan.stride, plan.padding, plan.padding):
        stream.expect("a stride or padding", wanted)
    _read_alias(stream, size)
    _read_alias(stream, plan.out_channels)
    stream.reals(4)  # multipliers of learning rate and decay
    if kind != "con_4":
        _expect_boolean(stream, True, "a convolution has no bias")
    if kind == "con_6":
        _expect_boolean(stream, False, "a convolution has a ReLU of its own")
    kernel = values[:size].reshape(plan.out_channels, plan.in_channels, plan.kernel, plan.kernel)
    return kernel.transpose(2, 3, 1, 0), values[size:]


def _read_affine(stream: Stream, channels: int) -> tuple[_Float64, _Float64]:
    """Gain and shift a channel; of a batch normalisation, what it does once trained."""
    kind = _tag(stream, "affine_", "affine_2", "bn_con2")
    values = stream.tensor(2 * channels).astype(np.float64)
    _read_alias(stream, channels)
    _read_alias(stream, channels)
    gain, shift = values[:channels], values[channels:]
    if kind != "bn_con2":
        stream.expect("the mode of an affine layer", 0)
        if kind == "affine_2":
            _expect_boolean(stream, False, "an affine layer is switched off")
        return gain, shift
    stream.tensor(None)  # of the last batch: means and inverse deviations
    stream.tensor(None)
    mean, variance = (stream.tensor(channels).astype(np.float64) for _ in range(2))
    stream.integers(2)  # counts of updates
    stream.reals(4)  # multipliers of learning rate and decay
    epsilon = stream.real()
    if not (variance + epsilon > 0).all():
        raise stream.fail("a variance is negative")
    gain = gain / np.sqrt(variance + epsilon)
    return gain, shift - gain * mean


def _read_linear(stream: Stream) -> NDArray[np.float32]:
    _tag(stream, "fc_2")
    stream.expect("the length of an encoding", ENCODING)
    stream.expect("the number of features", FEATURES)
    weight = stream.tensor(FEATURES * ENCODING)
    _read_alias(stream, FEATURES * ENCODING)
    _read_alias(stream, None)
    stream.expect("the mode of a bias", 1)
    stream.reals(4)
    return weight.reshape(FEATURES, ENCODING)


def _read_plain(stream: Stream, kind: str) -> None:
    """A layer without weights."""
    if kind not in _POOLS:
        _tag(stream, f"{kind}_", f"{kind}_1")
        return
    name, sizes = _POOLS[kind]
    _tag(stream, name)
    for wanted in sizes:
        stream.expect("a size, stride or padding of a pooling", wanted)


def _read_alias(stream: Stream, count: int | None) -> None:
    """A view into a tensor, of which only the size is stored."""
    stream.expect("the version of a view", 1)
    sizes = stream.integers(4)
    if count is not None and math.prod(sizes.tolist()) != count:
        raise stream.fail(f"a view has sizes {sizes.tolist()}, wanted {count} elements")


def _skip_tensors(stream: Stream, version: int, first: bool) -> None:
    """What training leaves behind after each layer."""
    _expect_boolean(stream, True, "a layer was never set up: dlib would draw its weights anew")
    stream.boolean()  # whether the gradient of the input is out of date
    stream.boolean()  # whether memory was saved
    stream.tensor(None)
    stream.tensor(None)
    if first or version == 2:
        stream.tensor(None)
    if first and version == 3:
        stream.integer()


def _tag(stream: Stream, *wanted: str) -> str:
    start = stream.at
    name = stream.text()
    if name not in wanted:
        stream.at = start
        raise stream.fail(f"a layer is {name!r}, wanted {' or '.join(wanted)}")
    return name


def _expect_boolean(stream: Stream, wanted: bool, otherwise: str) -> None:
    if stream.boolean() != wanted:
        raise stream.fail(otherwise)
