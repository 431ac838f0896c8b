"""From a picture to landmarks, chips and encodings, against dlib and by what must hold without it."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from typing import Any

import face_oracle
import numpy as np
import pytest
from face_pictures import PICTURES, PIXELS, group

from pyconvx import NoFaceError, OptionError, ShapeError, image, models, num_threads
from pyconvx.faces import Face, FaceModels, align, detect, encode, locate_landmarks


@pytest.mark.dlib
@pytest.mark.parametrize("name", [name for name in PICTURES if name != "no face"])
def test_encodings_are_dlibs(name: str) -> None:
    pixels, upsample = PICTURES[name]
    theirs = face_oracle.faces(pixels, upsample)
    exact = encode(pixels, upsample=upsample, models=FaceModels.from_dlib(face_oracle.models_folder()))
    packaged = encode(pixels, upsample=upsample)
    for face, ours, shipped in zip(theirs, exact, packaged, strict=True):
        assert np.array_equal(ours.landmarks, face.landmarks)
        assert np.array_equal(shipped.landmarks, face.landmarks)
        assert np.abs(ours.encoding - face.encoding).max() <= 1e-5
        assert np.linalg.norm(shipped.encoding - face.encoding) <= 1e-3


def test_encode_is_its_steps() -> None:
    found = detect(group())
    placed = locate_landmarks(group(), found)
    chips = align(group(), placed)
    assert np.array_equal(chips, align(group(), found))
    encodings = models.face_encoder().encode(chips)
    for face, step, encoding in zip(encode(group()), placed, encodings, strict=True):
        assert face.box == step.box
        assert np.array_equal(face.landmarks, step.landmarks)
        assert np.array_equal(face.encoding, encoding)


def test_landmarks_are_kept_where_there_are_some() -> None:
    (face,) = detect(PIXELS)
    known = Face(face.box, landmarks=np.arange(10).reshape(5, 2))
    first, second = locate_landmarks(PIXELS, [known, face])
    assert np.array_equal(first.landmarks, known.landmarks)
    assert not np.array_equal(second.landmarks, known.landmarks)


def test_known_faces_are_not_looked_for() -> None:
    (found,) = encode(PIXELS)
    (known,) = encode(PIXELS, [Face(found.box)], policy="error")
    assert np.array_equal(known.encoding, found.encoding)
    assert encode(PIXELS, []) == []


def test_same_bits_in_any_company() -> None:
    with num_threads(1):
        alone = [encode(group(), [face])[0].encoding for face in detect(group())]
    with num_threads(3):
        together = [face.encoding for face in encode(group())]
    assert np.array_equal(alone, together)


def test_more_faces_than_are_encoded_at_once() -> None:
    (face,) = encode(PIXELS)
    many = encode(PIXELS, [Face(face.box)] * 35)
    assert len(many) == 35
    assert all(np.array_equal(other.encoding, face.encoding) for other in many)


def test_jitter_averages_and_is_repeatable() -> None:
    (plain,) = encode(PIXELS)
    (first,), (again,), (other,) = (encode(PIXELS, jitter=20, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.encoding, again.encoding)
    assert not np.array_equal(first.encoding, other.encoding)
    assert 0 < np.linalg.norm(first.encoding - plain.encoding) < 0.3
    assert np.linalg.norm(first.encoding - other.encoding) < 0.15
    assert np.array_equal(encode(PIXELS, jitter=1)[0].encoding, plain.encoding)
    in_company = encode(PIXELS, [Face((0, 0, 99, 99)), Face(plain.box)], jitter=20, seed=1)
    assert np.array_equal(in_company[1].encoding, first.encoding)


def test_policies_apply() -> None:
    assert len(encode(group(), policy="largest")) == 1
    with pytest.raises(NoFaceError):
        encode(np.zeros((90, 90), np.uint8), policy="error")


@pytest.mark.parametrize("options", [{"jitter": -1}, {"jitter": 2.5}, {"seed": -1}, {"policy": "none"}])
def test_wrong_options(options: dict[str, Any]) -> None:
    with pytest.raises(OptionError, match=next(iter(options))):
        encode(PIXELS, **options)


def test_a_face_is_checked_and_frozen() -> None:
    face = Face((1, 2, 3, 4), landmarks=np.zeros((5, 2)), encoding=np.zeros(128))
    assert (face.width, face.height, face.area) == (3, 3, 9)
    with pytest.raises(FrozenInstanceError):
        face.score = 1.0  # type: ignore[misc]
    with pytest.raises(ValueError, match="read-only"):
        face.encoding[0] = 1  # type: ignore[index]
    for wrong in ((1, 2, 3), (3, 0, 1, 5), (0, 5, 9, 4), "face"):
        with pytest.raises(ShapeError, match="box"):
            Face(wrong)  # type: ignore[arg-type]
    with pytest.raises(ShapeError, match="landmarks"):
        Face((0, 0, 9, 9), landmarks=np.zeros((4, 2)))
    with pytest.raises(ShapeError, match="encoding"):
        Face((0, 0, 9, 9), encoding=np.zeros(64))


def test_a_face_as_plain_data() -> None:
    import json

    (face,) = encode(image.packaged("astronaut"))
    plain = json.loads(json.dumps(face.as_dict()))
    assert Face(**{**plain, "box": tuple(plain["box"])}).as_dict() == face.as_dict()
    assert Face((0, 0, 1, 1)).as_dict()["score"] is None
