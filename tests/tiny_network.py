"""A network for the tests of style transfer: real layers with fixed random weights, and small enough to be quick."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx import nn

STYLE_LAYERS = ("relu1", "relu2")
CONTENT_LAYERS = ("relu2",)


class TinyNetwork:
    """What `pyconvx.models.Network` offers to style transfer: two convolutions and a pooling, colours about zero."""

    def __init__(self, seed: int = 0, dtype: type = np.float32) -> None:
        self.net = nn.Sequential(
            {
                "conv1": nn.Conv2d(3, 8, 3, padding=1, dtype=dtype, random_state=seed),
                "relu1": nn.ReLU(),
                "pool1": nn.AvgPool2d(2),
                "conv2": nn.Conv2d(8, 12, 3, padding=1, dtype=dtype, random_state=seed + 1),
                "relu2": nn.ReLU(),
            }
        )

    def preprocess(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        return picture[None].astype(np.float32) - np.float32(127)

    def deprocess(self, x: NDArray[Any]) -> NDArray[np.uint8]:
        return np.clip(np.rint(x[0] + 127), 0, 255).astype(np.uint8)


def picture(height: int, width: int, seed: int) -> NDArray[np.uint8]:
    """A picture of smooth blotches, so that resizing keeps something of it."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(20, 235, (-(-height // 4) + 1, -(-width // 4) + 1, 3))
    return np.kron(coarse, np.ones((4, 4, 1)))[:height, :width].astype(np.uint8)
