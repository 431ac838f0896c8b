"""`pyconvx faces enrol`, `sync`, `export` and `import`: what goes into a gallery and out of it."""

from __future__ import annotations

import argparse
from typing import Any

from pyconvx._progress import make_bar
from pyconvx.cli.exit_codes import BAD_INPUT, NO_FACE, OK
from pyconvx.cli.faces_flags import add_action, add_gallery, add_search
from pyconvx.cli.faces_report import encode_alike, search_options, streamed, tell
from pyconvx.cli.faces_sources import expand
from pyconvx.cli.output import write
from pyconvx.errors import Interrupted, MultipleFacesError, NoFaceError, PyconvxError


def add_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of these actions."""
    enrol = add_action(
        actions, "enrol", "add pictures of a person to a gallery", "The gallery is made if it is not there."
    )
    add_gallery(enrol)
    enrol.add_argument("name", metavar="NAME", help="the person")
    enrol.add_argument("pictures", nargs="+", metavar="PICTURE", help="files, folders or quoted patterns")
    add_search(enrol, policy="error")
    enrol.set_defaults(act=run_enrol)

    sync = add_action(
        actions,
        "sync",
        "make a gallery follow a folder of people",
        "FOLDER/Ann/*.jpg and below are pictures of Ann, FOLDER/Bob.jpg is of Bob. Only what is new or changed is "
        "encoded; what has gone from the folder is erased from the gallery.",
    )
    add_gallery(sync)
    sync.add_argument("folder", metavar="FOLDER", help="folder of people")
    sync.add_argument("--retry", action="store_true", help="try pictures again that could not be used before")
    sync.add_argument("--allow-empty", action="store_true", help="a folder without pictures may empty the gallery")
    add_search(sync, policy="error")
    sync.set_defaults(act=run_sync)

    export = add_action(actions, "export", "write a gallery to a file for elsewhere")
    add_gallery(export)
    export.add_argument("output", metavar="OUT", help=".safetensors, which import reads, or .csv")
    export.set_defaults(act=run_export)

    bring = add_action(actions, "import", "add what export wrote to a gallery")
    add_gallery(bring)
    bring.add_argument("file", metavar="FILE", help=".safetensors file of export")
    bring.set_defaults(act=run_import)


def run_enrol(arguments: argparse.Namespace) -> int:
    """Add what can be used of the pictures."""
    from pyconvx import faces

    sources = expand(arguments.pictures)
    added, errors, known, stopped = 0, [], 0, None
    bar = make_bar(not arguments.quiet, unit="pictures")
    with faces.Gallery(arguments.gallery) as gallery:
        encode_alike(arguments, gallery)
        found = streamed(sources, "encode", search_options(arguments))
        try:
            for done, (_, outcome) in enumerate(found, 1):
                if outcome.error is None:
                    known = gallery.enrol(
                        arguments.name,
                        encodings=outcome.faces[0].encoding,
                        origins=[outcome.name],
                        jitter=arguments.jitter,
                    )
                    added += 1
                else:
                    errors.append(outcome.error)
                    bar.aside()
                    tell(arguments, str(outcome.error))
                bar.update(done, len(sources))
        except KeyboardInterrupt as stop:  # what has been added stays, and is reported
            stopped = stop
        finally:
            bar.close()
    report = {"name": arguments.name, "added": added, "encodings": known, "problems": [str(error) for error in errors]}
    write(arguments, report, lambda _: f"{arguments.name}: {added} added, {known} in all")
    if stopped is not None:
        raise stopped
    return _code(errors)


def run_sync(arguments: argparse.Namespace) -> int:
    """Follow the folder."""
    from pyconvx import faces
    from pyconvx.faces._folder import check_folder

    check_folder(arguments.folder)  # before a gallery is made for it
    bar = make_bar(not arguments.quiet, unit="pictures")
    try:
        with faces.Gallery(arguments.gallery) as gallery:
            report = gallery.sync(
                arguments.folder,
                retry=arguments.retry,
                allow_empty=arguments.allow_empty,
                progress=bar.update,
                **search_options(arguments),
            )
    except Interrupted as stop:
        bar.close()
        for line in stop.result.problems:
            tell(arguments, line)
        write(arguments, stop.result.as_dict(), _synchronised)
        raise
    finally:
        bar.close()
    for line in report.problems:
        tell(arguments, line)
    if not any(report.as_dict().values()):
        tell(arguments, f"{arguments.folder}: no pictures in this folder")
    write(arguments, report.as_dict(), _synchronised)
    return BAD_INPUT if report.problems else OK


def run_export(arguments: argparse.Namespace) -> int:
    """Write the gallery to another file."""
    from pyconvx import faces

    with faces.Gallery(arguments.gallery, create=False) as gallery:
        count, people = gallery.export(arguments.output), len(gallery)
    report = {"output": arguments.output, "people": people, "encodings": count}
    write(arguments, report, lambda _: f"{arguments.output}: encodings: {count}, people: {people}")
    return OK


def run_import(arguments: argparse.Namespace) -> int:
    """Add an exported file."""
    from pyconvx import faces

    with faces.Gallery(arguments.gallery) as gallery:
        count, people = gallery.import_(arguments.file), len(gallery)
    write(arguments, {"added": count, "people": people}, lambda _: f"{count} encodings added; people now: {people}")
    return OK


def _synchronised(report: dict[str, Any]) -> str:
    names = ("added", "changed", "moved", "removed", "unchanged")
    return ", ".join([*(f"{report[name]} {name}" for name in names), f"{len(report['problems'])} problems"])


def _code(errors: list[PyconvxError]) -> int:
    if all(isinstance(error, (NoFaceError, MultipleFacesError)) for error in errors):
        return NO_FACE if errors else OK
    return BAD_INPUT
