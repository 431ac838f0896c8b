"""`pyconvx visualize`: which patches of a folder of pictures excite the units of a network, as a page."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyconvx.cli.exit_codes import OK
from pyconvx.cli.output import add_json_flag, write
from pyconvx.cli.visualize_flags import add_flags
from pyconvx.errors import ImageError, OptionError

if TYPE_CHECKING:
    from pyconvx.visualize import Figure, Survey

PICTURE, PAGE, NUMBERS, STATE = "figure.png", "figure.html", "units.json", "survey.safetensors"
DESCRIPTION = f"""\
Find the patches of the pictures in FOLDER that most excite units of a network, and lay them out as a page. OUT is a
folder for {PICTURE}, {PAGE}, {NUMBERS} and {STATE}, or one file that ends in .png or .html. Names of folders in FOLDER
are classes. With --table, print the receptive fields of all layers, and look at nothing.
"""
EPILOG = """\
For example: pyconvx visualize photos/ -o page/ --layers conv4_2 --units best:8. A run that was stopped goes on by the
same line and --resume. Several machines share the work by --shard 1/4 to 4/4, each with -o parts/; then -o page/
--merge parts/*.safetensors makes the page. Signals and volumes are .npy arrays of floats, (*spatial, channels).
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command's parser."""
    parser = commands.add_parser(
        "visualize", help="see what a network has learned", description=DESCRIPTION, epilog=EPILOG
    )
    parser.add_argument("folder", nargs="?", metavar="FOLDER", help="folder of pictures, or of .npy arrays")
    parser.add_argument("-o", "--output", metavar="OUT", help="folder, or .png or .html file")
    parser.add_argument("--table", action="store_true", help="print receptive fields only")
    add_flags(parser)
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look, write the page, and say where it is."""
    from pyconvx.cli import visualize_network
    from pyconvx.runtime import set_num_threads

    if arguments.threads is not None:
        set_num_threads(arguments.threads)
    if arguments.table:
        return _table(arguments, visualize_network.load(arguments))
    output = _checked_output(arguments)
    net = visualize_network.load(arguments)
    reading = {"size": visualize_network.default_size(arguments), "preprocess": visualize_network.preprocess(arguments)}
    layers = arguments.layers or visualize_network.default_layers(arguments, net)
    survey = _survey(arguments, net, layers, reading, _state(arguments, output))
    for name in survey.skipped:
        print(f"pyconvx visualize: skipped {name}, which cannot be read", file=sys.stderr)
    for start, stop in survey.missing if arguments.merge else ():
        print(f"pyconvx visualize: pictures {start} to {stop - 1} are in none of the parts", file=sys.stderr)
    if arguments.shard != (0, 1):
        report = {"state": str(_state(arguments, output)), "pictures": survey.pictures, "done": survey.done}
        write(arguments, report, lambda report: f"{report['state']}: {report['pictures']} pictures")
        return OK
    figure = _figure(arguments, net, survey, reading)
    written = _write(output, figure)
    report = {"output": str(output), "files": written, "pictures": survey.pictures, **figure.as_dict()}
    write(arguments, report, _as_text)
    return OK


def _checked_output(arguments: argparse.Namespace) -> Path:
    """Refuse, before any work, what could not be written at its end."""
    from pyconvx import image

    if arguments.merge and arguments.shard != (0, 1):
        raise OptionError("--merge joins parts, --shard looks at one: give one of the two")
    if not arguments.folder:
        raise OptionError("name a FOLDER of pictures, or ask for --table")
    if not arguments.output and not (arguments.state and arguments.shard != (0, 1)):
        raise OptionError("say where the page goes: -o OUT (or, with --shard, --state FILE)")
    output = Path(arguments.output or arguments.state)
    if arguments.output is None:
        return output
    if Path(arguments.folder).resolve() in (output.resolve(), *output.resolve().parents):
        raise OptionError(
            f"-o {output}: is inside {arguments.folder}, whose pictures it would become; name another place"
        )
    if output.suffix.lower() in (".html", ".htm"):
        folder = output.resolve().parent
        if not folder.is_dir():
            raise ImageError(f"{output}: the folder {output.parent} does not exist; create it first")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ImageError(f"{output}: the folder {output.parent} may not be written to")
    elif output.suffix and not output.is_dir():
        image.check_writable(output)
    else:
        try:
            output.mkdir(parents=True, exist_ok=True)
        except FileExistsError:
            raise OptionError(f"-o {output}: is a file; name a folder, or a file that ends in .png or .html") from None
        except OSError as error:
            raise ImageError(f"-o {output}: cannot be created: {error.strerror}") from error
    return output


def _state(arguments: argparse.Namespace, output: Path) -> Path | None:
    if arguments.state is not None:
        return Path(arguments.state)
    if not output.is_dir():
        return None
    index, count = arguments.shard
    return output / (STATE if count == 1 else f"{index + 1}-of-{count}.{STATE}")


def _survey(
    arguments: argparse.Namespace, net: Any, layers: list[str], reading: dict[str, Any], state: Path | None
) -> Survey:
    from pyconvx import visualize

    if arguments.merge:
        merged: Survey = visualize.merge(visualize.Survey.load(path) for path in arguments.merge)
        if state is not None:
            merged.save(state)
        return merged
    wanted = arguments.units
    return visualize.survey(
        net,
        {layer: wanted if isinstance(wanted, list) else None for layer in layers},
        arguments.folder,
        arguments.patches,
        one_per_picture=not arguments.several,
        rank_by=arguments.rank_by,
        inside=arguments.inside,
        **reading,
        shard=arguments.shard,
        state=state,
        resume=arguments.resume,
        save_every=arguments.save_every,
        batch_size=arguments.batch_size,
        skip_unreadable=arguments.skip_unreadable,
        progress=not arguments.quiet,
    )


def _figure(arguments: argparse.Namespace, net: Any, survey: Survey, reading: dict[str, Any]) -> Figure:
    from pyconvx import visualize

    wanted = arguments.units
    units = None
    if not isinstance(wanted, int):
        units = {layer: wanted or [int(unit) for unit in survey[layer].units] for layer in survey.layers}
    return visualize.figure(
        survey,
        net,
        arguments.folder,
        units=units,
        unit_count=wanted if isinstance(wanted, int) else 0,
        rule=None if arguments.rule == "none" else arguments.rule,
        maximize_steps=arguments.maximize,
        title=arguments.title,
        **reading,
        progress=not arguments.quiet,
    )


def _write(output: Path, figure: Figure) -> list[str]:
    if not output.is_dir():
        figure.save(output)
        return [str(output)]
    figure.save(output / PICTURE)
    figure.save(output / PAGE)
    (output / NUMBERS).write_text(json.dumps(figure.as_dict(), indent=1) + "\n", encoding="utf-8")
    return [str(output / name) for name in (PICTURE, PAGE, NUMBERS)]


def _table(arguments: argparse.Namespace, net: Any) -> int:
    from pyconvx import visualize
    from pyconvx.cli import visualize_network

    fields = visualize.receptive_fields(visualize_network.inner(net))
    rows = [
        {
            "layer": name,
            "size": list(field.size),
            "stride": [None if stride is None else float(stride) for stride in field.stride],
            "offset": list(field.offset),
        }
        for name, field in fields.items()
    ]
    write(arguments, rows, lambda rows: visualize.format_table(fields))
    return OK


def _as_text(report: dict[str, Any]) -> str:
    lines = [f"{', '.join(report['files'])}: {report['pictures']} pictures"]
    for layer in report["layers"]:
        units = ", ".join(str(unit["unit"]) for unit in layer["units"])
        lines.append(f"{layer['layer']}: units {units}; {layer['dead_units']} of {layer['units_seen']} dead")
    return "\n".join(lines)
