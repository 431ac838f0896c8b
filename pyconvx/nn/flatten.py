"""Flatten: all axes but the batch become one."""

from __future__ import annotations

from typing import Literal

import numpy as np

from pyconvx.errors import OptionError
from pyconvx.nn._arrays import Array, check_axes
from pyconvx.nn.layer import Backward, Gradients, Layer, Wants


class Flatten(Layer):
    """`(batch, *spatial, channels)` to `(batch, features)`; needs the batch axis.

    Parameters
    ----------
    order : {"channels_last", "channels_first"}
        The order of the features. "channels_first" is the one in which PyTorch flattens its `(batch, channels,
        *spatial)`, so that a `Linear` that was trained there fits; it costs a transposition.
    """

    def __init__(self, *, order: Literal["channels_last", "channels_first"] = "channels_last") -> None:
        super().__init__()
        if order not in ("channels_last", "channels_first"):
            raise OptionError(f"order is {order!r}; it must be 'channels_last' or 'channels_first'")
        self.order = order

    def _forward(self, x: Array) -> Array:
        check_axes(x, 1, "Flatten", "(batch, ...)")
        turned = np.moveaxis(x, -1, 1) if self.order == "channels_first" and x.ndim > 2 else x
        return turned.reshape(x.shape[0], int(np.prod(x.shape[1:])))

    def _vjp(self, x: Array, wants: Wants) -> tuple[Array, Backward]:
        y, shape = self._forward(x), x.shape

        def backward(dy: Array, overwrite: bool) -> tuple[Array, Gradients]:
            if self.order == "channels_first" and len(shape) > 2:
                turned = dy.reshape(shape[0], shape[-1], *shape[1:-1])
                return np.ascontiguousarray(np.moveaxis(turned, 1, -1)), {}
            return dy.reshape(shape), {}

        return y, backward
