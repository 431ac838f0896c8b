"""A gallery in a file for other programs and other machines.

`.safetensors`, which `import_` reads: tensors `encodings` (n, 128) float32, `people` (n,) int64, places in `names`,
`names` and `pictures`, JSON lists of strings as UTF-8 bytes; metadata `format` "pyconvx.gallery 1", `encoder`,
`jitter` (over how many crops each encoding is averaged, "0" where it is missing) and `calibration`, JSON, if there is
one. `.csv`, for reading elsewhere: name, picture, and 128 columns. Nothing in either can run.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import GalleryError, OptionError, PyconvxError
from pyconvx.faces import _gallery_records as records
from pyconvx.faces.gallery_calibration import read_calibration
from pyconvx.nn import safetensors

if TYPE_CHECKING:
    from pyconvx.faces.gallery import Gallery

FORMAT = "pyconvx.gallery 1"


def export(gallery: Gallery, path: str | os.PathLike[str]) -> int:
    """Write all people and encodings to a file, readable for its owner only: it is as confidential as the gallery.

    Parameters
    ----------
    gallery : Gallery
    path : path
        `.safetensors`, which `import_` reads, or `.csv`; replaced if it exists.

    Returns
    -------
    int
        How many encodings were written.

    Raises
    ------
    OptionError
        If the extension is another.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from pyconvx import faces
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with faces.Gallery(pathlib.Path(folder, "crew.gallery"), encoder="mine") as gallery:
    ...         _ = gallery.enrol("Ann", encodings=np.eye(2, 128))
    ...         _ = gallery.export(pathlib.Path(folder, "crew.safetensors"))
    ...     with faces.Gallery(pathlib.Path(folder, "other.gallery"), encoder="mine") as gallery:
    ...         gallery.import_(pathlib.Path(folder, "crew.safetensors")), gallery.people
    (2, {'Ann': 2})
    """
    target = Path(path)
    kind = target.suffix.lower()
    if kind not in (".safetensors", ".csv"):
        raise OptionError(f"{target}: got the extension {kind!r}; wanted .safetensors or .csv")
    with gallery._file.read() as connection:
        rows = connection.execute(
            "SELECT people.name, picture, vector FROM encodings JOIN people ON people.id = person ORDER BY encodings.id"
        ).fetchall()
        facts = {name: records.fact(connection, name) for name in ("encoder", "jitter", "calibration")}
    encodings = records.vectors([row[2] for row in rows])
    owners, pictures = [row[0] for row in rows], [row[1] for row in rows]
    if kind == ".csv":
        data = _as_csv(owners, pictures, encodings)
    else:
        names = sorted(set(owners))
        places = {name: place for place, name in enumerate(names)}
        people = np.array([places[name] for name in owners], np.int64)
        tensors: dict[str, NDArray[Any]] = {
            "encodings": encodings,
            "people": people,
            "names": _packed(names),
            "pictures": _packed(pictures),
        }
        known = {name: value for name, value in facts.items() if value is not None}
        data = safetensors.save(tensors, metadata={"format": FORMAT, **known})
    _write_private(target, data)
    return len(rows)


def import_(gallery: Gallery, path: str | os.PathLike[str]) -> int:
    """Add what `export` wrote; people of the same name become one, and nothing that is there is replaced.

    A calibration is taken over where the gallery has none. Of a damaged or hostile file nothing is added.

    Parameters
    ----------
    gallery : Gallery
    path : path
        A `.safetensors` file of `export`.

    Returns
    -------
    int
        How many encodings were added.

    Raises
    ------
    GalleryError
        If the file is no export, is damaged, or holds encodings of another model or another `jitter`.
    OSError
        If it cannot be read.

    Examples
    --------
    See `export`.
    """
    source = os.fspath(path)
    try:
        metadata = safetensors.load_metadata(path)
        if metadata.get("format") != FORMAT or not metadata.get("encoder"):
            raise GalleryError("not the export of a gallery, or of an unknown version")
        jitter = metadata.get("jitter", "0")
        if not (jitter.isascii() and jitter.isdigit() and len(jitter) < 10):
            raise GalleryError(f"jitter is {jitter[:40]!r}; wanted a number of crops")
        tensors = safetensors.load_file(path)
        encodings, owners, pictures = _unpacked(tensors)
        calibration = metadata.get("calibration")
        if calibration is not None:
            read_calibration(calibration, "its")
    except PyconvxError as error:
        reason = str(error).removeprefix(f"{source}: ")  # errors of the file itself name it
        raise GalleryError(f"{source}: cannot be imported: {reason}") from error
    if gallery._encoder is not None and gallery._encoder != metadata["encoder"]:
        raise GalleryError(f"{source}: holds encodings of {metadata['encoder']}, not of {gallery._encoder}")
    with gallery._file.write() as connection:
        records.tie(connection, metadata["encoder"], int(jitter))
        numbers = {name: records.add_person(connection, name) for name in dict.fromkeys(owners)}
        connection.executemany(
            "INSERT INTO encodings (person, picture, vector) VALUES (?, ?, ?)",
            (
                (numbers[owner], picture, row.astype("<f4").tobytes())
                for owner, picture, row in zip(owners, pictures, encodings, strict=True)
            ),
        )
        if calibration is not None and records.fact(connection, "calibration") is None:
            records.note(connection, "calibration", calibration)
    return len(encodings)


def _packed(texts: list[str]) -> NDArray[np.uint8]:
    return np.frombuffer(json.dumps(texts, ensure_ascii=False).encode(), np.uint8)


def _unpacked(tensors: dict[str, NDArray[Any]]) -> tuple[records.Vectors, list[str], list[str]]:
    """Encodings, the owner's name and the picture of each; GalleryError unless all of it fits together."""
    if set(tensors) != {"encodings", "people", "names", "pictures"}:
        raise GalleryError("wanted the tensors encodings, people, names and pictures")
    people = tensors["people"]
    names, pictures = (_texts(tensors[name], name) for name in ("names", "pictures"))
    encodings = tensors["encodings"]
    if encodings.dtype != np.float32 or encodings.ndim != 2:
        raise GalleryError(f"encodings are {encodings.dtype} of shape {encodings.shape}; wanted float32 (n, 128)")
    rows = records.checked_encodings(encodings) if len(encodings) else np.empty((0, records.DEPTH), np.float32)
    if people.dtype != np.int64 or people.shape != (len(rows),) or len(pictures) != len(rows):
        raise GalleryError("encodings, people and pictures are not equally many")
    if len(people) and not (people.min() >= 0 and people.max() < len(names)):
        raise GalleryError("people has places beyond names")
    clean = [records.person_name(name) for name in names]
    return rows, [clean[place] for place in people], pictures


def _texts(packed: NDArray[Any], name: str) -> list[str]:
    if packed.dtype != np.uint8 or packed.ndim != 1:
        raise GalleryError(f"{name}: wanted a JSON list of strings as bytes")
    try:
        texts = json.loads(packed.tobytes().decode())
        well_formed = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
        if well_formed:
            "".join(texts).encode()  # JSON can spell half of a character
    except (ValueError, RecursionError) as error:
        raise GalleryError(f"{name}: {error}") from error
    if not well_formed:
        raise GalleryError(f"{name}: wanted a list of strings")
    return list(texts)


def _as_csv(owners: list[str], pictures: list[str], encodings: records.Vectors) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["name", "picture", *(f"e{place}" for place in range(records.DEPTH))])
    for owner, picture, row in zip(owners, pictures, encodings, strict=True):
        writer.writerow([owner, picture, *map(str, row)])  # the shortest text that reads back as the same float32
    return text.getvalue().encode()


def _write_private(target: Path, data: bytes) -> None:
    """Write a file whole or not at all, readable for its owner only from its first byte."""
    if not target.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "the folder of the export does not exist", str(target.parent))
    beside = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        with os.fdopen(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
