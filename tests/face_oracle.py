"""dlib and its model files, where they are: the face pipeline is checked against them.

The files are looked for in the folder that PYCONVX_DLIB_MODELS names, then in the package face_recognition_models.
"""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pyconvx.faces import Face

DETECTOR = "mmod_human_face_detector.dat"
LANDMARKS = "shape_predictor_5_face_landmarks.dat"
ENCODER = "dlib_face_recognition_resnet_model_v1.dat"


def dlib() -> Any:
    """The module, or the test is skipped."""
    return pytest.importorskip("dlib", reason="dlib is not installed")


def models_folder() -> Path:
    """The folder with dlib's files, or the test is skipped."""
    folders = [Path(os.environ["PYCONVX_DLIB_MODELS"])] if "PYCONVX_DLIB_MODELS" in os.environ else []
    spec = importlib.util.find_spec("face_recognition_models")
    if spec and spec.origin:
        folders.append(Path(spec.origin).parent / "models")
    for folder in folders:
        if all((folder / name).is_file() for name in (DETECTOR, LANDMARKS, ENCODER)):
            return folder
    pytest.skip("dlib's model files: name their folder in PYCONVX_DLIB_MODELS")


def shape_of(box: tuple[int, ...], landmarks: NDArray[Any]) -> Any:
    """dlib's form of a face."""
    module = dlib()
    points = [module.point(int(x), int(y)) for x, y in landmarks]
    return module.full_object_detection(module.rectangle(*box), points)


def chip(pixels: NDArray[np.uint8], landmarks: NDArray[Any]) -> NDArray[np.uint8]:
    """dlib's chip."""
    return np.asarray(dlib().get_face_chip(pixels, shape_of((0, 0, 9, 9), landmarks), size=150, padding=0.25))


@cache
def _models() -> tuple[Any, Any, Any]:
    module, folder = dlib(), models_folder()
    return (
        module.cnn_face_detection_model_v1(str(folder / DETECTOR)),
        module.shape_predictor(str(folder / LANDMARKS)),
        module.face_recognition_model_v1(str(folder / ENCODER)),
    )


def faces(pixels: NDArray[np.uint8], upsample: int) -> list[Face]:
    """dlib's faces, with landmarks and encodings."""
    detector, predictor, encoder = _models()
    found = []
    for detection in detector(pixels, upsample):
        shape = predictor(pixels, detection.rect)
        landmarks = np.array([(point.x, point.y) for point in shape.parts()])
        encoding = np.array(encoder.compute_face_descriptor(pixels, shape), np.float32)
        sides = detection.rect.left(), detection.rect.top(), detection.rect.right(), detection.rect.bottom()
        found.append(Face(sides, detection.confidence, landmarks, encoding))
    return found
