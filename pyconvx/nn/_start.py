"""What weights are before training."""

from __future__ import annotations

import math

import numpy as np

from pyconvx.nn._arrays import Array


def kernel_start(shape: tuple[int, ...], reads: float, random_state: int | np.random.Generator | None) -> Array:
    """First weights of a layer that a ReLU follows: uniform in +-sqrt(6 / reads), so that variances are kept.

    `reads` is how many elements of the input one output sums. PyTorch starts at a sixth of this variance, which deep
    plain networks do not survive.

    References
    ----------
    He et al., Delving Deep into Rectifiers, 2015, equation 10.
    """
    bound = math.sqrt(6 / reads)
    return np.random.default_rng(random_state).uniform(-bound, bound, shape)
