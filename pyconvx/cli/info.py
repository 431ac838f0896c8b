"""`pyconvx info`: versions, the machine and the weights, for a bug report or a health check."""

from __future__ import annotations

import argparse
import platform
from importlib import metadata
from typing import TYPE_CHECKING, Any

from pyconvx.cli.exit_codes import NEGATIVE, OK
from pyconvx.cli.output import add_json_flag, write
from pyconvx.errors import WeightsError

if TYPE_CHECKING:
    from pyconvx.models import Card

WHOLE = "whole"


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command's parser."""
    help_line = "versions, the machine, whether the weights are whole, licences"
    parser = commands.add_parser("info", help=help_line, description=f"{help_line}; exit code 1 if weights are damaged")
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write the report; the answer is no if a weight file is not whole."""
    report = _collect()
    write(arguments, report, _as_text)
    return OK if all(state == WHOLE for state in report["weights"].values()) else NEGATIVE


def _collect() -> dict[str, Any]:
    from pyconvx.models import CARDS
    from pyconvx.runtime import show_config

    config = show_config()
    return {
        "pyconvx": config["version"],
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "pillow": metadata.version("Pillow"),
        "platform": platform.platform(),
        "isa": config["isa"],
        "available_isas": config["available_isas"],
        "num_threads": config["num_threads"],
        "weights": {card.file: _state(card) for card in CARDS.values()},
        "licences": {"pyconvx": "MIT"} | {card.file: card.licence for card in CARDS.values()},
    }


def _state(card: Card) -> str:
    from pyconvx.models import check_packaged

    try:
        check_packaged(card)
    except WeightsError as error:
        return str(error)
    return WHOLE


def _as_text(report: dict[str, Any]) -> str:
    lines = []
    for name, value in report.items():
        if isinstance(value, dict):
            lines += [f"{name}:", *(f"  {key}: {text}" for key, text in value.items())]
        else:
            lines.append(f"{name}: {', '.join(value) if isinstance(value, list) else value}")
    return "\n".join(lines)
