"""Receptive fields: which part of the input a position of a layer reads.

Two answers. The nominal field has the same size at every position, and leaves the picture at its edges, where padding
was read: size, stride and offset, and the box that a patch is cut by. The seen field is what really is read of an input
of a given size, tap by tap, without what paddings and the ends of strides leave out.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import OptionError, ShapeError
from pyconvx.nn.composite import Composite
from pyconvx.visualize._window import AxisWindow, Kind, Point, Positions, Whole, kind_of, rank_of

Box = tuple[tuple[int, int], ...]
"""One (start, stop) for each spatial axis, in pixels of the input; it may begin below 0 and end behind the input."""
Size = tuple[int, ...]


@dataclass(frozen=True)
class ReceptiveField:
    """What a layer reads of the input.

    Attributes
    ----------
    layer : str
    size : tuple of int or None
        Extent along each axis; None where the layer reads everything. With transposed convolutions, the largest of all
        positions.
    stride : tuple of Fraction or None
        How far the fields of neighbouring positions lie apart.
    offset : tuple of int or None
        Where the field of position 0 begins; below 0 it reads padding.
    input_size : tuple of int or None
        The spatial size that was given.
    """

    layer: str
    size: tuple[int | None, ...]
    stride: tuple[Fraction | None, ...]
    offset: tuple[int | None, ...]
    input_size: Size | None
    _walk: Walk = dataclasses.field(repr=False, compare=False)

    def box(self, position: Sequence[int]) -> Box:
        """Return the nominal field of a position, as one (start, stop) for each axis of the input.

        Raises
        ------
        OptionError
            If the layer reads everything and `input_size` was not given.
        """
        return self._walk.box(tuple(position))

    def seen(self, position: Sequence[int]) -> Box | None:
        """Return the smallest box around all that a position reads inside the input; None if that is nothing.

        Raises
        ------
        OptionError
            If `input_size` was not given.
        """
        return self._walk.seen(tuple(position))


def receptive_field(net: Composite, layer: str, *, input_size: Sequence[int] | None = None) -> ReceptiveField:
    """Return size, stride and offset of what `layer` reads of the input.

    Along a chain of convolutions and poolings, size = 1 + sum of (kernel - 1) dilation times the strides before it;
    over the branches of a graph, the union of all paths.

    Parameters
    ----------
    net : nn.Sequential, nn.Residual or nn.Graph
    layer : str
        Name of a layer, as `net.features` takes it.
    input_size : tuple of int, optional
        Spatial size of the input. Needed by `seen`, by layers that read everything, and where padding is "same" with a
        stride.

    Returns
    -------
    ReceptiveField

    Raises
    ------
    OptionError
        If there is no such layer, or a layer below it is of a class that nothing is known about.

    Notes
    -----
    The field is the layer's. A single unit may read less, where channels fall into groups or come from branches.

    Examples
    --------
    >>> from pyconvx import models, visualize
    >>> field = visualize.receptive_field(models.vgg16().net, "conv4_2")
    >>> field.size, field.stride[0], field.offset
    ((76, 76), Fraction(8, 1), (-34, -34))
    >>> field.box((0, 10))
    ((-34, 42), (46, 122))
    """
    walk = Walk(net, layer, None if input_size is None else tuple(input_size))
    size, stride, offset = zip(*walk.summary(), strict=True) if walk.rank else ((), (), ())
    return ReceptiveField(layer, size, stride, offset, walk.input_size, walk)


def receptive_fields(net: Composite, *, input_size: Sequence[int] | None = None) -> dict[str, ReceptiveField]:
    """Return the receptive field of every layer by name, in order; see `receptive_field`."""
    return {node.name: receptive_field(net, node.name, input_size=input_size) for node in net.nodes[1:]}


def format_table(fields: Mapping[str, ReceptiveField]) -> str:
    """Return a table of receptive fields as text, one line a layer.

    Examples
    --------
    >>> from pyconvx import nn, visualize
    >>> net = nn.Sequential({"conv": nn.Conv1d(1, 4, 5, padding=2), "pool": nn.MaxPool1d(2)})
    >>> print(visualize.format_table(visualize.receptive_fields(net)))
    layer  size  stride  offset
    conv      5       1      -2
    pool      6       2      -2
    """
    rows = [("layer", "size", "stride", "offset")]
    for name, field in fields.items():
        rows.append((name, _joined(field.size), _joined(field.stride), _joined(field.offset)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _joined(values: Sequence[int | Fraction | None]) -> str:
    words = ["all" if value is None else str(value) for value in values]
    return words[0] if len(set(words)) == 1 else "x".join(words) if words else "-"


class Walk:
    """The way back from a layer to the input."""

    def __init__(self, net: Composite, layer: str, input_size: Size | None) -> None:
        self.input_size = input_size
        rank = rank_of(net)
        self.rank = (0 if input_size is None else len(input_size)) if rank is None else rank
        if input_size is not None and len(input_size) != self.rank:
            raise ShapeError(f"input_size is {input_size}; the network has {self.rank} spatial axes")
        self._layer = layer
        self._nodes = net.nodes
        self._target = net.place(layer)
        self._kinds: dict[int, Kind] = {}
        self._sizes: dict[int, Size] = {0: input_size} if input_size is not None else {}
        self._along_found: dict[tuple[int, int], Positions] = {}
        self._flat = {0: self.rank == 0}  # whether a node has no positions any more
        for index in self._needed():
            node = self._nodes[index]
            size = self._sizes.get(node.sources[0])
            kind = self._kinds[index] = kind_of(node.name, node.layer, None if self._flat[node.sources[0]] else size)
            self._flat[index] = isinstance(kind, Whole) or self._flat[node.sources[0]]
            if input_size is not None:
                self._sizes[index] = self._size_after(kind, [self._sizes[source] for source in node.sources])

    def _needed(self) -> list[int]:
        needed: set[int] = set()
        waiting = [self._target]
        while waiting:
            index = waiting.pop()
            if index and index not in needed:
                needed.add(index)
                waiting.extend(self._nodes[index].sources)
        return sorted(needed)

    @staticmethod
    def _size_after(kind: Kind, sizes: list[Size]) -> Size:
        if isinstance(kind, Whole):
            return ()
        if isinstance(kind, Point):
            return tuple(max(extents) for extents in zip(*sizes, strict=True))
        return tuple(window.output_size(extent) for window, extent in zip(kind, sizes[0], strict=True))

    @property
    def output_size(self) -> Size:
        """The spatial size of the layer's output; empty if it has no positions."""
        return self._sizes[self._target]

    def summary(self) -> list[tuple[int | None, Fraction | None, int | None]]:
        """Return (size, stride, offset) of every axis."""
        if self._flat[self._target]:
            return [(None, None, None)] * self.rank
        period = math.prod(
            max(window.stride for window in kind)
            for kind in self._kinds.values()
            if isinstance(kind, tuple) and kind[0].transposed
        )
        rows: list[tuple[int | None, Fraction | None, int | None]] = []
        for axis in range(self.rank):
            # Away from the start, where a transposed layer would cut: all positions of one period, and one further.
            fields = [self._along(axis, place) for place in range(period, 2 * period + 1)]
            read = [field for field in fields[:-1] if len(field)]
            stride = Fraction(int(fields[-1][0] - fields[0][0]), period) if len(fields[0]) else Fraction(0)
            first = self._along(axis, 0)
            offset = int(first[0]) if len(first) else 0
            rows.append((max(int(f[-1] - f[0]) + 1 for f in read) if read else 0, stride, offset))
        return rows

    def _along(self, axis: int, place: int) -> Positions:
        """Return what position `place` reads along one axis, whatever the input's extent."""
        found = self._along_found.get((axis, place))
        if found is None:
            found = self._along_found[axis, place] = self._walk_along(axis, place)
        return found

    def _walk_along(self, axis: int, place: int) -> Positions:
        reached: dict[int, Positions] = {self._target: np.array([place], np.int64)}
        for index in sorted(self._kinds, reverse=True):
            outputs = reached.pop(index, None)
            if outputs is None:
                continue
            kind = self._kinds[index]
            inputs = kind[axis].read_by(outputs) if isinstance(kind, tuple) else outputs
            for source in self._nodes[index].sources:
                reached[source] = np.union1d(reached[source], inputs) if source in reached else inputs
        return reached.get(0, np.zeros(0, np.int64))

    def box(self, position: Size) -> Box:
        """Return the nominal field of a position."""
        self._check(position)
        if self._flat[self._target]:
            if self.input_size is None:
                raise OptionError(f"layer {self._layer!r} reads the whole input: give input_size to receptive_field")
            return tuple((0, extent) for extent in self.input_size)
        fields = [self._along(axis, place) for axis, place in enumerate(position)]
        return tuple((int(field[0]), int(field[-1]) + 1) if len(field) else (0, 0) for field in fields)

    def seen(self, position: Size) -> Box | None:
        """Return the hull of what is read inside the input."""
        self._check(position)
        if self.input_size is None:
            raise OptionError("what is seen depends on the size of the input: give input_size to receptive_field")
        start = np.zeros(self.output_size, np.bool_)
        start[position] = True
        masks = {self._target: start}
        for index in sorted(self._kinds, reverse=True):
            mask = masks.pop(index, None)
            if mask is None:
                continue
            for source in self._nodes[index].sources:
                before = _before(self._kinds[index], mask, self._sizes[source])
                masks[source] = masks[source] | before if source in masks else before
        return _hull(masks[0]) if 0 in masks else None

    def _check(self, position: Size) -> None:
        wanted = 0 if self._flat[self._target] else self.rank
        if len(position) != wanted:
            raise ShapeError(f"position is {position}; layer {self._layer!r} has {wanted} spatial axes")
        if self.input_size is None:
            return
        for place, extent in zip(position, self.output_size, strict=True):
            if not 0 <= place < extent:
                raise ShapeError(f"position is {position}; layer {self._layer!r} has the size {self.output_size}")


def _before(kind: Kind, mask: NDArray[np.bool_], size: Size) -> NDArray[np.bool_]:
    """Return which of the inputs any output in `mask` reads."""
    if isinstance(kind, Whole):
        return np.full(size, bool(mask.any()))
    if isinstance(kind, Point):
        return mask[tuple(slice(extent) for extent in size)]  # a smaller branch of a padded sum ends earlier
    for axis, window in enumerate(kind):
        mask = _before_along(window, mask, axis, size[axis])
    return mask


def _before_along(window: AxisWindow, mask: NDArray[np.bool_], axis: int, extent: int) -> NDArray[np.bool_]:
    counts = np.tensordot(window.matrix(extent).astype(np.float32), mask.astype(np.float32), axes=(1, axis))
    return np.moveaxis(counts > 0, 0, axis)


def _hull(mask: NDArray[np.bool_]) -> Box | None:
    if not mask.any():
        return None
    hull = []
    for axis in range(mask.ndim):
        places = np.flatnonzero(mask.any(axis=tuple(other for other in range(mask.ndim) if other != axis)))
        hull.append((int(places[0]), int(places[-1]) + 1))
    return tuple(hull)
