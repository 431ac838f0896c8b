"""A picture with the name under which errors speak of it."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyconvx import image


class Picture(NamedTuple):
    """RGB levels, and what to call them."""

    name: str
    pixels: NDArray[np.uint8]


def read(source: Any) -> Picture:
    """Load a picture of any kind that `image.load` takes."""
    return source if isinstance(source, Picture) else Picture(name_of(source), image.load(source))


def name_of(source: Any) -> str:
    """The path if there is one, else what kind of thing it is."""
    if isinstance(source, Picture):
        return source.name
    if isinstance(source, (str, os.PathLike)):
        return os.fsdecode(source)
    if isinstance(source, np.ndarray):
        return f"array of shape {source.shape}"
    if isinstance(source, (bytes, bytearray, memoryview)):
        return f"picture in {memoryview(source).nbytes} bytes"
    name = getattr(source, "filename", "") or getattr(source, "name", "")  # a PIL image or a file of a path
    return str(name) if name else f"picture in a {type(source).__name__}"
