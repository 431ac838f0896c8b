"""What a pass has to know of a network: the layers inside a model, its input, a digest of its weights."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from pyconvx import nn
from pyconvx.errors import OptionError
from pyconvx.nn.composite import Composite
from pyconvx.visualize._window import rank_of


def network_of(net: Any) -> Composite:
    """Return the network inside a `models.Network`, or the network itself."""
    inner = net if isinstance(net, Composite) else getattr(net, "net", net)
    if not isinstance(inner, Composite):
        raise OptionError(f"net is a {type(net).__name__}; wanted an nn.Sequential, nn.Residual, nn.Graph or a model")
    return inner


def input_rank(net: Composite) -> int:
    """Return how many spatial axes the input has."""
    return rank_of(net) or 0


def input_channels(net: Composite) -> int | None:
    """Return how many channels the first layer with weights takes; None if there is none."""
    for node in net.nodes[1:]:
        channels = getattr(node.layer, "in_channels", getattr(node.layer, "in_features", None))
        if channels is not None:
            return int(channels)
    return None


def weights_digest(net: nn.Layer) -> str:
    """Return the SHA-256 of all weights and their names."""
    sha = hashlib.sha256()
    for name, array in sorted(net.state_dict().items()):
        sha.update(f"{name}{array.dtype.str}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()


def dtype_of(net: nn.Layer) -> np.dtype[Any]:
    """Return the type of the first parameter, which is that of the input; float32 without parameters."""
    for parameter in net.named_parameters().values():
        return parameter.dtype
    return np.dtype(np.float32)
