"""Whom a gallery knows in a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from pyconvx.errors import GalleryError, OptionError
from pyconvx.faces import _gallery_records as records
from pyconvx.faces.face import Face
from pyconvx.faces.gallery_enrolment import only_jitter
from pyconvx.faces.identification import Identification, decide, search, search_threshold
from pyconvx.faces.selection import Policy
from pyconvx.metrics import Calibration

if TYPE_CHECKING:
    from pyconvx.faces.gallery import Gallery


def identify(
    gallery: Gallery,
    picture: Any = None,
    *,
    encodings: ArrayLike | None = None,
    k: int = 1,
    threshold: float | Calibration | None = None,
    policy: Policy = "all",
    **options: Any,
) -> list[Identification]:
    """Say who the people in a picture are, or that they are not recognised.

    The search is exact. A stranger may be taken for somebody: the more people there are, the more often. There is no
    liveness detection: a photograph of somebody held before a camera is recognised as that person.

    Parameters
    ----------
    gallery : Gallery
    picture : picture, Face or list of Face, optional
        Whatever `image.load` takes, or faces with encodings.
    encodings : array, (128,) or (n, 128), optional
        In place of a picture.
    k : int
        How many people to name as candidates.
    threshold : float or Calibration, optional
        The largest distance of somebody who is recognised. Default: that of the gallery's calibration, which was made
        for the size that the gallery had then; without one `search_threshold` of the number of encodings. That knows
        nothing of averages over crops: a gallery with `jitter` needs a calibration or a threshold.
    policy : {"all", "error", "largest", "center", "best"}
        Which faces of a picture are meant.
    **options
        `min_face_size`, `upsample` and the like, as for `faces.encode`; pictures are encoded with the `jitter` of the
        gallery. With faces or encodings `jitter` alone: over how many crops they were averaged, to be checked.

    Returns
    -------
    list of Identification
        One for each face or encoding; empty for a picture without faces.

    Raises
    ------
    ImageError, NoFaceError, MultipleFacesError
        They name the picture.
    GalleryError
        If the gallery holds encodings of another model or another `jitter`, or is damaged.
    OptionError, ShapeError, DTypeError
        If an argument will not do.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from pyconvx import faces
    >>> people = np.eye(2, 128, dtype=np.float32)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with faces.Gallery(pathlib.Path(folder, "crew.gallery"), encoder="mine") as gallery:
    ...         for name, encoding in zip(["Ann", "Bob"], people):
    ...             _ = gallery.enrol(name, encodings=encoding)
    ...         near, far = gallery.identify(encodings=[0.8 * people[1], 9 * people[1]], k=2, threshold=0.5)
    >>> near.name, round(near.distance, 2), [candidate.name for candidate in near.candidates]
    ('Bob', 0.2, ['Bob', 'Ann'])
    >>> far.name is None
    True
    """
    if (picture is None) == (encodings is None):
        raise OptionError("give either a picture or encodings")
    faces: Sequence[Face | None]
    gallery._crops(options)
    if encodings is not None:
        only_jitter("encodings", options)
        wanted = records.checked_encodings(encodings)
        faces = [None] * len(wanted)
    else:
        faces = _faces(gallery, picture, policy, options)
        wanted = _encodings(faces)
    _check_model(gallery)
    rows = gallery._rows.now()
    limit = _limit(gallery, threshold, len(rows.encodings))
    found = search(rows, wanted, k)
    return [decide(candidates, limit, face) for candidates, face in zip(found, faces, strict=True)]


def _faces(gallery: Gallery, picture: Any, policy: Policy, options: dict[str, Any]) -> Sequence[Face]:
    known = [picture] if isinstance(picture, Face) else picture
    if isinstance(known, (list, tuple)) and all(isinstance(face, Face) for face in known):
        only_jitter("faces", options)
        return known
    (outcome,) = gallery._stream([picture], policy, options)
    if outcome.error is not None:
        raise outcome.error
    return outcome.faces


def _encodings(faces: Sequence[Face | None]) -> records.Vectors:
    rows = [face.encoding for face in faces if face is not None and face.encoding is not None]
    if len(rows) != len(faces):
        raise OptionError("a face has no encoding: it comes from `detect`; pass one from `encode`, or the picture")
    return records.checked_encodings(np.stack(rows)) if rows else np.empty((0, records.DEPTH), np.float32)


def _check_model(gallery: Gallery) -> None:
    known, own = gallery.encoder, gallery._identity()
    if known is not None and known != own:
        raise GalleryError(
            f"{gallery.path}: holds encodings of {known}, these are of {own}: they cannot be compared; open it "
            "with the models it was made with, or enrol the pictures anew"
        )


def _limit(gallery: Gallery, threshold: float | Calibration | None, entries: int) -> float:
    """The largest distance of somebody who is recognised."""
    if threshold is None:
        threshold = gallery.calibration
    if threshold is None:
        if gallery._encoder is not None:
            raise OptionError(f"threshold: none is known for encodings of {gallery._encoder}; give one, or calibrate")
        if gallery.jitter:
            raise OptionError(
                f"threshold: none is known for averages of {gallery.jitter} crops; give one, or calibrate"
            )
        return search_threshold(entries)
    limit = threshold.threshold if isinstance(threshold, Calibration) else threshold
    if isinstance(limit, bool) or not isinstance(limit, (int, float, np.number)) or not limit >= 0:
        raise OptionError(f"threshold is {threshold!r}; wanted a distance from 0, or a calibration")
    return float(limit)
