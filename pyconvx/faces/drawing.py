"""Faces in pictures: outlined, cut out, or made unrecognisable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pyconvx import image as images
from pyconvx.errors import OptionError, ShapeError
from pyconvx.faces.face import Box, Face

Blur = Literal["pixelate", "gaussian", "fill"]
Levels = NDArray[np.uint8]

CELLS = 6
"""Cells across a blurred face: 6 x 6 mean colours are all that is left of it."""


def draw(
    image: Any,
    faces: Sequence[Face | Box],
    names: Sequence[str | None] | None = None,
    *,
    color: tuple[int, int, int] = (0, 200, 83),
    width: int | None = None,
    landmarks: bool = False,
) -> Levels:
    """Draw a box around each face, and its name below.

    Parameters
    ----------
    image : path, bytes, binary file, PIL image or ndarray
        Whatever `pyconvx.image.load` takes; it is not changed.
    faces : sequence of Face or (left, top, right, bottom)
        Boxes may leave the picture.
    names : sequence of str or None, optional
        One for each face; None and "" write nothing.
    color : (int, int, int)
        RGB levels.
    width : int, optional
        Pixels of a line; by default as fits the picture.
    landmarks : bool
        Whether to draw those that are known.

    Returns
    -------
    uint8 array, (H, W, 3)

    Raises
    ------
    ImageError
        If the picture cannot be read.
    ShapeError, OptionError
        If boxes, names or an option are wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import faces
    >>> drawn = faces.draw(np.zeros((60, 60, 3), np.uint8), [(10, 10, 39, 39)], ["Ann"], width=1)
    >>> drawn[10, 20].tolist(), drawn[20, 20].tolist()
    ([0, 200, 83], [0, 0, 0])
    """
    from PIL import Image, ImageDraw

    pixels: Levels = images.load(image)
    if names is not None and len(names) != len(faces):
        raise ShapeError(f"names: got {len(names)} for {len(faces)} faces; wanted one for each, or None")
    paint = np.asarray(color)
    if paint.shape != (3,) or paint.dtype.kind not in "iu" or paint.min() < 0 or paint.max() > 255:
        raise OptionError(f"color: got {color!r}; wanted three levels in 0..255")
    line = max(1, round(max(pixels.shape) / 400)) if width is None else width
    if isinstance(line, bool) or not isinstance(line, int) or line < 1:
        raise OptionError(f"width: got {width!r}; wanted pixels, 1 or more")
    picture = Image.fromarray(pixels)
    pen = ImageDraw.Draw(picture)
    fill = (int(paint[0]), int(paint[1]), int(paint[2]))
    for place, face in enumerate(faces):
        left, top, right, bottom = box_of(face)
        pen.rectangle((left, top, right, bottom), outline=fill, width=line)
        if landmarks and isinstance(face, Face) and face.landmarks is not None:
            for x, y in face.landmarks.tolist():
                pen.ellipse((x - line, y - line, x + line, y + line), fill=fill)
        name = None if names is None else names[place]
        if name:
            _write(pen, name, (left, bottom), fill, picture.size, max(12, (right - left + 1) // 6))
    return np.array(picture)


def crop(image: Any, face: Face | Box, *, margin: float = 0.25) -> Levels:
    """Cut a face out of a picture.

    Parameters
    ----------
    image : path, bytes, binary file, PIL image or ndarray
        Whatever `pyconvx.image.load` takes.
    face : Face or (left, top, right, bottom)
        All four sides lie inside the face.
    margin : float
        What to leave around the box on each side, as a share of its size; cut where the picture ends.

    Returns
    -------
    uint8 array, (h, w, 3)

    Raises
    ------
    ImageError
        If the picture cannot be read.
    OptionError, ShapeError
        If the margin is negative, or the box lies outside the picture.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import faces
    >>> faces.crop(np.zeros((60, 60, 3), np.uint8), (10, 10, 29, 49), margin=0.1).shape
    (48, 24, 3)
    """
    pixels: Levels = images.load(image)
    top, bottom, left, right = _widened(box_of(face), margin, pixels.shape)
    if top >= bottom or left >= right:
        raise ShapeError(f"box {box_of(face)} lies outside the picture of {pixels.shape[1]} x {pixels.shape[0]} pixels")
    return np.array(pixels[top:bottom, left:right])


def blur(
    image: Any,
    faces: Sequence[Face | Box],
    *,
    method: Blur = "pixelate",
    cells: int = CELLS,
    margin: float = 0.2,
) -> Levels:
    """Make faces unrecognisable for good.

    A plain Gaussian blur can be undone in part. Here each face is first reduced to `cells` x `cells` mean colours, in 8
    bits each, whatever its size in pixels, and only these are painted: "pixelate" as squares, "gaussian" as a smooth
    transition between them. Nothing finer is left that could be brought back; what is left is too little for a
    recogniser, but hair, clothes and the place may still tell who it is. "fill" leaves one colour, black. `image.save`
    writes no metadata, so that no thumbnail of the original survives in a copy.

    Parameters
    ----------
    image : path, bytes, binary file, PIL image or ndarray
        Whatever `pyconvx.image.load` takes; it is not changed.
    faces : sequence of Face or (left, top, right, bottom)
        Boxes may leave the picture.
    method : {"pixelate", "gaussian", "fill"}
        What a face is replaced by.
    cells : int
        Of "pixelate" and "gaussian": colours across a face, 1 to 12; fewer hide more.
    margin : float
        What to cover around the box on each side, as a share of its size: a box ends at chin and brow.

    Returns
    -------
    uint8 array, (H, W, 3)

    Raises
    ------
    ImageError
        If the picture cannot be read.
    OptionError, ShapeError
        If an option or a box is wrong.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import faces
    >>> picture = np.random.default_rng(0).integers(0, 256, (80, 80, 3)).astype(np.uint8)
    >>> blurred = faces.blur(picture, [(10, 10, 69, 69)], margin=0)
    >>> len(np.unique(blurred[10:70, 10:70].reshape(-1, 3), axis=0))
    36
    """
    if method not in get_args(Blur):
        raise OptionError(f"method: got {method!r}; one of {', '.join(get_args(Blur))}")
    if isinstance(cells, bool) or not isinstance(cells, int) or not 1 <= cells <= 12:
        raise OptionError(f"cells: got {cells!r}; wanted 1 to 12: with more, a face could be recognised")
    pixels: Levels = images.load(image)
    for face in faces:
        top, bottom, left, right = _widened(box_of(face), margin, pixels.shape)
        if top < bottom and left < right:
            region = pixels[top:bottom, left:right]
            region[:] = 0 if method == "fill" else _coarse(region, cells, method)
    return pixels


def box_of(face: Face | Box) -> Box:
    """The box of a face, or a box that is checked."""
    return face.box if isinstance(face, Face) else Face(face).box


def _widened(box: Box, margin: float, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Rows and columns from, to of a box with a margin, inside the picture."""
    if isinstance(margin, bool) or not isinstance(margin, (int, float)) or not 0 <= margin <= 10:
        raise OptionError(f"margin: got {margin!r}; wanted a share of the box from 0 to 10")
    left, top, right, bottom = box
    across, down = round(margin * (right - left + 1)), round(margin * (bottom - top + 1))
    rows, columns = (top - down, bottom + 1 + down), (left - across, right + 1 + across)
    return max(0, rows[0]), min(shape[0], rows[1]), max(0, columns[0]), min(shape[1], columns[1])


def _coarse(region: Levels, cells: int, method: str) -> Levels:
    """A region from the mean colours of its cells alone."""
    height, width = region.shape[:2]
    rows, columns = (np.linspace(0, size, min(cells, size) + 1).round().astype(int) for size in (height, width))
    sums = np.add.reduceat(np.add.reduceat(region.astype(np.int64), rows[:-1], axis=0), columns[:-1], axis=1)
    area = np.diff(rows)[:, None, None] * np.diff(columns)[:, None]
    means: Levels = (sums // area).astype(np.uint8)
    if method == "gaussian":
        return _smooth(means, height, width)
    return means.repeat(np.diff(rows), axis=0).repeat(np.diff(columns), axis=1)


def _smooth(means: Levels, height: int, width: int) -> Levels:
    """Means of cells, joined by a Gaussian whose deviation is half a cell."""
    mixed = means.astype(np.float64)
    for axis, size in ((0, height), (1, width)):
        cells = mixed.shape[axis]
        centre = (np.arange(size)[:, None] + 0.5) * cells / size - 0.5
        weights = np.exp(-((centre - np.arange(cells)) ** 2) / (2 * 0.5**2))
        weights /= weights.sum(axis=1, keepdims=True)
        mixed = np.moveaxis(np.tensordot(weights, mixed, (1, axis)), 0, axis)
    levels: Levels = np.clip(mixed.round(), 0, 255).astype(np.uint8)
    return levels


def _write(
    pen: Any, text: str, place: tuple[int, int], fill: tuple[int, int, int], size: tuple[int, int], height: int
) -> None:
    """Write a name on a plate below a box, or where there is room in the picture."""
    from PIL import ImageFont

    try:
        font = ImageFont.load_default(height)
    except TypeError:  # before Pillow 10.1 the built-in font has one size
        font = ImageFont.load_default()
    if not isinstance(font, ImageFont.FreeTypeFont):
        text = text.encode("latin-1", "replace").decode("latin-1")  # all that it can write
    _, _, right, bottom = map(round, font.getbbox(text))
    x = max(0, min(place[0], size[0] - right - 4))
    y = max(0, min(place[1] + 1, size[1] - bottom - 4))
    pen.rectangle((x, y, x + right + 4, y + bottom + 4), fill=fill)
    dark = 0.299 * fill[0] + 0.587 * fill[1] + 0.114 * fill[2] < 128
    pen.text((x + 2, y + 2), text, fill=(255, 255, 255) if dark else (0, 0, 0), font=font)
