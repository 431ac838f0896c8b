"""The layers of the face networks, and the order in which dlib's files hold them.

Encoder: the ResNet with 29 convolutions of dlib_face_recognition_resnet_model_v1. Detector: the seven convolutions of
mmod_human_face_detector. The affine layers after their convolutions are folded into these.
"""

from __future__ import annotations

from typing import NamedTuple

from pyconvx.nn import (
    AvgPool2d,
    Conv2d,
    GlobalAvgPool,
    Graph,
    Layer,
    Linear,
    MaxPool2d,
    Merge,
    PaddedAdd,
    ReLU,
    Sequential,
)

# Channels of the encoder's residual blocks, and whether a block halves the picture.
BLOCKS = (
    *((32, False), (32, False), (32, False)),
    *((64, True), (64, False), (64, False), (64, False)),
    *((128, True), (128, False), (128, False)),
    *((256, True), (256, False), (256, False)),
    (256, True),
)
ENCODING = 128
FEATURES = 256
# The last convolution sees one pixel: of its nine taps eight lie in the padding. Only the one in the middle is kept.
LAST_CONV = f"block{len(BLOCKS)}_conv2"
MIDDLE = slice(1, 2)


class ConvPlan(NamedTuple):
    """Sizes of one square convolution."""

    in_channels: int
    out_channels: int
    kernel: int
    stride: int
    padding: int

    def layer(self) -> Conv2d:
        return Conv2d(self.in_channels, self.out_channels, self.kernel, self.stride, self.padding, random_state=0)


def encoder_convs() -> dict[str, ConvPlan]:
    """Return the encoder's convolutions in the order of the computation, as dlib's file holds them."""
    convs = {"conv1": ConvPlan(3, 32, 7, 2, 0)}
    channels = 32
    for index, (width, halves) in enumerate(BLOCKS, 1):
        convs[f"block{index}_conv1"] = ConvPlan(channels, width, 3, *((2, 0) if halves else (1, 1)))
        convs[f"block{index}_conv2"] = ConvPlan(width, width, 3, 1, 1)
        channels = width
    return convs


ONE_PIXEL = ConvPlan(256, 256, 1, 1, 0)  # what LAST_CONV comes to

DETECTOR_CONVS = {
    "conv1": ConvPlan(3, 16, 5, 2, 0),
    "conv2": ConvPlan(16, 32, 5, 2, 0),
    "conv3": ConvPlan(32, 32, 5, 2, 0),
    "conv4": ConvPlan(32, 45, 5, 1, 2),
    "conv5": ConvPlan(45, 45, 5, 1, 2),
    "conv6": ConvPlan(45, 45, 5, 1, 2),
    "conv7": ConvPlan(45, 1, 9, 1, 4),
}


def build_encoder() -> Graph:
    """Return the encoder: (n, 150, 150, 3) to (n, 128)."""
    convs = {name: plan.layer() for name, plan in (encoder_convs() | {LAST_CONV: ONE_PIXEL}).items()}
    nodes: dict[str, tuple[Layer | Merge | str, ...]] = {
        "conv1": (convs["conv1"], "input"),
        "relu1": (ReLU(), "conv1"),
        "pool1": (MaxPool2d(3, 2), "relu1"),
    }
    last = "pool1"
    for index, (_, halves) in enumerate(BLOCKS, 1):
        block = f"block{index}"
        nodes[f"{block}_conv1"] = (convs[f"{block}_conv1"], last)
        nodes[f"{block}_relu1"] = (ReLU(), f"{block}_conv1")
        nodes[f"{block}_conv2"] = (convs[f"{block}_conv2"], f"{block}_relu1")
        if halves:
            nodes[f"{block}_pool"] = (AvgPool2d(2), last)
        nodes[f"{block}_add"] = (PaddedAdd(), f"{block}_conv2", f"{block}_pool" if halves else last)
        last = f"{block}_relu2"
        nodes[last] = (ReLU(), f"{block}_add")
    nodes["mean"] = (GlobalAvgPool(), last)
    nodes["encoding"] = (Linear(FEATURES, ENCODING, bias=False, random_state=0), "mean")
    return Graph(nodes)


def build_detector() -> Sequential:
    """Return the detector: (n, H, W, 3) to scores (n, h, w, 1), one for each window, 8 pixels apart."""
    layers: dict[str, Layer] = {}
    for index, (name, plan) in enumerate(DETECTOR_CONVS.items(), 1):
        layers[name] = plan.layer()
        if plan.out_channels > 1:
            layers[f"relu{index}"] = ReLU()
    return Sequential(layers)
