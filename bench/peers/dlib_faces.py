"""dlib, one picture after the other, as the module face_recognition calls it; its model files must be at hand."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import dlib
import numpy as np

from bench.arrays import Array
from bench.face_networks import Weights, dlib_folder
from bench.harness import Results, Side
from bench.peers import Unsupported


@cache
def model(kind: str, file: str) -> Any:
    folder = dlib_folder()
    if folder is None:
        raise Unsupported("its model files are not named in PYCONVX_DLIB_MODELS")
    return getattr(dlib, kind)(str(folder / file))


def detector() -> Any:
    return model("cnn_face_detection_model_v1", "mmod_human_face_detector.dat")


def encoder() -> Any:
    return model("face_recognition_model_v1", "dlib_face_recognition_resnet_model_v1.dat")


def face_encoding(weights: Weights, chips: Array, threads: int) -> list[Side]:
    network, given = encoder(), list(chips)
    return [Side("dlib", lambda: network.compute_face_descriptor(given), lambda found: (np.array(found),))]


def face_detection(pixels: Array, threads: int) -> list[Side]:
    network = detector()

    def read(found: Any) -> Results:
        boxes = [(d.rect.left(), d.rect.top(), d.rect.right(), d.rect.bottom()) for d in found]
        return np.array(boxes, np.float64), np.array([d.confidence for d in found])

    return [Side("dlib", lambda: network(pixels, 0), read)]


def face_folder(paths: list[Path], threads: int) -> list[Side]:
    from PIL import Image

    find, encode = detector(), encoder()
    place = model("shape_predictor", "shape_predictor_5_face_landmarks.dat")

    def call() -> list[Any]:
        encodings: list[Any] = []
        for path in paths:
            with Image.open(path) as picture:
                pixels = np.array(picture.convert("RGB"))
            shapes = [place(pixels, detection.rect) for detection in find(pixels, 0)]
            encodings += [encode.compute_face_descriptor(pixels, shape, 1) for shape in shapes]
        return encodings

    return [Side("dlib", call, lambda found: (np.array(found),))]
