"""Reading a picture: from a file, bytes, Pillow or an array, to RGB.

Files come from anywhere: only widespread formats are tried, sizes are checked before pixels are decoded, and whatever
goes wrong inside a decoder is one `ImageError` that names the file.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray

from pyconvx.errors import ImageError, OptionError
from pyconvx.image._resize import resize, scaled_size
from pyconvx.image._values import as_levels, as_unit

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = (1 << 30) // 4 // 3
"""Largest picture that is read unless the caller allows more: 89 million pixels, where Pillow begins to warn."""

# The rest of Pillow's formats is rare, and one of them (EPS) starts another program.
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")
EXTENSIONS = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pnm"}
)
"""How names of files in these formats end, in lower case."""
# EXIF tag "Orientation" -> Pillow's name of the transposition that undoes it.
ORIENTATION_TAG = 0x0112
UPRIGHT = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def load(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO | Image.Image | NDArray[Any],
    *,
    size: int | tuple[int, int] | None = None,
    dtype: DTypeLike = np.uint8,
    background: Sequence[int] = (255, 255, 255),
    max_pixels: int = MAX_PIXELS,
) -> NDArray[Any]:
    """Read a picture as RGB.

    The EXIF orientation is honoured; transparency is composited on `background`; grey, palette, CMYK and 16-bit
    pictures are converted. Of an animation the first frame is read. Colour profiles are not applied.

    Parameters
    ----------
    source : path, bytes, binary file, PIL image or ndarray
        A PNG, JPEG, WebP, GIF, BMP, TIFF or PPM file or its bytes; a PIL image; or an array of shape (H, W), (H, W, 1),
        (H, W, 3) or (H, W, 4). Of arrays, uint8 are levels, uint16 span 0..65535, any other integers are levels in
        0..255, booleans are black and white, and floats lie in 0..1.
    size : int or (int, int), optional
        Pixels of the longest side (the shape is kept), or (height, width). Default: as it is.
    dtype : uint8 or float32
        uint8 gives levels 0..255, float32 gives 0..1 with the precision of the source (16-bit colour files have 8 bits:
        Pillow reads no more).
    background : three levels in 0..255
        Colour behind transparent pixels; white by default.
    max_pixels : int
        A larger picture is refused before its pixels are decoded. For more than twice `MAX_PIXELS` Pillow's own
        `PIL.Image.MAX_IMAGE_PIXELS` must be raised too.

    Returns
    -------
    ndarray of shape (H, W, 3)
        Contiguous, and never a view of `source`.

    Raises
    ------
    ImageError
        If the file is missing, truncated, foreign or too large, or the values are out of range; it names the file.
    OptionError
        If an option has a wrong value.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import image
    >>> image.load(np.full((2, 3), 0.2)).shape
    (2, 3, 3)
    """
    wanted = np.dtype(dtype)
    if wanted not in (np.uint8, np.float32):
        raise OptionError(f"dtype: got {wanted}; pictures are read as uint8 or float32")
    colour = _checked_background(background)
    if isinstance(source, np.ndarray):
        name, pixels = "array", _checked_array(source)
    else:
        with _opened(source, max_pixels) as (picture, name):
            pixels = _decode(picture, name)
    values: NDArray[Any] = as_levels(pixels, name) if wanted == np.uint8 else as_unit(pixels, name)
    rgb = _to_rgb(values, colour)
    if size is not None:
        target = scaled_size(rgb.shape[:2], size) if isinstance(size, (int, np.integer)) else size
        rgb = resize(rgb, target)
        if wanted == np.float32:
            np.clip(rgb, 0, 1, out=rgb)  # Lanczos overshoots at edges
    return np.array(rgb, order="C")


@contextmanager
def _opened(source: Any, max_pixels: int) -> Iterator[tuple[Image.Image, str]]:
    """Open a picture, its size checked and its pixels not yet decoded."""
    from PIL import Image

    if isinstance(source, Image.Image):
        name = f"PIL image of mode {source.mode}"
        _check_size(source.size, max_pixels, name)
        yield source, name
        return
    stream, name = _stream(source)
    try:
        with warnings.catch_warnings():
            if Image.MAX_IMAGE_PIXELS is not None and max_pixels > Image.MAX_IMAGE_PIXELS:
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the caller has allowed it
            picture = Image.open(stream, formats=FORMATS)
    except Exception as error:
        raise _unreadable(name, error) from error
    with picture:
        _check_size(picture.size, max_pixels, name)
        yield picture, name


def _stream(source: Any) -> tuple[Any, str]:
    """Return what Pillow can open, and what to call it in an error."""
    if isinstance(source, (str, os.PathLike)):
        path = Path(os.fsdecode(source))
        try:
            regular = stat.S_ISREG(path.stat().st_mode)
        except (OSError, ValueError) as error:  # ValueError: a null character in the path
            reason = error.strerror if isinstance(error, OSError) else error
            raise ImageError(f"{path}: cannot be opened: {reason}") from error
        if not regular:  # a pipe could stall, a device could never end
            raise ImageError(f"{path}: not a regular file")
        return path, str(path)
    if isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(source), f"picture in {memoryview(source).nbytes} bytes"
    if hasattr(source, "read") and hasattr(source, "seek"):
        return source, str(getattr(source, "name", "picture in a stream"))
    raise ImageError(
        f"source: got {type(source).__name__}; a picture is a path, bytes, a binary file, a PIL image or an ndarray"
    )


def _unreadable(name: str, error: Exception) -> ImageError:
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return ImageError(f"{name}: not a picture in a format that is read ({', '.join(FORMATS)}), or badly damaged")
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return ImageError(f"{name}: too large: {error} Allow more with max_pixels= and PIL.Image.MAX_IMAGE_PIXELS")
    return ImageError(f"{name}: truncated or damaged: {error}")


def _check_size(size: tuple[int, int], max_pixels: int, name: str) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ImageError(
            f"{name}: {width} x {height} pixels are more than the {max_pixels} allowed; "
            "raise max_pixels= if you trust it"
        )
    if width < 1 or height < 1:
        raise ImageError(f"{name}: {width} x {height} pixels; an empty picture")


def _decode(picture: Image.Image, name: str) -> NDArray[Any]:
    """Decode, turn upright, and return (H, W), (H, W, 3) or (H, W, 4) in an element type of `_values`."""
    try:
        picture.load()
        turn = UPRIGHT.get(_orientation(picture))
        if turn is not None:
            from PIL import Image

            picture = picture.transpose(Image.Transpose[turn])
        return _pixels(picture, name)
    except (ImageError, MemoryError):
        raise
    except Exception as error:  # decoders of damaged files raise anything: OSError, SyntaxError, struct.error, ...
        raise _unreadable(name, error) from error


def _orientation(picture: Image.Image) -> int:
    if picture.format == "TIFF":  # Pillow has turned it already, and older versions leave the tag as it was
        return 1
    try:
        return cast(int, picture.getexif().get(ORIENTATION_TAG, 1))
    except Exception:  # damaged EXIF does not damage the pixels
        return 1


def _pixels(picture: Image.Image, name: str) -> NDArray[Any]:
    mode = picture.mode
    if mode.startswith("I;16"):
        return np.asarray(picture)
    if mode == "I":  # 32 bits that hold a 16-bit grey picture
        levels = np.asarray(picture)
        if levels.min() < 0 or levels.max() > 65535:
            raise ImageError(f"{name}: 32-bit levels from {levels.min()} to {levels.max()}; at most 16 bits are read")
        return levels.astype(np.uint16)
    if mode == "F" or (mode in ("L", "RGB", "RGBA") and "transparency" not in picture.info):
        return np.asarray(picture)
    if mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in picture.info:
        return np.asarray(picture.convert("LA" if mode == "La" else "RGBA").convert("RGBA"))
    return np.asarray(picture.convert("RGB"))


def _checked_array(array: NDArray[Any]) -> NDArray[Any]:
    if array.ndim not in (2, 3) or array.size == 0 or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise ImageError(f"array: got shape {array.shape}; a picture is (H, W) or (H, W, 1, 3 or 4), not empty")
    return array


def _checked_background(background: Sequence[int]) -> NDArray[np.uint8]:
    colour = np.asarray(background)
    if colour.shape != (3,) or colour.dtype.kind not in "iu" or colour.min() < 0 or colour.max() > 255:
        raise OptionError(f"background: got {background!r}; it takes three integer levels in 0..255")
    return colour.astype(np.uint8)


def _to_rgb(values: NDArray[Any], background: NDArray[np.uint8]) -> NDArray[Any]:
    """Grey to three channels; alpha away: c = alpha c + (1 - alpha) background."""
    if values.ndim == 2:
        values = values[:, :, None]
    if values.shape[2] == 1:
        return np.repeat(values, 3, axis=2)
    if values.shape[2] == 3:
        return values
    colour, alpha = values[:, :, :3], values[:, :, 3:]
    if values.dtype == np.uint8:  # in integers, rounded to the nearest; 255 * 255 + 127 fits 16 bits
        mixed = colour * alpha.astype(np.uint16) + background * (255 - alpha).astype(np.uint16)
        return ((mixed + 127) // 255).astype(np.uint8)
    return cast(NDArray[Any], colour * alpha + (1 - alpha) * (background / np.float32(255)))
