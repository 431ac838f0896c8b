"""Total variation: how much neighbouring pixels differ, the cost that keeps noise out of the picture.

TV(x) = sum over i, j, c of (x[i+1, j, c] - x[i, j, c])^2 + (x[i, j+1, c] - x[i, j, c])^2
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import ShapeError
from pyconvx.style.costs import sum_of_squares

Array = NDArray[Any]


def total_variation(x: Array) -> float:
    """Return the squared total variation of a picture.

    Parameters
    ----------
    x : ndarray
        `(n_H, n_W, channels)` or with a batch axis; any floating-point unit, squared in the result.

    Returns
    -------
    float

    Notes
    -----
    Source: Mahendran and Vedaldi (2015), equation 3, with exponent beta = 2 and without the square root: smooth
    everywhere, which L-BFGS needs.

    Examples
    --------
    >>> import numpy as np
    >>> total_variation(np.array([[[0.0], [1.0]], [[2.0], [2.0]]]))  # right: 1, 0; down: 4, 1
    6.0
    """
    down, right = _differences(x)
    return sum_of_squares(down) + sum_of_squares(right)


def total_variation_grad(x: Array) -> Array:
    """Return dTV/dx, with the shape and type of `x`."""
    return total_variation_and_grad(x)[1]


def total_variation_and_grad(x: Array) -> tuple[float, Array]:
    """Return (TV(x), dTV/dx) from one pass over the differences."""
    down, right = _differences(x)
    value = sum_of_squares(down) + sum_of_squares(right)
    dx = np.zeros_like(x)
    for difference, later, earlier in (
        (down, dx[..., 1:, :, :], dx[..., :-1, :, :]),
        (right, dx[..., 1:, :], dx[..., :-1, :]),
    ):
        difference *= 2.0
        later += difference
        earlier -= difference
    return value, dx


def _differences(x: Array) -> tuple[Array, Array]:
    if x.ndim not in (3, 4):
        raise ShapeError(f"x must be (n_H, n_W, channels) or with a batch axis: got shape {x.shape}")
    return x[..., 1:, :, :] - x[..., :-1, :, :], x[..., 1:, :] - x[..., :-1, :]
