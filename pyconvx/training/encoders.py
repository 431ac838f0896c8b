"""Ready encoders: small convolutional networks from signals, pictures or volumes to encodings of length one."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from pyconvx import nn
from pyconvx.errors import OptionError
from pyconvx.functional._arguments import PerAxis, choice, integer, per_axis

Size = Literal["small", "medium"]


class _Plan(NamedTuple):
    """Channels of each block, and how many convolutions it has; between blocks every axis is halved."""

    channels: tuple[int, ...]
    convolutions: tuple[int, ...]


_PLANS = {"small": _Plan((32, 64, 128), (1, 1, 1)), "medium": _Plan((32, 64, 128, 192), (1, 2, 2, 1))}
_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
_POOLINGS = {1: nn.MaxPool1d, 2: nn.MaxPool2d, 3: nn.MaxPool3d}

_DOCUMENTATION = """An encoder of {what}: `(batch, {axes}, in_channels)` to `(batch, dimensions)`, each of length one.

    Blocks of convolutions of size 3, each followed by BatchNorm and ReLU; a max pooling by 2 between blocks; a linear
    layer; L2Normalize. "small" has 3 blocks of one convolution with 32, 64 and 128 channels, "medium" 4 blocks of 1, 2,
    2 and 1 with 32, 64, 128 and 192.

    Parameters
    ----------
    size : {{"small", "medium"}}
        How large the network is.
    in_channels, dimensions : int
        Channels of the input, and entries of an encoding.
    input_size : int or tuple of {rank} int, optional
        The input's extent along each spatial axis. Given, the linear layer sees every place, which tells samples apart
        whose parts lie differently; the encoder takes this size alone then. Not given, it sees the mean over places:
        fewer weights, and inputs may have any size from {least} up along each axis.
    dtype : float32 or float64
        Of the parameters, and of the input.
    seed : int, numpy.random.Generator or None
        For the first weights.

    Returns
    -------
    Sequential
        Layers named conv1, norm1, relu1, conv2, ..., pool1, ..., linear, normalize.

    Examples
    --------
    >>> import numpy as np
    >>> encoder{rank}d("small", dimensions=64, seed=0)(np.ones(({example}), np.float32)).shape
    (2, 64)
    """


def encoder1d(
    size: Size = "small",
    in_channels: int = 1,
    dimensions: int = 128,
    *,
    input_size: PerAxis | None = None,
    dtype: DTypeLike = np.float32,
    seed: int | np.random.Generator | None = None,
) -> nn.Sequential:
    return _encoder(1, size, in_channels, dimensions, input_size, dtype, seed)


def encoder2d(
    size: Size = "small",
    in_channels: int = 1,
    dimensions: int = 128,
    *,
    input_size: PerAxis | None = None,
    dtype: DTypeLike = np.float32,
    seed: int | np.random.Generator | None = None,
) -> nn.Sequential:
    return _encoder(2, size, in_channels, dimensions, input_size, dtype, seed)


def encoder3d(
    size: Size = "small",
    in_channels: int = 1,
    dimensions: int = 128,
    *,
    input_size: PerAxis | None = None,
    dtype: DTypeLike = np.float32,
    seed: int | np.random.Generator | None = None,
) -> nn.Sequential:
    return _encoder(3, size, in_channels, dimensions, input_size, dtype, seed)


encoder1d.__doc__ = _DOCUMENTATION.format(
    rank=1, what="signals", axes="samples", least="4 (small) or 8 (medium)", example="2, 40, 1"
)
encoder2d.__doc__ = _DOCUMENTATION.format(
    rank=2, what="pictures", axes="height, width", least="4 (small) or 8 (medium)", example="2, 28, 28, 1"
)
encoder3d.__doc__ = _DOCUMENTATION.format(
    rank=3, what="volumes", axes="depth, height, width", least="4 (small) or 8 (medium)", example="2, 8, 8, 8, 1"
)


def _encoder(
    rank: int,
    size: str,
    in_channels: int,
    dimensions: int,
    input_size: PerAxis | None,
    dtype: DTypeLike,
    seed: int | np.random.Generator | None,
) -> nn.Sequential:
    choice("size", size, tuple(_PLANS))
    channels, dimensions = integer("in_channels", in_channels, 1), integer("dimensions", dimensions, 1)
    if not isinstance(seed, np.random.Generator) and seed is not None:
        integer("seed", seed, 0)
    plan, rng = _PLANS[size], np.random.default_rng(seed)
    layers: dict[str, nn.Layer] = {}
    depth = 0
    for block, (width, count) in enumerate(zip(plan.channels, plan.convolutions, strict=True), 1):
        for _ in range(count):
            depth += 1
            conv = _CONVOLUTIONS[rank](channels, width, 3, padding=1, bias=False, dtype=dtype, random_state=rng)
            layers |= {
                f"conv{depth}": conv,
                f"norm{depth}": nn.BatchNorm(width, dtype=dtype),
                f"relu{depth}": nn.ReLU(),
            }
            channels = width
        if block < len(plan.channels):
            layers[f"pool{block}"] = _POOLINGS[rank](2)
    if input_size is None:
        layers["mean"] = nn.GlobalAvgPool()
    else:
        layers["places"] = nn.Flatten()
        channels *= _places(input_size, rank, len(plan.channels) - 1)
    layers["linear"] = nn.Linear(channels, dimensions, dtype=dtype, random_state=rng)
    layers["normalize"] = nn.L2Normalize()
    return nn.Sequential(layers)


def _places(input_size: PerAxis, rank: int, halvings: int) -> int:
    """How many places are left of an input after the poolings."""
    left = [extent >> halvings for extent in per_axis("input_size", input_size, rank)]
    if not all(left):
        raise OptionError(f"input_size is {input_size!r}; wanted at least {1 << halvings} along each axis")
    return math.prod(left)
