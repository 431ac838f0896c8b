"""`pyconvx faces detect`, `encode`, `cluster` and `blur`: what is done with the faces of any pictures."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyconvx.cli.exit_codes import NO_FACE
from pyconvx.cli.faces_flags import add_action, add_pictures, add_search
from pyconvx.cli.faces_report import Report, outcomes
from pyconvx.cli.faces_sources import WRITABLE, Copies, Source, expand
from pyconvx.errors import ImageError

if TYPE_CHECKING:
    from pyconvx.faces import Face

BOX = ("left", "top", "right", "bottom")


def add_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of these actions."""
    detect = add_action(actions, "detect", "where the faces are", "A line a face: picture,left,top,right,bottom,score.")
    add_pictures(detect)
    detect.add_argument("--draw", metavar="DIR", help="write copies with boxes to this folder")
    detect.add_argument("--crop", metavar="DIR", help="write each face to this folder")
    add_search(detect, encodes=False)
    detect.set_defaults(act=run_detect)

    encode = add_action(actions, "encode", "128 numbers for each face", "Rows of CSV unless --json is given.")
    add_pictures(encode)
    add_search(encode)
    encode.set_defaults(act=run_encode)

    cluster = add_action(actions, "cluster", "sort unknown faces by person", "A line a face: cluster,picture,box.")
    add_pictures(cluster)
    cluster.add_argument(
        "-o", "--output", metavar="DIR", help="write each face to a sub-folder of its person: name these, and sync them"
    )
    cluster.add_argument("--threshold", type=float, default=0.5, metavar="X", help="distance of faces that are near")
    add_search(cluster)
    cluster.set_defaults(act=run_cluster)

    blur = add_action(
        actions,
        "blur",
        "make faces unrecognisable for good",
        "Pictures are written without metadata, also those in which no face is found: look at the counts.",
    )
    add_pictures(blur)
    blur.add_argument("-o", "--output", required=True, metavar="OUT", help="folder; or a file, for one picture")
    blur.add_argument(
        "--method", choices=("pixelate", "gaussian", "fill"), default="pixelate", help="what a face is replaced by"
    )
    blur.add_argument("--cells", type=int, default=6, metavar="N", help="colours across a face that stay, 1 to 12")
    blur.add_argument("--margin", type=float, default=0.2, metavar="X", help="what to cover around a face, in its size")
    add_search(blur, policy=None, upsample=1, encodes=False)
    blur.set_defaults(act=run_blur)


def run_detect(arguments: argparse.Namespace) -> int:
    """Report boxes; draw and cut out where asked."""
    from pyconvx import faces, image

    sources = expand(arguments.pictures)
    drawn = Copies(arguments.draw, sources) if arguments.draw else None
    cut = Copies(arguments.crop, sources, parts=True) if arguments.crop else None
    with Report(arguments, (*BOX, "score"), _detected) as report:
        for source, outcome in outcomes(arguments, sources, "detect", report):
            report.add(source.path, [_without(face, "encoding", "landmarks") for face in outcome.faces])
            try:
                if drawn is not None and outcome.faces:
                    image.save(drawn.path(source), faces.draw(source.path, outcome.faces))
                if cut is not None:
                    _cut(cut, source, outcome.faces)
            except (ImageError, OSError) as error:
                report.problem(source.path, error)
        return report.code()


def run_encode(arguments: argparse.Namespace) -> int:
    """Report encodings."""
    arguments.csv = not arguments.json
    sources = expand(arguments.pictures)
    numbers = tuple(f"e{place}" for place in range(128))
    with Report(arguments, (*BOX, "score", *numbers), _detected) as report:
        for source, outcome in outcomes(arguments, sources, "encode", report):
            report.add(source.path, [_encoded(face, arguments.json) for face in outcome.faces])
        return report.code()


def run_cluster(arguments: argparse.Namespace) -> int:
    """Report which faces are of one person."""
    import numpy as np

    from pyconvx import faces

    sources = expand(arguments.pictures)
    copies = Copies(arguments.output, sources, parts=True) if arguments.output else None
    with Report(arguments, (*BOX, "cluster"), _clustered) as report:
        found = [
            (source, face)
            for source, outcome in outcomes(arguments, sources, "encode", report)
            for face in outcome.faces
        ]
        rows = [face.encoding for _, face in found if face.encoding is not None]
        labels = faces.cluster(np.stack(rows), arguments.threshold, seed=arguments.seed) if rows else np.empty(0, int)
        for place in np.argsort(labels, kind="stable"):
            source, face = found[place]
            report.add(source.path, [{**_without(face, "encoding", "landmarks"), "cluster": int(labels[place])}])
            if copies is not None:
                person = Source(source.path, f"person {labels[place]:04d}/{Path(source.below).name}")
                try:
                    _cut(copies, person, [face])
                except (ImageError, OSError) as error:
                    report.problem(source.path, error)
        return report.code()


def run_blur(arguments: argparse.Namespace) -> int:
    """Write blurred copies."""
    from pyconvx import faces, image

    sources = expand(arguments.pictures)
    target = Path(arguments.output)
    one_file = len(sources) == 1 and target.suffix.lower() in WRITABLE and not target.is_dir()
    if one_file:
        image.check_writable(target)
        sources = [Source(sources[0].path, target.name)]
    copies = Copies(target.parent if one_file else target, sources)
    hidden = 0
    with Report(arguments, ("output", "faces"), _blurred) as report:
        for source, outcome in outcomes(arguments, sources, "detect", report):
            try:
                path = copies.path(source)
                image.save(
                    path,
                    faces.blur(
                        source.path,
                        outcome.faces,
                        method=arguments.method,
                        cells=arguments.cells,
                        margin=arguments.margin,
                    ),
                )
            except (ImageError, OSError) as error:
                report.problem(source.path, error)
                continue
            record = {"output": str(path), "faces": len(outcome.faces)}
            report.add(source.path, [record], record)
            hidden += len(outcome.faces)
        return report.code() if hidden else report.code() or NO_FACE


def _cut(copies: Copies, source: Source, found: list[Face]) -> None:
    """Write faces with enough around them to be found again."""
    from pyconvx import faces, image

    for place, face in enumerate(found, 1):
        image.save(copies.path(source, f"-{place}"), faces.crop(source.path, face, margin=0.5))


def _without(face: Face, *names: str) -> dict[str, Any]:
    return {name: value for name, value in face.as_dict().items() if name not in names}


def _encoded(face: Face, nested: bool) -> dict[str, Any]:
    record = face.as_dict()
    numbers = [float(str(value)) for value in face.encoding] if face.encoding is not None else []
    if nested:
        return {**record, "encoding": numbers}
    return {**record, **{f"e{place}": number for place, number in enumerate(numbers)}}


def _detected(picture: str, face: dict[str, Any]) -> str:
    return ",".join([picture, *map(str, face["box"]), f"{face['score']:.3f}"])


def _clustered(picture: str, face: dict[str, Any]) -> str:
    return ",".join([str(face["cluster"]), picture, *map(str, face["box"])])


def _blurred(picture: str, record: dict[str, Any]) -> str:
    count = record["faces"]
    return f"{record['output']}: {count} face{'' if count == 1 else 's'}"
