"""Receptive fields: which part of the input a position of a layer reads.

Two answers. The nominal field has the same size at every position, and leaves the picture at its edges, where padding
was read: size, stride and offset, and the box that a patch is cut by. The seen field is what really is read of an input
of a given size, tap by tap, without what paddings and the ends of strides leave out.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from pyconvx.nn.composite import Composite
from pyconvx.visualize._walk import Box, Size, Walk

__all__ = ["Box", "ReceptiveField", "format_table", "receptive_field", "receptive_fields"]


@dataclass(frozen=True)
class ReceptiveField:
    """What a layer reads of the input.

    Attributes
    ----------
    layer : str
    size : tuple of int or None
        Extent along each axis; None where the layer reads everything, or where branches of unlike strides meet and no
        two positions read alike. With transposed convolutions, the largest of all positions.
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
