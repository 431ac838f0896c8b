"""From one comparison to a search: K entries give a stranger K chances, far_K = 1 - (1 - far)^K.

A verifier that is right 99 times in 100 lets every second stranger in at K = 68.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pyconvx.errors import OptionError
from pyconvx.metrics._checked import rate


def search_rate(far: float, gallery_size: int) -> float:
    """How often a stranger is taken for somebody when K entries are searched: 1 - (1 - far)^K.

    Parameters
    ----------
    far : float
        False-accept rate of one comparison, 0 to 1.
    gallery_size : int
        K, from 1.

    Returns
    -------
    float
        As if comparisons were independent. Pictures of one person resemble each other: where K counts pictures, the
        truth is a little better.

    Raises
    ------
    OptionError
        If a value is out of range.

    Examples
    --------
    >>> from pyconvx import metrics
    >>> round(metrics.search_rate(0.01, 100), 3)
    0.634
    """
    if not 0 <= far <= 1:
        raise OptionError(f"far is {far!r}; wanted a rate from 0 to 1")
    return 1.0 if far == 1 else -math.expm1(_size(gallery_size) * math.log1p(-far))


def pair_rate(far: float, gallery_size: int) -> float:
    """The inverse of `search_rate`: what one comparison may do, so that K of them keep `far`.

    Parameters
    ----------
    far : float
        False-accept rate of a whole search, between 0 and 1.
    gallery_size : int
        K, from 1.

    Returns
    -------
    float

    Raises
    ------
    OptionError
        If a value is out of range.

    Examples
    --------
    >>> from pyconvx import metrics
    >>> f"{metrics.pair_rate(0.01, 100):.3g}"
    '0.0001'
    """
    return -math.expm1(math.log1p(-rate("far", far)) / _size(gallery_size))


def _size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise OptionError(f"gallery_size is {value!r}; wanted a whole number from 1")
    return int(value)
