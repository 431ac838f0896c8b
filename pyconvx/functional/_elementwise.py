"""Sums, ReLU and its gradient for layers: threaded, in place where allowed, with one bit an element in between."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx import _core
from pyconvx.functional._arrays import Array, empty
from pyconvx.functional._replay import Key

Bits = NDArray[np.uint8]


def add_key(a: Any, b: Any, relu: bool, into: int | None) -> Key:
    """What `_core.recall` knows a call of `add` by."""
    return ("add", a, b, relu, into)


def add(a: Array, b: Array, relu: bool, into: int | None = None) -> Array:
    """`a + b` of one shape and type, and its ReLU if wanted; in the place of argument `into` if that can be written."""
    known: Array | None = _core.recall("add", a, b, relu, into)
    if known is not None:
        return known
    out = None if into is None else (a, b)[into]
    y = out if out is not None and out.flags.c_contiguous and out.flags.writeable else empty(a.shape, a.dtype)
    _core.add_arrays(np.ascontiguousarray(a), np.ascontiguousarray(b), relu, y)
    _core.remember_add(y.itemsize == 8, y.shape, relu, into, add_key(a, b, relu, into))
    return y


def relu_key(x: Any) -> Key:
    """What `_core.recall` knows a call of `relu` by."""
    return ("relu", x)


def relu(x: Array) -> Array:
    """max(x, 0) of a float32 or float64 array of any shape; NaN stays NaN."""
    known: Array | None = _core.recall("relu", x)
    if known is not None:
        return known
    source = np.ascontiguousarray(x).reshape(x.shape)  # ascontiguousarray gives a scalar an axis
    y = empty(x.shape, x.dtype)
    _core.relu(source, y)
    _core.remember_relu(x.itemsize == 8, y.shape, relu_key(x))
    return y


def relu_over(x: Array) -> Array:
    """`relu(x)`, in place if possible."""
    if not (x.flags.c_contiguous and x.flags.writeable):
        return relu(x)
    _core.relu(x, x)
    return x


def passed_bits(y: Array) -> Bits:
    """One bit for each element of a ReLU's input or output, in C order: whether it is above zero, or NaN."""
    bits = np.empty(-(-y.size // 8), np.uint8)
    _core.relu_passed(np.ascontiguousarray(y), bits)
    return bits


def keep_passed(dy: Array, bits: Bits, overwrite: bool) -> Array:
    """`dy` where the bits are set and +0 elsewhere, whatever `dy` is there; in place if allowed and possible."""
    in_place = overwrite and dy.flags.c_contiguous and dy.flags.writeable
    dx = dy if in_place else empty(dy.shape, dy.dtype)
    _core.keep_passed(np.ascontiguousarray(dy).reshape(dy.shape), bits, dx)
    return dx
