"""Dropout: in training, elements are zeroed by chance and the others scaled up; in use, nothing happens."""

from __future__ import annotations

import numpy as np

from pyconvx.errors import OptionError
from pyconvx.nn._arrays import Array, generator
from pyconvx.nn.layer import Backward, Gradients, Layer, Wants


class Dropout(Layer):
    """Zero each element with probability `p` and divide the others by `1 - p`, while training; else `y = x`.

    Parameters
    ----------
    p : float
        From 0 to below 1.
    random_state : int, numpy.random.Generator or None
        Where chance comes from. The generator is `self.random_state`; to resume a training exactly, keep its
        `bit_generator.state` with the weights.
    """

    def __init__(self, p: float = 0.5, *, random_state: int | np.random.Generator | None = None) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise OptionError(f"p is {p!r}; it must be from 0 to below 1")
        self.p = float(p)
        self.random_state = generator(random_state)

    def _forward(self, x: Array) -> Array:
        return self._drop(x, self._draw(x)) if self._active else x

    def _vjp(self, x: Array, wants: Wants) -> tuple[Array, Backward]:
        if not self._active:
            return x, lambda dy, overwrite: (dy, {})
        kept = self._draw(x)

        def backward(dy: Array, overwrite: bool) -> tuple[Array, Gradients]:
            return self._drop(dy, kept), {}

        return self._drop(x, kept), backward

    @property
    def _active(self) -> bool:
        return self.training and self.p > 0

    def _draw(self, x: Array) -> Array:
        kept: Array = self.random_state.random(x.shape, np.float32) >= np.float32(self.p)
        return kept

    def _drop(self, values: Array, kept: Array) -> Array:
        return np.where(kept, values / values.dtype.type(1 - self.p), 0).astype(values.dtype, copy=False)
