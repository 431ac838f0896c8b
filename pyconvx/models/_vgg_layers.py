"""The layers of VGG: blocks of 3x3 convolutions, each followed by a ReLU, each block by a pooling that halves.

Simonyan and Zisserman 2014, table 1, columns D (16) and E (19); the depth counts three layers of a classifier too.
"""

from __future__ import annotations

from pyconvx.errors import OptionError
from pyconvx.nn import AvgPool2d, Conv2d, Layer, MaxPool2d, ReLU, Sequential

# Depth -> block -> number of convolutions.
DEPTHS = {16: {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}, 19: {1: 2, 2: 2, 3: 4, 4: 4, 5: 4}}
CHANNELS = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}
POOLINGS: dict[str, type[MaxPool2d] | type[AvgPool2d]] = {"max": MaxPool2d, "avg": AvgPool2d}


def conv_names(depth: int) -> list[str]:
    """Return "conv1_1" ... in order."""
    return [f"conv{block}_{index + 1}" for block, count in DEPTHS[depth].items() for index in range(count)]


def build(depth: int, pooling: str, last: str | None = None) -> Sequential:
    """Return the network up to the ReLU of convolution `last`, or with all blocks and their poolings.

    Raises
    ------
    OptionError
        If `depth` or `pooling` is unknown.
    """
    if depth not in DEPTHS:
        raise OptionError(f"depth: got {depth!r}; one of {', '.join(map(str, DEPTHS))}")
    if pooling not in POOLINGS:
        raise OptionError(f"pooling: got {pooling!r}; one of {', '.join(POOLINGS)}")
    layers: dict[str, Layer] = {}
    in_channels = 3
    for block, count in DEPTHS[depth].items():
        for index in range(1, count + 1):
            layers[f"conv{block}_{index}"] = Conv2d(in_channels, CHANNELS[block], 3, padding=1)
            layers[f"relu{block}_{index}"] = ReLU()
            in_channels = CHANNELS[block]
            if last == f"conv{block}_{index}":
                return Sequential(layers)
        layers[f"pool{block}"] = POOLINGS[pooling](2)
    return Sequential(layers)
