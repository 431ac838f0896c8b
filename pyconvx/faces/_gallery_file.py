"""The SQLite file under a gallery: made with mode 0600, checked before it is believed, changed in transactions.

Write-ahead logging lets readers go on beside one writer; every commit is on the disk before it is confirmed. What is
deleted is overwritten (`secure_delete`), and `erase` leaves no copy of it in the file or in its log. Where nothing may
be written, the file is read without a log.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyconvx.errors import GalleryError
from pyconvx.faces import _gallery_access as access

if TYPE_CHECKING:
    import sqlite3

APPLICATION = 0x70636778  # "pcgx", in the header of the file
VERSION = 1
SCHEMA = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, person TEXT NOT NULL, "
    "sha256 TEXT NOT NULL, problem TEXT NOT NULL)",
    # Numbers of encodings are never used again, so that a reader who knows the first n need only read the rest.
    "CREATE TABLE encodings (id INTEGER PRIMARY KEY AUTOINCREMENT, person INTEGER NOT NULL REFERENCES people (id), "
    "file INTEGER REFERENCES files (id), picture TEXT NOT NULL, vector BLOB NOT NULL)",
    "CREATE INDEX files_person ON files (person)",
    "CREATE INDEX encodings_person ON encodings (person)",
    "CREATE INDEX encodings_file ON encodings (file)",
)
_SHORT_WAIT = 0.2  # seconds
_SETTINGS = (
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA foreign_keys = ON",
    "PRAGMA secure_delete = ON",
    "PRAGMA temp_store = MEMORY",  # VACUUM would else write a copy of all encodings elsewhere
    "PRAGMA synchronous = FULL",
)
# Connections that came through a fork. Closing one would drop the locks that the parent holds.
_inherited: list[Any] = []


class GalleryFile:
    """A connection of this process, used by one thread at a time."""

    def __init__(self, path: str | os.PathLike[str], *, create: bool, timeout: float) -> None:
        if not os.fspath(path):
            raise GalleryError("gallery: got an empty name; wanted the path of a file")
        self.path = Path(os.path.abspath(path))  # noqa: PTH100  links stay links; the folder may change
        self._timeout = timeout
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._closed = False
        self._create = create
        self.replaced = 0
        """How often the file was opened anew because somebody had written to what is read without a log."""
        access.make(self.path, create)
        self._connection, self._alone = self._opened()
        if self._alone is not None:
            return
        with suppress(GalleryError):  # whoever removed something was stopped before its last trace was gone
            self.erase_if_due()

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """One moment of the gallery, whatever a writer does meanwhile."""
        with self._transaction("BEGIN") as connection:
            try:
                yield connection
            except Exception:
                self._check_alone(self._alone)
                raise
            self._check_alone(self._alone)

    @contextmanager
    def write(self, *, rewrites: bool = False) -> Iterator[sqlite3.Connection]:
        """All changes of the block or none; `rewrites` says that they are not only additions: `erase` is due then."""
        with self._transaction("BEGIN IMMEDIATE") as connection:
            yield connection
            for name in ("revision", "rewrites") if rewrites else ("revision",):
                self.count(connection, name)

    def count(self, connection: sqlite3.Connection, name: str) -> None:
        """Note a change of the gallery ("revision"), or one that is not an addition ("rewrites")."""
        connection.execute("UPDATE facts SET value = CAST(value AS INTEGER) + 1 WHERE name = ?", (name,))

    def erase(self) -> None:
        """Leave nothing in the file or its log of what has been deleted.

        Raises
        ------
        GalleryError
            If somebody reads older content for so long that the log cannot be emptied.
        """
        with self._lock, self._named():
            connection = self._mine()
            rewrites = self.counter(connection, "rewrites")
            connection.execute("VACUUM")
            emptied = self._empty_log(connection)
            if emptied:
                connection.execute("UPDATE facts SET value = ? WHERE name = 'erased'", (rewrites,))
        if not emptied:
            raise GalleryError(
                f"{self.path}: removed, but another process still reads older content, so that bytes of it remain in "
                "the log; call erase() when that process is done"
            )

    def erase_if_due(self) -> None:
        """Erase if something has been removed since that was done last."""
        with self.read() as connection:
            rewrites, erased = (self.counter(connection, name) for name in ("rewrites", "erased"))
        if rewrites != erased:
            self.erase()

    def counter(self, connection: sqlite3.Connection, name: str) -> str:
        """How often the gallery was changed ("revision"), or other than by additions ("rewrites")."""
        row = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise GalleryError(f"{self.path}: damaged: it does not know how often it was changed")
        return str(row[0])

    def check(self) -> None:
        """Read every page of the file; raises GalleryError if it is damaged."""
        with self.read() as connection:
            problem = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            orphans = connection.execute("PRAGMA foreign_key_check").fetchone()
        if problem != "ok" or orphans:
            raise GalleryError(f"{self.path}: damaged: {problem if problem != 'ok' else 'rows refer to nothing'}")

    def close(self) -> None:
        """Give the file back; what is opened again then is a new object."""
        with self._lock:
            self._closed = True
            if self._process == os.getpid():
                self._connection.close()

    def _mine(self) -> sqlite3.Connection:
        """The connection; a new one in a forked child, which must not touch its parent's."""
        if self._closed:
            raise GalleryError(f"{self.path}: this gallery has been closed; open it again")
        if self._process != os.getpid():
            _inherited.append(self._connection)
            self._process = os.getpid()
            self._connection, self._alone = self._opened()
        elif self._alone is not None and self._alone != access.state(self.path):
            connection, self._alone = self._opened()
            self._connection.close()
            self._connection = connection
            self.replaced += 1
        return self._connection

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[sqlite3.Connection]:
        with self._lock, self._named():
            connection = self._mine()
            try:  # Ctrl-C while a writer is waited for comes when the lock has been got: it must not stay
                if begin == "BEGIN":
                    connection.execute(begin)
                else:
                    self._wait_to(begin, connection)
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _wait_to(self, begin: str, connection: sqlite3.Connection) -> None:
        """Begin to write, after other writers."""
        import sqlite3

        deadline = time.monotonic() + self._timeout
        with self._short_waits(connection):
            while True:
                try:
                    connection.execute(begin)
                    return
                except sqlite3.OperationalError as error:  # noqa: PERF203  that it is locked is what is waited out
                    if "locked" not in str(error) or time.monotonic() >= deadline:
                        raise

    def _empty_log(self, connection: sqlite3.Connection) -> bool:
        """Whether the log could be emptied, after those who read older content or empty it themselves.

        SQLite waits for the former alone.
        """
        deadline = time.monotonic() + self._timeout
        with self._short_waits(connection):
            while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() >= deadline:
                    return False
                time.sleep(0.01)
        return True

    @contextmanager
    def _short_waits(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Waits for locks that end soon, for SQLite's own do not hear Ctrl-C."""
        connection.execute(f"PRAGMA busy_timeout = {round(1000 * min(self._timeout, _SHORT_WAIT))}")
        try:
            yield
        finally:
            connection.execute(f"PRAGMA busy_timeout = {round(1000 * self._timeout)}")

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Turn SQLite's complaints into one error that names the file."""
        import sqlite3

        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter for damaged text, also in SQLite's complaints
            raise GalleryError(f"{self.path}: {_reason(error, self.path, self._timeout)}") from error

    def _opened(self) -> tuple[sqlite3.Connection, access.State | None]:
        """A connection; and, if it reads without a log, the state of the file for which that is right."""
        with self._named():
            connection, alone = access.connect(self.path, self._timeout)
            try:
                for setting in _SETTINGS:
                    connection.execute(setting)
                ours = _is_ours(connection, self.path)
                if alone is None:
                    self._log_ahead(connection)
                if not ours and not self._create:
                    raise GalleryError(f"{self.path}: there is no such gallery: the file is empty")
                if not ours:
                    self._begin(connection)
                self._check_alone(alone)
            except BaseException as error:
                connection.close()
                if isinstance(error, Exception):
                    self._check_alone(alone)
                raise
            return connection, alone

    def _check_alone(self, state: access.State | None) -> None:
        """Refuse what was read without locks if somebody has written meanwhile."""
        if state is not None and state != access.state(self.path):
            raise GalleryError(f"{self.path}: another process wrote to it while it was read; try again")

    def _log_ahead(self, connection: sqlite3.Connection) -> None:
        """See to it that changes go to a log first."""
        import sqlite3

        if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            return
        deadline = time.monotonic() + self._timeout
        while True:  # this change does not wait for a lock by itself
            try:
                (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
                break
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
        if mode != "wal":
            raise GalleryError(f"{self.path}: this file system cannot share a log; put the gallery on a local disk")

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Write the schema into an empty file; if another process does so first, that is as good."""
        connection.execute("BEGIN IMMEDIATE")
        if not _is_ours(connection, self.path):
            for statement in SCHEMA:
                connection.execute(statement)
            # "erased": up to which rewrite nothing is left of what was removed
            connection.execute("INSERT INTO facts VALUES ('revision', '0'), ('rewrites', '0'), ('erased', '0')")
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")


def _is_ours(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file is a gallery of this version; False if it is empty."""
    found = connection.execute("SELECT sql FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'").fetchall()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application == APPLICATION and version > VERSION:
        raise GalleryError(
            f"{path}: written by a newer pyconvx (version {version} of the format; {VERSION} is known here): install it"
        )
    if not found and application in (0, APPLICATION) and version == 0:
        return False
    # Triggers and views of a stranger's making would run inside our statements.
    if application != APPLICATION or version != VERSION or {sql for (sql,) in found} != set(SCHEMA):
        raise GalleryError(f"{path}: a SQLite file, but not a gallery of pyconvx; nothing was changed")
    return True


def _reason(error: Exception, path: Path, timeout: float) -> str:
    text = str(error)
    if "locked" in text:
        return f"another process has been writing for more than {timeout:g} seconds; try again"
    if "readonly" in text or "unable to open" in text:
        return access.obstacle(path) or f"{text}; if permissions have changed, open the gallery anew"
    signs = ("not a database", "malformed", "encrypted", "decode")
    if isinstance(error, UnicodeDecodeError) or any(sign in text for sign in signs):
        return f"not a gallery, or damaged ({text}); restore it from a backup or an export"
    return text
