"""The drop-in for `face_recognition`: against the original where it is installed, and its contract without it."""

from __future__ import annotations

import importlib
import inspect
import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import face_oracle
import numpy as np
import pytest
from face_pictures import PICTURES, PIXELS, group

from pyconvx import image
from pyconvx.compat import face_recognition as ours

NAMES = (
    "load_image_file",
    "face_locations",
    "batch_face_locations",
    "face_landmarks",
    "face_encodings",
    "compare_faces",
    "face_distance",
)
PHOTOGRAPHS = [name for name in PICTURES if name not in ("no face", "doubled twice")]


@pytest.fixture(scope="module")
def theirs() -> ModuleType:
    """The original, on dlib's files; where it asks for the 68-point model it gets the small one, which nobody uses."""
    face_oracle.dlib()
    folder = face_oracle.models_folder()
    models = ModuleType("face_recognition_models")
    models.pose_predictor_model_location = lambda: str(folder / face_oracle.LANDMARKS)  # type: ignore[attr-defined]
    models.pose_predictor_five_point_model_location = models.pose_predictor_model_location  # type: ignore[attr-defined]
    models.cnn_face_detector_model_location = lambda: str(folder / face_oracle.DETECTOR)  # type: ignore[attr-defined]
    models.face_recognition_model_location = lambda: str(folder / face_oracle.ENCODER)  # type: ignore[attr-defined]
    before = sys.modules.get("face_recognition_models")
    sys.modules["face_recognition_models"] = models
    from PIL import ImageFile

    truncated = ImageFile.LOAD_TRUNCATED_IMAGES
    try:
        return pytest.importorskip("face_recognition", reason="face_recognition is not installed")
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES = truncated  # the original changes it for the whole process
        sys.modules.pop("face_recognition_models")
        if before is not None:
            sys.modules["face_recognition_models"] = before


def same_types(a: Any, b: Any) -> bool:
    """Whether two results are built alike, down to the elements."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_types(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same_types(x, y) for x, y in zip(a, b, strict=True))
    return a.dtype == b.dtype and a.shape == b.shape if isinstance(a, np.ndarray) else True


@pytest.mark.dlib
@pytest.mark.parametrize("name", NAMES)
def test_names_arguments_and_defaults_are_theirs(name: str, theirs: ModuleType) -> None:
    def arguments(function: Any) -> list[tuple[str, Any]]:
        return [(p.name, p.default) for p in inspect.signature(function).parameters.values()]

    assert arguments(getattr(ours, name)) == arguments(getattr(theirs, name))


@pytest.mark.dlib
@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_results_are_theirs(name: str, theirs: ModuleType) -> None:
    pixels, upsample = PICTURES[name]
    expected = theirs.face_locations(pixels, upsample, model="cnn")
    found = ours.face_locations(pixels, upsample, model="cnn")
    assert found == expected
    assert same_types(found, expected)
    landmarks = theirs.face_landmarks(pixels, expected, model="small")
    assert ours.face_landmarks(pixels, found, model="small") == landmarks
    assert same_types(ours.face_landmarks(pixels, found, model="small"), landmarks)
    encodings = theirs.face_encodings(pixels, expected)
    assert same_types(ours.face_encodings(pixels, found), encodings)
    np.testing.assert_allclose(ours.face_encodings(pixels, found), encodings, rtol=0, atol=1e-5)


@pytest.mark.dlib
def test_batches_are_theirs(theirs: ModuleType) -> None:
    images = [PIXELS, PIXELS[:, ::-1].copy(), np.zeros_like(PIXELS)]
    expected = theirs.batch_face_locations(images, 0)
    assert ours.batch_face_locations(images, 0) == expected
    assert same_types(ours.batch_face_locations(images, 0), expected)


@pytest.mark.dlib
def test_comparing_is_theirs(theirs: ModuleType) -> None:
    random = np.random.default_rng(0)
    known, probe = list(random.normal(0, 0.07, (20, 128))), random.normal(0, 0.07, 128)
    np.testing.assert_array_equal(ours.face_distance(known, probe), theirs.face_distance(known, probe))
    tolerance = float(np.median(ours.face_distance(known, probe)))
    answers = ours.compare_faces(known, probe, tolerance)
    assert answers == theirs.compare_faces(known, probe, tolerance)
    assert same_types(answers, theirs.compare_faces(known, probe, tolerance))
    assert 0 < sum(answers) < 20
    for encodings in ([], np.empty((0, 128))):
        assert same_types(ours.face_distance(encodings, probe), theirs.face_distance(encodings, probe))
        assert ours.compare_faces(encodings, probe) == theirs.compare_faces(encodings, probe) == []


@pytest.mark.dlib
@pytest.mark.parametrize("mode", ["RGB", "L", None])
def test_files_are_read_as_they_read_them(mode: str | None, theirs: ModuleType, tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(PIXELS).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(PIXELS).convert("RGBA").save(tmp_path / "alpha.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(PIXELS).save(tmp_path / "turned.jpg", exif=exif)
    for path in sorted(tmp_path.iterdir()):
        expected = theirs.load_image_file(str(path), mode)
        assert np.array_equal(ours.load_image_file(str(path), mode), expected)
        assert np.array_equal(ours.load_image_file(io.BytesIO(path.read_bytes()), mode), expected)


def test_locations_are_cut_to_the_picture() -> None:
    pixels = np.ascontiguousarray(PIXELS[80:, 120:])
    ((top, right, bottom, left),) = ours.face_locations(pixels)
    assert top == 0 < bottom < pixels.shape[0]
    assert left == 0 < right < pixels.shape[1]


def test_hog_is_the_same_detector() -> None:
    assert ours.face_locations(group(), 0, model="hog") == ours.face_locations(group(), 0, model="cnn")


def test_a_program_runs_as_it_did(tmp_path: Path) -> None:
    known = ours.face_encodings(ours.load_image_file(image.packaged("astronaut")))[0]
    picture = group()
    locations = ours.face_locations(picture, 0)
    encodings = ours.face_encodings(picture, locations)
    assert len(locations) == len(encodings) == 4
    assert all(encoding.dtype == np.float64 and encoding.shape == (128,) for encoding in encodings)
    assert all(ours.compare_faces(encodings, known))
    assert set(ours.face_landmarks(picture, locations, "small")[0]) == {"nose_tip", "left_eye", "right_eye"}
    assert ours.face_encodings(np.zeros((60, 60, 3), np.uint8)) == []


def test_jitter_is_repeatable() -> None:
    first, again = (ours.face_encodings(PIXELS, num_jitters=5)[0] for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, ours.face_encodings(PIXELS)[0])


def test_large_landmarks_are_a_named_error() -> None:
    with pytest.raises(ours.LandmarksError, match="model='small'"):
        ours.face_landmarks(PIXELS)
    with pytest.raises(ours.LandmarksError, match="model='small'"):
        ours.face_encodings(PIXELS, model="large")
    with pytest.raises(ValueError, match="'medium'"):
        ours.face_landmarks(PIXELS, model="medium")


def test_the_import_line_is_all() -> None:
    module = importlib.import_module("pyconvx.compat.face_recognition")
    assert all(callable(getattr(module, name)) for name in NAMES)
