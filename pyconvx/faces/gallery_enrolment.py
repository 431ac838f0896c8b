"""Adding people to a gallery, from pictures or from encodings."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from pyconvx.errors import OptionError, ShapeError
from pyconvx.faces import _gallery_records as records
from pyconvx.faces.selection import Policy

if TYPE_CHECKING:
    from pyconvx.faces.gallery import Gallery


def enrol(
    gallery: Gallery,
    name: str,
    pictures: Any = None,
    *,
    encodings: ArrayLike | None = None,
    origins: Sequence[str] | None = None,
    policy: Policy = "error",
    **options: Any,
) -> int:
    """Add pictures or encodings of one person: all of them or, on an error, none.

    Parameters
    ----------
    gallery : Gallery
    name : str
        New or known; several pictures of a person make it easier to recognise.
    pictures : picture or list of pictures, optional
        Whatever `image.load` takes; each must show the face that `policy` chooses.
    encodings : array, (128,) or (n, 128), optional
        In place of pictures: as `faces.encode` makes them.
    origins : sequence of str, optional
        With encodings: what each was made from, for `Gallery.pictures`.
    policy : {"error", "largest", "center", "best"}
        Which face of a picture is meant. By default a picture must have exactly one.
    **options
        `min_face_size`, `upsample`, `jitter` and the like, as for `faces.encode`; of `jitter` the default is that of
        the gallery (`Gallery.jitter`), and the first that is enrolled decides. With encodings `jitter` alone: over how
        many crops they were averaged.

    Returns
    -------
    int
        How many encodings the person has now.

    Raises
    ------
    ImageError, NoFaceError, MultipleFacesError
        They name the picture.
    GalleryError
        If the gallery holds encodings of another model or another `jitter`, or another process writes for too long.
    OptionError, ShapeError, DTypeError
        If an argument will not do.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from pyconvx import faces
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with faces.Gallery(pathlib.Path(folder, "crew.gallery"), encoder="mine") as gallery:
    ...         gallery.enrol("Ann", encodings=np.zeros((3, 128), np.float32)), gallery.people
    (3, {'Ann': 3})
    """
    known_as = records.person_name(name)
    if (pictures is None) == (encodings is None):
        raise OptionError("give either pictures or encodings")
    jitter = gallery._crops(options)
    if encodings is not None:
        only_jitter("encodings", options)
        rows = records.checked_encodings(encodings)
        noted = [""] * len(rows) if origins is None else [picture_name(origin) for origin in origins]
        if len(noted) != len(rows):
            raise ShapeError(f"origins: got {len(noted)} for {len(rows)} encodings; wanted one for each")
    else:
        rows, noted = _from_pictures(gallery, pictures, policy, options)
    identity = gallery._identity()
    with gallery._file.write() as connection:
        records.tie(connection, identity, jitter)
        person = records.add_person(connection, known_as)
        records.add_encodings(connection, person, rows, noted)
        counted = connection.execute("SELECT count(*) FROM encodings WHERE person = ?", (person,))
        return int(counted.fetchone()[0])


def only_jitter(what: str, options: Mapping[str, Any]) -> None:
    """Refuse options of a search where nothing is searched."""
    others = sorted(set(options) - {"jitter"})
    if others:
        raise OptionError(f"{', '.join(others)}: say how to look for faces in pictures; leave them out with {what}")


def one_face(policy: Policy) -> Policy:
    """The policy, which must choose one face of a picture."""
    if policy == "all":
        raise OptionError("policy: got 'all'; a picture of a person needs one face: error, largest, center or best")
    return policy


def _from_pictures(
    gallery: Gallery, pictures: Any, policy: Policy, options: dict[str, Any]
) -> tuple[records.Vectors, list[str]]:
    given = list(pictures) if isinstance(pictures, (list, tuple)) else [pictures]
    if not given:
        raise ShapeError("pictures are empty; wanted at least one")
    rows, origins = [], []
    for outcome in gallery._stream(given, one_face(policy), options):
        if outcome.error is not None:
            raise outcome.error
        rows.append(outcome.faces[0].encoding)
        origins.append(picture_name(outcome.source))
    return records.checked_encodings(np.stack([row for row in rows if row is not None])), origins


def picture_name(source: Any) -> str:
    """What is noted of a picture's origin: its path, if it has one that Unicode can hold."""
    if not isinstance(source, (str, os.PathLike)):
        return ""
    return os.fsdecode(source).encode("utf-8", "replace").decode()
