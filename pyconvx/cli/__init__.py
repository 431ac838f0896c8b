"""The command `pyconvx`: one parser, one file a sub-command, one meaning for every exit code.

A sub-command is a module of this package, named in `COMMANDS`. Its `add_parser(commands)` adds its parser and calls
`set_defaults(run=run)`; its `run(arguments)` returns an exit code. It imports what is heavy inside `run`, so that
`pyconvx --help` stays quick. Data goes to stdout, messages to stderr.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NoReturn

from pyconvx._version import __version__
from pyconvx.cli.exit_codes import BAD_INPUT, INTERNAL, INTERRUPTED, MEANINGS, NO_FACE, OK, USAGE
from pyconvx.errors import MultipleFacesError, NoFaceError, OptionError, PyconvxError

COMMANDS = ("style", "faces", "train", "embed", "oneshot", "visualize", "models", "info")


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line that says where help is."""

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command, sub-commands included."""
    epilog = "exit codes: " + ", ".join(f"{code} {meaning}" for code, meaning in MEANINGS.items())
    parser = _Parser(
        prog="pyconvx", description="Style transfer, faces and small convolutional networks on a CPU.", epilog=epilog
    )
    parser.add_argument("--version", action="version", version=f"pyconvx {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for name in COMMANDS:
        import_module(f"pyconvx.cli.{name}").add_parser(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with `argv` (default: the process's arguments) and return its exit code."""
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as stop:  # argparse has already said why
        return stop.code if isinstance(stop.code, int) else OK
    except KeyboardInterrupt:  # while sub-commands were imported
        print("pyconvx: interrupted", file=sys.stderr)
        return INTERRUPTED
    run: Callable[[argparse.Namespace], int] = arguments.run
    try:
        code = run(arguments)
        sys.stdout.flush()  # a closed pipe shows here, not at interpreter exit
        return code
    except KeyboardInterrupt as stop:
        return _complain(arguments, str(stop) or "interrupted", INTERRUPTED)
    except BrokenPipeError:  # `pyconvx ... | head`: the reader has had enough, and nothing more can be said there
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except OptionError as error:
        return _complain(arguments, str(error), USAGE)
    except (NoFaceError, MultipleFacesError) as error:
        return _complain(arguments, str(error), NO_FACE)
    except (PyconvxError, OSError) as error:
        return _complain(arguments, str(error), BAD_INPUT)
    except MemoryError as error:
        return _complain(arguments, f"out of memory: {error}", BAD_INPUT)
    except Exception:
        # A bug of ours. It must not leave with Python's own code 1, which here is an answer ("no").
        traceback.print_exc()
        return INTERNAL


def _complain(arguments: argparse.Namespace, message: str, code: int) -> int:
    print(f"pyconvx {arguments.command}: {' '.join(message.split())}", file=sys.stderr)
    return code
