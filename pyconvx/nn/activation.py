"""Rectifiers: ReLU, and PReLU whose slope below zero is learned."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from pyconvx.functional._elementwise import keep_passed, passed_bits, relu, relu_key
from pyconvx.functional._replay import Key
from pyconvx.nn._arrays import Array, check_axes, check_channels, check_same_type, positive
from pyconvx.nn.layer import Backward, Gradients, Layer, Wants
from pyconvx.nn.parameter import Parameter


class ReLU(Layer):
    """`y = max(x, 0)`, element by element; the derivative at 0 is 0. A NaN stays one.

    For the gradient one bit an element is kept: of the 67 MB of a 512-pixel VGG-16's first activation, 2 MB. Directly
    after a convolution in a `Sequential` or `Graph` it is computed together with it.
    """

    _makes_new = True

    def _forward(self, x: Array) -> Array:
        return relu(x)

    def _key(self, relu: bool) -> Key:
        return relu_key(...)

    def _vjp(self, x: Array, wants: Wants) -> tuple[Array, Backward]:
        y = relu(x)
        bits = passed_bits(y)

        def backward(dy: Array, overwrite: bool) -> tuple[Array, Gradients]:
            return keep_passed(dy, bits, overwrite), {}

        return y, backward


class PReLU(Layer):
    """`y = x` above zero and `a x` below, with a learned slope `a`: one for all, or one a channel.

    Parameters
    ----------
    num_parameters : int
        1, or the number of channels.
    init : float
        The first value of every slope.
    dtype : float32 or float64
        Type of the slopes, and of `x`.

    References
    ----------
    He et al., Delving Deep into Rectifiers, 2015, equations 1 and 9.
    """

    _makes_new = True

    def __init__(self, num_parameters: int = 1, init: float = 0.25, *, dtype: DTypeLike = np.float32) -> None:
        super().__init__()
        self.num_parameters = positive(num_parameters, "num_parameters")
        self.weight = self._parameters["weight"] = Parameter(np.full(self.num_parameters, init), dtype)

    def _forward(self, x: Array) -> Array:
        self._check(x)
        return np.where(x > 0, x, self.weight.value * x)

    def _vjp(self, x: Array, wants: Wants) -> tuple[Array, Backward]:
        self._check(x)
        slope = self.weight.value
        above = x > 0
        kept = x if wants.parameters else None

        def backward(dy: Array, overwrite: bool) -> tuple[Array | None, Gradients]:
            grads: Gradients = {}
            if kept is not None:
                product = dy * np.minimum(kept, 0)
                total = product.reshape(-1, product.shape[-1]).sum(axis=0, dtype=np.float64)
                grads["weight"] = (total if slope.size > 1 else total.sum(keepdims=True)).astype(slope.dtype)
            return (np.where(above, dy, slope * dy) if wants.input else None), grads

        return np.where(above, x, slope * x), backward

    def _check(self, x: Array) -> None:
        check_same_type(x, self.weight.dtype, "PReLU")
        check_axes(x, 1, "PReLU", "(..., channels)")
        if self.num_parameters > 1:
            check_channels(x, self.num_parameters, "PReLU")
