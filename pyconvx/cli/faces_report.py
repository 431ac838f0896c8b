"""What `pyconvx faces` says of many pictures: a line or a row for each face, or one JSON document; problems aside."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pyconvx._progress import make_bar
from pyconvx.cli.exit_codes import BAD_INPUT, NO_FACE, OK
from pyconvx.cli.faces_sources import Source
from pyconvx.errors import ImageError, MultipleFacesError, NoFaceError, OptionError, PyconvxError

if TYPE_CHECKING:
    from pyconvx.faces import Gallery, Outcome

Record = dict[str, Any]


class Report:
    """Collects and writes records; counts what decides the exit code.

    Text and CSV are written as they come, JSON at the end: a list with an object for each picture, `faces` in it and,
    if there was a problem, `error`.
    """

    def __init__(
        self, arguments: argparse.Namespace, columns: Sequence[str], as_text: Callable[[str, Record], str]
    ) -> None:
        self._arguments = arguments
        self._columns = columns
        self._as_text = as_text
        self._document: list[Record] = []
        self._rows = csv.writer(sys.stdout, lineterminator="\n")
        self.progress = make_bar(not arguments.quiet, unit="pictures")
        self.faces = 0
        self._unreadable = 0
        self._faceless = 0

    def __enter__(self) -> Report:
        if self._arguments.csv:
            self._rows.writerow(["picture", *self._columns])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.progress.close()
        if self._arguments.json and (kind is None or kind is KeyboardInterrupt):
            print(json.dumps(self._document, indent=2, ensure_ascii=False))

    def add(self, picture: str, faces: Sequence[Record], document: Record | None = None) -> None:
        """Report the faces of a picture; in JSON by another document where given."""
        self.faces += len(faces)
        picture = printable(picture)
        if self._arguments.json:
            self._document.append({"picture": picture, **({"faces": list(faces)} if document is None else document)})
            return
        for face in faces:
            self.row(picture, face)

    def row(self, picture: str, record: Record) -> None:
        """Write one line of text or CSV."""
        self.progress.aside()
        picture = printable(picture)
        if self._arguments.csv:
            self._rows.writerow([picture, *_cells(record, self._columns)])
        else:
            print(one_line(self._as_text(picture, record)))

    def problem(self, picture: str, error: PyconvxError | OSError) -> None:
        """Report a picture that cannot be used."""
        if isinstance(error, (NoFaceError, MultipleFacesError)):
            self._faceless += 1
        else:
            self._unreadable += 1
        if self._arguments.json:
            self._document.append({"picture": printable(picture), "faces": [], "error": printable(str(error))})
        self.tell(str(error))

    def tell(self, message: str) -> None:
        """Say something on standard error, on one line."""
        self.progress.aside()
        tell(self._arguments, message)

    def code(self) -> int:
        """The exit code, unless the command has an answer of its own."""
        if self._unreadable:
            return BAD_INPUT
        return OK if self.faces and not self._faceless else NO_FACE


def tell(arguments: argparse.Namespace, message: str) -> None:
    """Say something on standard error, on one line."""
    print(f"pyconvx {arguments.command}: {one_line(' '.join(message.split()))}", file=sys.stderr)


def printable(text: str) -> str:
    """A path as text that any stream can write: file names need not be Unicode."""
    return text.encode("utf-8", "backslashreplace").decode()


def one_line(text: str) -> str:
    """Text as one line that only says what it says: a file name may hold line breaks, commands to a terminal, or what
    turns the direction of writing."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def outcomes(
    arguments: argparse.Namespace, sources: Sequence[Source], task: str, report: Report
) -> Iterator[tuple[Source, Outcome]]:
    """Each picture that can be used, with its faces; the others are reported as problems."""
    for done, (source, outcome) in enumerate(streamed(sources, task, search_options(arguments)), 1):
        if outcome.error is None:
            yield source, outcome
        else:
            report.problem(source.path, outcome.error)
        report.progress.update(done, len(sources))


def streamed(sources: Sequence[Source], task: str, options: Record) -> Iterator[tuple[Source, Outcome]]:
    """Each source with what came of it."""
    from pyconvx import faces

    found = faces.stream([source.path for source in sources if not source.problem], task, **options)
    for source in sources:
        if source.problem:
            yield source, faces.Outcome(source.path, source.path, [], ImageError(source.problem))
        else:
            yield source, next(found)


def search_options(arguments: argparse.Namespace) -> Record:
    """How faces are looked for and encoded, as the flags say."""
    names = ("min_face_size", "upsample", "least_score", "policy", "jitter", "seed")
    given = vars(arguments)
    return {name: given[name] for name in names if given.get(name) is not None}


def encode_alike(arguments: argparse.Namespace, gallery: Gallery) -> None:
    """Encode pictures as those of the gallery were encoded."""
    known, wanted = gallery.jitter, arguments.jitter
    if wanted is None:
        arguments.jitter = known or 0
    elif known is not None and known != (wanted if wanted > 1 else 0):
        raise OptionError(f"--jitter {wanted}: the encodings in {gallery.path} were made with {known}; leave it out")


def _cells(record: Record, columns: Sequence[str]) -> Iterator[Any]:
    sides = dict(zip(("left", "top", "right", "bottom"), record.get("box") or [None] * 4, strict=True))
    for column in columns:
        yield sides[column] if column in sides else record[column]
