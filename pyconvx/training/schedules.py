"""Learning rates as functions of the step, which is counted from 0."""

from __future__ import annotations

import math
from collections.abc import Callable

from pyconvx.errors import OptionError
from pyconvx.functional._arguments import integer

Schedule = Callable[[int], float]


def constant(lr: float) -> Schedule:
    """The same rate at every step.

    Parameters
    ----------
    lr : float
        The rate.

    Examples
    --------
    >>> constant(0.1)(1000)
    0.1
    """
    rate = _rate("lr", lr)
    return lambda step: rate


def cosine(lr: float, steps: int, *, warmup: int = 0, final: float = 0.0) -> Schedule:
    """Rises in a straight line to `lr`, then falls along half a cosine to `final`, and stays there.

    lr(t) = lr (t + 1) / (warmup + 1) for t < warmup, and then with s = (t - warmup) / (steps - warmup)
    lr(t) = final + (lr - final) (1 + cos(pi s)) / 2.

    Parameters
    ----------
    lr : float
        The highest rate.
    steps : int
        Of the training; the rate after the last one would be `final`.
    warmup : int
        Steps of the rise.
    final : float
        The rate at the end.

    References
    ----------
    Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, 2017, equation 5, without restarts.

    Examples
    --------
    >>> schedule = cosine(0.5, 12, warmup=4)
    >>> [round(schedule(step), 3) for step in (0, 3, 4, 8, 12, 99)]
    [0.1, 0.4, 0.5, 0.25, 0.0, 0.0]
    """
    highest, lowest = _rate("lr", lr), _rate("final", final)
    last, rise = integer("steps", steps, 1), integer("warmup", warmup, 0)
    if rise >= last:
        raise OptionError(f"warmup is {rise}; it must be below the {last} steps")

    def schedule(step: int) -> float:
        if step < rise:
            return highest * (step + 1) / (rise + 1)
        share = min(1.0, (step - rise) / (last - rise))
        return lowest + (highest - lowest) * (1 + math.cos(math.pi * share)) / 2

    return schedule


def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """`lr` times `factor` once every so many steps: lr(t) = lr factor^floor(t / every).

    Parameters
    ----------
    lr : float
        The first rate.
    every : int
        Steps between two changes.
    factor : float
        Above 0, at most 1.

    Examples
    --------
    >>> schedule = step_decay(1.0, 10, 0.5)
    >>> schedule(9), schedule(10), schedule(25)
    (1.0, 0.5, 0.25)
    """
    first, length = _rate("lr", lr), integer("every", every, 1)
    if not 0 < factor <= 1:
        raise OptionError(f"factor is {factor!r}; it must be above 0 and at most 1")
    return lambda step: first * float(factor) ** (step // length)


def as_schedule(lr: float | Schedule, steps: int) -> Schedule:
    """A number is the same rate at every step; a function is tried out at the first and the last step."""
    if not callable(lr):
        return constant(lr)
    for step in (0, steps - 1):
        _rate(f"lr({step})", lr(step))
    return lr


def _rate(name: str, value: float) -> float:
    try:
        rate = float(value)
    except (TypeError, ValueError):
        rate = math.nan
    if isinstance(value, bool) or not 0 <= rate < math.inf:
        raise OptionError(f"{name} is {value!r}; a learning rate is a number from 0 up")
    return rate
