"""`pyconvx faces verify`, `identify` and `calibrate`: who is who, and how sure that is."""

from __future__ import annotations

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyconvx._progress import make_bar
from pyconvx.cli.exit_codes import BAD_INPUT, NEGATIVE, OK
from pyconvx.cli.faces_flags import add_action, add_gallery, add_pictures, add_search
from pyconvx.cli.faces_report import Report, encode_alike, outcomes, search_options, tell
from pyconvx.cli.faces_sources import Copies, expand
from pyconvx.cli.output import write
from pyconvx.errors import DataError, ImageError, OptionError

if TYPE_CHECKING:
    from pyconvx.faces import Gallery
    from pyconvx.metrics import Calibration

# As the command `face_recognition` writes them.
UNKNOWN, NOBODY = "unknown_person", "no_persons_found"


def add_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of these actions."""
    verify = add_action(
        actions, "verify", "whether two pictures show one person", "Exit code 0 if they do, 1 if they do not."
    )
    verify.add_argument("first", metavar="A", help="picture")
    verify.add_argument("second", metavar="B", help="picture")
    limit = verify.add_mutually_exclusive_group()
    limit.add_argument("--threshold", type=float, metavar="X", help="largest distance of one person (0.6)")
    limit.add_argument("--gallery", metavar="GALLERY", help="take the threshold from its calibration")
    add_search(verify, policy="error")
    verify.set_defaults(act=run_verify)

    identify = add_action(
        actions,
        "identify",
        "whom a gallery knows in pictures",
        f"A line a face: picture,name,distance; {UNKNOWN} where nobody is near enough, and picture,{NOBODY} where "
        "there is no face. Exit code 1 if nobody was recognised.",
    )
    add_gallery(identify)
    add_pictures(identify)
    identify.add_argument("-k", type=int, default=1, metavar="N", help="with --json: how many candidates to name")
    identify.add_argument(
        "--threshold",
        type=float,
        metavar="X",
        help="largest distance of somebody; that of the calibration if not given",
    )
    identify.add_argument("--draw", metavar="DIR", help="write copies with boxes and names to this folder")
    add_search(identify)
    identify.set_defaults(act=run_identify)

    calibrate = add_action(
        actions,
        "calibrate",
        "choose a threshold from people of your own",
        "Several pictures of many people are needed: 3 / FAR pairs of strangers. The interval of the rate comes from "
        "resampling people.",
    )
    calibrate.add_argument("source", metavar="SOURCE", help="gallery, or folder with a sub-folder for each person")
    add = calibrate.add_argument
    add("--far", type=float, default=1e-3, metavar="X", help="how often a stranger may be accepted")
    add(
        "--gallery-size", type=int, metavar="K", help="among how many entries; all of the gallery, 1 for a folder alone"
    )
    add("--confidence", type=float, default=0.95, metavar="X", help="of the intervals")
    add("--save", metavar="GALLERY", help="of a folder: keep the result in this gallery (a gallery keeps its own)")
    add("--dry-run", action="store_true", help="do not keep the result")
    add_search(calibrate, policy="error")
    calibrate.set_defaults(act=run_calibrate)


def run_verify(arguments: argparse.Namespace) -> int:
    """Compare two pictures."""
    from pyconvx import faces

    threshold: float | Calibration | None = arguments.threshold
    if arguments.gallery is not None:
        with faces.Gallery(arguments.gallery, create=False) as gallery:
            encode_alike(arguments, gallery)
            threshold = gallery.calibration
        if threshold is None:
            raise OptionError(f"--gallery {arguments.gallery}: is not calibrated; see pyconvx faces calibrate")
    options = search_options(arguments) | ({} if threshold is None else {"threshold": threshold})
    answer = faces.verify(arguments.first, arguments.second, **options)
    known = not math.isnan(answer.false_accept_rate)
    write(arguments, {**vars(answer), "false_accept_rate": answer.false_accept_rate if known else None}, _verified)
    return OK if answer.same else NEGATIVE


def run_identify(arguments: argparse.Namespace) -> int:
    """Name the people in pictures."""
    from pyconvx import faces, image

    sources = expand(arguments.pictures)
    copies = Copies(arguments.draw, sources) if arguments.draw else None
    recognised = 0
    columns = ("name", "distance", "left", "top", "right", "bottom")
    with faces.Gallery(arguments.gallery, create=False) as gallery, Report(arguments, columns, _identified) as report:
        encode_alike(arguments, gallery)
        _warn_of_growth(arguments, gallery)
        for source, outcome in outcomes(arguments, sources, "encode", report):
            found = gallery.identify(
                outcome.faces, k=arguments.k, threshold=arguments.threshold, jitter=arguments.jitter
            )
            recognised += sum(map(bool, found))
            records = [answer.as_dict() for answer in found]
            if not arguments.json:
                records = [{**record, "name": record["name"] or UNKNOWN} for record in records]
            report.add(source.path, records)
            if not found and not arguments.json:
                report.row(source.path, {"name": NOBODY, "distance": None, "box": None})
            if copies is not None and found:
                try:
                    names = [answer.name or "?" for answer in found]
                    image.save(copies.path(source), faces.draw(source.path, outcome.faces, names))
                except (ImageError, OSError) as error:
                    report.problem(source.path, error)
        return report.code() or (OK if recognised else NEGATIVE)


def run_calibrate(arguments: argparse.Namespace) -> int:
    """Find a threshold, and keep it."""
    from pyconvx import faces

    if not arguments.source:
        raise OptionError("SOURCE: got an empty name; wanted a folder of people, or a gallery")
    wanted = {"far": arguments.far, "confidence": arguments.confidence}
    problems = []
    size = arguments.gallery_size
    if Path(arguments.source).is_dir():
        if arguments.save:
            with faces.Gallery(arguments.save, create=False) as gallery:
                encode_alike(arguments, gallery)
                if size is None:  # `identify` will search among so many
                    size = max(1, sum(gallery.people.values()))
        bar = make_bar(not arguments.quiet, unit="pictures")

        def problem(line: str) -> None:
            bar.aside()
            problems.append(line)
            tell(arguments, line)

        try:
            found = faces.calibrate(
                arguments.source,
                gallery_size=size,
                problem=problem,
                progress=bar.update,
                **wanted,
                **search_options(arguments),
            )
        finally:
            bar.close()
    else:
        if arguments.save:
            raise OptionError("--save: a gallery keeps its own calibration; leave it out")
        if not Path(arguments.source).exists():
            raise DataError(f"{arguments.source}: does not exist; wanted a folder of people, or a gallery")
        with faces.Gallery(arguments.source, create=False) as gallery:
            found = gallery.calibrate(gallery_size=size, save=not arguments.dry_run, **wanted)
    write(arguments, {**found.as_dict(), "search_far": found.search_far()}, _calibrated)
    if arguments.save and not arguments.dry_run:  # last: what was found is told even if it cannot be kept
        with faces.Gallery(arguments.save, create=False) as gallery:
            gallery.calibration = found
    return BAD_INPUT if problems else OK


def _warn_of_growth(arguments: argparse.Namespace, gallery: Gallery) -> None:
    """Say if a calibration was made for a much smaller gallery."""
    calibration, entries = gallery.calibration, sum(gallery.people.values())
    if arguments.threshold is None and calibration is not None and entries > 2 * calibration.gallery_size:
        tell(
            arguments,
            f"{arguments.gallery}: calibrated for {calibration.gallery_size} entries and has {entries}: a stranger is "
            f"taken for somebody at a rate of {calibration.search_far(entries):.2g} now; calibrate anew",
        )


def _verified(answer: dict[str, Any]) -> str:
    said, rate = "same" if answer["same"] else "different", answer["false_accept_rate"]
    told = "not known" if rate is None else f"{rate:.2g}"
    return f"{said}: distance {answer['distance']:.4f}, threshold {answer['threshold']:.4g}, false-accept rate {told}"


def _identified(picture: str, record: dict[str, Any]) -> str:
    distance = record["distance"]
    return ",".join([picture, record["name"], *([] if distance is None else [f"{distance:.4f}"])])


def _calibrated(found: dict[str, Any]) -> str:
    def interval(name: str) -> str:
        around = found[name]
        return "" if around is None else f" ({found['confidence']:.0%} interval {around[0]:.2g} to {around[1]:.2g})"

    lines = [
        f"threshold {found['threshold']:.4f}",
        f"strangers accepted in one comparison: {found['pair_far']:.2g}{interval('interval')}, "
        f"{found['false_accepts']} of {found['impostor']} pairs",
        f"same people accepted: {found['tar']:.4f}{interval('tar_interval')}, "
        f"{found['true_accepts']} of {found['genuine']} pairs",
    ]
    if found["gallery_size"] > 1:
        lines.append(f"strangers taken for somebody among {found['gallery_size']} entries: {found['search_far']:.2g}")
    return "\n".join(lines)
