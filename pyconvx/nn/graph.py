"""Layers that read any earlier layers: branches, sums, concatenations."""

from __future__ import annotations

from collections.abc import Mapping

from pyconvx.errors import OptionError
from pyconvx.nn._program import Program
from pyconvx.nn.composite import Composite, compile_layer
from pyconvx.nn.layer import Layer
from pyconvx.nn.merge import Merge

INPUT = "input"


class Graph(Composite):
    """Named nodes in order; each is a layer and the name of the node it reads, or a `Merge` and the names of several.

    Parameters
    ----------
    nodes : mapping of str to tuple
        `name: (layer, source)`, or `name: (merge, source, source, ...)`. A source is "input" or an earlier name. The
        same layer object may stand at several nodes: its weights are shared, and its gradients summed.
    output : str, optional
        The node whose value the graph returns; the last one if not given.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import nn
    >>> net = nn.Graph({
    ...     "narrow": (nn.Conv2d(3, 8, 1), "input"),
    ...     "wide": (nn.Conv2d(3, 8, 3, padding=1), "input"),
    ...     "both": (nn.Concat(), "narrow", "wide"),
    ... })
    >>> net(np.zeros((1, 6, 6, 3), np.float32)).shape
    (1, 6, 6, 16)
    """

    def __init__(self, nodes: Mapping[str, tuple[Layer | Merge | str, ...]], *, output: str | None = None) -> None:
        self._nodes = {name: _checked(name, node, list(nodes)) for name, node in nodes.items()}
        if not self._nodes:
            raise OptionError("nodes is empty; a graph has one node or more")
        super().__init__({name: node for name, (node, _) in self._nodes.items() if isinstance(node, Layer)})
        self._output_name = next(reversed(self._nodes)) if output is None else output
        if self._output_name not in self._nodes:
            raise OptionError(f"output is {output!r}; it must be one of {', '.join(self._nodes)}")
        self._build()

    def _compile(self, program: Program, source: int, prefix: str) -> int:
        places = {INPUT: source}
        for name, (node, sources) in self._nodes.items():
            reads = tuple(places[read] for read in sources)
            if isinstance(node, Merge):
                places[name] = program.add(node, reads, prefix + name)
            else:
                places[name] = compile_layer(program, node, reads[0], prefix + name)
        return places[self._output_name]


def _checked(name: str, node: object, order: list[str]) -> tuple[Layer | Merge, tuple[str, ...]]:
    wanted = "a node is (layer, source) or (merge, source, source, ...)"
    if name == INPUT:
        raise OptionError(f"a node cannot be named {INPUT!r}, which is the graph's own input")
    if not isinstance(node, tuple) or len(node) < 2:
        raise OptionError(f"node {name!r} is {node!r}; {wanted}")
    work, *sources = node
    if not isinstance(work, (Layer, Merge)) or (isinstance(work, Layer) and len(sources) != 1):
        raise OptionError(f"node {name!r} has {work!r} and {len(sources)} sources; {wanted}")
    earlier = [INPUT, *order[: order.index(name)]]
    for source in sources:
        if source not in earlier:
            raise OptionError(f"node {name!r} reads {source!r}; it may read {', '.join(earlier)}")
    return work, tuple(sources)
