"""`pyconvx info`: versions and the machine, for a bug report."""

from __future__ import annotations

import argparse
import platform
from importlib import metadata
from typing import Any

from pyconvx._version import __version__
from pyconvx.cli.exit_codes import OK
from pyconvx.cli.output import add_json_flag, write


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command's parser."""
    parser = commands.add_parser("info", help="versions and the machine")
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the report."""
    write(arguments, _collect(), _as_text)
    return OK


def _collect() -> dict[str, Any]:
    return {
        "pyconvx": __version__,
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "pillow": metadata.version("Pillow"),
        "platform": platform.platform(),
        "licence": "MIT",
    }


def _as_text(report: dict[str, Any]) -> str:
    return "\n".join(f"{name:<12}{value}" for name, value in report.items())
