"""Random small networks of every rank and shape, for tests that must hold for all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pyconvx import nn

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
POOLS = {
    1: (nn.MaxPool1d, nn.AvgPool1d),
    2: (nn.MaxPool2d, nn.AvgPool2d),
    3: (nn.MaxPool3d, nn.AvgPool3d),
}
CHANNELS = 2


class RandomNetworks:
    """Draws networks; all layers have two channels, so that they fit wherever they come to stand."""

    def __init__(self, seed: int, rank: int, dtype: type = np.float64) -> None:
        self.rng = np.random.default_rng(seed)
        self.rank = rank
        self.dtype = dtype

    def pick(self, *values: Any) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def each(self, *values: Any) -> tuple[Any, ...]:
        return tuple(self.pick(*values) for _ in range(self.rank))

    def conv(self, keeps_size: bool = False, bias: bool = True) -> nn.Layer:
        kernel, dilation = self.each(1, 2, 3), self.each(1, 1, 2)
        padding: Any = "same" if keeps_size else self.pick("valid", 1, self.each(0, 1, 2), ((0, 2),) * self.rank)
        if not keeps_size and self.rank == 1 and self.pick(True, False):
            padding = "causal"
        return CONV[self.rank](
            CHANNELS,
            CHANNELS,
            kernel,
            1 if keeps_size else self.each(1, 1, 2, 3),
            padding,
            dilation,
            self.pick(1, 1, CHANNELS),
            bias,
            dtype=self.dtype,
            random_state=self.rng,
        )

    def pool(self) -> nn.Layer:
        kind = self.pick(*POOLS[self.rank])
        kernel = self.each(2, 3)
        padding = tuple(self.pick(0, 1) for _ in range(self.rank))
        return kind(kernel, self.each(1, 2), padding, ceil_mode=self.pick(True, False))

    def residual(self) -> nn.Layer:
        body = nn.Sequential({"a": self.conv(keeps_size=True), "relu": nn.ReLU(), "b": self.conv(keeps_size=True)})
        return nn.Residual(body, self.pick(None, CONV[self.rank](CHANNELS, CHANNELS, 1, dtype=self.dtype)))

    def graph(self) -> nn.Layer:
        """Two branches of different kernels that meet, and a third that skips them."""
        return nn.Graph(
            {
                "left": (self.conv(keeps_size=True), "input"),
                "right": (self.conv(keeps_size=True), "input"),
                "further": (self.conv(keeps_size=True), "right"),
                "product": (nn.Multiply(), "left", "further"),
                "sum": (nn.Add(), "product", "input"),
            }
        )

    def padded(self) -> nn.Layer:
        """A branch that ends earlier than the other, filled up with zeros, as dlib's shortcuts are."""
        return nn.Graph({"short": (self.pool(), "input"), "sum": (nn.PaddedAdd(), "short", "input")})

    def concatenated(self) -> nn.Layer:
        """Two branches side by side, made two channels again."""
        join = CONV[self.rank](2 * CHANNELS, CHANNELS, 1, dtype=self.dtype, random_state=self.rng)
        return nn.Graph(
            {
                "left": (self.conv(keeps_size=True), "input"),
                "right": (nn.PReLU(dtype=self.dtype), "input"),
                "both": (nn.Concat(), "left", "right"),
                "join": (join, "both"),
            }
        )

    def sequential(self) -> nn.Sequential:
        layers: dict[str, nn.Layer] = {"conv0": self.conv()}
        for index in range(1, 5):
            kinds = [self.conv, self.pool, nn.ReLU, self.residual, self.graph, self.padded, self.concatenated]
            if self.rank == 2:
                kinds.append(self.transposed)
            kind = self.pick(*kinds)
            layers[f"layer{index}"] = kind()
        return nn.Sequential(layers)

    def transposed(self) -> nn.Layer:
        stride = self.each(1, 2, 3)
        return nn.ConvTranspose2d(
            CHANNELS,
            CHANNELS,
            self.each(2, 3),
            stride,
            self.pick(0, 1),
            tuple(int(self.rng.integers(each)) for each in stride),
            dilation=self.each(1, 1, 2),
            dtype=self.dtype,
            random_state=1,
        )
