"""Shapes on either side of every edge that the kernels have, each with its reason, and random ones from a seed.

Edges: vectors hold 4, 8 or 16 floats and half as many doubles; a register tile is 6 (AVX2) or 14 (AVX-512) pixels wide
and 2 vectors of output channels deep; channel sums are cut into chunks of 32, 64 or 128.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import reference as ref

Size = tuple[int, ...]


@dataclass(frozen=True)
class ConvCase:
    reason: str = field(compare=False)
    in_size: Size
    channels: tuple[int, int]  # in, out
    kernel: Size
    stride: int | Size = 1
    padding: Any = 0
    dilation: int | Size = 1
    groups: int = 1
    batch: int = 1

    @property
    def rank(self) -> int:
        return len(self.in_size)

    @property
    def strides(self) -> Size:
        return self.stride if isinstance(self.stride, tuple) else (self.stride,) * self.rank

    @property
    def dilations(self) -> Size:
        return self.dilation if isinstance(self.dilation, tuple) else (self.dilation,) * self.rank

    @property
    def pads(self) -> list[tuple[int, int]]:
        return ref.resolve_padding(self.padding, self.in_size, self.kernel, self.strides, self.dilations)

    @property
    def geometry(self) -> tuple[Size, list[tuple[int, int]], Size, int]:
        """The oracle's last four arguments."""
        return self.strides, self.pads, self.dilations, self.groups

    @property
    def options(self) -> dict[str, Any]:
        """The library's keyword arguments, as a user would write them."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}

    @property
    def out_size(self) -> Size:
        return ref.output_size(self.in_size, self.kernel, self.strides, self.dilations, self.pads)

    @property
    def rest(self) -> Size:
        """Inputs at the end that the last window leaves unread: output_padding of the transposed convolution."""
        plain = ref.transposed_size(
            self.out_size, self.kernel, self.strides, self.dilations, self.pads, (0,) * self.rank
        )
        return tuple(n - m for n, m in zip(self.in_size, plain, strict=True))

    @property
    def transposed_options(self) -> dict[str, Any]:
        """Keyword arguments of the transposed convolution from y's shape back to x's."""
        return {
            "stride": self.strides,
            "padding": tuple(self.pads),
            "output_padding": self.rest,
            "dilation": self.dilations,
            "groups": self.groups,
        }

    @property
    def x_shape(self) -> Size:
        return (self.batch, *self.in_size, self.channels[0])

    @property
    def w_shape(self) -> Size:
        return (*self.kernel, self.channels[0] // self.groups, self.channels[1])

    @property
    def y_shape(self) -> Size:
        return (self.batch, *self.out_size, self.channels[1])

    @property
    def sum_lengths(self) -> tuple[int, int, int]:
        """How many products an element of y, dx and dw adds up, at most."""
        taps = math.prod(self.kernel)
        return (
            taps * self.channels[0] // self.groups,
            taps * self.channels[1] // self.groups,
            self.batch * math.prod(self.out_size),
        )

    def __str__(self) -> str:
        def sizes(size: Size) -> str:
            return "x".join(map(str, size))

        text = f"{self.batch}*{sizes(self.in_size)}*{self.channels[0]}-{sizes(self.kernel)}-{self.channels[1]}"
        for name, value, usual in (
            ("s", self.stride, 1),
            ("p", self.padding, 0),
            ("d", self.dilation, 1),
            ("g", self.groups, 1),
        ):
            text += f"-{name}{value}".replace(" ", "") if value != usual else ""
        return text


def out_channels(counts: tuple[int, ...], reason: str) -> list[ConvCase]:
    return [ConvCase(reason, (3, 5), (3, n), (3, 3), padding=1) for n in counts]


def in_channels(counts: tuple[int, ...], reason: str) -> list[ConvCase]:
    return [ConvCase(reason, (4, 3), (n, 5), (2, 2)) for n in counts]


def depthwise(counts: tuple[int, ...], reason: str) -> list[ConvCase]:
    return [ConvCase(reason, (5, 6), (n, n), (3, 3), padding=1, groups=n) for n in counts]


def widths(counts: tuple[int, ...], reason: str) -> list[ConvCase]:
    return [ConvCase(reason, (2, n), (2, 17), (3, 3), padding=1) for n in counts]


CONV_CASES = [
    *out_channels((1, 2, 3, 4, 5), "around the 4 lanes of NEON and of doubles in AVX2"),
    *out_channels((7, 8, 9), "around the 8 lanes of AVX2"),
    *out_channels((15, 16, 17), "around the 16 lanes of AVX-512"),
    *out_channels((23, 31, 32, 33, 47, 48, 49), "around two and three vectors: full panels with and without a tail"),
    *out_channels((63, 64, 65), "around two panels"),
    *in_channels((1, 2, 7), "few input channels"),
    *in_channels((31, 32, 33), "around a chunk of 32 channels"),
    *in_channels((63, 64, 65), "around a chunk of 64 channels"),
    *in_channels((127, 128, 129, 257), "around a chunk of 128 channels, and past two"),
    *widths((1, 2, 5, 6, 7), "around the 6 pixels of AVX2's tile"),
    *widths((11, 12, 13, 14, 15), "around two of those and around the 14 pixels of AVX-512's tile"),
    *widths((27, 28, 29, 43), "around two of those, and a prime"),
    # every kernel extent in each rank
    *(ConvCase("1D kernels of 1 to 9", (23,), (5, 7), (k,), padding="same") for k in range(1, 10)),
    *(ConvCase("2D kernels of 1 to 9", (11, 10), (3, 5), (k, k), padding="same") for k in (1, 2, 4, 5, 7, 9)),
    *(ConvCase("3D kernels", (6, 5, 7), (3, 4), (k, k, k), padding="same") for k in (1, 2, 3, 5)),
    ConvCase("uneven kernel", (9, 8), (3, 4), (1, 5)),
    ConvCase("uneven kernel", (4, 9, 8), (3, 4), (3, 1, 2)),
    ConvCase("kernel as large as the image: one output", (5, 7), (3, 17), (5, 7)),
    ConvCase("kernel as large as the padded image", (3,), (2, 3), (9,), padding=3),
    ConvCase("one pixel, all else padding", (1, 1), (4, 4), (3, 3), padding=1),
    ConvCase("one pixel, one channel", (1,), (1, 1), (1,)),
    ConvCase("1x1: a plain matrix product", (7, 5), (33, 34), (1, 1)),
    ConvCase("1x1 with a stride", (7, 9), (5, 18), (1, 1), stride=2),
    *(ConvCase("single pixels of few channels", (613,), c, (1,), batch=2) for c in ((2, 5), (5, 3), (6, 9), (1, 1))),
    ConvCase("single pixels of few channels, in short rows", (40, 3), (4, 7), (1, 1), batch=5),
    ConvCase("single pixels of few channels, with a stride", (17, 201), (2, 5), (1, 1), stride=2),
    ConvCase("single pixels of few channels in groups", (700,), (6, 12), (1,), groups=3),
    # strides
    *(ConvCase("stride divides the input or leaves a rest", (n,), (3, 5), (3,), stride=2) for n in (7, 8)),
    *(ConvCase("stride and same", (n, n + 1), (3, 5), (3, 3), stride=2, padding="same") for n in (7, 8)),
    ConvCase("stride larger than the kernel skips inputs", (17, 16), (3, 4), (2, 2), stride=3),
    ConvCase("a stride an axis", (9, 11), (3, 4), (3, 3), stride=(1, 3), padding=1),
    ConvCase("a stride an axis", (7, 6, 9), (2, 5), (3, 2, 3), stride=(2, 1, 3), padding=1),
    ConvCase("raw audio: long kernel, long stride", (400,), (1, 17), (80,), stride=4),
    ConvCase("wide rows with a stride, over several tiles", (3, 61), (4, 33), (3, 3), stride=2, padding=1),
    # dilations
    ConvCase("dilation", (19,), (3, 5), (3,), dilation=4),
    ConvCase("dilation larger than the image, all of it padded", (5,), (3, 5), (3,), dilation=7, padding=7),
    ConvCase("a dilation an axis", (12, 11), (3, 17), (3, 3), dilation=(2, 3), padding="same"),
    ConvCase("dilation and stride without a common divisor", (23, 19), (3, 4), (3, 3), 2, 3, (3, 5)),
    ConvCase("dilation and stride with one", (23, 19), (3, 4), (3, 3), 4, 3, (2, 6)),
    ConvCase("3D dilation", (7, 8, 9), (2, 3), (2, 3, 2), dilation=(3, 2, 4)),
    # groups
    ConvCase("groups", (6, 7), (6, 8), (3, 3), padding=1, groups=2),
    ConvCase("groups whose channels are no whole vectors", (5, 6), (15, 51), (3, 3), padding=1, groups=3),
    ConvCase("groups of one panel and a tail", (5, 6), (8, 70), (3, 3), padding=1, groups=2),
    *(ConvCase("groups whose last panel is summed over lanes", (7, 8), (2 * n, 66), (3, 3), groups=2) for n in (8, 9)),
    ConvCase("groups whose last panel is summed over lanes, padded", (40, 41), (18, 66), (3, 3), padding=1, groups=2),
    ConvCase("many small groups", (5, 6), (32, 64), (3, 3), padding=1, groups=16),
    ConvCase("depthwise", (8, 9), (17, 17), (3, 3), padding=1, groups=17),
    ConvCase("depthwise over whole vectors, with a stride", (9, 8), (32, 32), (3, 3), 2, 1, groups=32),
    ConvCase("depthwise with two outputs an input", (9,), (5, 10), (5,), padding=2, groups=5),
    ConvCase("3D depthwise, dilated", (5, 6, 7), (6, 6), (3, 3, 3), 1, 2, 2, groups=6),
    *depthwise((2, 3, 4, 5, 7, 8, 9), "depthwise around the lanes of NEON and AVX2"),
    *depthwise((13, 15, 16, 31, 33), "and around those of AVX-512"),
    ConvCase("depthwise over several blocks of channels, rows and columns", (40, 67), (37, 37), (3, 3), 1, 1, 1, 37),
    ConvCase("depthwise, 256 channels and a prime more", (7, 7), (269, 269), (3, 3), 1, 1, 1, 269),
    *(
        ConvCase("depthwise with 1D kernels", (29,), (11, 11), (k,), padding="same", groups=11)
        for k in (1, 2, 7, 8, 31)
    ),
    *(ConvCase("depthwise with 2D kernels", (9, 13), (9, 9), (k, k), padding="same", groups=9) for k in (1, 2, 5, 7)),
    ConvCase("depthwise, an uneven kernel", (9, 8), (10, 10), (1, 5), padding=((1, 0), (0, 3)), groups=10),
    ConvCase("depthwise as high as the picture, two outputs an input", (17, 21), (8, 16), (17, 1), groups=8, batch=2),
    ConvCase("depthwise, nearly as high, dilated", (19, 6), (16, 16), (9, 3), 1, (1, 1), (2, 1), groups=16),
    ConvCase("3D depthwise as deep and high as the picture", (4, 7, 5), (9, 18), (4, 7, 3), groups=9),
    *(ConvCase("depthwise with a stride", (11, 17), (9, 9), (3, 3), s, 1, 1, 9) for s in (2, 3, (1, 2), (4, 5))),
    ConvCase("depthwise 5x5 with a stride", (14, 15), (17, 17), (5, 5), 2, 2, groups=17),
    ConvCase("depthwise, dilated", (13, 14), (9, 9), (3, 3), 1, "same", (2, 3), 9),
    ConvCase("depthwise, stride and dilation", (23, 19), (9, 9), (3, 3), 2, 3, (3, 5), 9),
    ConvCase("depthwise, stride and dilation with a common divisor", (23, 19), (9, 9), (3, 3), 4, 3, (2, 6), 9),
    ConvCase("depthwise, uneven padding", (6, 7), (19, 19), (3, 3), padding=((2, 0), (0, 3)), groups=19),
    ConvCase("depthwise, a kernel larger than the picture", (2, 3), (9, 9), (5, 7), padding=(2, 3), groups=9),
    ConvCase("depthwise, outputs that see padding alone", (3, 4), (9, 9), (2, 2), padding=6, groups=9),
    ConvCase("depthwise, causal", (37,), (12, 12), (4,), padding="causal", dilation=3, groups=12),
    ConvCase("depthwise 3D with a stride", (7, 6, 9), (9, 9), (3, 2, 3), (2, 1, 3), 1, 1, 9, batch=2),
    *(ConvCase("several outputs an input", (5, 9), (6, 6 * n), (3, 3), padding=1, groups=6) for n in (2, 3, 8, 9)),
    *(ConvCase("several inputs an output", (5, 9), (6 * n, 6), (3, 3), padding=1, groups=6) for n in (2, 3, 8, 9)),
    ConvCase("several outputs an input, over blocks of channels", (4, 5), (67, 134), (3, 3), 2, 1, 1, 67),
    *(ConvCase("few channels a group", (6, 9), (24, 24), (3, 3), padding=1, groups=g) for g in (3, 4, 6, 8, 12)),
    ConvCase("groups of 2 in and 3 out, with a stride", (9, 8), (18, 27), (3, 3), 2, 1, 1, 9),
    # padding
    ConvCase("a pair of ints in 1D", (9,), (3, 5), (4,), padding=(3, 0)),
    ConvCase("uneven pairs", (6, 7), (3, 17), (3, 3), padding=((2, 0), (0, 3))),
    ConvCase("an int an axis", (6, 7), (3, 5), (3, 3), padding=(0, 2)),
    ConvCase("3D pairs", (4, 5, 6), (2, 3), (3, 3, 3), padding=((0, 1), (2, 0), (1, 1))),
    ConvCase("outputs that see padding alone", (3, 4), (2, 5), (2, 2), padding=6),
    ConvCase("causal", (13,), (3, 5), (3,), padding="causal", dilation=2),
    ConvCase("causal with a stride", (13,), (3, 5), (4,), stride=3, padding="causal"),
    ConvCase("valid", (8, 9), (3, 5), (3, 4), padding="valid"),
    ConvCase("same with an even kernel: the extra at the end", (8, 9), (3, 5), (2, 4), padding="same"),
    ConvCase("same where a stride needs no padding at all", (9, 9), (3, 5), (1, 1), stride=3, padding="same"),
    # batches
    ConvCase("no image", (6, 7), (3, 5), (3, 3), padding=1, batch=0),
    ConvCase("two images", (6, 7), (3, 5), (3, 3), padding=1, batch=2),
    ConvCase("three images in 1D", (31,), (3, 18), (3,), padding=1, batch=3),
    ConvCase("three images in 3D", (4, 5, 3), (3, 5), (2, 2, 2), batch=3),
    # pixels of what is read times all taps, where that is the faster way
    ConvCase("few channels in the gradient", (20, 21), (3, 64), (3, 3), padding=1),
    ConvCase("few channels in the gradient, strided", (29, 30), (3, 40), (7, 7), 2, 3, batch=2),
    ConvCase("few channels in the result", (20, 21), (40, 3), (3, 3), padding=1, batch=2),
    ConvCase("a gradient that is all edge", (8, 9), (6, 24), (5, 5), batch=7),
    ConvCase("channels in lanes, with padding and without", (21, 40), (20, 3), (3, 3), padding=(0, 1), batch=2),
    ConvCase("channels in lanes, where they stand, up to the end", (33, 34), (10, 4), (3, 3), batch=3),
    ConvCase("channels of groups in lanes", (20, 21), (21, 6), (3, 3), padding=1, groups=3),
    ConvCase("channels in lanes, in parts", (9, 8), (300, 2), (3, 3), padding=1),
    ConvCase("taps in lanes that are apart", (60,), (3, 2), (5,), 1, 2, 2),
    ConvCase("dw written along its rows", (2, 2), (40, 1100), (3, 3), padding=1),
    ConvCase("stride and dilation, few channels in the gradient", (90,), (2, 48), (3,), 3, 1, 2),
    ConvCase("strips that meet, in rows", (64, 64), (3, 64), (7, 7), 2, 3),
    ConvCase("strips that meet, in slices", (24, 23, 22), (1, 32), (3, 3, 3), padding=1),
    ConvCase("strips that meet, along a signal", (4000,), (1, 128), (80,), 4, (38, 38)),
    # several blocks of everything at once
    ConvCase("a layer of VGG, small", (16, 16), (64, 64), (3, 3), padding=1),
    ConvCase("tall image, several blocks of rows", (67, 19), (16, 40), (3, 3), padding=1),
    ConvCase("wide image, several blocks of columns", (3, 301), (3, 33), (3, 3), padding=1),
    ConvCase("long signal of groups, patched at its ends alone", (2600,), (24, 40), (3,), padding=1, groups=2, batch=2),
    ConvCase("rows patched above and below alone", (67, 40), (10, 9), (3, 3), padding=(1, 0)),
    ConvCase("long signal", (1031,), (4, 33), (5,), padding=2),
]


def random_conv_cases(count: int, seed: int) -> list[ConvCase]:
    """Convolutions drawn from everything that is allowed, small enough to check `count` of them in seconds."""
    draw = np.random.default_rng(seed)

    def axes(low: int, high: int) -> Size:
        return tuple(int(n) for n in draw.integers(low, high + 1, rank))

    cases: list[ConvCase] = []
    while len(cases) < count:
        rank = int(draw.integers(1, 4))
        groups = int(draw.choice([1, 1, 1, 2, 3, 8]))
        in_size, kernel = axes(1, (60, 20, 9)[rank - 1]), axes(1, (9, 5, 3)[rank - 1])
        panels = int(draw.choice([0, 0, 16, 32, 64]))  # whole vectors, and a few more or less
        wanted = panels + int(draw.integers(-2, 4)) if panels else int(draw.integers(1, 40))
        channels = (groups * int(draw.integers(1, 20)), groups * wanted)
        before, after = axes(0, 4), axes(0, 4)
        padding = draw.choice(["valid", "same", "any"], p=[0.3, 0.2, 0.5])
        if padding == "any":
            padding = tuple(zip(before, after, strict=True))
        case = ConvCase(
            "random", in_size, channels, kernel, axes(1, 3), padding, axes(1, 3), groups, int(draw.integers(1, 4))
        )
        if min(case.out_size) > 0:
            cases.append(case)
    return cases


def draw_normal(shape: Size, dtype: Any, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def draw_integers(shape: Size, dtype: Any, seed: int) -> np.ndarray:
    """Small integers: sums of their products are exact, so that results must agree to the last bit."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)
