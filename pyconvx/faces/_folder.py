"""A folder of people: which picture is of whom.

`folder/Ann/*.jpg` and below are of Ann, and `folder/Bob.jpg` is of Bob. Names that begin with a dot are not looked at,
nor are files without an extension of pictures.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pyconvx.errors import OptionError
from pyconvx.faces._gallery_records import person_name
from pyconvx.image import EXTENSIONS


class PersonPicture(NamedTuple):
    """A picture below a folder, with / between the parts of its path, and the person it is of."""

    path: str
    person: str


def scan(folder: str | os.PathLike[str]) -> tuple[list[PersonPicture], list[str]]:
    """The pictures of a folder of people in the order of their paths, and lines about what cannot be used."""
    root = check_folder(folder)
    found: list[PersonPicture] = []
    problems: list[str] = []
    for path in sorted(pictures_below(root, problems)):
        first, *rest = path.split("/")
        try:
            path.encode()
            found.append(PersonPicture(path, person_name(first if rest else Path(first).stem)))
        except UnicodeEncodeError:
            problems.append(f"{printable(str(root / path))}: its name is not Unicode")
        except OptionError as error:
            problems.append(f"{root / path}: cannot be a person's {error}")
    return found, problems


def check_folder(folder: str | os.PathLike[str]) -> Path:
    """The folder, if it is one; no name at all, as of a variable that is not set, does not mean the current one."""
    if not os.fspath(folder) or not Path(folder).is_dir():
        said = os.fspath(folder) or "folder"
        what = "not a folder" if os.fspath(folder) else "got an empty name"
        raise OptionError(f"{said}: {what}; wanted one with a sub-folder of pictures for each person")
    return Path(folder)


def pictures_below(root: Path, problems: list[str]) -> Iterator[str]:
    """Paths of pictures, relative to `root`, with / between parts; folders that cannot be read become problems."""

    def tell(error: OSError) -> None:
        problems.append(f"{printable(str(error.filename))}: cannot be read: {error.strerror}")

    for place, folders, files in os.walk(root, onerror=tell):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS:
                yield Path(place, name).relative_to(root).as_posix()


def printable(text: str) -> str:
    """A path as text that any stream can write."""
    return text.encode("utf-8", "backslashreplace").decode()


def digest(path: Path) -> str:
    """SHA-256 of a file's content; raises OSError, also of a pipe or a device, which would stall or never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    sha = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()
