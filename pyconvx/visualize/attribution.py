"""What of a picture excites a unit: its way back through the network, and what covering parts of it changes."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import OptionError, ShapeError
from pyconvx.nn.composite import Composite
from pyconvx.visualize._network import input_rank, network_of
from pyconvx.visualize._rewired import Rule, rewired
from pyconvx.visualize._window import depends_on_size
from pyconvx.visualize.fields import receptive_field
from pyconvx.visualize.patches import crop

Array = NDArray[Any]


def backproject(
    net: Any,
    layer: str,
    unit: int,
    x: Array,
    *,
    position: Sequence[int] | None = None,
    rule: Rule = "guided",
) -> Array:
    """Lead one activation back to the input.

    The gradient of `y[position, unit]` with respect to `x`, except that on the way back a rectifier lets pass: with
    "guided", what is above zero and where its input was (guided backpropagation); with "deconvnet", what is above
    zero, wherever (Zeiler and Fergus); with "gradient", what its derivative says. Max poolings hand back to where their
    maximum was ("switches"), convolutions are transposed.

    Parameters
    ----------
    net : nn.Sequential, nn.Residual, nn.Graph or models.Network
    layer : str
    unit : int
        Number of a channel.
    x : ndarray of shape (*spatial, channels)
        The network's input, without a batch axis.
    position : sequence of int, optional
        Where in the layer's output; where the unit is largest if not given, the first of equal ones.
    rule : {"guided", "deconvnet", "gradient"}

    Returns
    -------
    ndarray of the shape of `x`
        Zero outside of the receptive field.

    Raises
    ------
    OptionError, ShapeError
        If there is no such layer, unit or position.

    References
    ----------
    Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, 2014, section 2.1. They start from the
    activation, here it is 1: the picture differs by that factor.
    Springenberg et al., Striving for Simplicity: The All Convolutional Net, 2015, section 3.4.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import nn, visualize
    >>> net = nn.Sequential({"conv": nn.Conv1d(1, 2, 3, random_state=0), "relu": nn.ReLU()})
    >>> x = np.random.default_rng(0).standard_normal((8, 1)).astype(np.float32)
    >>> np.flatnonzero(visualize.backproject(net, "conv", 1, x, position=(4,)))
    array([4, 5, 6])
    """
    graph, name = rewired(network_of(net), layer, rule)
    given = _checked(x, input_rank(graph))
    ys, pullback = graph.vjp(given[None], "input", taps=[name])
    y = ys[name]
    dy = np.zeros_like(y)
    place = (0, *_position(y[0], layer, unit, position), unit)
    dy[place] = 1
    dx, _ = pullback({name: dy})
    assert dx is not None, "wrt was input"
    return np.ascontiguousarray(dx[0])


def backproject_patch(
    net: Any, layer: str, unit: int, x: Array, position: Sequence[int], *, rule: Rule = "guided"
) -> Array:
    """Return `backproject` inside the receptive field of `position`, computed from little more than that.

    Parameters
    ----------
    net, layer, unit, x, position, rule
        As `backproject` takes them.

    Returns
    -------
    ndarray
        `(*size of the field, channels)`; 0 where it leaves the picture. The same as `backproject` and `crop` give, to
        rounding.
    """
    graph = network_of(net)
    box = receptive_field(graph, layer, input_size=x.shape[:-1]).box(position)
    starts, stops, inside = _needed(graph, layer, x, position)
    part = x[tuple(slice(start, stop) for start, stop in zip(starts, stops, strict=True))]
    dx = backproject(net, layer, unit, np.ascontiguousarray(part), position=inside, rule=rule)
    moved = tuple((start - first, stop - first) for (start, stop), first in zip(box, starts, strict=True))
    return crop(dx, moved)


def _needed(
    graph: Composite, layer: str, x: Array, position: Sequence[int]
) -> tuple[list[int], list[int], tuple[int, ...]]:
    """Return where the part of a picture begins and ends that a position needs, and the position in that part.

    It is little more than the receptive field, if what a part is padded with is what the picture is; else the picture.
    """
    field = receptive_field(graph, layer, input_size=x.shape[:-1])
    # What begins at a multiple of the layer's stride has its positions where the whole picture has them.
    strides = [
        int(stride) if stride is not None and stride.denominator == 1 and stride > 0 else 0 for stride in field.stride
    ]
    if not position or not all(strides) or depends_on_size(graph):
        return [0] * (x.ndim - 1), list(x.shape[:-1]), tuple(position)
    box = field.box(position)
    starts = [max(0, start) // stride * stride for (start, _), stride in zip(box, strides, strict=True)]
    stops = [min(stop, extent) for (_, stop), extent in zip(box, x.shape, strict=False)]
    inside = tuple(place - start // stride for place, start, stride in zip(position, starts, strides, strict=True))
    return starts, stops, inside


def occlusion(
    net: Any,
    layer: str,
    unit: int,
    x: Array,
    *,
    position: Sequence[int] | None = None,
    window: int | Sequence[int] = 8,
    stride: int | Sequence[int] | None = None,
    fill: float = 0.0,
    batch_size: int = 8,
) -> Array:
    """Return how much a unit loses when parts of its picture are covered, one at a time.

    `map[i] = y(x)[position, unit] - y(x with window i filled)[position, unit]`: large where the picture matters to the
    unit, below zero where it stands in its way.

    Parameters
    ----------
    net, layer, unit, x, position
        As `backproject` takes them.
    window : int or sequence of int
        Extent of what is covered, in pixels of the input.
    stride : int or sequence of int, optional
        Steps of the window; half of it if not given.
    fill : float
        What it is covered with; 0 is the mean of what most networks were trained on.
    batch_size : int
        Covered pictures that are computed together.

    Returns
    -------
    ndarray
        One element a window, `(*steps)`; window i begins at pixel i times stride, and the last one reaches the end.

    Raises
    ------
    OptionError, ShapeError
        If an argument does not fit.

    References
    ----------
    Zeiler and Fergus, 2014, section 4.2.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import nn, visualize
    >>> net = nn.Sequential({"conv": nn.Conv1d(1, 1, 1, random_state=0)})
    >>> drops = visualize.occlusion(net, "conv", 0, np.ones((6, 1), np.float32), position=(2,), window=2, stride=2)
    >>> np.flatnonzero(drops)
    array([1])
    """
    graph = network_of(net)
    rank = input_rank(graph)
    given = _checked(x, rank)
    windows = _per_axis("window", window, rank)
    steps = _per_axis("stride", [max(1, extent // 2) for extent in windows] if stride is None else stride, rank)
    whole = graph.features(given[None], [layer])[layer][0]
    place = _position(whole, layer, unit, position)
    starts = [_starts(n, w, s) for n, w, s in zip(given.shape[:-1], windows, steps, strict=True)]
    drops = np.zeros([len(axis) for axis in starts], given.dtype)
    # What lies outside of the receptive field changes nothing: only windows that meet it are covered, in its part.
    firsts, stops, inside = _needed(graph, layer, given, place)
    covers = list(itertools.product(*map(_covers, starts, windows, firsts, stops)))
    part = given[tuple(slice(first, stop) for first, stop in zip(firsts, stops, strict=True))]
    before = graph.features(part[None], [layer])[layer][0][inside][unit]
    for first in range(0, len(covers), batch_size):
        batch = covers[first : first + batch_size]
        covered = np.repeat(part[None], len(batch), axis=0)
        for row, cover in enumerate(batch):
            covered[row][tuple(covering for _, covering in cover)] = fill
        after = graph.features(covered, [layer])[layer]
        for row, cover in enumerate(batch):
            drops[tuple(step for step, _ in cover)] = before - after[row][inside][unit]
    return drops


def _covers(starts: list[int], window: int, first: int, stop: int) -> list[tuple[int, slice]]:
    """Return the windows along one axis that meet a part, as (number, what of the part they cover)."""
    return [
        (number, slice(max(start - first, 0), min(start + window, stop) - first))
        for number, start in enumerate(starts)
        if start < stop and start + window > first
    ]


def _starts(extent: int, window: int, stride: int) -> list[int]:
    """Where windows begin; one more than fit as a whole where a rest would be left, cut off at the end."""
    return list(range(0, max(1, math.ceil((extent - window) / stride) + 1) * stride, stride))


def _checked(x: Array, rank: int) -> Array:
    if x.ndim != rank + 1:
        raise ShapeError(f"x has shape {x.shape}; wanted {rank} spatial axes and the channels, without a batch axis")
    return np.asarray(x)


def _per_axis(name: str, value: int | Sequence[int], rank: int) -> list[int]:
    extents = [value] * rank if isinstance(value, (int, np.integer)) else list(value)
    if len(extents) != rank or any(extent < 1 for extent in extents):
        raise OptionError(f"{name} is {value!r}; wanted one number from 1, or {rank} of them")
    return [int(extent) for extent in extents]


def _position(y: Array, layer: str, unit: int, position: Sequence[int] | None) -> tuple[int, ...]:
    """Return the wanted position in (*spatial, channels), or that of the unit's first largest value."""
    if not 0 <= unit < y.shape[-1]:
        raise OptionError(f"unit is {unit}; {layer!r} has units 0 to {y.shape[-1] - 1}")
    if position is None:
        return tuple(int(axis) for axis in np.unravel_index(int(y[..., unit].argmax()), y.shape[:-1]))
    place = tuple(int(axis) for axis in position)
    if len(place) != y.ndim - 1 or any(not 0 <= axis < n for axis, n in zip(place, y.shape, strict=False)):
        raise ShapeError(f"position is {place}; {layer!r} has the size {y.shape[:-1]}")
    return place
