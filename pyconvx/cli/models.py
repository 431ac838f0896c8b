"""`pyconvx models`: which networks are inside, with their licences."""

from __future__ import annotations

import argparse
import textwrap
from typing import Any

from pyconvx.cli.exit_codes import OK
from pyconvx.cli.output import add_json_flag, write
from pyconvx.errors import OptionError


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command's parser."""
    parser = commands.add_parser("models", help="which networks are inside, with their licences")
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="one line a network")
    add_json_flag(listing)
    listing.set_defaults(run=run_list)
    show = actions.add_parser("show", help="the whole card of one network")
    show.add_argument("name", metavar="NAME", help="as `pyconvx models list` names it")
    add_json_flag(show)
    show.set_defaults(run=run_show)


def run_list(arguments: argparse.Namespace) -> int:
    """List the networks."""
    from pyconvx.models import CARDS

    fields = ("name", "summary", "licence")
    rows = [{field: getattr(card, field) for field in fields} for card in CARDS.values()]
    write(arguments, rows, lambda rows: "\n".join(f"{row['name']:<15}{row['summary']}" for row in rows))
    return OK


def run_show(arguments: argparse.Namespace) -> int:
    """Show one card."""
    from pyconvx.models import CARDS

    if arguments.name not in CARDS:
        raise OptionError(f"NAME: got {arguments.name!r}; one of {', '.join(CARDS)}")
    write(arguments, CARDS[arguments.name].as_dict(), _as_text)
    return OK


def _as_text(card: dict[str, Any]) -> str:
    lines = [f"{card['name']}: {card['summary']}"]
    lines += _section("Licence", [card["licence"]])
    lines += _section("Sources", card["sources"])
    lines += _section("Input", [card["preprocessing"]])
    lines += _section("Notes", card["notes"])
    lines += _section("Measured", [f"{name} {figure}" for name, figure in card["measured"].items()])
    return "\n".join(lines)


def _section(title: str, items: list[str]) -> list[str]:
    wrapped = [
        textwrap.fill(item, 100, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)
        for item in items
    ]
    return ["", title, *wrapped] if wrapped else []
