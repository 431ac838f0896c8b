"""What patches are ranked by, and where in a picture they may lie.

By its activation y[p, u] a unit has its patches where contrast is highest, and units of a layer share those pictures.
Its selectivity there, y[p, u] / (|y+[p]| + 0.1 r), is its part in what all units of the layer say at p: |y+[p]| is the
length of the vector of activations above zero, r the root of its mean square over the picture, which keeps empty
regions from being ranked by their noise.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import OptionError
from pyconvx.visualize.reader import Fields

Array = NDArray[Any]
Places = NDArray[np.int64]
RankBy = Literal["activation", "selectivity"]
RANKS = ("activation", "selectivity")
_FLOOR = 0.1


class Ranking:
    """Says for each picture what its activations are multiplied by, and which positions count."""

    def __init__(self, rank_by: RankBy, fields: Fields | None) -> None:
        if rank_by not in RANKS:
            raise OptionError(f"rank_by is {rank_by!r}; wanted one of {', '.join(map(repr, RANKS))}")
        self._selective = rank_by == "selectivity"
        self._fields = fields
        self._inner: dict[tuple[str, tuple[int, ...], tuple[int, ...]], Places] = {}

    def of(self, layer: str, y: Array, input_size: tuple[int, ...]) -> tuple[Array | None, Places | None]:
        """Return factors (positions,) for a layer's activations (*spatial, channels), and the positions that count.

        None stands for factors of 1, or for all positions.
        """
        factors = selectivity(y) if self._selective else None
        if self._fields is None or y.ndim == 1:
            return factors, None
        key = (layer, input_size, y.shape[:-1])
        if key not in self._inner:
            self._inner[key] = _inside(self._fields, *key)
        return factors, self._inner[key]


def selectivity(y: Array) -> Array:
    """Return what makes selectivities of activations (*spatial, channels), for each position (positions,)."""
    above = np.maximum(y.reshape(-1, y.shape[-1]), 0)
    squares = np.square(above, dtype=np.float64).sum(axis=1)
    lengths = np.sqrt(squares) + _FLOOR * np.sqrt(squares.mean())
    factors: Array = np.divide(1.0, lengths, out=np.zeros_like(lengths), where=lengths > 0).astype(y.dtype)
    return factors


def _inside(fields: Fields, layer: str, input_size: tuple[int, ...], size: tuple[int, ...]) -> Places:
    """Return the flat numbers of the positions whose field leaves the picture least: where it can, not at all."""
    field = fields.of(layer, input_size)
    kept = []
    for axis, extent in enumerate(size):
        outside = []
        for place in range(extent):
            start, stop = field.box([place if other == axis else 0 for other in range(len(size))])[axis]
            outside.append(max(0, -start) + max(0, stop - input_size[axis]))
        kept.append(np.flatnonzero(np.array(outside) == min(outside)))
    flat: Places = np.ravel_multi_index(np.ix_(*kept), size).reshape(-1)
    return flat
