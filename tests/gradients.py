"""Derivatives measured, to hold pullbacks against: central differences in float64, along random directions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx import nn

Array = NDArray[Any]

# The error of a central difference is of order step**2 times the third derivative, plus rounding, 1e-16 / step.
STEP = 1e-5
TOLERANCE = 1e-7


def slope(function: Any, at: Array, direction: Array) -> float:
    """d/dt function(at + t direction) at t = 0."""
    return float((function(at + STEP * direction) - function(at - STEP * direction)) / (2 * STEP))


def worst_error(layer: nn.Layer, x: Array, seed: int = 0) -> float:
    """How far <dy, dy/dt> measured is from what the pullback says, for the input and every parameter; relative.

    Layers that draw (Dropout) must be given a generator that is set back by the caller; here nothing is drawn twice.
    """
    rng = np.random.default_rng(seed)
    y, pullback = layer.vjp(x)
    dy = rng.standard_normal(y.shape)
    dx, grads = pullback(dy)
    assert dx is not None
    assert set(grads) == set(layer.named_parameters())
    worst = 0.0
    direction = rng.standard_normal(x.shape)
    measured = slope(lambda at: np.vdot(layer(at), dy), x, direction)
    worst = max(worst, relative(measured, float(np.vdot(dx, direction))))
    for name, parameter in layer.named_parameters().items():
        value = parameter.value
        assert grads[name].shape == value.shape
        assert grads[name].dtype == value.dtype
        direction = rng.standard_normal(value.shape)

        def moved(at: Array, parameter: nn.Parameter = parameter) -> float:
            parameter.assign(at)
            return float(np.vdot(layer(x), dy))

        measured = slope(moved, value, direction)
        parameter.assign(value)
        worst = max(worst, relative(measured, float(np.vdot(grads[name], direction))))
    return worst


def relative(measured: float, claimed: float) -> float:
    return abs(measured - claimed) / max(1.0, abs(measured))
