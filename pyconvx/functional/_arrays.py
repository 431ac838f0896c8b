"""Arrays in and out: element types, layout, the missing batch axis, `out=`."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx import _core
from pyconvx.errors import DTypeError, OptionError, ShapeError

Array = NDArray[Any]

_F32 = np.dtype(np.float32)
_F64 = np.dtype(np.float64)


def as_float(name: str, value: ArrayLike, like: Array | None = None) -> Array:
    """`value` as a native float32 or float64 array; float16 is read as float32, anything else is refused.

    With `like`, the element type must be the one of `like`: mixing precisions is never what was meant.
    """
    array = value if type(value) is np.ndarray else _to_array(name, value)
    if array.dtype is not _F32 and array.dtype is not _F64:
        array = _to_native(name, array)
    if like is not None and array.dtype != like.dtype:
        raise DTypeError(f"{name} is {array.dtype}, the first array is {like.dtype}: convert one with .astype()")
    return array


def _to_array(name: str, value: ArrayLike) -> Array:
    try:
        if hasattr(value, "__dlpack__") and not hasattr(value, "__array__"):
            return np.from_dlpack(value)  # type: ignore[arg-type]
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # NumPy before 1.24 only warns of nested lists of unequal lengths
            return np.asarray(value)
    except (TypeError, ValueError, RuntimeError, BufferError, Warning) as error:
        raise DTypeError(f"{name} cannot be read as an array: {error}") from error


def _to_native(name: str, array: Array) -> Array:
    if array.dtype == np.float16:
        return array.astype(np.float32)
    if array.dtype.newbyteorder("=") in (_F32, _F64):
        return array.astype(array.dtype.newbyteorder("="), copy=False)  # an unpickled float32 is not numpy.float32
    raise DTypeError(
        f"{name} is {array.dtype}; wanted float32, float64 or float16: convert it with .astype(np.float32)"
    )


def batched(name: str, array: Array, rank: int) -> tuple[Array, bool]:
    """`array` with a batch axis, and whether that axis was added here."""
    if array.ndim == rank + 2:
        return array, False
    if array.ndim == rank + 1:
        return array[None], True
    raise ShapeError(
        f"{name} has {array.ndim} axes, shape {array.shape}; wanted {rank + 2} (batch, {rank} spatial, channels) "
        f"or {rank + 1} without the batch"
    )


def batched_alike(x: Array, dy: ArrayLike, rank: int) -> tuple[Array, Array]:
    """x and dy with a batch axis, which both have or both lack."""
    tensor, unbatched = batched("x", x, rank)
    gradient, lacks = batched("dy", as_float("dy", dy, x), rank)
    if lacks != unbatched:
        raise ShapeError(
            f"x has shape {x.shape}, dy has shape {np.shape(dy)}; wanted both with a batch axis or neither"
        )
    return tensor, gradient


def is_channels_first(data_format: str) -> bool:
    if data_format == "channels_last":
        return False
    if data_format == "channels_first":
        return True
    raise OptionError(f"data_format is {data_format!r}; wanted 'channels_last' or 'channels_first'")


def to_last(array: Array, first: bool) -> Array:
    """A batched tensor as contiguous channels-last."""
    if not first:
        return np.ascontiguousarray(array)
    if not _transposable(array):
        return np.ascontiguousarray(np.moveaxis(array, 1, -1))
    batch, channels, *spatial = array.shape
    return _transposed(array.reshape(batch, channels, -1), (batch, *spatial, channels))


def from_last(array: Array, first: bool) -> Array:
    """A batched channels-last tensor in the caller's layout."""
    if not first:
        return array
    if not _transposable(array):
        return np.ascontiguousarray(np.moveaxis(array, -1, 1))
    batch, *spatial, channels = array.shape
    return _transposed(array.reshape(batch, -1, channels), (batch, channels, *spatial))


def _transposable(array: Array) -> bool:
    """Whether the core can change the layout of this array."""
    return array.flags.c_contiguous and array.dtype in (_F32, _F64) and array.size > 0


def _transposed(matrices: Array, shape: tuple[int, ...]) -> Array:
    batch, rows, columns = matrices.shape
    if rows == 1 or columns == 1:
        return matrices.reshape(shape)
    result = empty((batch, columns, rows), matrices.dtype)
    _core.transpose_batch(matrices, result)
    return result.reshape(shape)


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """A new result array, large ones from the pool."""
    result: Array = _core.empty(shape, dtype == _F64)
    return result


class Output:
    """Where a result goes: a new array, or the caller's `out`, checked before any work.

    `array` is what the kernel fills, contiguous, channels-last, with its batch axis; `finish()` hands out the result.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: np.dtype[Any],
        *,
        first: bool = False,
        unbatched: bool = False,
        out: Array | None = None,
        inputs: tuple[object, ...] = (),
    ) -> None:
        self._first, self._unbatched, self._out = first, unbatched, out
        if out is not None:
            final = (shape[0], shape[-1], *shape[1:-1]) if first else shape
            _check_out(out, final[1:] if unbatched else final, dtype, inputs)
        if out is not None and not first:
            self.array = out.reshape(shape)
        else:
            self.array = empty(shape, dtype)

    def finish(self) -> Array:
        if self._out is not None and not self._first:
            return self._out
        result = from_last(self.array, self._first)
        if self._unbatched:
            result = result[0]
        if self._out is None:
            return result
        self._out[...] = result
        return self._out


def _check_out(out: Array, shape: tuple[int, ...], dtype: np.dtype[Any], inputs: tuple[object, ...]) -> None:
    if not isinstance(out, np.ndarray):
        raise DTypeError(f"out is {type(out).__name__}; wanted a NumPy array of shape {shape}")
    if out.dtype != dtype:
        raise DTypeError(f"out is {out.dtype}; wanted {dtype}, as the inputs are")
    if out.shape != shape:
        raise ShapeError(f"out has shape {out.shape}; the result has shape {shape}")
    if not out.flags.c_contiguous:
        raise ShapeError("out is not C-contiguous; pass a contiguous array, or assign the result to a view yourself")
    if not out.flags.writeable:
        raise OptionError("out is read-only; pass an array that may be written")
    if any(isinstance(array, np.ndarray) and np.may_share_memory(out, array) for array in inputs):
        raise OptionError("out shares memory with an input; pass a separate array")
