"""The fully connected layer: y = x W + b over the last axis."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from pyconvx.nn._arrays import Array, check_channels, check_same_type, generator, positive
from pyconvx.nn.layer import Backward, Gradients, Layer, Wants
from pyconvx.nn.parameter import Parameter


class Linear(Layer):
    """`y = x W + b` on the last axis; any axes may come before it.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the last axis of `x` and `y`.
    bias : bool
        Whether there is a `b`; it starts at zero.
    dtype : float32 or float64
        Type of the parameters, and of `x`.
    random_state : int, numpy.random.Generator or None
        For the first weights, see `kernel_start`.

    Notes
    -----
    `weight` is `(in_features, out_features)`; PyTorch's is the transpose, which `layout="pytorch"` gives and takes.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features = positive(in_features, "in_features")
        self.out_features = positive(out_features, "out_features")
        shape = (self.in_features, self.out_features)
        start = kernel_start(shape, self.in_features, random_state)
        self.weight = self._parameters["weight"] = Parameter(start, dtype, is_kernel=True)
        self.bias: Parameter | None = None
        if bias:
            self.bias = self._parameters["bias"] = Parameter(np.zeros(self.out_features), dtype)

    def _forward(self, x: Array) -> Array:
        self._check(x)
        y: Array = x @ self.weight.value
        if self.bias is not None:
            y += self.bias.value
        return y

    def _vjp(self, x: Array, wants: Wants) -> tuple[Array, Backward]:
        y = self._forward(x)
        weight = self.weight.value
        kept = x if wants.parameters else None

        def backward(dy: Array, overwrite: bool) -> tuple[Array | None, Gradients]:
            grads: Gradients = {}
            if kept is not None:
                rows = dy.reshape(-1, self.out_features)
                grads["weight"] = kept.reshape(-1, self.in_features).T @ rows
                if self.bias is not None:
                    grads["bias"] = rows.sum(axis=0, dtype=np.float64).astype(dy.dtype)
            return (dy @ weight.T if wants.input else None), grads

        return y, backward

    def _check(self, x: Array) -> None:
        check_same_type(x, self.weight.dtype, "Linear")
        check_channels(x, self.in_features, "Linear")


def kernel_start(shape: tuple[int, ...], fan_in: float, random_state: int | np.random.Generator | None) -> Array:
    """First weights for layers that a ReLU follows: uniform in +-sqrt(6 / fan_in), so that variances are kept.

    PyTorch starts at a sixth of this variance, which deep plain networks do not survive.

    References
    ----------
    He et al., Delving Deep into Rectifiers, 2015, equation 10.
    """
    bound = math.sqrt(6 / fan_in)
    return generator(random_state).uniform(-bound, bound, shape)
