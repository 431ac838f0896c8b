"""How a file becomes an example: a picture or an .npy array to `(*spatial, channels)` in float32."""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx import image
from pyconvx.errors import DataError, ImageError, OptionError
from pyconvx.training._npy import open_npy, printable, read_elements

Array = NDArray[np.float32]

ARRAYS = frozenset({".npy"})
MAX_ELEMENTS = 1 << 28  # of one example: 1 GiB in float32
_FIELDS = ("size", "color", "rank", "standardize", "shape")


@dataclass(frozen=True)
class InputFormat:
    """How files become examples; a saved encoder carries it, so that later files are read as those it learned from.

    Pictures become levels over 255, stretched to `size`. An .npy array is `(*spatial, channels)`, channels last, or has
    one axis and one channel; of bytes it is divided by 255, of other integers and floats it is taken as it is.

    Parameters
    ----------
    size : (int, int), optional
        Height and width of pictures. As they are if not given.
    color : bool
        Whether pictures have three channels, or the luminance alone.
    rank : int, optional
        Spatial axes, 1 to 3. With it, an array of so many axes has one channel.
    standardize : bool
        Whether each example is brought to mean 0 and variance 1.
    shape : tuple of int, optional
        What all examples must have, (*spatial, channels); nothing is demanded if not given.

    Examples
    --------
    >>> import numpy as np
    >>> InputFormat(standardize=True).prepare(np.array([[1.0], [3.0]])).tolist()
    [[-1.0], [1.0]]
    """

    size: tuple[int, int] | None = None
    color: bool = True
    rank: int | None = None
    standardize: bool = False
    shape: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.size is not None and not (_are_sizes(self.size) and len(self.size) == 2):
            raise OptionError(f"size is {self.size!r}; wanted (height, width) in whole pixels, or None")
        if self.rank not in (None, 1, 2, 3):
            raise OptionError(f"rank is {self.rank!r}; wanted 1, 2 or 3 spatial axes, or None")
        if self.shape is not None and not (
            _are_sizes(self.shape) and 2 <= len(self.shape) <= 4 and math.prod(self.shape) <= MAX_ELEMENTS
        ):
            raise OptionError(
                f"shape is {str(self.shape)[:80]}; wanted (*spatial, channels) with one to three spatial axes, and at "
                f"most {MAX_ELEMENTS} numbers"
            )

    def read(self, path: str | os.PathLike[str]) -> Array:
        """Read one example.

        Raises
        ------
        ImageError, DataError
            If it cannot be used; the message names the file.
        """
        if Path(path).suffix.lower() in ARRAYS:
            return self._read_array(path)
        levels = image.load(path, size=self.size, dtype=np.float32)
        return self._finished(levels if self.color else image.luminance(levels)[..., np.newaxis], path)

    def prepare(self, array: NDArray[Any], name: str = "array") -> Array:
        """Bring an array to the form in which examples are, as if it had come from an .npy file."""
        values = array.reshape(self._shape_of(array.shape, name))
        return self._finished(values / np.float32(255) if array.dtype == np.uint8 else values, name)

    def fitted(self, shape: tuple[int, ...]) -> InputFormat:
        """Return the format of examples that all have this shape."""
        size = (shape[0], shape[1]) if len(shape) == 3 else self.size
        return replace(self, shape=shape, rank=len(shape) - 1, size=size, color=shape[-1] == 3)

    def to_json(self) -> str:
        """Return it as text, for a file's metadata."""
        return json.dumps({name: getattr(self, name) for name in _FIELDS})

    @classmethod
    def from_json(cls, text: str) -> InputFormat:
        """Return what `to_json` wrote.

        Raises
        ------
        OptionError
            If it is something else.
        """
        try:
            said = json.loads(text)
            found: dict[str, Any] = {
                name: tuple(said[name]) if isinstance(said[name], list) else said[name] for name in _FIELDS
            }
            if not isinstance(found["color"], bool) or not isinstance(found["standardize"], bool):
                raise OptionError("color and standardize are true or false")
            return cls(**found)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise OptionError(f"this is no description of an input: {str(error)[:80]}") from error

    def _read_array(self, path: str | os.PathLike[str]) -> Array:
        name = printable(os.fspath(path))
        stream, header = open_npy(path)
        with stream:
            self._check(self._shape_of(header.shape, name), name)  # before elements are read
            return self.prepare(read_elements(stream, header, name), name)

    def _shape_of(self, shape: tuple[int, ...], name: str) -> tuple[int, ...]:
        """The shape with its channels: an array of one axis, or of `rank` axes, has one."""
        if len(shape) == (self.rank or 1):
            shape = (*shape, 1)
        wanted = f"{self.rank}" if self.rank else "one to three"
        if not 2 <= len(shape) <= 4 or (self.rank is not None and len(shape) != self.rank + 1):
            raise DataError(f"{name}: has shape {shape}; wanted {wanted} spatial axes, and the channels last")
        if math.prod(shape) > MAX_ELEMENTS:
            raise DataError(f"{name}: has shape {shape}; one example holds at most {MAX_ELEMENTS} numbers")
        return shape

    def _finished(self, values: NDArray[Any], path: str | os.PathLike[str]) -> Array:
        name = printable(os.fspath(path))
        self._check(values.shape, name)
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
            x = np.ascontiguousarray(values, np.float32)
        if not np.isfinite(x).all():
            raise DataError(f"{name}: has NaN or infinity in it")
        if self.standardize:
            spread = x.std(dtype=np.float64)
            x = ((x - x.mean(dtype=np.float64)) / (spread if spread > 0 else 1)).astype(np.float32)
        return x

    def _check(self, shape: tuple[int, ...], name: str) -> None:
        if self.shape is not None and shape != self.shape:
            raise DataError(f"{name}: has shape {shape}; wanted {self.shape}")


def is_example(name: str) -> bool:
    """Whether a file's name says that it is a picture or an array, and is not hidden."""
    return not name.startswith(".") and Path(name).suffix.lower() in image.EXTENSIONS | ARRAYS


def _are_sizes(values: object) -> bool:
    return isinstance(values, tuple) and all(type(size) is int and size > 0 for size in values)


UNREADABLE = (ImageError, DataError, OSError)
"""What `InputFormat.read` raises for a file that cannot be used."""
