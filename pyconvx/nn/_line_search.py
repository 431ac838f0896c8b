"""A step length along a direction that meets the strong Wolfe conditions.

phi(t) = f(x + t d). Wanted: phi(t) <= phi(0) + c1 t phi'(0) (it falls enough) and |phi'(t)| <= c2 |phi'(0)| (it is flat
enough). Nocedal and Wright, Numerical Optimization, 2006, algorithms 3.5 (bracket) and 3.6 (zoom), with cubic steps.

One departure: near a minimum the fall drowns in the rounding of phi, in float32 long before the slope does. Within that
rounding the first condition is judged by slopes instead (Hager and Zhang, 2005, equation 4.1, "approximate Wolfe").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from pyconvx.nn._arrays import Array


class Point(NamedTuple):
    """Where the search has been: the step, phi and phi' there, and what they were computed from."""

    step: float
    value: float
    slope: float
    x: Array
    gradient: Array


class Wolfe(NamedTuple):
    """The conditions, from the start of the search."""

    value: float
    slope: float
    c1: float
    c2: float
    noise: float  # how far two values may differ by rounding alone

    def falls(self, point: Point) -> bool:
        if point.value <= self.value + self.c1 * point.step * self.slope:
            return True
        lost_in_rounding = abs(point.value - self.value) < self.noise
        return lost_in_rounding and point.slope <= (2 * self.c1 - 1) * self.slope

    def is_flat(self, point: Point) -> bool:
        return abs(point.slope) <= -self.c2 * self.slope


def search(
    evaluate: Callable[[float], Point], start: Point, first_step: float, most: int, c1: float, c2: float, noise: float
) -> Point | None:
    """Return a point that meets both conditions; else the lowest one that falls enough; else None.

    `evaluate` is called at most `most` times. A value that is not finite counts as a step too far.
    """
    wolfe = Wolfe(start.value, start.slope, c1, c2, noise)
    best: Point | None = None
    low, high = start, None  # what is wanted lies between them, once there is a high
    step = first_step
    for _ in range(most):
        point = evaluate(step)
        finite = math.isfinite(point.value) and math.isfinite(point.slope)
        if not finite or not wolfe.falls(point):
            high, step = point, _between(low, point)
        else:
            if wolfe.is_flat(point):
                return point
            if point.value < (start.value if best is None else best.value):
                best = point
            if low is not start and point.value >= low.value + noise:
                high = point
            elif point.slope * (1 if high is None else high.step - low.step) >= 0:
                low, high = point, low
            elif high is None:
                low, step = point, _beyond(low, point)
                continue
            else:
                low = point
            step = _between(low, high)
        if abs(high.step - low.step) <= 1e-12 * max(high.step, low.step):
            break
    return best


def _between(low: Point, high: Point) -> float:
    """The minimum of the cubic through both ends, kept a tenth of the way from either."""
    width = high.step - low.step
    if not (math.isfinite(high.value) and math.isfinite(high.slope)):
        return low.step + 0.1 * width
    near, far = sorted((low.step + 0.1 * width, high.step - 0.1 * width))
    return min(max(_cubic_minimum(low, high), near), far)


def _beyond(last: Point, low: Point) -> float:
    """Where the slope would be zero if it went on as between the two, from one to nine times as far again."""
    width = low.step - last.step
    gain = low.slope - last.slope
    ahead = -low.slope / gain * width if gain > 0 else math.inf
    return low.step + min(max(ahead, width), 9 * width)


def _cubic_minimum(a: Point, b: Point) -> float:
    """Where the cubic through both values and slopes is lowest; Nocedal and Wright, equation 3.59."""
    middle = (a.step + b.step) / 2
    d1 = a.slope + b.slope - 3 * (a.value - b.value) / (a.step - b.step)
    inside = d1 * d1 - a.slope * b.slope
    if not inside >= 0:
        return middle
    d2 = math.copysign(math.sqrt(inside), b.step - a.step)
    bottom = b.slope - a.slope + 2 * d2
    if bottom == 0:
        return middle
    return b.step - (b.step - a.step) * (b.slope + d2 - d1) / bottom
