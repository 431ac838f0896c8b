"""The functions of the `face_recognition` module, with the results of its model="cnn".

    import pyconvx.compat.face_recognition as face_recognition

Names, arguments, orders and types are as there, boxes and landmarks equal, encodings within 1e-5. What differs:

- `model="hog"`, the default there, uses the same detector as "cnn": slower than HOG, and it finds more faces.
- Landmarks of the model "large" (68 points) raise `LandmarksError`: their training data exclude commercial use.
  `face_landmarks` must be called with `model="small"`.
- Jittered encodings are drawn with a fixed seed, so that the same call gives the same result.
- A truncated file is an error, not a picture that is partly grey.

There is no liveness detection here either.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from pyconvx import faces
from pyconvx.errors import OptionError
from pyconvx.faces import Face

Location = tuple[int, int, int, int]  # top, right, bottom, left
Points = list[tuple[int, int]]


class LandmarksError(OptionError):
    """The landmark model that was asked for is not here."""


def load_image_file(file: str | os.PathLike[str] | BinaryIO, mode: str | None = "RGB") -> NDArray[np.uint8]:
    """Load a picture as an array; "RGB" or "L".

    As there, the EXIF orientation is not applied and transparency is dropped: `pyconvx.image.load` does better.
    """
    from PIL import Image

    with Image.open(file) as picture:
        return np.array(picture.convert(mode) if mode else picture)


def face_locations(img: NDArray[Any], number_of_times_to_upsample: int = 1, model: str = "hog") -> list[Location]:
    """Return the boxes of faces as (top, right, bottom, left), cut to the picture.

    "hog" is the same as "cnn". Doubling the picture more often finds smaller faces.
    """
    found = faces.detect(img, upsample=number_of_times_to_upsample)
    return [_to_css(face, np.shape(img)) for face in found]


def batch_face_locations(
    images: Sequence[NDArray[Any]], number_of_times_to_upsample: int = 1, batch_size: int = 128
) -> list[list[Location]]:
    """Return the boxes of the faces of each picture, as `face_locations` does.

    Pictures are shared out among the processors, and may differ in size; `batch_size` changes nothing.
    """
    results = []
    for image, outcome in zip(
        images, faces.stream(images, "detect", upsample=number_of_times_to_upsample), strict=True
    ):
        if outcome.error:
            raise outcome.error
        results.append([_to_css(face, np.shape(image)) for face in outcome.faces])
    return results


def face_landmarks(
    face_image: NDArray[Any], face_locations: Sequence[Location] | None = None, model: str = "large"
) -> list[dict[str, Points]]:
    """Return "nose_tip", "left_eye" and "right_eye" of each face, lists of (x, y).

    Raises
    ------
    LandmarksError
        For "large", which is the default there: pass `model="small"`.
    """
    _check_landmarks(model)
    placed = faces.locate_landmarks(face_image, _known_or_found(face_image, face_locations))
    parts = []
    for face in placed:
        assert face.landmarks is not None
        points: Points = [(x, y) for x, y in face.landmarks.tolist()]
        parts.append({"nose_tip": [points[4]], "left_eye": points[2:4], "right_eye": points[0:2]})
    return parts


def face_encodings(
    face_image: NDArray[Any],
    known_face_locations: Sequence[Location] | None = None,
    num_jitters: int = 1,
    model: str = "small",
) -> list[NDArray[np.float64]]:
    """Return the encoding, 128 numbers, of each face.

    Raises
    ------
    LandmarksError
        For the landmark model "large".
    """
    _check_landmarks(model)
    known = _known_or_found(face_image, known_face_locations)
    encoded = faces.encode(face_image, known, jitter=num_jitters)
    return [np.asarray(face.encoding, np.float64) for face in encoded]


def compare_faces(
    known_face_encodings: Sequence[NDArray[Any]] | NDArray[Any],
    face_encoding_to_check: NDArray[Any],
    tolerance: float = 0.6,
) -> list[bool]:
    """Return for each known encoding whether it is within `tolerance` of the one to check."""
    return list(face_distance(known_face_encodings, face_encoding_to_check) <= tolerance)


def face_distance(
    face_encodings: Sequence[NDArray[Any]] | NDArray[Any], face_to_compare: NDArray[Any]
) -> NDArray[np.float64]:
    """Return the Euclidean distance of each encoding to one."""
    if len(face_encodings) == 0:
        return np.empty(0)
    return np.asarray(np.linalg.norm(np.asarray(face_encodings) - face_to_compare, axis=1))


def _known_or_found(image: NDArray[Any], locations: Sequence[Location] | None) -> list[Face]:
    if locations is None:
        return faces.detect(image, upsample=1)
    return [Face((left, top, right, bottom)) for top, right, bottom, left in locations]


def _to_css(face: Face, shape: tuple[int, ...]) -> Location:
    left, top, right, bottom = face.box
    return max(top, 0), min(right, shape[1]), min(bottom, shape[0]), max(left, 0)


def _check_landmarks(model: str) -> None:
    if model == "large":
        raise LandmarksError(
            "model: 'large', 68 landmarks, is not included, for its training data exclude commercial use; "
            "pass model='small'"
        )
    if model != "small":
        raise LandmarksError(f"model: got {model!r}; landmark models are 'small' and, elsewhere, 'large'")
