"""`pyconvx faces people`, `rename`, `merge` and `remove`: who is in a gallery, and who no longer."""

from __future__ import annotations

import argparse

from pyconvx.cli.exit_codes import OK
from pyconvx.cli.faces_flags import add_action, add_gallery
from pyconvx.cli.output import write


def add_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of these actions."""
    people = add_action(actions, "people", "who is in a gallery, with how many encodings")
    add_gallery(people)
    people.set_defaults(act=run_people)

    rename = add_action(actions, "rename", "give a person another name")
    add_gallery(rename)
    rename.add_argument("name", metavar="NAME", help="so far")
    rename.add_argument("new_name", metavar="NEW_NAME", help="from now on")
    rename.set_defaults(act=run_rename)

    merge = add_action(actions, "merge", "make one person of several")
    add_gallery(merge)
    merge.add_argument("names", nargs="+", metavar="NAME", help="who they are known as so far")
    merge.add_argument("--into", required=True, metavar="NAME", help="who they are")
    merge.set_defaults(act=run_merge)

    remove = add_action(
        actions,
        "remove",
        "erase people from a gallery for good",
        "No byte of their encodings stays in the file. Copies, exports and backups are yours to erase, and pictures in "
        "a folder that is synchronised bring them back.",
    )
    add_gallery(remove)
    remove.add_argument("names", nargs="+", metavar="NAME", help="who")
    remove.set_defaults(act=run_remove)


def run_people(arguments: argparse.Namespace) -> int:
    """List people."""
    from pyconvx import faces

    with faces.Gallery(arguments.gallery, create=False) as gallery:
        people = gallery.people
    write(arguments, people, lambda people: "\n".join(f"{count:>5} {name}" for name, count in people.items()))
    return OK


def run_rename(arguments: argparse.Namespace) -> int:
    """Rename a person."""
    from pyconvx import faces

    with faces.Gallery(arguments.gallery, create=False) as gallery:
        gallery.rename(arguments.name, arguments.new_name)
    write(arguments, {"name": arguments.new_name}, lambda _: f"{arguments.name} is {arguments.new_name} now")
    return OK


def run_merge(arguments: argparse.Namespace) -> int:
    """Merge people."""
    from pyconvx import faces

    with faces.Gallery(arguments.gallery, create=False) as gallery:
        count = gallery.merge(*arguments.names, into=arguments.into)
    report = {"name": arguments.into, "encodings": count}
    write(arguments, report, lambda _: f"{arguments.into}: {count} encodings")
    return OK


def run_remove(arguments: argparse.Namespace) -> int:
    """Erase people."""
    from pyconvx import faces

    with faces.Gallery(arguments.gallery, create=False) as gallery:
        count = gallery.remove(*arguments.names)
    write(arguments, {"removed": arguments.names, "encodings": count}, lambda _: f"{count} encodings erased")
    return OK
