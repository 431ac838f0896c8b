"""Gradient descent, with momentum."""

from __future__ import annotations

from collections.abc import Mapping

from numpy.typing import ArrayLike

from pyconvx.errors import OptionError
from pyconvx.nn._arrays import Array
from pyconvx.nn._optimizer import Optimizer, at_least_zero, below_one
from pyconvx.nn.parameter import Parameter


class SGD(Optimizer):
    """Gradient descent: `v = momentum v + g + weight_decay p`, then `p = p - lr v`.

    Parameters
    ----------
    params : mapping of str to Parameter, or array_like
        What is moved: `net.named_parameters()`, or one array.
    lr : float
        Learning rate.
    momentum : float
        From 0, plain gradient descent, to below 1. The first `v` is the first gradient.
    weight_decay : float
        Pulls parameters towards zero.
    nesterov : bool
        Step by `g + momentum v` instead of `v`; needs momentum.

    References
    ----------
    Sutskever et al., On the Importance of Initialization and Momentum, 2013; in PyTorch's form, where the learning rate
    multiplies the velocity as a whole.
    """

    _slots = ("velocity",)

    def __init__(
        self,
        params: Mapping[str, Parameter] | ArrayLike,
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        super().__init__(params, lr)
        self.momentum = below_one(momentum, "momentum")
        self.weight_decay = at_least_zero(weight_decay, "weight_decay")
        self.nesterov = nesterov
        if nesterov and not self.momentum:
            raise OptionError("nesterov needs a momentum above 0")

    def _moved(self, value: Array, grad: Array, memory: dict[str, Array], count: int) -> Array:
        if self.weight_decay:
            grad = grad + self.weight_decay * value
        if self.momentum:
            old = memory.get("velocity")
            velocity = memory["velocity"] = grad.copy() if old is None else self.momentum * old + grad
            grad = grad + self.momentum * velocity if self.nesterov else velocity
        return value - self.lr * grad
