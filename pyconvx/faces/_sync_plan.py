"""What a folder asks of a gallery: which pictures to encode, to move, to forget. Nothing is changed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pyconvx.faces._folder import PersonPicture, digest


class Known(NamedTuple):
    """A picture as the gallery remembers it."""

    number: int
    person: str
    sha256: str
    problem: str


class Task(NamedTuple):
    """A picture to encode, because it is new or has another content, or another try is wanted."""

    path: str
    person: str
    sha256: str


class Move(NamedTuple):
    """A known picture that lies elsewhere now, perhaps with another person."""

    number: int
    path: str
    new_person: str | None


@dataclass
class Plan:
    """What is to be done, and what there is to say."""

    tasks: list[Task] = field(default_factory=list)
    moved: list[Move] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    unchanged: int = 0
    problems: list[str] = field(default_factory=list)


def plan(
    folder: Path, found: Sequence[PersonPicture], known_rows: Mapping[str, tuple[int, str, str, str]], retry: bool
) -> Plan:
    """Compare a folder with what is known of it."""
    known = {path: Known(*row) for path, row in known_rows.items()}
    work = Plan()
    sums = _sums(folder, found, work.problems)
    here = {picture.path for picture in found}
    gone: dict[str, Known] = {}  # by content, so that it is found again elsewhere
    for path, old in known.items():
        if path not in here:
            if old.problem or old.sha256 in gone:
                work.removed.append(old.number)
            else:
                gone[old.sha256] = old
    holders: dict[str, PersonPicture] = {}
    fresh = []
    for picture in found:
        row: Known | None = known.get(picture.path)
        content = sums.get(picture.path)
        if content is None:  # it is there, but cannot be read now: what is known of it stays
            continue
        if row is None or row.sha256 != content:
            fresh.append(picture)
            continue
        holders.setdefault(content, picture)
        if row.problem and retry:
            work.tasks.append(Task(picture.path, picture.person, content))
        else:
            work.unchanged += 1
            if row.problem:
                work.problems.append(row.problem)
    for picture in fresh:
        _place(folder, picture, sums[picture.path], known.get(picture.path), gone, holders, work)
    work.removed += [row.number for row in gone.values()]
    return work


def _place(
    folder: Path,
    picture: PersonPicture,
    content: str,
    row: Known | None,
    gone: dict[str, Known],
    holders: dict[str, PersonPicture],
    work: Plan,
) -> None:
    """Decide about a picture whose content was not known at its path."""
    holder = holders.get(content)
    if holder is not None:
        work.removed += [] if row is None else [row.number]
        if holder.person == picture.person:
            work.unchanged += 1
        else:
            other = f"{folder / holder.path}, which is of {holder.person}"
            work.problems.append(f"{folder / picture.path}: left out: the same picture as {other}")
        return
    holders[content] = picture
    moved = gone.pop(content, None)
    if moved is None:
        work.tasks.append(Task(picture.path, picture.person, content))
        return
    work.removed += [] if row is None else [row.number]
    work.moved.append(Move(moved.number, picture.path, None if moved.person == picture.person else picture.person))


def _sums(folder: Path, found: Sequence[PersonPicture], problems: list[str]) -> dict[str, str]:
    sums = {}
    for picture in found:
        try:
            sums[picture.path] = digest(folder / picture.path)
        except OSError as error:  # noqa: PERF203  each picture has troubles of its own
            problems.append(f"{folder / picture.path}: cannot be opened: {error.strerror}")
    return sums
