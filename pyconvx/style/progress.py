"""How far a painting has come, in words, and how long it will still take: a pyramid's steps are not equally long."""

from __future__ import annotations

from typing import Any

from pyconvx._progress import time_left


def describe(info: dict[str, Any]) -> str:
    """Return what is known in words.

    Examples
    --------
    >>> describe({"width": 384, "height": 256, "cost": 0.125, "seconds_left": 75.0})
    '384x256 px, cost 0.125, 1:15 left'
    """
    return f"{info['width']}x{info['height']} px, cost {info['cost']:.4g}, {time_left(info['seconds_left'])} left"
