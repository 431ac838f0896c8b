"""The same network with another rule for the way back through its rectifiers: layers are shared, weights not copied."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pyconvx import nn
from pyconvx.errors import OptionError
from pyconvx.nn.composite import Composite
from pyconvx.nn.layer import Backward, Wants

Array = NDArray[Any]
Rule = Literal["gradient", "guided", "deconvnet"]
RULES = ("gradient", "guided", "deconvnet")


class Rectifier(nn.Layer):
    """A ReLU or PReLU whose pullback passes on what is above zero of the gradient only.

    guided: where the activation was above zero as well (the rectifier's own gradient). deconvnet: everywhere, at full.
    """

    def __init__(self, layer: nn.Layer, rule: Rule) -> None:
        super().__init__()
        self._layer, self._rule = layer, rule

    def _forward(self, x: Array) -> Array:
        return self._layer._forward(x)

    def _vjp(self, x: Array, wants: Wants) -> tuple[Array, Backward]:
        y, inner = self._layer._vjp(x, Wants(True, False))

        def backward(dy: Array, overwrite: bool) -> tuple[Array | None, dict[str, Array]]:
            positive = np.maximum(dy, 0)
            return (positive, {}) if self._rule == "deconvnet" else inner(positive, True)

        return y, backward


def rewired(net: Composite, layer: str, rule: Rule) -> tuple[nn.Graph, str]:
    """Return a graph of the network up to `layer`, and the name that the layer has there.

    Raises
    ------
    OptionError
        If the rule is unknown.
    """
    if rule not in RULES:
        raise OptionError(f"rule is {rule!r}; wanted one of {', '.join(map(repr, RULES))}")

    def node(index: int) -> str:
        return f"node{index}" if index else "input"

    change: Callable[[Any], Any] = lambda found: found  # noqa: E731
    if rule != "gradient":
        change = lambda found: Rectifier(found, rule) if isinstance(found, (nn.ReLU, nn.PReLU)) else found  # noqa: E731
    target = net.place(layer)
    steps = net.nodes[1 : target + 1]
    nodes = {
        node(index): (change(step.layer), *(node(source) for source in step.sources))
        for index, step in enumerate(steps, 1)
    }
    return nn.Graph(nodes), node(target)
