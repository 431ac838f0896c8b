"""How a gallery's file is made, and how it can be opened: beside a log, or alone where nothing may be written.

Even a reader writes with write-ahead logging: the log and its index, if they are not there. Where it may not write, or
where files of its own would lie in the owner's way afterwards, the file is read alone, without locks ("immutable" in
SQLite's words). That is right while no log holds newer content and nobody writes, so that both are asked before and
after each reading.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pyconvx.errors import GalleryError

if TYPE_CHECKING:
    import sqlite3

State = tuple[int, ...]
_LEAST_BYTES = 512  # of a SQLite file
_LOGS = ("-wal", "-journal")  # the latter if somebody switched write-ahead logging off


def make(path: Path, create: bool) -> None:
    """Let there be a regular file; a new one is readable for its owner only from its first moment."""
    if create:
        _create(path)
    try:
        found = path.stat()
    except OSError as error:
        raise GalleryError(f"{path}: there is no such gallery: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode):
        raise GalleryError(f"{path}: not a regular file; a gallery is one SQLite file")
    if 0 < found.st_size < _LEAST_BYTES:  # some of these SQLite would take for empty, and write over
        raise GalleryError(f"{path}: not a gallery, or damaged: {found.st_size} bytes; nothing was changed")
    if create and not found.st_size and found.st_mode & 0o077:  # whoever made the empty file
        try:
            path.chmod(0o600)
        except OSError as error:
            raise GalleryError(f"{path}: is empty, and cannot be made private: {error.strerror}; remove it") from error


def _create(path: Path) -> None:
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        pass
    except FileNotFoundError:
        raise GalleryError(f"{path}: the folder {path.parent} does not exist; create it first") from None
    except OSError as error:
        if not os.access(path, os.F_OK):
            raise GalleryError(f"{path}: cannot be made in {path.parent}: {error.strerror}") from error


def connect(path: Path, timeout: float) -> tuple[sqlite3.Connection, State | None]:
    """A connection; and, of a file that is read alone, how it was before.

    Raises
    ------
    GalleryError
        If a log holds newer content that this process cannot get at.
    """
    import sqlite3

    if not _alone(path):
        return sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False), None
    before = state(path)
    if _log_bytes(path):
        raise GalleryError(f"{path}: {_log_in_the_way(path)}")
    address = f"{_real(path).as_uri()}?mode=ro&immutable=1"
    return sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False), before


def state(path: Path) -> State:
    """What is another whenever somebody has written; empty if the file has gone."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns, _log_bytes(path)


def obstacle(path: Path) -> str:
    """Why a file cannot be opened or changed, as far as permissions tell; else nothing."""
    if not _may(path, os.R_OK):
        return "this process may not read the file; change its permissions"
    if not _may(path, os.W_OK):
        return "this process may read the file, but not write to it; change its permissions, or copy the gallery"
    folder = _real(path).parent
    if not _may(folder, os.W_OK | os.X_OK):
        return (
            f"this process may not write to the folder {folder}, where a change needs a log; change its permissions, "
            "or copy the gallery"
        )
    return ""


def _alone(path: Path) -> bool:
    """Whether the log and its index are neither there nor may be made; a file that may not be read counts as others."""
    if not _may(path, os.R_OK) or (_may(path, os.W_OK) and _may(_real(path).parent, os.W_OK | os.X_OK)):
        return False
    return not all(_beside(path, end).exists() for end in ("-wal", "-shm"))


def _log_bytes(path: Path) -> int:
    """How much the logs beside a file hold."""
    total = 0
    for end in _LOGS:
        with suppress(OSError):  # it is not there, or no longer
            total += _beside(path, end).stat().st_size
    return total


def _log_in_the_way(path: Path) -> str:
    logs = [log for log in (_beside(path, end) for end in _LOGS) if log.exists()]
    names = " and ".join(log.name for log in logs)
    return (
        f"the log beside it ({names}, {_log_bytes(path)} bytes) holds changes that are not in the file yet, and this "
        "process may not write there, which reading them takes. Let somebody who may open the gallery once, or copy it "
        "together with its log to a folder of yours"
    )


def _beside(path: Path, end: str) -> Path:
    """A companion of the file itself, where the path is a link to it."""
    real = _real(path)
    return real.with_name(real.name + end)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _may(path: Path, what: int) -> bool:
    return os.access(path, what, effective_ids=os.access in os.supports_effective_ids)
