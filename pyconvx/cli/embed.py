"""`pyconvx embed`: the encodings of many files, by a saved encoder."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from pyconvx.cli.exit_codes import BAD_INPUT, OK
from pyconvx.cli.output import add_json_flag, write
from pyconvx.cli.style_flags import HelpFormatter
from pyconvx.cli.train_flags import add_reading
from pyconvx.errors import DataError

if TYPE_CHECKING:
    from pyconvx.training import SavedEncoder
    from pyconvx.training.embedding import Encoded
    from pyconvx.training.folders import Entry

DESCRIPTION = """\
Write the encodings of files by an encoder that pyconvx train has written. An .npz holds the arrays "encodings" (files,
numbers), "names" and "labels"; a .csv has a row for each file. Memory does not grow with the number of files.
"""
EPILOG = """\
exit codes: 0 done; 2 wrong usage; 3 a file could not be used: the others were, with a line on stderr for each problem.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command's parser."""
    parser = commands.add_parser(
        "embed",
        help="encode files by a trained encoder",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    add = parser.add_argument
    add("encoder", metavar="ENCODER", help=".safetensors file that pyconvx train has written")
    add("sources", nargs="+", metavar="SOURCE", help="files, folders (with all below) or quoted patterns")
    add("-o", "--output", required=True, metavar="OUT", help=".npz or .csv file to write")
    add("--nested", action="store_true", help="labels are whole paths of folders, not the first part")
    add("--dask", metavar="ADDRESS", help="let the workers of this Dask scheduler (tcp://host:8786) do it")
    add("--part-size", type=int, default=512, metavar="N", help="with --dask: files of a task")
    add_reading(parser)
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Encode, and say where the encodings are."""
    from pyconvx import training
    from pyconvx.runtime import set_num_threads
    from pyconvx.training.encoding_files import check_writable, encoding_writer

    check_writable(arguments.output)
    if arguments.threads is not None:
        set_num_threads(arguments.threads)
    encoder = training.load_encoder(arguments.encoder)
    entries, lines = training.scan_files(arguments.sources, nested=arguments.nested)
    problems = 0

    def tell(line: str) -> None:
        nonlocal problems
        problems += 1
        print(f"pyconvx embed: {' '.join(line.split())}", file=sys.stderr)

    for line in lines:
        tell(line)
    count, depth = 0, 0
    with encoding_writer(arguments.output) as writer:
        for part in _encoded(arguments, encoder, entries, tell):
            writer.write(part.entries, part.encodings)
            count, depth = count + len(part.entries), part.encodings.shape[1]
        if not count:
            raise DataError("none of the files can be used")
    report = {"output": arguments.output, "files": count, "dimensions": depth, "problems": problems}
    write(arguments, report, _as_text)
    return BAD_INPUT if problems else OK


def _encoded(
    arguments: argparse.Namespace, encoder: SavedEncoder, entries: list[Entry], tell: Callable[[str], None]
) -> Iterator[Encoded]:
    """Encodings as they come, from here or from a cluster."""
    from pyconvx.training import embed
    from pyconvx.training.cluster import compute_on, embed_with_dask

    shared: dict[str, Any] = {
        "batch_size": arguments.batch_size,
        "problem": tell,
        "progress": not arguments.quiet,
    }
    if arguments.dask is None:
        return embed(encoder, entries, **shared)
    absolute = [entry._replace(path=os.path.abspath(entry.path)) for entry in entries]  # noqa: PTH100  a link stays one
    compute = compute_on(arguments.dask)
    return embed_with_dask(arguments.encoder, absolute, part_size=arguments.part_size, compute=compute, **shared)


def _as_text(report: dict[str, Any]) -> str:
    return f"{report['output']}: {report['files']} encodings of {report['dimensions']} numbers"
