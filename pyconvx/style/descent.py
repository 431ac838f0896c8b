"""The three ways down: plain gradient descent, Adam and L-BFGS, each as one step on a picture.

A `Closure` takes a picture `x` and returns (J, dJ/dx). A `Descent` takes steps and can save and restore itself exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pyconvx import nn
from pyconvx.style.options import Optimizer, Options

Array = NDArray[Any]
Closure = Callable[[Array], tuple[float, Array]]

# Grey levels that a step of Adam moves a pixel by, if no rate is given.
_ADAM_RATE = 2.0
# Pairs of steps that L-BFGS remembers: two arrays of the picture's size each.
HISTORY = 10


class Descent(Protocol):
    """What all three offer."""

    @property
    def converged(self) -> bool:
        """Whether no further step would make the cost smaller."""
        ...

    def step(self, closure: Closure) -> Array:
        """Take one step and return the new picture."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Return all that the next steps depend on, the picture aside."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` returned."""
        ...


class GradientDescent:
    """The lecture's G := G - rate dJ/dG.

    Without a rate, the first step moves pixels by one grey level in the root mean square, and the rate is halved each
    time that the cost has risen.
    """

    converged = False

    def __init__(self, x: Array, rate: float | None, grey_level: float) -> None:
        self._x = x
        self._rate = rate
        self._adapts = rate is None
        self._first_move = grey_level
        self._cost = np.inf

    def step(self, closure: Closure) -> Array:
        """Take one step."""
        cost, gradient = closure(self._x)
        if self._rate is None:
            norm = float(np.sqrt(np.mean(np.square(gradient, dtype=np.float64))))
            self._rate = self._first_move / norm if norm > 0 else 0.0
        elif self._adapts and cost > self._cost:
            self._rate /= 2
        self._cost = cost
        self._x = self._x - np.asarray(self._rate, self._x.dtype) * gradient
        return self._x

    def state_dict(self) -> dict[str, Any]:
        """Return the rate and the last cost."""
        return {"rate": self._rate, "cost": self._cost}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with them."""
        self._rate, self._cost = state["rate"], state["cost"]


class AdamDescent:
    """Adam on the picture; the rate is about what a step moves a pixel by, in the units of the network's input."""

    converged = False

    def __init__(self, x: Array, rate: float) -> None:
        # The gradient of one pixel shrinks with the number of pixels, so nothing of its size may be added to its root.
        self._adam = nn.Adam(x, lr=rate, eps=1e-20)

    def step(self, closure: Closure) -> Array:
        """Take one step."""
        return self._adam.step(closure(self._adam.value)[1])

    def state_dict(self) -> dict[str, Any]:
        """Return picture, means and counts."""
        return self._adam.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with them."""
        self._adam.load_state_dict(state)


class LBFGSDescent:
    """L-BFGS on the picture, whose first trial moves pixels by one grey level in the mean."""

    def __init__(self, x: Array, grey_level: float) -> None:
        # Its first length is lr over the sum of absolute gradients: with lr = 1, less than the rounding of a picture.
        self._lbfgs = nn.LBFGS(x, lr=x.size * grey_level, history_size=HISTORY)

    @property
    def converged(self) -> bool:
        """Whether the line search found nothing lower."""
        return self._lbfgs.converged

    def step(self, closure: Closure) -> Array:
        """Take one step: a line search, of one evaluation as a rule."""
        x = self._lbfgs.step(closure)
        self._lbfgs.lr = 1.0  # from here on the remembered pairs know the scale
        return x

    def state_dict(self) -> dict[str, Any]:
        """Return point, value, gradient and pairs."""
        return self._lbfgs.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on with them."""
        self._lbfgs.load_state_dict(state)
        self._lbfgs.lr = 1.0


def make_descent(options: Options, x: Array, grey_level: float) -> Descent:
    """Return the descent that the options name, starting at `x`; rates are in grey levels."""
    rate = options.learning_rate
    if options.optimizer == "gd":
        return GradientDescent(x, rate, grey_level)
    if options.optimizer == "adam":
        return AdamDescent(x, (_ADAM_RATE if rate is None else rate) * grey_level)
    return LBFGSDescent(x, grey_level)


def picture_vectors(optimizer: Optimizer) -> int:
    """Return how many arrays of the picture's size a run with this optimiser holds, the best picture included."""
    return {"gd": 6, "adam": 9, "lbfgs": 10 + 2 * HISTORY}[optimizer]
