"""Gram matrices of feature maps, and their gradient: what style transfer compares."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from pyconvx import _core
from pyconvx.errors import ShapeError
from pyconvx.functional._arrays import Array, Output, as_float, is_channels_first, to_last


def gram(
    x: ArrayLike, *, normalize: bool = False, data_format: str = "channels_last", out: Array | None = None
) -> Array:
    """Gram matrix of each image: how much every two channels fire together.

    g[n, c, d] = sum over positions p of x[n, p, c] x[n, p, d]

    Parameters
    ----------
    x : array, (batch, *spatial, channels)
        float32 or float64. Any number of spatial axes, at least one. As that number is free, an array of three axes or
        more always begins with its batch axis; with two axes, (positions, channels), the batch axis is missing and
        stays missing. One picture (height, width, channels) is `x[np.newaxis]`.
    normalize : bool
        Divide by positions times channels.
    data_format : "channels_last" or "channels_first"
        Layout of x. Channels-first, (batch, channels, *spatial) or (channels, positions), costs a transposition.
    out : array, optional
        Where to write the result; contiguous, of its shape and element type, apart from x.

    Returns
    -------
    array, (batch, channels, channels)
        Symmetric to the last bit. A sum over no position is zero; normalized, it is NaN.

    Raises
    ------
    ShapeError
        Fewer than two axes, or an `out` of another shape.
    DTypeError
        Anything but float32, float64 (both computed as they are) and float16 (read as float32).
    OptionError
        An unknown layout, or an `out` that cannot be written.

    References
    ----------
    Gatys, Ecker, Bethge: Image Style Transfer Using Convolutional Neural Networks (2016), equation 3.

    Examples
    --------
    >>> import numpy as np
    >>> gram(np.array([[1.0, 2.0], [3.0, 4.0]]))
    array([[10., 14.],
           [14., 20.]])
    """
    args = ("gram", x, (normalize, data_format))
    known: Array | None = _core.recall_into(out, *args)
    if known is not None:
        return known
    first = is_channels_first(data_format)
    given = as_float("x", x)
    tensor, unbatched = _channels_last(given, first)
    channels = tensor.shape[-1]
    result = Output((tensor.shape[0], channels, channels), tensor.dtype, unbatched=unbatched, out=out, inputs=(given,))
    flat = _flat(tensor)
    _core.gram(flat, normalize, result.array)
    g = result.finish()
    if not first:
        _core.remember_gram(flat.shape, normalize, False, tensor.itemsize == 8, g.shape, args)
    return g


def gram_grad(
    x: ArrayLike,
    dg: ArrayLike,
    *,
    normalize: bool = False,
    data_format: str = "channels_last",
    out: Array | None = None,
) -> Array:
    """Gradient of `gram` with respect to x.

    dx[n, p, c] = sum over d of (dg[n, c, d] + dg[n, d, c]) x[n, p, d]

    Parameters
    ----------
    x : array, (batch, *spatial, channels)
        What `gram` was given; its rule for a missing batch axis holds here too.
    dg : array, (batch, channels, channels)
        Gradient with respect to the Gram matrix; it need not be symmetric. Without batch axis where x has none.
    normalize : bool
        As in `gram`: divide by positions times channels.
    data_format : "channels_last" or "channels_first"
        Layout of x and of the result.
    out : array, optional
        Where to write the result; contiguous, of its shape and element type, apart from dg. It may be x itself, which
        is then gone: no second array of its size is needed.

    Returns
    -------
    array of the shape of x

    Raises
    ------
    ShapeError
        Sizes that do not fit together.
    DTypeError
        Element types that are not taken, or differ.
    OptionError
        An unknown layout, or an `out` that cannot be written.

    Examples
    --------
    >>> import numpy as np
    >>> gram_grad(np.array([[1.0, 2.0], [3.0, 4.0]]), np.eye(2))
    array([[2., 4.],
           [6., 8.]])
    """
    args = ("gram_grad", x, dg, (normalize, data_format))
    known: Array | None = _core.recall_into(out, *args)
    if known is not None:
        return known
    first = is_channels_first(data_format)
    given = as_float("x", x)
    tensor, unbatched = _channels_last(given, first)
    gradient = as_float("dg", dg, given)
    batch, channels = tensor.shape[0], tensor.shape[-1]
    wanted = (channels, channels) if unbatched else (batch, channels, channels)
    if gradient.shape != wanted:
        raise ShapeError(f"dg has shape {gradient.shape}; the Gram matrix of x, shape {given.shape}, has {wanted}")
    inputs = (gradient,) if out is x else (given, gradient)
    result = Output(tensor.shape, tensor.dtype, first=first, unbatched=unbatched, out=out, inputs=inputs)
    square = np.ascontiguousarray(gradient).reshape(batch, channels, channels)
    flat = _flat(tensor)
    _core.gram_grad(flat, square, normalize, _flat(result.array))
    dx = result.finish()
    if not first:
        _core.remember_gram(flat.shape, normalize, True, tensor.itemsize == 8, dx.shape, args)
    return dx


def _channels_last(x: Array, first: bool) -> tuple[Array, bool]:
    """x as contiguous (batch, *spatial, channels), and whether the batch axis was added here."""
    if x.ndim < 2:
        raise ShapeError(
            f"x has {x.ndim} axes, shape {x.shape}; wanted (batch, *spatial, channels), or (positions, channels)"
        )
    unbatched = x.ndim == 2
    return to_last(x[np.newaxis] if unbatched else x, first), unbatched


def _flat(x: Array) -> Array:
    return x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])
