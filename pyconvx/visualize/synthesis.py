"""What ascent and inversion share: their result, their start, and a picture's contrast and colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import OptionError, ShapeError
from pyconvx.visualize._canvas import Canvas, color_axes

Array = NDArray[Any]

# Standard deviation of the levels of photographs, 0..255.
_PHOTOGRAPH = 58.0


@dataclass(frozen=True)
class Synthesis:
    """A picture that was looked for.

    Attributes
    ----------
    x : ndarray of shape (*spatial, channels)
        As the network takes it; `net.deprocess` of a `models.Network` makes levels of it.
    value : float
        The unit's activation, or for `invert` the relative error `||y(x) - y(picture)|| / ||y(picture)||`.
    trace : list of float
        At each step: the shifted picture's activation, or the cost that `invert` minimises.
    """

    x: Array
    value: float
    trace: list[float] = field(default_factory=list)


def start_of(canvas: Canvas, start: Array | None, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    if start is None:
        return 0.1 * rng.standard_normal(canvas.shape)
    if start.shape != shape:
        raise ShapeError(f"start has shape {start.shape}; wanted {shape}")
    return canvas.parameters(start.astype(np.float64))


def contrast_of(net: Any, contrast: float | Sequence[float] | None, channels: int) -> Array:
    if contrast is not None:
        given = np.broadcast_to(np.asarray(contrast, np.float64), (channels,))
        if not (given > 0).all():
            raise OptionError(f"contrast is {contrast!r}; wanted numbers above 0")
        return given
    preprocessing = getattr(net, "preprocessing", None)
    deviation = getattr(preprocessing, "deviation", None)
    if deviation is None:
        return np.ones(channels)
    return _PHOTOGRAPH / np.asarray(deviation, np.float64)


def mix_of(net: Any, contrast: Array) -> Array:
    """Return what mixes channels: the contrast alone, or with it a photograph's colours in the network's order."""
    order = getattr(getattr(net, "preprocessing", None), "channels", None)
    if order is None or len(contrast) != 3:
        return np.diag(contrast)
    axes = color_axes()
    return contrast[:, None] * (axes[::-1] if order == "bgr" else axes)
