"""Making a gallery follow a folder of pictures: what is new, changed, moved or gone there."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyconvx.errors import GalleryError, Interrupted
from pyconvx.faces import _gallery_records as records
from pyconvx.faces._folder import printable, scan
from pyconvx.faces._sync_plan import Plan, Task, plan
from pyconvx.faces.gallery_enrolment import one_face
from pyconvx.faces.selection import Policy

if TYPE_CHECKING:
    import sqlite3

    from pyconvx.faces.gallery import Gallery
    from pyconvx.faces.streaming import Outcome

_FILES = "SELECT id, path, sha256 FROM files"
# Pictures that are written together: a stop loses at most the work on so many, and the disk is waited for once.
_TOGETHER = 16


@dataclass
class SyncReport:
    """What `sync` did.

    Parameters
    ----------
    added, changed, moved, removed, unchanged : int
        Pictures.
    problems : list of str
        A line about each picture that cannot be used; also about those that were there before.
    """

    added: int = 0
    changed: int = 0
    moved: int = 0
    removed: int = 0
    unchanged: int = 0
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        return dict(vars(self))


def sync(
    gallery: Gallery,
    folder: str | os.PathLike[str],
    *,
    policy: Policy = "error",
    retry: bool = False,
    allow_empty: bool = False,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> SyncReport:
    """Make the gallery follow a folder: `folder/Ann/*.jpg` and below are pictures of Ann, `folder/Bob.jpg` is of Bob.

    Pictures are known again by their content (SHA-256): only new and changed ones are encoded, moved ones are not.
    What has gone from the folder is erased from the gallery, as `remove` does. People who were enrolled otherwise are
    left alone. One gallery follows one folder; it may lie elsewhere the next time. A stopped run is continued by the
    next.

    Parameters
    ----------
    gallery : Gallery
    folder : path
        Hidden files, and files that have no extension of pictures, are not looked at.
    policy : {"error", "largest", "center", "best"}
        Which face of a picture is meant. By default a picture must have exactly one.
    retry : bool
        Whether pictures that could not be used before are tried again though they have not changed, as after a change
        of `policy`.
    allow_empty : bool
        Whether a folder without pictures, such as a disk that is not mounted, may empty the gallery.
    progress : function (done, total), optional
        Called after each picture.
    **options
        `min_face_size`, `upsample`, `jitter` and the like, as for `faces.encode`; of `jitter` the default is that of
        the gallery.

    Returns
    -------
    SyncReport

    Raises
    ------
    OptionError
        If `folder` is none, or an option has a wrong value.
    GalleryError
        If the gallery holds encodings of another model or another `jitter`, or `folder` is empty.
    Interrupted
        At Ctrl-C; `result` is the report so far.

    Examples
    --------
    >>> import pathlib, shutil, tempfile
    >>> from pyconvx import faces, image
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     people = pathlib.Path(folder, "people")
    ...     people.mkdir()
    ...     _ = shutil.copy(image.packaged("astronaut"), people / "Eileen.jpg")
    ...     with faces.Gallery(pathlib.Path(folder, "crew.gallery")) as gallery:
    ...         first, second = gallery.sync(people), gallery.sync(people)
    >>> first.added, second.unchanged, second.problems
    (1, 1, [])
    """
    options["jitter"] = gallery._crops(options)
    gallery._stream((), one_face(policy), options)  # wrong options are told of before anything is changed
    found, problems = scan(folder)
    report = SyncReport(problems=problems)
    known = _known(gallery)
    if known and not found and not allow_empty:
        raise GalleryError(
            f"{os.fspath(folder)}: no pictures, but the gallery follows {len(known)}; pass allow_empty=True if they "
            "shall all be removed"
        )
    work = plan(Path(folder), found, known, retry)
    report.problems += work.problems
    report.unchanged = work.unchanged
    before, total = len(found) - len(work.tasks), len(found)
    if progress is not None and before:
        progress(before, total)
    try:
        _apply(gallery, work, known, report)
        for done, outcomes in _encoded(gallery, Path(folder), work, policy, options):
            _store(gallery, outcomes, options["jitter"], report)
            if progress is not None:
                progress(before + done, total)
    except KeyboardInterrupt as stop:
        message = f"stopped after {report.added + report.changed} pictures; the next sync goes on from there"
        raise Interrupted(message, report) from stop
    finally:
        gallery._file.erase_if_due()
    report.problems.sort()
    return report


def _known(gallery: Gallery) -> dict[str, Any]:
    """What was synchronised before, by path; GalleryError if that was with another model."""
    identity = gallery._identity()
    with gallery._file.read() as connection:
        tied = records.fact(connection, "encoder")
        rows = connection.execute("SELECT path, id, person, sha256, problem FROM files").fetchall()
    if tied is not None and tied != identity:
        raise GalleryError(
            f"{gallery.path}: holds encodings of {tied}, these would be of {identity}; make another gallery"
        )
    return {row[0]: row[1:] for row in rows}


def _apply(gallery: Gallery, work: Plan, known: dict[str, Any], report: SyncReport) -> None:
    """Write what needs no encoding; what another process has changed since the plan was made is left to it."""
    if not work.moved and not work.removed:
        return
    planned = {row[0]: (path, row[2]) for path, row in known.items()}
    with gallery._file.write(rewrites=True) as connection:
        rows = {number: (path, sha256) for number, path, sha256 in connection.execute(_FILES)}
        moved = [move for move in work.moved if rows.get(move.number) == planned[move.number]]
        removed = [number for number in work.removed if rows.get(number) == planned[number]]
        for number in removed:
            connection.execute("DELETE FROM encodings WHERE file = ?", (number,))
            connection.execute("DELETE FROM files WHERE id = ?", (number,))
        staying = rows.keys() - {*removed, *(move.number for move in moved)}
        taken = {rows[number][0] for number in staying}
        moved = [move for move in moved if move.path not in taken]
        # Through names that no file has: two files may have changed places.
        for move in moved:
            connection.execute("UPDATE files SET path = ? WHERE id = ?", (f"\n{move.number}", move.number))
        for move in moved:
            if move.new_person is not None:
                owner = _owner(connection, move.new_person)
                connection.execute("UPDATE encodings SET person = ? WHERE file = ?", (owner, move.number))
            connection.execute(
                "UPDATE files SET path = ?, person = coalesce(?, person) WHERE id = ?",
                (move.path, move.new_person, move.number),
            )
            connection.execute("UPDATE encodings SET picture = ? WHERE file = ?", (move.path, move.number))
        records.remove_empty_people(connection)
    report.moved, report.removed = len(moved), len(removed)


def _encoded(gallery: Gallery, folder: Path, work: Plan, policy: Policy, options: dict[str, Any]) -> Any:
    """Yield how many pictures are done, and some of them encoded."""
    if not work.tasks:
        return
    outcomes = gallery._stream([str(folder / task.path) for task in work.tasks], policy, options)
    some: list[tuple[Task, Outcome]] = []
    for done, (task, outcome) in enumerate(zip(work.tasks, outcomes, strict=True), 1):
        some.append((task, outcome))
        if len(some) == _TOGETHER:
            yield done, some
            some = []
    if some:
        yield len(work.tasks), some


def _store(gallery: Gallery, outcomes: list[tuple[Task, Outcome]], jitter: int, report: SyncReport) -> None:
    """Write the encodings of some pictures, or why they have none; not again what another process wrote meanwhile."""
    identity = gallery._identity()
    counts = {"added": 0, "changed": 0, "unchanged": 0}
    problems, any_replaced = [], False
    with gallery._file.write() as connection:
        records.tie(connection, identity, jitter)
        for task, outcome in outcomes:
            known = connection.execute("SELECT id, sha256, problem FROM files WHERE path = ?", (task.path,)).fetchone()
            if known is not None and known[1:] == (task.sha256, ""):
                counts["unchanged"] += 1
                continue
            replaced = known is not None and _forget(connection, known[0])
            any_replaced |= replaced
            problem = "" if outcome.error is None else printable(str(outcome.error))
            connection.execute(
                "INSERT INTO files (path, person, sha256, problem) VALUES (?, ?, ?, ?) "
                "ON CONFLICT (path) DO UPDATE SET sha256 = excluded.sha256, problem = excluded.problem",
                (task.path, task.person, task.sha256, problem),
            )
            if outcome.error is not None:
                problems.append(str(outcome.error))
            else:
                (file,) = connection.execute("SELECT id FROM files WHERE path = ?", (task.path,)).fetchone()
                person = _owner(connection, task.person)
                rows = records.checked_encodings(outcome.faces[0].encoding)
                records.add_encodings(connection, person, rows, [task.path], file)
                counts["changed" if replaced else "added"] += 1
        if any_replaced:
            gallery._file.count(connection, "rewrites")
            records.remove_empty_people(connection)
    for name, count in counts.items():
        setattr(report, name, getattr(report, name) + count)
    report.problems += problems


def _forget(connection: sqlite3.Connection, file: int) -> bool:
    """Remove the encodings of a file's former content; whether there were any."""
    return bool(connection.execute("DELETE FROM encodings WHERE file = ?", (file,)).rowcount)


def _owner(connection: sqlite3.Connection, name: str) -> int:
    """Whose the pictures of that name in the folder are: they may have been renamed or merged in the gallery."""
    row = connection.execute(
        "SELECT encodings.person FROM files JOIN encodings ON encodings.file = files.id WHERE files.person = ? LIMIT 1",
        (name,),
    ).fetchone()
    return records.add_person(connection, name) if row is None else int(row[0])
