"""The shapes that are timed: each a layer that people run, with the reason why it is here.

`quick` marks the few that stand for the rest; `floor` marks well-shaped layers, on which the direct algorithm has to
come near the peak.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class ConvProblem:
    """A convolution; sizes, kernel, stride, padding and dilation have one number an axis."""

    name: str
    why: str
    batch: int
    size: tuple[int, ...]
    in_channels: int
    out_channels: int
    kernel: tuple[int, ...]
    padding: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    quick: bool
    floor: bool

    @property
    def rank(self) -> int:
        return len(self.size)

    @property
    def out_size(self) -> tuple[int, ...]:
        rows = zip(self.size, self.kernel, self.padding, self.stride, self.dilation, strict=True)
        return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, p, s, d in rows)

    @property
    def terms(self) -> int:
        """Products that one output is the sum of."""
        return math.prod(self.kernel) * self.in_channels // self.groups

    @property
    def positions(self) -> int:
        return self.batch * math.prod(self.out_size)

    @property
    def flops(self) -> float:
        """2 x positions x terms x output channels, taps in the padding included; the same in all three directions."""
        return 2.0 * self.positions * self.terms * self.out_channels

    def shrunk(self, flops: float) -> ConvProblem:
        """The same layer over less of the picture, at most `flops` if that can be had: for checks without timing."""
        problem = self
        while problem.flops > flops:
            reach = [d * (k - 1) + s for k, s, d in zip(self.kernel, self.stride, self.dilation, strict=True)]
            size = tuple(max(n * 3 // 4, min(n, r)) for n, r in zip(problem.size, reach, strict=True))
            if size == problem.size and problem.batch == 1:
                break
            problem = replace(problem, size=size, batch=(problem.batch + 1) // 2)
        return problem


def each(value: int | tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else value


def conv(
    name: str,
    why: str,
    size: tuple[int, ...],
    channels: tuple[int, int],
    kernel: int | tuple[int, ...],
    padding: int | tuple[int, ...] = 0,
    stride: int | tuple[int, ...] = 1,
    dilation: int | tuple[int, ...] = 1,
    groups: int = 1,
    batch: int = 1,
    quick: bool = False,
    floor: bool = False,
) -> ConvProblem:
    rank = len(size)
    return ConvProblem(
        name,
        why,
        batch,
        size,
        *channels,
        each(kernel, rank),
        each(padding, rank),
        each(stride, rank),
        each(dilation, rank),
        groups,
        quick,
        floor,
    )


VGG = [
    conv("vgg conv1_1", "three input channels, the largest map", (256, 256), (3, 64), 3, 1, quick=True),
    conv("vgg conv1_2", "few channels, the most memory traffic", (256, 256), (64, 64), 3, 1, floor=True),
    conv("vgg conv2_1", "channels double", (128, 128), (64, 128), 3, 1, floor=True),
    conv("vgg conv2_2", "128 channels", (128, 128), (128, 128), 3, 1, floor=True),
    conv("vgg conv3_2", "256 channels", (64, 64), (256, 256), 3, 1, quick=True, floor=True),
    conv(
        "vgg conv4_2", "512 channels: the weights fill the second-level cache", (32, 32), (512, 512), 3, 1, floor=True
    ),
    conv("vgg conv5_1", "small map, many channels: few pixels for each weight", (16, 16), (512, 512), 3, 1),
]
RESNET = [
    conv("resnet stem", "7x7 stride 2 from three channels", (224, 224), (3, 64), 7, 3, 2),
    conv("resnet layer1", "rows of 56, a multiple of no tile", (56, 56), (64, 64), 3, 1, quick=True, floor=True),
    conv("resnet expand", "1x1: a matrix product", (56, 56), (64, 256), 1, quick=True),
    conv("resnet reduce", "1x1 the other way", (56, 56), (256, 64), 1),
    conv("resnet down", "3x3 stride 2", (56, 56), (128, 128), 3, 1, 2),
    conv("resnet shortcut", "1x1 stride 2", (56, 56), (256, 512), 1, 0, 2),
    conv("resnet layer3", "rows of 14", (14, 14), (256, 256), 3, 1),
    conv("resnet layer4", "rows of 7, 512 channels", (7, 7), (512, 512), 3, 1),
    conv("resnext", "32 groups of 4 channels", (56, 56), (128, 128), 3, 1, groups=32),
    conv("depthwise", "one channel a group: memory-bound", (112, 112), (96, 96), 3, 1, groups=96, quick=True),
    conv("inception 5x5", "a larger kernel", (28, 28), (96, 96), 5, 2, floor=True),
    conv("deeplab", "3x3 dilated by 2", (32, 32), (256, 256), 3, 2, 1, 2, floor=True),
]
LECTURE = [
    conv("lecture 1d", "14x1 * 5x1, 16 filters: overhead and nothing else", (14,), (1, 16), 5, quick=True),
    conv("lecture 1d second", "10x16 * 5x16, 32 filters", (10,), (16, 32), 5),
    conv("lecture 2d", "14x14x3 * 5x5x3, 16 filters", (14, 14), (3, 16), 5, quick=True),
    conv("lecture 2d second", "10x10x16 * 5x5x16, 32 filters", (10, 10), (16, 32), 5),
    conv("lecture 3d", "14x14x14x1 * 5x5x5x1, 16 filters", (14, 14, 14), (1, 16), 5),
    conv("lecture 3d second", "10x10x10x16 * 5x5x5x16, 32 filters", (10, 10, 10), (16, 32), 5),
]
ECG = [
    conv("ecg first", "12 leads, 10 s at 500 Hz, batch 8", (5000,), (12, 64), 15, 7, 2, batch=8),
    conv("ecg middle", "1D with kernel 7", (2500,), (64, 64), 7, 3, batch=8, quick=True, floor=True),
    conv("ecg dilated", "temporal network: kernel 3 dilated by 8", (2500,), (64, 64), 3, 8, 1, 8, batch=8),
]
AUDIO = [
    conv("audio raw", "raw samples: kernel 80, stride 4, one channel", (32000,), (1, 128), 80, 38, 4, quick=True),
    conv("audio features", "speech features: kernel 3, stride 2, 512 channels", (3199,), (512, 512), 3, 0, 2),
    conv("audio wide", "kernel 9, 128 channels", (4000,), (128, 128), 9, 4, floor=True),
]
CT = [
    conv("ct first", "a volume with one channel", (64, 64, 64), (1, 32), 3, 1),
    conv("ct middle", "3x3x3, 32 channels", (48, 48, 48), (32, 32), 3, 1),
    conv("ct deep", "3x3x3, 128 channels, small volume", (12, 12, 12), (128, 128), 3, 1, quick=True, floor=True),
    conv("ct down", "2x2x2 stride 2", (48, 48, 48), (32, 64), 2, 0, 2),
]
VIDEO = [
    conv("video first", "16 frames of 112x112, three channels", (16, 112, 112), (3, 64), 3, 1),
    conv("video middle", "3x3x3 over frames, 64 channels", (8, 56, 56), (64, 64), 3, 1, floor=True),
    conv("video in space", "1x3x3: the frames side by side", (8, 56, 56), (64, 64), (1, 3, 3), (0, 1, 1)),
    conv("video in time", "3x1x1: along the frames alone", (8, 56, 56), (64, 64), (3, 1, 1), (1, 0, 0)),
]


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


DEPTHWISE = [
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
]
RESNEXT = [
    conv("resnext 2", "two channels a group", (56, 56), (64, 64), 3, 1, groups=32),
    conv("resnext 8", "eight channels a group", (28, 28), (256, 256), 3, 1, groups=32),
    conv("resnext 16", "16 channels a group", (14, 14), (512, 512), 3, 1, groups=32),
]
CONV = VGG + RESNET + LECTURE + ECG + AUDIO + CT + VIDEO + DEPTHWISE + RESNEXT


@dataclass(frozen=True)
class MapProblem:
    """A map of activations of one picture: for pooling and Gram matrices."""

    name: str
    why: str
    size: tuple[int, ...]
    channels: int
    quick: bool = False
    floor: bool = False

    @property
    def positions(self) -> int:
        return math.prod(self.size)

    def shrunk(self, positions: float) -> MapProblem:
        """The same with at most so many positions, and at least 8 along each axis."""
        size = self.size
        while math.prod(size) > positions and max(size) > 8:
            size = tuple(max(8, n * 3 // 4) for n in size)
        return replace(self, size=size)


GRAM = [
    MapProblem("relu1_1 at 256", "many positions, few channels", (256, 256), 64),
    MapProblem("relu2_1 at 256", "128 channels", (128, 128), 128, quick=True, floor=True),
    MapProblem("relu3_1 at 256", "256 channels", (64, 64), 256, floor=True),
    MapProblem("relu4_1 at 256", "many channels, few positions", (32, 32), 512, quick=True),
    MapProblem("relu1_1 at 512", "twice the picture: memory traffic", (512, 512), 64),
    MapProblem("audio style", "a 1D map: 431 frames, 1025 bins", (431,), 1025),
]
POOL = [
    MapProblem("vgg pool1", "the largest map", (256, 256), 64),
    MapProblem("vgg pool2", "128 channels", (128, 128), 128, quick=True),
    MapProblem("vgg pool4", "many channels, small map", (32, 32), 512),
    MapProblem("ecg pool", "1D", (5000,), 64),
    MapProblem("ct pool", "3D", (48, 48, 48), 32),
]


@dataclass(frozen=True)
class DistanceProblem:
    """`queries` encodings against `gallery` others, of length `dimension`; `operations` are metrics or "nearest"."""

    name: str
    why: str
    queries: int
    gallery: int
    dimension: int
    operations: tuple[str, ...]
    quick: bool = False

    @property
    def products(self) -> float:
        return float(self.queries) * self.gallery * self.dimension

    def shrunk(self, products: float) -> DistanceProblem:
        """The same with a smaller gallery."""
        most = max(7, int(products / (self.queries * self.dimension)))
        return replace(self, gallery=min(self.gallery, most))


METRICS = ("sqeuclidean", "cosine", "manhattan", "chi2")
SEARCH = ("nearest",)
DISTANCE = [
    DistanceProblem("one in 100", "one face at the door of an office", 1, 100, 128, SEARCH, quick=True),
    DistanceProblem("one in 10 000", "one face in a company", 1, 10_000, 128, SEARCH),
    DistanceProblem("one in a million", "512 MB are read: memory-bound", 1, 1_000_000, 128, SEARCH),
    DistanceProblem("64 in 100 000", "a batch of queries: a matrix product", 64, 100_000, 128, SEARCH),
    DistanceProblem("batch of 96", "all pairs of a training batch", 96, 96, 128, METRICS, quick=True),
    DistanceProblem("2000 x 2000", "clustering an album", 2000, 2000, 128, METRICS),
]
