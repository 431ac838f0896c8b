"""All encodings of a gallery in memory, for searching; kept up to date with the file, whoever writes there."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import GalleryError
from pyconvx.faces._gallery_file import GalleryFile
from pyconvx.faces._gallery_records import DEPTH, Vectors, text, vectors

if TYPE_CHECKING:
    import sqlite3

_AT_ONCE = 1 << 15  # blobs that are decoded together: 16 MiB


@dataclass(frozen=True, eq=False)
class Rows:
    """Encodings at one moment, and whose they are.

    Parameters
    ----------
    encodings : float32 array, (n, 128)
    people : int array, (n,)
        The owner's place in `names`.
    names : list of str
        Of people in the order of their numbers.
    """

    encodings: Vectors
    people: NDArray[np.int32]
    names: list[str]


class RowsInMemory:
    """Reads the file when its revision has changed; additions alone are read without the rest."""

    def __init__(self, file: GalleryFile) -> None:
        self._file = file
        self._lock = threading.RLock()
        self.forget()

    def forget(self) -> None:
        """Drop what is held."""
        with self._lock:
            self._state: tuple[str, str, int] | None = None  # revision, rewrites, how often the file was replaced
            self._encodings = np.empty((0, DEPTH), np.float32)
            self._people = np.empty(0, np.int32)
            self._count = 0
            self._last = -1
            self._places: dict[int, int] = {}
            self._names: list[str] = []

    def now(self) -> Rows:
        """The encodings as they are in the file now."""
        with self._lock:
            try:
                with self._file.read() as connection:
                    self._follow(connection)
            except BaseException:  # the reading may have come half way, or have been of what changed under it
                self.forget()
                raise
            return Rows(self._encodings[: self._count], self._people[: self._count], self._names)

    def _follow(self, connection: sqlite3.Connection) -> None:
        """Read what is new since the last time; all, if something was not only added."""
        revision, rewrites = (self._file.counter(connection, name) for name in ("revision", "rewrites"))
        state = (revision, rewrites, self._file.replaced)
        if state == self._state:
            return
        if self._state is None or state[1:] != self._state[1:]:
            self.forget()
        self._read(connection)
        self._state = state

    def _read(self, connection: sqlite3.Connection) -> None:
        """Read what has been added."""
        self._names = list(self._names)  # an earlier Rows keeps its own
        last = next(reversed(self._places), -1)  # numbers rise
        for number, name in connection.execute("SELECT id, name FROM people WHERE id > ? ORDER BY id", (last,)):
            self._places[number] = len(self._names)
            self._names.append(text(name))
        added = connection.execute("SELECT count(*) FROM encodings WHERE id > ?", (self._last,)).fetchone()[0]
        self._reserve(self._count + added)
        cursor = connection.execute("SELECT id, person, vector FROM encodings WHERE id > ? ORDER BY id", (self._last,))
        while rows := cursor.fetchmany(_AT_ONCE):
            end = self._count + len(rows)
            self._encodings[self._count : end] = vectors([row[2] for row in rows])
            try:
                self._people[self._count : end] = [self._places[row[1]] for row in rows]
            except KeyError as error:
                raise GalleryError(f"{self._file.path}: damaged: an encoding belongs to nobody") from error
            self._count, self._last = end, rows[-1][0]

    def _reserve(self, count: int) -> None:
        """Make room, and for half as many more: additions copy nothing, and pages that are not used cost nothing."""
        if count <= len(self._encodings):
            return
        size = count + count // 2
        encodings, people = np.empty((size, DEPTH), np.float32), np.empty(size, np.int32)
        encodings[: self._count], people[: self._count] = self._encodings[: self._count], self._people[: self._count]
        self._encodings, self._people = encodings, people
