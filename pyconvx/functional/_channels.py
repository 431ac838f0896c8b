"""Normalisation of channels, with a ReLU in the same pass: arrays `(..., channels)`, vectors `(channels,)`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyconvx import _core
from pyconvx.functional._arrays import Array, empty

Wide = NDArray[np.float64]


class ChannelMap(NamedTuple):
    """`y = x * scale + shift` and a ReLU if wanted; `mean` is of `x`, for the gradient. All of the type of `x`."""

    mean: Array
    scale: Array
    shift: Array
    relu: bool


def channel_moments(x: Array) -> tuple[Wide, Wide]:
    """Return mean and biased variance of each channel."""
    mean, variance = np.empty(x.shape[-1]), np.empty(x.shape[-1])
    _core.channel_moments(np.ascontiguousarray(x), mean, variance)
    return mean, variance


def channel_map(x: Array, how: ChannelMap) -> Array:
    """Return the map of `x`; a NaN stays one."""
    y = empty(x.shape, x.dtype)
    _core.channel_map(np.ascontiguousarray(x), how.scale, how.shift, how.relu, y)
    return y


def channel_grad_sums(x: Array, dy: Array, how: ChannelMap) -> tuple[Wide, Wide]:
    """Return the sums over all positions of `g` and of `g * (x - mean)`, where `g` is what of `dy` the ReLU let by."""
    total, along = np.empty(x.shape[-1]), np.empty(x.shape[-1])
    _core.channel_grad_sums(np.ascontiguousarray(x), np.ascontiguousarray(dy), *how, total, along)
    return total, along


def channel_grad(x: Array, dy: Array, how: ChannelMap, slope: Array, constant: Array, overwrite: bool) -> Array:
    """Return `g * scale + (x - mean) * slope + constant`, in the place of `dy` if allowed and possible."""
    in_place = overwrite and dy.flags.c_contiguous and dy.flags.writeable
    dx = dy if in_place else empty(dy.shape, dy.dtype)
    _core.channel_grad(np.ascontiguousarray(x), np.ascontiguousarray(dy), *how, slope, constant, dx)
    return dx
