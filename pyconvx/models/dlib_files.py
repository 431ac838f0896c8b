"""A user's own dlib model: the original .dat files of the three face models."""

from __future__ import annotations

import hashlib
import os

from pyconvx.errors import WeightsError
from pyconvx.models._dlib_stream import Stream
from pyconvx.models._foreign import open_regular, refuse_foreign
from pyconvx.models.card import Card
from pyconvx.models.catalogue import CARDS
from pyconvx.models.detector import FaceDetector, make_detector
from pyconvx.models.encoder import FaceEncoder, make_encoder
from pyconvx.models.predictor import LandmarkPredictor, make_predictor

_MOST_BYTES = 64 << 20  # three times the largest of the three; the rest is not even read
_HEAD = 64  # bytes that tell which model a file holds


def load_dlib(path: str | os.PathLike[str]) -> FaceEncoder | FaceDetector | LandmarkPredictor:
    """Return the model in one of dlib's files, with its float32 weights.

    Parameters
    ----------
    path : str or path-like
        dlib_face_recognition_resnet_model_v1.dat, mmod_human_face_detector.dat or
        shape_predictor_5_face_landmarks.dat, or a file with such a network of your own.

    Returns
    -------
    FaceEncoder, FaceDetector or LandmarkPredictor
        As the file says.

    Raises
    ------
    WeightsError
        If the file is damaged, or holds another model; nothing in it is executed, and no size in it is believed.
        The 68-point predictor is refused, as its training data exclude commercial use.
    OSError
        If it cannot be read.
    """
    from pyconvx.models._dlib_landmarks import read_landmarks
    from pyconvx.models._dlib_networks import read_detector, read_encoder

    source = os.fspath(path)
    kind, data = _read(path)
    stream = Stream(data, source)
    card = Card(
        name=kind,
        summary=f"{kind} with weights from {source}",
        licence="that of the file",
        sources=(source,),
        notes=(),
        preprocessing=CARDS[kind].preprocessing,
    )
    if kind == "landmarks":
        return make_predictor(read_landmarks(stream), card)
    if kind == "face_detector":
        return make_detector(read_detector(stream), card)
    return make_encoder(read_encoder(stream), card, hashlib.sha256(data).hexdigest())


def _read(path: str | os.PathLike[str]) -> tuple[str, bytes]:
    """What a file holds, by its first bytes, and all of its bytes: only of a file that may be one of the three."""
    source = os.fspath(path)
    with open_regular(path) as stream:
        head = stream.read(_HEAD)
        refuse_foreign(head, source)
        kind = _kind(Stream(head, source))
        size = os.fstat(stream.fileno()).st_size
        if size > _MOST_BYTES:
            raise WeightsError(
                f"{source}: has {size} bytes; none of dlib's face models has more than {_MOST_BYTES}. Give one of the "
                "three files that load_dlib names"
            )
        stream.seek(0)
        return kind, stream.read(_MOST_BYTES)


def _kind(head: Stream) -> str:
    """The name of the function that makes this model."""
    from pyconvx.models._dlib_landmarks import read_sizes
    from pyconvx.models._dlib_networks import DETECTOR_LOSS, ENCODER_LOSS

    head.expect("the version of the file", 1)
    start = head.at
    if head.integer() < 0:  # a matrix stores its sizes so
        head.at = start
        read_sizes(head)
        return "landmarks"
    head.at = start
    loss = head.text()
    if loss not in (ENCODER_LOSS, DETECTOR_LOSS):
        raise head.fail(f"holds a network with the loss {loss!r}, wanted {ENCODER_LOSS} or {DETECTOR_LOSS}")
    return "face_encoder" if loss == ENCODER_LOSS else "face_detector"
