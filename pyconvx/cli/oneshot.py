"""`pyconvx oneshot`: which of some classes files belong to, from one example of each."""

from __future__ import annotations

import argparse
import math
import sys
from typing import TYPE_CHECKING, Any

from pyconvx.cli.exit_codes import BAD_INPUT, NEGATIVE, OK
from pyconvx.cli.output import add_json_flag, write
from pyconvx.cli.style_flags import HelpFormatter
from pyconvx.cli.train_flags import add_reading
from pyconvx.errors import DataError, OptionError

if TYPE_CHECKING:
    from pyconvx.siamese import NearestEncodingClassifier
    from pyconvx.training import SavedEncoder
    from pyconvx.training.embedding import Encoded

UNKNOWN = "not_recognised"
DESCRIPTION = f"""\
Recognise files from one example of each class. EXAMPLES is a folder with a sub-folder, or one file, for each class,
named as the class is. A line a query: file,class,distance; the squared distance of its encoding to the nearest known
one. With --threshold, what is farther away is {UNKNOWN}. If queries lie in sub-folders named as classes are, the last
line says how many are right; of a class without an example, {UNKNOWN} is right.
"""
EPILOG = """\
exit codes: 0 done; 1 done, nothing was recognised; 2 wrong usage; 3 a file could not be used: the others were, with a
line on stderr for each problem.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command's parser."""
    parser = commands.add_parser(
        "oneshot",
        help="recognise files from one example of each class",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    add = parser.add_argument
    add("encoder", metavar="ENCODER", help=".safetensors file that pyconvx train has written")
    add("examples", metavar="EXAMPLES", help="folder of known classes")
    add("queries", nargs="+", metavar="QUERY", help="files, folders (with all below) or quoted patterns")
    add(
        "--threshold",
        type=_threshold,
        metavar="X|auto",
        help="largest squared distance of a class; auto: that of the encoder's equal error rate in its training",
    )
    add("--prototypes", choices=("all", "mean"), default="all", help="of several examples: the nearest, or the mean")
    add("--nested", action="store_true", help="classes are whole paths of folders, not the first part")
    add_reading(parser)
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Recognise."""
    from pyconvx import training
    from pyconvx.runtime import set_num_threads

    if arguments.threads is not None:
        set_num_threads(arguments.threads)
    encoder = training.load_encoder(arguments.encoder)
    tally = _Tally(arguments, _limit(arguments, encoder), _Problems())
    known = _known(arguments, encoder, tally.problems)
    entries, lines = training.scan_files(arguments.queries, nested=arguments.nested)
    for line in lines:
        tally.problems.tell(line)
    for part in training.embed(
        encoder, entries, batch_size=arguments.batch_size, problem=tally.problems.tell, progress=not arguments.quiet
    ):
        tally.add(known, part)
    if not tally.queries:
        raise DataError("none of the queries can be used")
    tally.finish()
    if tally.problems.count:
        return BAD_INPUT
    return OK if tally.recognised else NEGATIVE


class _Problems:
    """Lines on standard error, and how many there were."""

    count = 0

    def tell(self, line: str) -> None:
        self.count += 1
        print(f"pyconvx oneshot: {' '.join(line.split())}", file=sys.stderr)


class _Tally:
    """Writes an answer for each query, at once as text and at the end as JSON; counts the right ones."""

    def __init__(self, arguments: argparse.Namespace, limit: float, problems: _Problems) -> None:
        self._arguments = arguments
        self._limit = limit
        self.problems = problems
        self._answers: list[dict[str, Any]] = []
        self.queries = self.recognised = self._labelled = self._right = 0

    def add(self, known: NearestEncodingClassifier, part: Encoded) -> None:
        """Answer for the queries of a part."""
        import numpy as np

        classes = set(known.classes_.tolist())
        distances = known.distances(part.encodings)
        nearest = np.argmin(distances, axis=1)
        for entry, place, row in zip(part.entries, nearest, distances, strict=True):
            is_near = bool(row[place] <= self._limit)
            answer = str(known.classes_[place]) if is_near else None
            right = None
            if entry.label:
                right = answer == (entry.label if entry.label in classes else None)
                self._labelled += 1
                self._right += right
            self.queries += 1
            self.recognised += is_near
            self._write(entry.path, answer, str(known.classes_[place]), float(row[place]), entry.label or None, right)

    def finish(self) -> None:
        """Say how many were right."""
        share = self._right / self._labelled if self._labelled else None
        limit = self._limit if math.isfinite(self._limit) else None
        counts = {"queries": self.queries, "recognised": self.recognised, "threshold": limit}
        report = {**counts, "labelled": self._labelled, "right": self._right, "accuracy": share}
        if self._arguments.json:
            write(self._arguments, {"answers": self._answers, **report}, str)
        elif share is not None:
            print(f"right: {self._right} of {self._labelled} ({100 * share:.1f}%)")

    def _write(
        self, query: str, answer: str | None, nearest: str, distance: float, label: str | None, right: bool | None
    ) -> None:
        from pyconvx.training._npy import printable

        query = printable(query)
        if self._arguments.json:
            found = {"query": query, "class": answer, "nearest": nearest, "distance": distance}
            self._answers.append({**found, **({} if label is None else {"label": label, "right": right})})
        else:
            print(f"{query},{answer or UNKNOWN},{distance:.4f}")


def _limit(arguments: argparse.Namespace, encoder: SavedEncoder) -> float:
    if arguments.threshold is None:
        return math.inf
    if arguments.threshold != "auto":
        limit: float = arguments.threshold
        return limit
    if encoder.threshold is None:
        raise OptionError("--threshold auto: the encoder was trained without a validation; give a number")
    return encoder.threshold


def _known(arguments: argparse.Namespace, encoder: SavedEncoder, problems: _Problems) -> NearestEncodingClassifier:
    """The encodings of the examples; a file that lies in no sub-folder is a class by its own name."""
    from pathlib import Path

    import numpy as np

    from pyconvx import training
    from pyconvx.siamese import NearestEncodingClassifier
    from pyconvx.training._npy import printable

    if not Path(arguments.examples).is_dir():
        raise OptionError(f"{printable(arguments.examples)}: not a folder; wanted one with an example of each class")
    entries, lines = training.scan_files(arguments.examples, nested=arguments.nested)
    for line in lines:
        problems.tell(line)
    named = [entry if entry.label else entry._replace(label=printable(Path(entry.name).stem)) for entry in entries]
    parts = list(training.embed(encoder, named, batch_size=arguments.batch_size, problem=problems.tell))
    if not parts:
        raise DataError(f"{printable(arguments.examples)}: none of the examples can be used")
    labels = [entry.label for part in parts for entry in part.entries]
    encodings = np.concatenate([part.encodings for part in parts])
    return NearestEncodingClassifier(prototypes=arguments.prototypes).fit(encodings, labels)


def _threshold(text: str) -> float | str:
    try:
        limit = text if text == "auto" else float(text)
    except ValueError:
        limit = math.nan
    if not isinstance(limit, str) and not limit >= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a distance nor auto")
    return limit
