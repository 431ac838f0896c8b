"""What a layer knows: an array that changes only as a whole, and counts its changes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from pyconvx.errors import DTypeError, ShapeError
from pyconvx.nn._arrays import Array


class Parameter:
    """An array of a fixed shape and type, with a version that grows at every change.

    The array is never changed in place: `assign` puts a new one in its stead. So a pullback that was made before keeps
    the weights that it was made with, a `state_dict` is a snapshot without a copy, and whoever derived something from
    the weights (a packed or transformed form) knows by the array whether it still holds. Of threads that assign at
    once, one has the last word; the version then may have counted one of them only.

    Parameters
    ----------
    value : array_like
        The first value, copied.
    dtype : float32 or float64
        The type in which it is kept.
    is_kernel : bool
        Whether PyTorch keeps it with its last two axes first and swapped: `(*kernel, in, out)` there is
        `(out, in, *kernel)`. This holds for the weights of convolutions, transposed convolutions and linear layers.
    """

    __slots__ = ("_value", "_version", "is_kernel")

    def __init__(self, value: ArrayLike, dtype: DTypeLike = np.float32, *, is_kernel: bool = False) -> None:
        kept = np.dtype(dtype)
        if kept not in (np.float32, np.float64):
            raise DTypeError(f"a parameter is float32 or float64, not {kept}")
        self._value = _frozen(np.array(value, kept, order="C"))
        self._version = 0
        self.is_kernel = is_kernel

    @property
    def value(self) -> Array:
        """The array, read-only."""
        return self._value

    @property
    def version(self) -> int:
        """How often it was assigned to."""
        return self._version

    @property
    def shape(self) -> tuple[int, ...]:
        return self._value.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self._value.dtype

    def assign(self, value: ArrayLike) -> None:
        """Put a copy of `value`, rounded to this parameter's type, in the place of the present array.

        Raises
        ------
        ShapeError
            If the shape differs.
        DTypeError
            If it is not of a floating type.
        """
        array = np.asarray(value)
        if array.shape != self.shape:
            raise ShapeError(f"value has shape {array.shape}; this parameter has {self.shape}")
        if array.dtype.kind != "f":
            raise DTypeError(f"value has type {array.dtype}; this parameter takes floating-point numbers")
        self._value = _frozen(np.array(array, self.dtype, order="C"))
        self._version += 1

    def __setstate__(self, state: tuple[None, dict[str, Any]]) -> None:
        """Copying and unpickling give a writable array; lock it again."""
        for name, value in state[1].items():
            setattr(self, name, value)
        _frozen(self._value)

    def __repr__(self) -> str:
        return f"Parameter(shape={self.shape}, dtype={self.dtype}, version={self.version})"


def to_pytorch(array: Array, is_kernel: bool) -> Array:
    """`(*kernel, in, out)` as `(out, in, *kernel)`; a view."""
    return np.moveaxis(array, (-1, -2), (0, 1)) if is_kernel else array


def from_pytorch(array: Array, is_kernel: bool) -> Array:
    """`(out, in, *kernel)` as `(*kernel, in, out)`; a view. An array of fewer than two axes comes back as it is."""
    return np.moveaxis(array, (0, 1), (-1, -2)) if is_kernel and array.ndim >= 2 else array


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array
