"""Writing a picture: whole or not at all."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import ImageError, OptionError
from pyconvx.image._values import as_levels

# Extension -> Pillow's format.
FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a path that `save` could not write, so that long work need not end in that surprise.

    Raises
    ------
    ImageError
        If the extension names no format that is written, or the folder is missing or not writable.
    """
    target = Path(path)
    if target.suffix.lower() not in FORMATS:
        known = ", ".join(FORMATS)
        raise ImageError(f"{target}: no format is known by the extension {target.suffix!r}; one of {known}")
    if target.is_dir():
        raise ImageError(f"{target}: is a folder; name a file in it")
    folder = Path(os.path.realpath(path)).parent  # a link is followed
    if not folder.is_dir():
        raise ImageError(f"{target}: the folder {folder} does not exist; create it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ImageError(f"{target}: the folder {folder} may not be written to")


def save(path: str | os.PathLike[str], array: NDArray[Any], *, quality: int = 95) -> None:
    """Write a picture, atomically: a crash leaves the old file or the new one.

    Parameters
    ----------
    path : str or path-like
        `.png`, `.jpg`, `.jpeg` or `.webp`; replaced if it exists. A symbolic link is followed.
    array : ndarray of shape (H, W) or (H, W, 3)
        Grey or RGB, in the element types that `load` takes; written with 8 bits.
    quality : int
        1 to 100, for JPEG (without chroma subsampling) and WebP.

    Raises
    ------
    ImageError
        If the path or the array will not do.
    """
    from PIL import Image

    check_writable(path)
    if not 1 <= quality <= 100:
        raise OptionError(f"quality: got {quality}; wanted 1 to 100")
    if array.ndim not in (2, 3) or array.size == 0 or (array.ndim == 3 and array.shape[2] != 3):
        raise ImageError(f"array: got shape {array.shape}; wanted (H, W) or (H, W, 3), not empty")
    picture = Image.fromarray(np.ascontiguousarray(as_levels(array, "array")))
    kind = FORMATS[Path(path).suffix.lower()]
    options: dict[str, Any] = {} if kind == "PNG" else {"quality": quality}
    if kind == "JPEG":
        options["subsampling"] = 0
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        with beside.open("xb") as stream:
            picture.save(stream, kind, **options)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(target)
    except (OSError, ValueError) as error:  # a full disk; a picture too large for the format
        raise ImageError(f"{target}: cannot be written: {error}") from error
    finally:
        beside.unlink(missing_ok=True)
