"""L-BFGS: a quasi-Newton method that remembers a few steps, for smooth functions of many variables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pyconvx.errors import DivergedError, OptionError, ShapeError, WeightsError
from pyconvx.nn._arrays import Array, as_float, positive
from pyconvx.nn._line_search import Point, search
from pyconvx.nn._optimizer import at_least_zero, take_number

Closure = Callable[[Array], tuple[float, ArrayLike]]

_BLOCK = 1 << 16  # elements of a product at once: 512 KiB of float64


class LBFGS:
    """Minimises `f(x)` one iteration at a time: `x = opt.step(closure)` with `closure(x) -> (value, gradient)`.

    The direction is that of the two-loop recursion over the last `history_size` pairs of steps and changes of the
    gradient; the step length meets the strong Wolfe conditions. Arrays are kept in the type of the start (float32 is
    enough for pictures), inner products are taken in float64 in a fixed order, so that neither threads nor the place of
    an array in memory changes a bit.

    Parameters
    ----------
    start : array_like of float
        Where to begin, of any shape; float32 or float64.
    lr : float
        Factor of the first length that is tried: 1 / (sum of absolute gradients) at first, then 1.
    history_size : int
        How many pairs are kept; each takes twice the memory of `x`.
    max_evaluations : int
        The most calls of the closure in one line search.
    c1, c2 : float
        The Wolfe conditions' constants, 0 < c1 < c2 < 1.
    tolerance_grad : float
        Converged when no element of the gradient is larger than this.

    Attributes
    ----------
    x : ndarray
        The present point, read-only.
    value : float
        `f(x)`; NaN before the first step.
    gradient : ndarray or None
        The gradient at `x`.
    steps, evaluations : int
        Iterations made, and calls of the closure.
    converged : bool
        Whether the gradient is within its tolerance, or no step along it makes `f` smaller any more. A further `step`
        then returns `x` as it is.

    Notes
    -----
    An exception out of the closure, Ctrl-C included, leaves everything as it was before the step.

    References
    ----------
    Nocedal and Wright, Numerical Optimization, 2006, algorithms 7.4 and 7.5.
    """

    def __init__(
        self,
        start: ArrayLike,
        lr: float = 1.0,
        history_size: int = 10,
        *,
        max_evaluations: int = 20,
        c1: float = 1e-4,
        c2: float = 0.9,
        tolerance_grad: float = 0.0,
    ) -> None:
        self.x = _locked(as_float(start, "start").copy())
        self.lr = at_least_zero(lr, "lr")
        self.history_size = positive(history_size, "history_size")
        self.max_evaluations = positive(max_evaluations, "max_evaluations")
        if not 0 < c1 < c2 < 1:
            raise OptionError(f"c1 is {c1!r} and c2 {c2!r}; they must be 0 < c1 < c2 < 1")
        self.c1, self.c2 = float(c1), float(c2)
        self.tolerance_grad = at_least_zero(tolerance_grad, "tolerance_grad")
        self.value = math.nan
        self.gradient: Array | None = None
        self.steps = 0
        self.evaluations = 0
        self.converged = False
        self._pairs: list[tuple[Array, Array]] = []  # (change of x, change of the gradient), oldest first

    def step(self, closure: Closure) -> Array:
        """Make one iteration and return the new point.

        Raises
        ------
        DivergedError
            If value or gradient at the present point are not finite. (Beyond it, such a value only means that the step
            was too long.)
        """
        if self.converged:
            return self.x
        calls = 0

        def evaluate(x: Array) -> tuple[float, Array]:
            nonlocal calls
            calls += 1
            return self._evaluated(closure, x)

        value, gradient = (self.value, self.gradient) if self.gradient is not None else evaluate(self.x)
        if not (math.isfinite(value) and np.isfinite(gradient).all()):
            raise DivergedError(f"f is {value!r} after {self.steps} steps, or its gradient is not finite; x stays")
        found, pairs = None, self._pairs
        self.converged = float(np.max(np.abs(gradient), initial=0)) <= self.tolerance_grad
        if not self.converged:
            first = self.lr if pairs else self.lr / float(np.abs(gradient).sum(dtype=np.float64))
            found = self._searched(evaluate, value, gradient, pairs, first)
            if found is None and pairs:  # the memory misled: forget all but how long the last step was
                last = pairs[-1][0]
                first = math.sqrt(_dot(last, last) / _dot(gradient, gradient))
                pairs = []
                found = self._searched(evaluate, value, gradient, pairs, first)
            self.converged = found is None
        if found is not None:
            pairs = _remembered(pairs, found.x - self.x, found.gradient - gradient, self.history_size)
            self.x, value, gradient = _locked(found.x), found.value, found.gradient
            self.steps += 1
        self.value, self.gradient, self._pairs = value, _locked(gradient), pairs
        self.evaluations += calls
        return self.x

    def _searched(
        self,
        evaluate: Callable[[Array], tuple[float, Array]],
        value: float,
        gradient: Array,
        pairs: list[tuple[Array, Array]],
        first: float,
    ) -> Point | None:
        direction = _direction(gradient, pairs)
        slope = _dot(gradient, direction)
        if not slope < 0:
            return None

        def at(length: float) -> Point:
            x = self.x + self.x.dtype.type(length) * direction
            value, gradient = evaluate(x)
            return Point(length, value, _dot(gradient, direction), x, gradient)

        noise = 4 * float(np.finfo(self.x.dtype).eps) * abs(value)
        start = Point(0.0, value, slope, self.x, gradient)
        return search(at, start, first, self.max_evaluations, self.c1, self.c2, noise)

    def _evaluated(self, closure: Closure, x: Array) -> tuple[float, Array]:
        value, gradient = closure(_locked(x))
        array = np.array(as_float(gradient, "the gradient"), x.dtype)
        if array.shape != x.shape:
            raise ShapeError(f"the gradient has shape {array.shape}; x has {x.shape}")
        return float(value), array

    # State

    def state_dict(self) -> dict[str, Array]:
        """Return all that the next step depends on, as arrays that safetensors can hold; options aside."""
        changes, rises = zip(*self._pairs, strict=True) if self._pairs else ((), ())
        empty = np.empty((0, *self.x.shape), self.x.dtype)
        state = {
            "x": self.x,
            "changes": np.stack(changes) if changes else empty,
            "rises": np.stack(rises) if rises else empty,
            "steps": np.array(self.steps, np.int64),
            "evaluations": np.array(self.evaluations, np.int64),
            "converged": np.array(int(self.converged), np.int64),
        }
        if self.gradient is not None:
            state |= {"value": np.array(self.value, np.float64), "gradient": self.gradient}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken: the same bits as without the pause.

        Raises
        ------
        WeightsError
            If the state is not of an L-BFGS over such an `x`; nothing was changed then.
        """
        rest = {name: np.asarray(array) for name, array in state.items()}
        steps, evaluations, converged = (take_number(rest, name) for name in ("steps", "evaluations", "converged"))
        changes, rises = rest.get("changes"), rest.get("rises")
        started = "value" in rest
        singles = ["x", "gradient"] if started else ["x"]
        if set(rest) != {*singles, "changes", "rises"} | ({"value"} if started else set()) or changes is None:
            raise WeightsError(f"the state holds {sorted(state)}, which is not that of an L-BFGS")
        wanted = dict.fromkeys(singles, self.x.shape)
        wanted |= dict.fromkeys(["changes", "rises"], (len(changes) if changes.ndim else 0, *self.x.shape))
        for name, shape in wanted.items():
            if rest[name].shape != shape or rest[name].dtype != self.x.dtype:
                found = f"{rest[name].shape} {rest[name].dtype}"
                raise WeightsError(f"{name!r} is {found}, expected {shape} {self.x.dtype}")
        if started and rest["value"].shape != ():
            raise WeightsError(f"'value' has shape {rest['value'].shape}; it must be one number")
        assert rises is not None, "its name was checked"
        self.x = _locked(rest["x"].copy())
        self.value = float(rest["value"]) if started else math.nan
        self.gradient = _locked(rest["gradient"].copy()) if started else None
        self._pairs = [(s.copy(), y.copy()) for s, y in zip(changes, rises, strict=True)]
        self.steps, self.evaluations, self.converged = int(steps), int(evaluations), bool(converged)


def _direction(gradient: Array, pairs: list[tuple[Array, Array]]) -> Array:
    """-H g by the two-loop recursion; H begins as (s'y / y'y) I of the newest pair."""
    direction = -gradient
    number = direction.dtype.type
    weights = []
    for change, rise in reversed(pairs):
        curvature = _dot(change, rise)
        weight = _dot(change, direction) / curvature
        weights.append((weight, curvature))
        direction -= number(weight) * rise
    if pairs:
        change, rise = pairs[-1]
        direction *= number(_dot(change, rise) / _dot(rise, rise))
    for (change, rise), (weight, curvature) in zip(pairs, reversed(weights), strict=True):
        direction += number(weight - _dot(rise, direction) / curvature) * change
    return direction


def _remembered(pairs: list[tuple[Array, Array]], change: Array, rise: Array, most: int) -> list[tuple[Array, Array]]:
    """The pairs with a new one, unless its curvature is no more than rounding: H must stay positive."""
    if _dot(change, rise) <= 1e-10 * math.sqrt(_dot(change, change) * _dot(rise, rise)):
        return pairs
    return [*pairs, (change, rise)][-most:]


def _dot(a: Array, b: Array) -> float:
    """The inner product in float64, block by block in order: NumPy's own may go by threads and alignment."""
    left, right = a.reshape(-1), b.reshape(-1)
    total = 0.0
    for start in range(0, left.size, _BLOCK):
        product = np.multiply(left[start : start + _BLOCK], right[start : start + _BLOCK], dtype=np.float64)
        total += float(product.sum())
    return total


def _locked(array: Array) -> Array:
    array.flags.writeable = False
    return array
