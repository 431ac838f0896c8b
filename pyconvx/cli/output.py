"""What a sub-command says on stdout: text for people, or with `--json` one JSON document."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from typing import Any


def add_json_flag(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="write one JSON document to stdout")


def write(arguments: argparse.Namespace, data: Any, as_text: Callable[[Any], str]) -> None:
    """Write `data` to stdout: as JSON if asked for, else as the text that `as_text(data)` makes of it."""
    print(json.dumps(data, indent=2, ensure_ascii=False) if arguments.json else as_text(data))
