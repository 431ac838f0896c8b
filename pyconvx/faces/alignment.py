"""Turning faces upright: five landmarks, then a square chip in which they lie where the encoder expects them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.faces._chip import SIZE, crop_of, cut
from pyconvx.faces._models import PACKAGED, FaceModels
from pyconvx.faces._picture import Picture, read
from pyconvx.faces.face import Face


def locate_landmarks(image: Any, faces: Sequence[Face], *, models: FaceModels | None = None) -> list[Face]:
    """Find five landmarks of each face that has none.

    Parameters
    ----------
    image : path, bytes, binary file, PIL image or ndarray
        Whatever `pyconvx.image.load` takes.
    faces : sequence of Face
        Their boxes should be those of the detector, or like them: from the brows to below the mouth.
    models : FaceModels, optional
        Other models than the package's.

    Returns
    -------
    list of Face
        In the order of `faces`, with landmarks.

    Raises
    ------
    ImageError
        If the picture cannot be read.

    Examples
    --------
    >>> from pyconvx import faces, image
    >>> picture = image.packaged("astronaut")
    >>> faces.locate_landmarks(picture, faces.detect(picture))[0].landmarks.shape
    (5, 2)
    """
    return with_landmarks(read(image), faces, models or PACKAGED)


def align(image: Any, faces: Sequence[Face], *, models: FaceModels | None = None) -> NDArray[np.uint8]:
    """Cut faces out of a picture, turned upright.

    Parameters
    ----------
    image : path, bytes, binary file, PIL image or ndarray
        Whatever `pyconvx.image.load` takes.
    faces : sequence of Face
        Landmarks are found where they are missing.
    models : FaceModels, optional
        Other models than the package's.

    Returns
    -------
    ndarray of uint8, shape (n, 150, 150, 3)
        RGB chips, as `pyconvx.models.face_encoder().encode` takes them; black beyond the edge of the picture.

    Raises
    ------
    ImageError
        If the picture cannot be read.

    Examples
    --------
    >>> from pyconvx import faces, image
    >>> picture = image.packaged("astronaut")
    >>> faces.align(picture, faces.detect(picture)).shape
    (1, 150, 150, 3)
    """
    picture = read(image)
    return chips_of(picture, with_landmarks(picture, faces, models or PACKAGED))


def with_landmarks(picture: Picture, faces: Sequence[Face], models: FaceModels) -> list[Face]:
    """The same faces, with landmarks."""
    missing = [face for face in faces if face.landmarks is None]
    if not missing:
        return list(faces)
    boxes = np.array([face.box for face in missing], np.int64)
    found = iter(models.predictor.predict(picture.pixels, boxes))
    return [face if face.landmarks is not None else replace(face, landmarks=next(found)) for face in faces]


def chips_of(picture: Picture, faces: Sequence[Face]) -> NDArray[np.uint8]:
    """Chips (n, 150, 150, 3) of faces that have landmarks."""
    chips = np.empty((len(faces), SIZE, SIZE, 3), np.uint8)
    for chip, face in zip(chips, faces, strict=True):
        assert face.landmarks is not None
        chip[:] = cut(picture.pixels, crop_of(face.landmarks))
    return chips
