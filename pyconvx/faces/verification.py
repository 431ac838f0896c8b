"""Are two faces one person: d(a, b) <= threshold.

Verification is 1:1. The rate of false accepts is that of two strangers; among K persons the best match of a stranger is
accepted about K times as often, which is what calibration for a gallery accounts for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import DTypeError, OptionError, ShapeError
from pyconvx.faces._false_accepts import false_accept_rate
from pyconvx.faces._models import FaceModels
from pyconvx.faces.encoding import encode
from pyconvx.faces.face import Face
from pyconvx.faces.selection import Policy

THRESHOLD = 0.6
"""Where the encoder was trained to part one person from two."""


@runtime_checkable
class _Calibrated(Protocol):
    threshold: float
    pair_far: float


@dataclass(frozen=True)
class Verification:
    """The answer of `verify`; true in a condition if it is one person.

    Parameters
    ----------
    same : bool
        Whether distance <= threshold.
    distance : float
        Euclidean, between the two encodings.
    threshold : float
        What was asked.
    false_accept_rate : float
        How often two strangers are as near as the threshold: measured by your calibration if you gave one; else on
        78,000 pairs of 40 persons (ORL: grey, frontal, European men for the most part), where 0 means "in none of
        them" and not "never". Other people and other cameras have other rates: calibrate with pictures of your own.
        NaN with `jitter` and without a calibration: averages of crops are nearer to each other, strangers' too.
    """

    same: bool
    distance: float
    threshold: float
    false_accept_rate: float

    def __bool__(self) -> bool:
        return self.same


def verify(
    a: Any,
    b: Any,
    *,
    threshold: float | Any = THRESHOLD,
    min_face_size: int | None = None,
    upsample: int = 0,
    least_score: float = 0.0,
    policy: Policy = "error",
    jitter: int = 0,
    seed: int = 0,
    models: FaceModels | None = None,
) -> Verification:
    """Say whether two pictures show the same person.

    This compares faces; it does not see whether a face is alive, or a photograph of a photograph.

    Parameters
    ----------
    a, b : picture, Face or ndarray of shape (128,)
        Pictures of any kind, faces with encodings, or encodings.
    threshold : float or calibration
        The largest distance of "the same"; or what `metrics.calibrate` returns.
    min_face_size, upsample, least_score, jitter, seed, models
        As for `encode`.
    policy : {"error", "largest", "center", "best"}
        Which face of a picture is meant. By default a picture must have exactly one.

    Returns
    -------
    Verification
        Whether they are the same, the distance, the threshold, and the rate of false accepts it stands for.

    Raises
    ------
    NoFaceError, MultipleFacesError
        As the policy says; they name the picture.
    ImageError
        If a picture cannot be read.
    OptionError
        If an option has a wrong value.

    Examples
    --------
    >>> from pyconvx import faces, image
    >>> picture = image.load(image.packaged("astronaut"))
    >>> answer = faces.verify(picture, picture[:, ::-1])
    >>> answer.same, answer.distance < 0.3
    (True, True)
    """
    limit, rate = _limit(threshold, jitter)
    if policy == "all":
        raise OptionError(
            "policy: got 'all'; verification needs one face of each picture: error, largest, center, best"
        )

    def encoding_of(subject: Any) -> NDArray[np.float32]:
        if isinstance(subject, Face):
            return _of_face(subject)
        if isinstance(subject, np.ndarray) and subject.ndim == 1:
            return _checked(subject)
        found = encode(
            subject,
            min_face_size=min_face_size,
            upsample=upsample,
            least_score=least_score,
            policy=policy,
            jitter=jitter,
            seed=seed,
            models=models,
        )
        return _of_face(found[0])

    distance = float(np.linalg.norm(encoding_of(a).astype(np.float64) - encoding_of(b)))
    return Verification(distance <= limit, distance, limit, rate)


def _limit(threshold: float | Any, jitter: int) -> tuple[float, float]:
    """The largest distance, and the false-accept rate it stands for."""
    if isinstance(threshold, _Calibrated):
        return float(threshold.threshold), float(threshold.pair_far)
    if isinstance(threshold, bool) or not isinstance(threshold, (int, float, np.number)) or not threshold >= 0:
        raise OptionError(f"threshold: got {threshold!r}; wanted a distance, {THRESHOLD} by default, or a calibration")
    return float(threshold), math.nan if jitter > 1 else false_accept_rate(float(threshold))


def _of_face(face: Face) -> NDArray[np.float32]:
    if face.encoding is None:
        raise OptionError("the face has no encoding: it comes from `detect`; pass one from `encode`, or the picture")
    return face.encoding


def _checked(encoding: NDArray[Any]) -> NDArray[np.float32]:
    if encoding.shape != (128,):
        raise ShapeError(f"encoding: got shape {encoding.shape}; wanted (128,)")
    if encoding.dtype.kind != "f":
        raise DTypeError(f"encoding: got {encoding.dtype}; wanted floats")
    return np.asarray(encoding, np.float32)
