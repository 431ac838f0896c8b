"""`pyconvx faces`: find, compare, know again, sort and hide faces; one action a verb."""

from __future__ import annotations

import argparse

from pyconvx.cli import faces_gallery, faces_people, faces_pictures, faces_recognition
from pyconvx.cli.faces_flags import settle

DESCRIPTION = """\
Faces, without a network and without a download. There is no liveness detection: a photograph of a face counts as the
face. Galleries and exports hold biometric data; they are made readable for their owner only.
"""
EPILOG = """\
exit codes: 0 done; 1 done, the answer is no (not the same, nobody recognised); 2 wrong usage; 3 a picture or file could
not be used; 4 no face, or several where one was wanted. Of many pictures all are worked on, with a line on stderr for
each problem.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command's parser."""
    parser = commands.add_parser(
        "faces", help="find, compare and know faces again", description=DESCRIPTION, epilog=EPILOG
    )
    actions = parser.add_subparsers(title="actions", dest="action", metavar="ACTION", required=True)
    for room in (faces_pictures, faces_recognition, faces_gallery, faces_people):
        room.add_actions(actions)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the action."""
    settle(arguments)
    code: int = arguments.act(arguments)
    return code
