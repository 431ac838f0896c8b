"""Depthwise layers: each channel, or each pair of output channels, has a filter of its own."""

from __future__ import annotations

from bench.shapes import ConvProblem, conv, of


def depthwise(
    name: str,
    why: str,
    size: tuple[int, ...],
    channels: int,
    kernel: int,
    stride: int = 1,
    multiplier: int = 1,
    quick: bool = False,
) -> ConvProblem:
    counts = (channels, channels * multiplier)
    return conv(name, why, size, counts, kernel, kernel // 2, stride, groups=channels, quick=quick)


MANY = of(
    "depthwise",
    depthwise("depthwise", "one channel a group: memory-bound", (112, 112), 96, 3, quick=True),
    depthwise("mobilenet 112", "few channels, the largest map", (112, 112), 32, 3),
    depthwise("mobilenet 112 down", "stride 2: four times as much is read as written", (112, 112), 64, 3, 2),
    depthwise("mobilenet 56", "128 channels", (56, 56), 128, 3, quick=True),
    depthwise("mobilenet 28", "256 channels", (28, 28), 256, 3),
    depthwise("mobilenet 28 down", "stride 2", (28, 28), 256, 3, 2),
    depthwise("mobilenet 14", "512 channels: pixels a power of two apart", (14, 14), 512, 3, quick=True),
    depthwise("mobilenet 7", "1024 channels, small map: half of it is edge", (7, 7), 1024, 3),
    depthwise("efficientnet 5x5", "a larger kernel, channels that no vector divides", (28, 28), 60, 5),
    depthwise("efficientnet 5x5 down", "the same with stride 2", (28, 28), 240, 5, 2),
    depthwise("convnext", "7x7", (56, 56), 96, 7),
    depthwise("convnext deep", "7x7 on a map of 7", (7, 7), 768, 7),
    depthwise("depthwise twice", "two outputs an input", (56, 56), 64, 3, multiplier=2),
    depthwise("depthwise 1d", "a speech network's kernel of 31", (1000,), 256, 31),
    depthwise("depthwise 3d", "3x3x3 over 16 frames", (16, 56, 56), 32, 3),
)
FEW = of(
    "depthwise, few channels",
    depthwise("rgb", "a coloured picture: three channels fill few lanes", (512, 512), 3, 3, quick=True),
    depthwise("rgb 5x5", "the same with more taps", (512, 512), 3, 5),
    depthwise("stereo", "two channels, 31 taps", (100_000,), 2, 31),
)
DEPTHWISE = MANY + FEW
