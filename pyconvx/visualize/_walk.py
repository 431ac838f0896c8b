"""The way back from a layer to the input: nominally, whatever the input's extent, and exactly, where that is known."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import OptionError, ShapeError
from pyconvx.nn.composite import Composite
from pyconvx.visualize._window import AxisWindow, Kind, Point, Positions, Whole, kind_of, rank_of

Box = tuple[tuple[int, int], ...]
"""One (start, stop) for each spatial axis, in pixels of the input; it may begin below 0 and end behind the input."""
Size = tuple[int, ...]


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
        rows: list[tuple[int | None, Fraction | None, int | None]] = []
        for axis in range(self.rank):
            stride = self._stride(axis)
            if stride is None:
                rows.append((None, None, None))
                continue
            # Transposed layers make neighbours unlike, and some read nothing: what repeats is a period of all.
            period = math.prod(
                kind[axis].stride for kind in self._kinds.values() if isinstance(kind, tuple) and kind[axis].transposed
            )
            fields = [self._along(axis, place) for place in range(period)]
            read = [field for field in fields if len(field)]
            size = max([int(field[-1] - field[0]) + 1 for field in read], default=0)
            rows.append((size, stride if read else Fraction(0), int(fields[0][0]) if len(fields[0]) else 0))
        return rows

    def _stride(self, axis: int) -> Fraction | None:
        """Return how far the input is walked along while the layer is walked along by 1; None if branches disagree."""
        strides = {self._target: Fraction(1)}
        for index in sorted(self._kinds, reverse=True):
            if index not in strides:
                continue
            kind, stride = self._kinds[index], strides[index]
            if isinstance(kind, tuple):
                stride = stride / kind[axis].stride if kind[axis].transposed else stride * kind[axis].stride
            for source in self._nodes[index].sources:
                if strides.setdefault(source, stride) != stride:
                    return None
        return strides.get(0, Fraction(0))

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
