"""Small sets of classes to learn, of every rank, and small encoders for them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx import nn

Array = NDArray[Any]

SIZES = {1: (16,), 2: (8, 8), 3: (5, 6, 4)}
CONV: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
POOL: dict[int, Any] = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}


def examples(
    rank: int = 2, classes: int = 12, each: int = 6, noise: float = 0.4, dtype: Any = np.float32, seed: int = 0
) -> tuple[Array, NDArray[np.str_]]:
    """`classes * each` noisy copies of a pattern a class, and the classes' names."""
    rng = np.random.default_rng(seed)
    patterns = rng.standard_normal((classes, 1, *SIZES[rank], 1))
    x = patterns + noise * rng.standard_normal((classes, each, *SIZES[rank], 1))
    names = np.array([f"class {c:02}" for c in range(classes)])
    return x.reshape(-1, *SIZES[rank], 1).astype(dtype), np.repeat(names, each)


def encoder(rank: int = 2, depth: int = 16, dtype: Any = np.float32, seed: int = 0, last: bool = True) -> nn.Sequential:
    """Two convolutions, a pooling, all positions to `depth` numbers, length 1."""
    channels = [1, 6, 8]
    layers: dict[str, nn.Layer] = {}
    for index, (given, made) in enumerate(pairwise(channels)):
        layers[f"conv{index}"] = CONV[rank](given, made, 3, padding=1, dtype=dtype, random_state=seed + index)
        layers[f"relu{index}"] = nn.ReLU()
    layers |= {"pool": POOL[rank](2), "flat": nn.Flatten()}
    inputs = channels[-1] * int(np.prod([size // 2 for size in SIZES[rank]]))
    layers["linear"] = nn.Linear(inputs, depth, dtype=dtype, random_state=seed + 9)
    if last:
        layers["unit"] = nn.L2Normalize()
    return nn.Sequential(layers)
