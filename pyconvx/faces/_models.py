"""The three networks of the pipeline: those of the package, loaded once when first needed, or the caller's own."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

from pyconvx import models
from pyconvx.errors import WeightsError
from pyconvx.models import FaceDetector, FaceEncoder, LandmarkPredictor

ModelPart = FaceDetector | LandmarkPredictor | FaceEncoder

_LOADERS = {"detector": models.face_detector, "predictor": models.landmarks, "encoder": models.face_encoder}


@dataclass(frozen=True, eq=False)
class FaceModels:
    """Detector, landmark predictor and encoder; what is not given is the package's own, loaded when first used.

    Parameters
    ----------
    given : FaceDetector, LandmarkPredictor or FaceEncoder
        In any order, as `pyconvx.models.load_dlib` returns them, say.

    Examples
    --------
    >>> from pyconvx.faces import FaceModels
    >>> FaceModels().detector.window
    80
    """

    _parts: dict[str, ModelPart] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __init__(self, *given: ModelPart) -> None:
        parts: dict[str, ModelPart] = {}
        kinds = {FaceDetector: "detector", LandmarkPredictor: "predictor", FaceEncoder: "encoder"}
        for part in given:
            if type(part) not in kinds:
                raise WeightsError(f"got a {type(part).__name__}; wanted a face detector, landmark predictor or encoder")
            if kinds[type(part)] in parts:
                raise WeightsError(f"got two models of the kind {type(part).__name__}; wanted one of each")
            parts[kinds[type(part)]] = part
        object.__setattr__(self, "_parts", parts)
        object.__setattr__(self, "_lock", threading.Lock())

    @classmethod
    def from_dlib(cls, folder: str | os.PathLike[str]) -> FaceModels:
        """Return the models in dlib's original files, of which the folder holds all three."""
        names = (
            "mmod_human_face_detector.dat",
            "shape_predictor_5_face_landmarks.dat",
            "dlib_face_recognition_resnet_model_v1.dat",
        )
        return cls(*(models.load_dlib(Path(folder) / name) for name in names))

    @property
    def detector(self) -> FaceDetector:
        """From a picture to scores."""
        part = self._part("detector")
        assert isinstance(part, FaceDetector)
        return part

    @property
    def predictor(self) -> LandmarkPredictor:
        """From a box to five landmarks."""
        part = self._part("predictor")
        assert isinstance(part, LandmarkPredictor)
        return part

    @property
    def encoder(self) -> FaceEncoder:
        """From a chip to an encoding."""
        part = self._part("encoder")
        assert isinstance(part, FaceEncoder)
        return part

    def _part(self, name: str) -> ModelPart:
        with self._lock:  # two threads that come first must not load twice
            if name not in self._parts:
                self._parts[name] = _LOADERS[name]()
            return self._parts[name]


PACKAGED = FaceModels()
"""What every function uses unless it is given other models."""
