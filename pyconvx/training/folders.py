"""Folders of examples: which files there are, and of which class each is.

Names that begin with a dot are not looked at, nor are files that are neither pictures nor .npy arrays. A file that
cannot be used is one line among the problems, and ends nothing. The order is that of the paths.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pyconvx.errors import DataError
from pyconvx.training._npy import printable
from pyconvx.training.inputs import is_example

Problem = Callable[[str], object]
"""Takes one line about a file or folder that cannot be used."""


class Entry(NamedTuple):
    """A file, its path below what was named with / between the parts, and its class ("" where there are none)."""

    path: str
    name: str
    label: str


def scan_classes(folder: str | os.PathLike[str], *, nested: bool = False) -> tuple[list[Entry], list[str]]:
    """The files of a folder of classes in the order of their paths, and a line about each that cannot be used."""
    root = _folder(folder)
    problems: list[str] = []
    entries = []
    found = _below(root, problems)
    problems += _empty_classes(root, {name.partition("/")[0] for name in found})
    for name in found:
        if "/" in name:
            entries.append(Entry(str(root / name), name, _label(name, nested)))
        else:
            problems.append(f"{printable(str(root / name))}: lies in no sub-folder, which would be its class")
    return entries, problems


def scan_files(
    sources: str | os.PathLike[str] | Sequence[str | os.PathLike[str]], *, nested: bool = False
) -> tuple[list[Entry], list[str]]:
    """All files that paths, folders and patterns name, each once, in their order; those of a folder in that of paths.

    What lies in a sub-folder of a folder that is named has the label of that sub-folder, or of its whole path if
    `nested`.

    Raises
    ------
    DataError
        If one of them names nothing.
    """
    given = [sources] if isinstance(sources, (str, os.PathLike)) else list(sources)
    problems: list[str] = []
    found: dict[str, Entry] = {}
    for source in (os.fspath(path) for path in given):
        some = list(_named(source, problems, nested))
        if not some and not problems:
            what = "no pictures or .npy arrays in this folder" if Path(source).is_dir() else "matches no file"
            raise DataError(f"{printable(source)}: {what}")
        for entry in some:
            found.setdefault(os.path.realpath(entry.path), entry)
    return list(found.values()), problems


def _named(source: str, problems: list[str], nested: bool) -> Iterator[Entry]:
    if Path(source).is_dir():
        for name in _below(Path(source), problems):
            yield Entry(str(Path(source, name)), name, _label(name, nested))
    elif not Path(source).exists() and glob.has_magic(source):  # a shell that expands nothing, or quotes
        for match in sorted(glob.glob(source, recursive=True)):  # noqa: PTH207  any pattern, absolute ones too
            yield from _named(match, problems, nested)
    else:
        yield Entry(source, Path(source).name, "")  # what is not there is told of when its turn comes


def _label(name: str, nested: bool) -> str:
    """The class of a file by its path: the first part, or all but the last; none of a path of one part."""
    head, between, _ = name.rpartition("/") if nested else name.partition("/")
    return printable(head) if between else ""


def _folder(folder: str | os.PathLike[str]) -> Path:
    root = Path(folder)
    if not root.is_dir():
        raise DataError(f"{printable(str(root))}: not a folder; wanted one with a sub-folder for each class")
    return root


def _empty_classes(root: Path, used: set[str]) -> list[str]:
    """A line about each sub-folder in which there is nothing to see: a copy that failed, more often than not."""
    names = sorted(path.name for path in root.iterdir() if path.name not in used and not path.name.startswith("."))
    return [f"{printable(str(root / name))}: an empty folder" for name in names if _is_empty(root / name)]


def _is_empty(folder: Path) -> bool:
    try:
        return folder.is_dir() and not any(folder.iterdir())
    except OSError:  # told of already
        return False


def _below(root: Path, problems: list[str]) -> list[str]:
    """Paths of examples relative to `root`, sorted; links are followed, but not in a circle."""
    found: list[str] = []
    waiting: list[tuple[str, frozenset[str]]] = [("", frozenset())]
    while waiting:
        below, above = waiting.pop()
        place = root / below
        real = os.path.realpath(place)
        if real in above:
            problems.append(f"{printable(str(place))}: a link to a folder above it")
            continue
        try:
            with os.scandir(place) as inside:
                shown = [(entry.name, entry.is_dir()) for entry in inside if not entry.name.startswith(".")]
        except OSError as error:
            problems.append(f"{printable(str(place))}: cannot be read: {error.strerror}")
            continue
        for name, is_folder in shown:
            path = f"{below}/{name}" if below else name
            if is_folder:
                waiting.append((path, above | {real}))
            elif is_example(name):
                found.append(path)
    problems.sort()
    return sorted(found)
