"""Layers one after the other."""

from __future__ import annotations

from collections.abc import Mapping

from pyconvx.errors import OptionError
from pyconvx.nn._program import Program
from pyconvx.nn.composite import Composite, compile_layer
from pyconvx.nn.layer import Layer


class Sequential(Composite):
    """Layers one after the other, named by a mapping or, given one by one, "0", "1", ...

    A ReLU directly after a convolution is computed together with it, unless the convolution's own output is tapped.
    A layer that occurs twice shares its weights, and has the sum of both gradients.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import nn
    >>> net = nn.Sequential({"conv": nn.Conv1d(1, 16, 5), "relu": nn.ReLU(), "pool": nn.MaxPool1d(2)})
    >>> x = np.zeros((1, 14, 1), np.float32)
    >>> net(x).shape
    (1, 5, 16)
    >>> {name: y.shape for name, y in net.features(x, ["relu"]).items()}
    {'relu': (1, 10, 16)}
    """

    def __init__(self, *layers: Layer | Mapping[str, Layer]) -> None:
        if len(layers) == 1 and isinstance(layers[0], Mapping):
            named = dict(layers[0])
        else:
            named = {}
            for index, layer in enumerate(layers):
                if not isinstance(layer, Layer):
                    raise OptionError(f"argument {index} is {layer!r}; give layers, or one mapping of names to layers")
                named[str(index)] = layer
        super().__init__(named)
        self._build()

    def _compile(self, program: Program, source: int, prefix: str) -> int:
        for name, layer in self._children.items():
            source = compile_layer(program, layer, source, prefix + name)
        return source
