"""Pictures as the command line names them: files, folders and patterns; and where their copies go."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pyconvx.errors import ImageError, OptionError

WRITABLE = {".png", ".jpg", ".jpeg", ".webp"}


class Source(NamedTuple):
    """A picture, and its path below the folder that was named (its file name, if the file was); or a folder in there
    that cannot be read, with a line about why."""

    path: str
    below: str
    problem: str = ""


def expand(arguments: Iterable[str]) -> list[Source]:
    """All pictures that the arguments name, each once, those of a folder in the order of their paths.

    Raises
    ------
    ImageError
        If an argument names nothing, or a folder without pictures.
    OptionError
        If an argument is empty, as of a variable that is not set: it does not mean the current folder.
    """
    found: dict[str, Source] = {}
    for argument in arguments:
        if not argument:
            raise OptionError("PICTURE: got an empty name; wanted a file, a folder (. is this one) or a pattern")
        some = list(_expanded(argument))
        if not some:
            what = "no pictures in this folder" if Path(argument).is_dir() else "matches no file"
            raise ImageError(f"{argument}: {what}")
        for source in some:
            found.setdefault(os.path.realpath(source.path), source)
    return list(found.values())


def _expanded(argument: str) -> Iterator[Source]:
    from pyconvx.faces._folder import pictures_below

    if Path(argument).is_dir():
        unreadable: list[str] = []
        for below in sorted(pictures_below(Path(argument), unreadable)):
            yield Source(str(Path(argument, below)), below)
        for problem in unreadable:  # a problem like a picture's: the others are worked on
            yield Source(problem.rpartition(": cannot be read: ")[0], "", problem)
    elif not Path(argument).exists() and glob.has_magic(argument):  # a shell that expands nothing, or quotes
        for match in sorted(glob.glob(argument, recursive=True)):  # noqa: PTH207  any pattern, absolute ones too
            yield from _expanded(match)
    else:
        yield Source(argument, Path(argument).name)  # what is not there is told of when its turn comes


class Copies:
    """Where copies or parts of pictures go: the same tree below a folder, in a format that is written."""

    def __init__(self, folder: str | os.PathLike[str], sources: Sequence[Source], *, parts: bool = False) -> None:
        self._folder = Path(folder)
        if self._folder.exists() and not self._folder.is_dir():
            raise OptionError(f"{self._folder}: is a file; wanted a folder for the pictures")
        self._originals = {os.path.realpath(source.path) for source in sources}
        self._taken: set[Path] = set()
        for source in () if parts else sources:
            self._check(self._folder / source.below)

    def path(self, source: Source, note: str = "") -> Path:
        """A path that neither this run has used nor a source has; its folder is made."""
        wanted = self._folder / source.below
        suffix = wanted.suffix if not note and wanted.suffix.lower() in WRITABLE else ".png"
        stem, number = f"{wanted.stem}{note}", 1
        target = wanted.with_name(f"{stem}{suffix}")
        while target in self._taken:
            number += 1
            target = wanted.with_name(f"{stem}-{number}{suffix}")
        self._check(target)
        self._taken.add(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        return target

    def _check(self, target: Path) -> None:
        if os.path.realpath(target) in self._originals:
            raise OptionError(f"{target}: would overwrite a source picture; name another folder")
