"""People, encodings and synchronised files in the tables of a gallery; each function works inside a transaction."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import DTypeError, GalleryError, OptionError, ShapeError

if TYPE_CHECKING:
    import sqlite3

DEPTH = 128
LONGEST_NAME = 200
Vectors = NDArray[np.float32]
_STORED = np.dtype("<f4")
_TURNING = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))  # embeddings, overrides, isolates


def person_name(name: Any) -> str:
    """A name as it is stored: composed Unicode, without spaces around it."""
    if not isinstance(name, str):
        raise OptionError(f"name: got {type(name).__name__}; wanted the person's name as a string")
    clean = unicodedata.normalize("NFC", name).strip()
    if len(clean) > LONGEST_NAME or not any(map(str.isprintable, clean)) or any(map(_controls, clean)):
        raise OptionError(
            f"name: got {name[:40]!r}; wanted 1 to {LONGEST_NAME} characters, some to be seen and none that controls "
            "lines or the direction of writing"
        )
    return clean


def _controls(character: str) -> bool:
    """Whether it does something to a line of text rather than being part of it; what joins letters is part of it."""
    return unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") or character in _TURNING


def checked_encodings(encodings: Any) -> Vectors:
    """Encodings as finite float32 rows; one may come as (128,)."""
    rows = np.asarray(encodings)
    if rows.dtype.kind != "f":
        raise DTypeError(f"encodings are {rows.dtype}; wanted floats")
    if rows.ndim == 1:
        rows = rows[np.newaxis]
    if rows.ndim != 2 or rows.shape[1] != DEPTH:
        raise ShapeError(f"encodings have shape {np.shape(encodings)}; wanted ({DEPTH},) or (n, {DEPTH})")
    with np.errstate(over="ignore"):  # what is too large for float32 becomes infinity, and is refused
        rows = np.ascontiguousarray(rows, np.float32)
    if not np.isfinite(rows).all():
        raise OptionError("encodings: one holds NaN or infinity, which is near to nothing")
    return rows


def add_person(connection: sqlite3.Connection, name: str) -> int:
    """The number of a person, who is new or known."""
    connection.execute("INSERT INTO people (name) VALUES (?) ON CONFLICT DO NOTHING", (name,))
    return find_person(connection, name)


def find_person(connection: sqlite3.Connection, name: str) -> int:
    """The number of a person; GalleryError if nobody has that name."""
    row = connection.execute("SELECT id FROM people WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise GalleryError(f"{name!r} is not in the gallery")
    return int(row[0])


def add_encodings(
    connection: sqlite3.Connection, person: int, rows: Vectors, pictures: Sequence[str], file: int | None = None
) -> None:
    """Store encodings with what each was made from."""
    connection.executemany(
        "INSERT INTO encodings (person, file, picture, vector) VALUES (?, ?, ?, ?)",
        (
            (person, file, picture, row.astype(_STORED, copy=False).tobytes())
            for row, picture in zip(rows, pictures, strict=True)
        ),
    )


def vectors(blobs: Sequence[bytes]) -> Vectors:
    """Stored encodings as an array; GalleryError if one is damaged."""
    if any(type(blob) is not bytes or len(blob) != DEPTH * _STORED.itemsize for blob in blobs):
        raise GalleryError("an encoding in the gallery has the wrong size; the file is damaged")
    rows = np.frombuffer(b"".join(blobs), _STORED).reshape(-1, DEPTH).astype(np.float32)
    if not np.isfinite(rows).all():
        raise GalleryError("an encoding in the gallery is not finite; the file is damaged")
    return rows


def text(value: Any) -> str:
    """A stored name; GalleryError if it is none, for a column may hold anything."""
    if type(value) is not str:
        raise GalleryError(f"a name in the gallery is {value!r:.40}; the file is damaged")
    return value


def remove_empty_people(connection: sqlite3.Connection) -> None:
    """Forget people who have no encoding left."""
    connection.execute("DELETE FROM people WHERE NOT EXISTS (SELECT 1 FROM encodings WHERE person = people.id)")


def fact(connection: sqlite3.Connection, name: str) -> str | None:
    """What is noted under a name."""
    row = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def note(connection: sqlite3.Connection, name: str, value: str) -> None:
    """Note a value under a name."""
    connection.execute(
        "INSERT INTO facts VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", (name, value)
    )


def crops(connection: sqlite3.Connection) -> int | None:
    """Over how many crops each encoding is averaged, 0 for none; None while the gallery is tied to nothing."""
    noted = fact(connection, "jitter")
    if noted is None:
        return None if fact(connection, "encoder") is None else 0
    if not (noted.isascii() and noted.isdigit() and len(noted) < 10):
        raise GalleryError(f"the gallery's number of crops is {noted[:40]!r}; the file is damaged")
    return int(noted)


def check_crops(known: int | None, jitter: int) -> None:
    """Refuse encodings over another number of crops than those in the gallery."""
    if known is not None and known != jitter:
        raise GalleryError(
            f"the gallery holds {_crops_in_words(known)}, these are {_crops_in_words(jitter)}: averages lie nearer to "
            f"each other, so that the two cannot be compared. Leave jitter out, or pass jitter={known}"
        )


def _crops_in_words(jitter: int) -> str:
    return f"averages over {jitter} crops (jitter)" if jitter else "encodings without jitter"


def tie(connection: sqlite3.Connection, encoder: str, jitter: int) -> None:
    """Tie the gallery to the model and the way that made its encodings; GalleryError if it is tied to others."""
    check_crops(crops(connection), jitter)
    note(connection, "jitter", str(jitter))
    known = fact(connection, "encoder")
    if known is None:
        note(connection, "encoder", encoder)
    elif known != encoder:
        raise GalleryError(
            f"the gallery holds encodings of {known}, these are of {encoder}: they cannot be compared. Open another "
            "gallery for them, or encode the pictures anew"
        )
