"""A network as data: its layers and their arguments as plain values, so that a file of weights needs no code beside it.

Only classes of this room can be named, and their constructors check what they get: a file cannot make anything run.
"""

from __future__ import annotations

import inspect
import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from pyconvx.errors import OptionError, PyconvxError, WeightsError
from pyconvx.nn import (
    activation,
    conv,
    conv_transpose,
    dropout,
    flatten,
    linear,
    merge,
    normalization,
    pooling,
    safetensors,
)
from pyconvx.nn.graph import Graph
from pyconvx.nn.layer import Layer
from pyconvx.nn.residual import Residual
from pyconvx.nn.sequential import Sequential

KEY = "network"
VERSION = 1
_ROOMS = (activation, conv, conv_transpose, dropout, flatten, linear, normalization, pooling)
LEAVES: dict[str, type[Layer]] = {
    name: kind
    for room in _ROOMS
    for name, kind in vars(room).items()
    if isinstance(kind, type) and issubclass(kind, Layer) and kind.__module__ == room.__name__ and name[0] != "_"
}
MERGES: dict[str, type[merge.Merge]] = {
    kind.__name__: kind for kind in (merge.Add, merge.PaddedAdd, merge.Multiply, merge.Concat)
}
_CHANCE = ("random_state", "init")  # what a layer starts with: the weights replace it


def describe(net: Layer) -> dict[str, Any]:
    """Return a network's layers and their arguments as values that JSON can hold.

    Parameters
    ----------
    net : Layer
        Of classes of `pyconvx.nn`; those of a caller's own need his code.

    Returns
    -------
    dict
        What `build` takes. Weights are not in it.

    Raises
    ------
    OptionError
        If a layer is of a class of its own.

    Examples
    --------
    >>> from pyconvx import nn
    >>> nn.describe(nn.MaxPool1d(2))["arguments"]["kernel_size"]
    [2]
    """
    return _described(net, "", {})


def build(description: Mapping[str, Any], *, max_elements: int | None = None) -> Layer:
    """Return a network as described, with first weights.

    Parameters
    ----------
    description : mapping
        As `describe` returns it.
    max_elements : int, optional
        How many numbers all weights may hold; more are refused before memory is taken.

    Raises
    ------
    WeightsError
        If it describes no network.
    """
    try:
        return _Builder(math.inf if max_elements is None else max_elements).layer(description, "")
    except WeightsError:
        raise
    except RecursionError:
        raise WeightsError("the description of the network is nested too deeply") from None
    except (PyconvxError, TypeError, ValueError, KeyError, AttributeError, OverflowError) as error:
        raise WeightsError(f"the description of the network is damaged: {error!r}") from error


def save_network(net: Layer, path: str | os.PathLike[str], *, metadata: Mapping[str, str] | None = None) -> None:
    """Write a network, its weights and its layers, to one safetensors file that `load_network` reads.

    Parameters
    ----------
    net : Layer
        Of classes of `pyconvx.nn`.
    path : str or path-like
        The target; replaced, as a whole, if it exists.
    metadata : mapping of str to str, optional
        What else to keep, such as how inputs were prepared.

    Raises
    ------
    OptionError
        If a layer is of a class of its own: keep its code, and its weights by `net.save`.
    """
    said = {"format": "pyconvx", "layout": "channels_last", KEY: json.dumps({"version": VERSION, **describe(net)})}
    safetensors.save_file(net.state_dict(), path, metadata={**(metadata or {}), **said})


def load_network(path: str | os.PathLike[str]) -> Layer:
    """Read a network that `save_network` wrote, ready for use; its metadata: `safetensors.load_metadata`.

    Raises
    ------
    WeightsError
        If the file is damaged, hostile, or holds weights alone.
    OSError
        If it cannot be opened or read.
    """
    source = os.fspath(path)
    text = safetensors.load_metadata(path).get(KEY)
    if text is None:
        raise WeightsError(
            f"{source}: holds weights and no description of their network; make the network, and load them by net.load"
        )
    try:
        description = json.loads(text)
    except (ValueError, RecursionError):
        raise WeightsError(f"{source}: the description of the network cannot be read; the file is damaged") from None
    if not isinstance(description, dict) or description.get("version") != VERSION:
        raise WeightsError(
            f"{source}: the network is described in another way; this version of pyconvx reads {VERSION}"
        )
    weights = safetensors.load_file(path)
    try:
        net = build(description, max_elements=sum(array.size for array in weights.values()))
        net.load_state_dict(weights)
    except WeightsError as error:
        raise WeightsError(f"{source}: {error}") from error
    return net


def _described(layer: Layer, place: str, seen: dict[int, str]) -> dict[str, Any]:
    if id(layer) in seen:
        return {"again": seen[id(layer)]}
    seen[id(layer)] = place
    kind = type(layer)
    if kind in (Sequential, Residual):
        children = {name: _described(child, f"{place}.{name}", seen) for name, child in layer._children.items()}
        return {"layer": kind.__name__, "layers": children}
    if isinstance(layer, Graph) and kind is Graph:
        nodes: dict[str, Any] = {}
        for name, (node, sources) in layer._nodes.items():
            if isinstance(node, Layer):
                nodes[name] = {**_described(node, f"{place}.{name}", seen), "reads": list(sources)}
            elif type(node) is MERGES.get(type(node).__name__):
                nodes[name] = {"merge": type(node).__name__, "reads": list(sources)}
            else:
                raise _foreign(node)
        return {"layer": "Graph", "nodes": nodes, "output": layer._output_name}
    if LEAVES.get(kind.__name__) is not kind:
        raise _foreign(layer)
    return {"layer": kind.__name__, "arguments": {name: _argument(layer, name) for name in _names(kind)}}


def _foreign(part: object) -> OptionError:
    return OptionError(
        f"{type(part).__module__}.{type(part).__name__} is no class of pyconvx.nn and cannot be described: keep its "
        "code, and its weights by net.save"
    )


def _names(kind: type[Layer]) -> list[str]:
    return [name for name in inspect.signature(kind).parameters if name not in _CHANCE]


def _argument(layer: Any, name: str) -> Any:
    """The value of a constructor's argument in a layer that was made with it."""
    if name == "bias":
        return layer.bias is not None
    if name == "affine":
        return layer.weight is not None
    if name == "dtype":
        return next(iter(layer._state().values())).dtype.name
    return _plain(layer._options.precision if name == "precision" else getattr(layer, name))


def _plain(value: Any) -> Any:
    """Tuples as lists and NumPy's numbers as Python's."""
    if isinstance(value, (tuple, list)):
        return [_plain(part) for part in value]
    return value.item() if isinstance(value, np.generic) else value


class _Builder:
    """Makes layers, as long as their weights fit what there is to fill them with."""

    def __init__(self, elements: float) -> None:
        self._left = elements
        self._made: dict[str, Layer] = {}

    def layer(self, described: Mapping[str, Any], place: str) -> Layer:
        if "again" in described:
            return self._made[described["again"]]
        made = self._make(described, place)
        self._made[place] = made
        return made

    def _make(self, described: Mapping[str, Any], place: str) -> Layer:
        name = described["layer"]
        if name in ("Sequential", "Residual"):
            children = {key: self.layer(child, f"{place}.{key}") for key, child in described["layers"].items()}
            return Sequential(children) if name == "Sequential" else Residual(**children)
        if name == "Graph":
            nodes: dict[str, Any] = {}
            for key, node in described["nodes"].items():
                part = MERGES[node["merge"]]() if "merge" in node else self.layer(node, f"{place}.{key}")
                nodes[key] = (part, *node["reads"])
            return Graph(nodes, output=described["output"])
        if name not in LEAVES:
            raise WeightsError(f"the network has a layer {str(name)[:80]!r}, which this version of pyconvx has not")
        arguments = {key: _tuple(value) for key, value in described["arguments"].items() if key not in _CHANCE}
        self._left -= _elements(arguments)
        if self._left < 0:
            raise WeightsError("the description of the network wants more weights than there are")
        return LEAVES[name](**arguments)


def _elements(arguments: Mapping[str, Any]) -> int:
    """How many numbers a layer's weights hold, at least, before they are made."""
    features = ("num_features", "num_parameters", "in_channels", "out_channels", "in_features", "out_features")
    given = [arguments[name] for name in features if name in arguments]
    if not given:
        return 0
    kernel = arguments.get("kernel_size", 1)
    sizes = [*given, *(kernel if isinstance(kernel, tuple) else [kernel]), groups := arguments.get("groups", 1)]
    if not all(type(size) is int and size > 0 for size in sizes):
        raise WeightsError(f"the network has a layer of sizes {str(sizes)[:80]}")
    count: int = math.prod(sizes[:-1]) // groups
    return count


def _tuple(value: Any) -> Any:
    return tuple(_tuple(part) for part in value) if isinstance(value, list) else value
