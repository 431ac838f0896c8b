"""The three networks of the pipeline: those of the package, loaded once when first needed, or the caller's own."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TypeVar

from pyconvx import models
from pyconvx.errors import WeightsError
from pyconvx.models import FaceDetector, FaceEncoder, LandmarkPredictor

_Model = TypeVar("_Model")


class FaceModels:
    """Detector, landmark predictor and encoder; what is not given is the package's own, loaded when first used.

    Parameters
    ----------
    detector : FaceDetector, optional
    predictor : LandmarkPredictor, optional
    encoder : FaceEncoder, optional
        As `pyconvx.models` has them.

    Examples
    --------
    >>> from pyconvx.faces import FaceModels
    >>> FaceModels().detector.window
    80
    """

    def __init__(
        self,
        detector: FaceDetector | None = None,
        predictor: LandmarkPredictor | None = None,
        encoder: FaceEncoder | None = None,
    ) -> None:
        self._lock = threading.Lock()  # of two threads that come first, one loads
        self._detector, self._predictor, self._encoder = detector, predictor, encoder

    @classmethod
    def from_dlib(cls, folder: str | os.PathLike[str]) -> FaceModels:
        """Return the models in dlib's original files, of which the folder holds all three.

        Raises
        ------
        WeightsError
            If one is damaged, or is another model.
        OSError
            If one cannot be read.
        """
        place = Path(folder)
        return cls(
            _loaded(place / "mmod_human_face_detector.dat", FaceDetector),
            _loaded(place / "shape_predictor_5_face_landmarks.dat", LandmarkPredictor),
            _loaded(place / "dlib_face_recognition_resnet_model_v1.dat", FaceEncoder),
        )

    @property
    def detector(self) -> FaceDetector:
        """From a picture to scores."""
        with self._lock:
            if self._detector is None:
                self._detector = models.face_detector()
            return self._detector

    @property
    def predictor(self) -> LandmarkPredictor:
        """From a box to five landmarks."""
        with self._lock:
            if self._predictor is None:
                self._predictor = models.landmarks()
            return self._predictor

    @property
    def encoder(self) -> FaceEncoder:
        """From a chip to an encoding."""
        with self._lock:
            if self._encoder is None:
                self._encoder = models.face_encoder()
            return self._encoder


def _loaded(path: Path, kind: type[_Model]) -> _Model:
    """What a file of dlib holds, if it is what its name says."""
    model = models.load_dlib(path)
    if not isinstance(model, kind):
        raise WeightsError(
            f"{path}: holds a {type(model).__name__}, wanted a {kind.__name__}; put the file that dlib calls so there"
        )
    return model


PACKAGED = FaceModels()
"""What every function uses unless it is given other models."""
