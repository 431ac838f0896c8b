"""Shapes of pooling on either side of every edge that its kernels have, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import reference as ref

Size = tuple[int, ...]


@dataclass(frozen=True)
class PoolCase:
    reason: str = field(compare=False)
    in_size: Size
    channels: int
    kernel: int | Size
    stride: int | Size | None = None
    padding: Any = 0
    ceil_mode: bool = False
    dilation: int | Size = 1
    batch: int = 1

    @property
    def rank(self) -> int:
        return len(self.in_size)

    @property
    def kernels(self) -> Size:
        return self.kernel if isinstance(self.kernel, tuple) else (self.kernel,) * self.rank

    @property
    def strides(self) -> Size:
        stride = self.kernel if self.stride is None else self.stride
        return stride if isinstance(stride, tuple) else (stride,) * self.rank

    @property
    def dilations(self) -> Size:
        return self.dilation if isinstance(self.dilation, tuple) else (self.dilation,) * self.rank

    @property
    def pads(self) -> list[tuple[int, int]]:
        return ref.resolve_padding(self.padding, self.in_size, self.kernels, self.strides, self.dilations)

    @property
    def options(self) -> dict[str, Any]:
        """The library's keyword arguments, as a user would write them."""
        return {"stride": self.stride, "padding": self.padding, "ceil_mode": self.ceil_mode}

    @property
    def x_shape(self) -> Size:
        return (self.batch, *self.in_size, self.channels)

    def __str__(self) -> str:
        text = f"{self.batch}*{self.in_size}*{self.channels}-k{self.kernel}-s{self.stride}-p{self.padding}"
        return (text + f"-d{self.dilation}" + "-ceil" * self.ceil_mode).replace(" ", "")


CHANNELS = (1, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33)

POOL_CASES = [
    *(PoolCase("channels around 4, 8, 16 and 32 lanes", (4, 6), c, 2) for c in CHANNELS),
    *(PoolCase("several vectors", (3, 4), c, 2) for c in (47, 63, 64, 65, 129)),
    *(PoolCase("windows of 1 to 5 with the usual stride", (11, 10), 3, k) for k in range(1, 6)),
    *(PoolCase("overlapping windows", (9, 10), 5, 3, s, 1) for s in (1, 2)),
    *(PoolCase("partial windows at the end", (n, n + 1), 3, 2, 2, 0, True) for n in (5, 6)),
    PoolCase("a partial window that would start in the padding", (3, 6), 3, 2, 3, 1, True),
    PoolCase("a stride larger than the window", (11, 13), 3, 2, 3),
    PoolCase("a stride larger than the window, partial at the end", (11, 12), 3, 2, 5, 0, True),
    PoolCase("one window, the whole image", (7, 6), 17, (7, 6)),
    PoolCase("window and stride an axis", (9, 8), 3, (3, 2), (1, 2), (1, 0)),
    PoolCase("uneven padding", (8, 9), 3, 3, 2, ((1, 0), (0, 1))),
    PoolCase("same", (9, 8), 3, 3, 2, "same"),
    PoolCase("valid", (9, 8), 3, 3, 2, "valid"),
    *(PoolCase("1D", (n,), 5, 3, 2, 1) for n in (1, 2, 13)),
    PoolCase("1D with a pair of ints", (12,), 5, 3, 2, (0, 1)),
    PoolCase("1D, a window of more than 256 positions", (600,), 2, 300, 7),
    PoolCase("2D, a window of exactly 256 positions", (17, 17), 2, 16, 1),
    PoolCase("2D, a window of 257 positions and more", (19, 18), 2, 17, 1),
    PoolCase("3D", (5, 6, 7), 5, 2),
    PoolCase("3D, everything uneven", (5, 6, 7), 18, (2, 3, 1), (1, 2, 2), ((1, 0), (1, 1), (0, 0)), True),
    PoolCase("dilation", (9, 11), 5, 3, 1, 1, dilation=2),
    PoolCase("dilation, stride and ceil an axis", (13, 12), 18, (2, 3), (3, 2), 0, True, (4, 2)),
    PoolCase("1D dilation", (17,), 3, 3, 2, (2, 1), dilation=3),
    PoolCase("3D dilation", (6, 7, 5), 3, 2, 1, dilation=(3, 2, 1)),
    PoolCase("no image", (6, 7), 5, 2, batch=0),
    PoolCase("three images", (6, 7), 5, 2, batch=3),
    PoolCase("a layer of VGG, small", (28, 28), 64, 2),
]

UNDILATED = [case for case in POOL_CASES if case.dilation == 1]  # average pooling has no dilation
