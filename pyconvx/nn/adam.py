"""Adam, and AdamW with decoupled weight decay."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from pyconvx.errors import OptionError
from pyconvx.nn._arrays import Array
from pyconvx.nn._optimizer import Optimizer, at_least_zero, below_one
from pyconvx.nn.parameter import Parameter


class Adam(Optimizer):
    """Steps of about `lr` whatever the gradient's scale: `p = p - lr m / (sqrt(v) + eps)`.

    `m` and `v` are running means of the gradient and of its square, corrected for having begun at zero.

    Parameters
    ----------
    params : mapping of str to Parameter, or array_like
        What is moved: `net.named_parameters()`, or one array.
    lr : float
        Learning rate.
    betas : tuple of 2 float
        How much of the old `m` and `v` stays, from 0 to below 1.
    eps : float
        Added to the root.
    weight_decay : float
        Added to the gradient, times the parameter.

    References
    ----------
    Kingma and Ba, Adam: A Method for Stochastic Optimization, 2015, algorithm 1.
    """

    _slots = ("mean", "square")
    _decoupled = False

    def __init__(
        self,
        params: Mapping[str, Parameter] | ArrayLike,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr)
        if len(betas) != 2:
            raise OptionError(f"betas is {betas!r}; it must be two numbers")
        self.betas = below_one(betas[0], "betas[0]"), below_one(betas[1], "betas[1]")
        self.eps = at_least_zero(eps, "eps")
        if not self.eps:
            raise OptionError("eps is 0; it must be above 0, or a gradient of 0 divides by 0")
        self.weight_decay = at_least_zero(weight_decay, "weight_decay")

    def _moved(self, value: Array, grad: Array, memory: dict[str, Array], count: int) -> Array:
        if self.weight_decay and not self._decoupled:
            grad = grad + self.weight_decay * value
        if not memory:
            memory["mean"], memory["square"] = np.zeros_like(value), np.zeros_like(value)
        first, second = self.betas
        mean = memory["mean"] = first * memory["mean"] + (1 - first) * grad
        square = memory["square"] = second * memory["square"] + (1 - second) * np.square(grad)
        rate = self.lr / (1 - first**count)
        root = np.sqrt(square) / math.sqrt(1 - second**count) + self.eps
        if self.weight_decay and self._decoupled:
            value = value - self.lr * self.weight_decay * value
        return value - rate * mean / root


class AdamW(Adam):
    """Adam whose weight decay acts on the parameter, `p = p - lr weight_decay p`, and not through the gradient.

    References
    ----------
    Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019, algorithm 2.
    """

    _decoupled = True

    def __init__(
        self,
        params: Mapping[str, Parameter] | ArrayLike,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)
