"""The flags that the actions of `pyconvx faces` share."""

from __future__ import annotations

import argparse

from pyconvx.cli.output import add_json_flag
from pyconvx.cli.style_flags import HelpFormatter
from pyconvx.errors import OptionError

POLICIES = ("all", "error", "largest", "center", "best")


def add_action(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, help_line: str, more: str = ""
) -> argparse.ArgumentParser:
    """Add the parser of an action, with `--json`."""
    description = f"{help_line[0].upper()}{help_line[1:]}. {more}".strip()
    parser = actions.add_parser(name, help=help_line, description=description, formatter_class=HelpFormatter)
    add_json_flag(parser)
    parser.set_defaults(csv=False, quiet=False, threads=None)
    return parser


def add_pictures(parser: argparse.ArgumentParser) -> None:
    """Add PICTURE and `--csv`."""
    parser.add_argument(
        "pictures", nargs="+", metavar="PICTURE", help="files, folders (with all below) or quoted patterns"
    )
    parser.add_argument("--csv", action="store_true", help="write rows with a header to stdout")


def add_gallery(parser: argparse.ArgumentParser) -> None:
    """Add GALLERY."""
    parser.add_argument("gallery", metavar="GALLERY", help="file of the gallery")


def add_search(
    parser: argparse.ArgumentParser, policy: str | None = "all", *, upsample: int = 0, encodes: bool = True
) -> None:
    """Add how to look for faces; without a policy all are meant."""
    group = parser.add_argument_group("search")
    add = group.add_argument
    add("--min-face-size", type=int, metavar="N", help="pixels across the smallest face that matters")
    add("--upsample", type=int, default=None, metavar="N", help=f"in its place: how often to double ({upsample})")
    add("--least-score", type=float, default=0.0, metavar="X", help="how sure the detector must be; lower finds more")
    parser.set_defaults(default_upsample=upsample)
    if policy is None:
        parser.set_defaults(policy="all")
    else:
        choices = POLICIES if policy == "all" else POLICIES[1:]
        add("--policy", choices=choices, default=policy, help="which face of a picture is meant")
    if encodes:
        add("--jitter", type=int, metavar="N", help="average each encoding over N crops (0, or that of the gallery)")
        add("--seed", type=int, default=0, metavar="N", help="of these crops")
    add_machine(parser)


def add_machine(parser: argparse.ArgumentParser) -> None:
    """Add what concerns the machine."""
    group = parser.add_argument_group("machine")
    group.add_argument("--threads", type=int, metavar="N", help="threads; all that this process may use if not given")
    group.add_argument("--quiet", action="store_true", help="no progress bar")


def settle(arguments: argparse.Namespace) -> None:
    """Apply what concerns the process, and fill in defaults that depend on other flags."""
    if getattr(arguments, "threads", None) is not None:
        from pyconvx.runtime import set_num_threads

        set_num_threads(arguments.threads)
    if arguments.json and arguments.csv:
        raise OptionError("--json and --csv: both say what to write; give one of them")
    if "default_upsample" in arguments and arguments.upsample is None:
        arguments.upsample = 0 if arguments.min_face_size is not None else arguments.default_upsample
