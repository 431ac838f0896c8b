"""Reproduce the figures that are known of the face pipeline, on the ORL faces.

    python tools/face_anchors.py FOLDER            # with the packaged weights
    python tools/face_anchors.py FOLDER --dlib DAT # with the float32 weights of dlib's files in the folder DAT

FOLDER holds faces_orl/ (AT&T, 40 people x 10 pictures) and anchors/orl_dlib.npz: dlib's boxes, landmarks and
descriptors. Each picture is searched once doubled, and twice if there is no face; the widest box counts. Prints a line
for each figure, and fails if one is not as known. `--table` prints the table of pyconvx/faces/_false_accepts.py.
With dlib installed, chips are compared too.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx import faces, image
from pyconvx.faces import Face, FaceModels

Floats = NDArray[np.float64]


class Report:
    """Lines of figures, and whether all were as wanted."""

    def __init__(self) -> None:
        self.failed = False

    def line(self, what: str, found: Any, wanted: str, good: bool) -> None:
        self.failed |= not good
        print(f"{'ok  ' if good else 'FAIL'}  {what:45} {found!s:>12}   wanted {wanted}")


def find(paths: list[Path], models: FaceModels) -> list[tuple[int, Face | None]]:
    """How often each picture was doubled, and the face with the widest box."""
    found: list[tuple[int, Face | None]] = [(2, None)] * len(paths)
    left = list(range(len(paths)))
    for upsample in (1, 2):
        outcomes = list(faces.stream([paths[index] for index in left], upsample=upsample, models=models))
        for index, outcome in zip(left, outcomes, strict=True):
            if outcome.error:
                raise outcome.error
            if outcome.faces:
                found[index] = upsample, max(outcome.faces, key=lambda face: face.width)
        left = [index for index in left if found[index][1] is None]
    return found


def report_detector(report: Report, paths: list[Path], boxes: NDArray[Any]) -> None:
    """How many pictures have a face and how many boxes too many, by doublings; and faces of which width are found."""
    pictures = [image.load(path) for path in paths]
    for upsample, wanted in ((0, 388), (1, 398), (2, 400)):
        counts = counts_of(pictures, upsample)
        report.line(
            f"with a face, doubled {upsample} times", (counts > 0).sum(), str(wanted), (counts > 0).sum() == wanted
        )
        report.line("  boxes too many", (counts > 1).sum(), "0", not (counts > 1).any())
    for width in (50, 60, 70, 80, 120):  # every fourth picture, amid grey
        scaled = [
            on_grey(picture, width / (box[2] - box[0] + 1))
            for picture, box in zip(pictures[::4], boxes[::4], strict=True)
        ]
        print(f"      found of 100, boxes {width} pixels wide {(counts_of(scaled, 0) > 0).sum():17}")


def counts_of(pictures: list[NDArray[np.uint8]], upsample: int) -> NDArray[np.int64]:
    """Faces found in each picture."""
    return np.array([len(outcome.faces) for outcome in faces.stream(pictures, "detect", upsample=upsample)])


def on_grey(picture: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """A picture of another size, with 80 pixels around it."""
    height, width = (max(1, round(extent * scale)) for extent in picture.shape[:2])
    ground = np.full((height + 160, width + 160, 3), 128, np.uint8)
    ground[80:-80, 80:-80] = image.resize(picture, (height, width), resample="bilinear")
    return ground


def differing_chips(paths: list[Path], found: list[Face]) -> int | None:
    """How many chips are not byte for byte those of dlib; None without dlib."""
    try:
        import dlib
    except ImportError:
        return None
    count = 0
    for path, face in zip(paths, found, strict=True):
        assert face.landmarks is not None
        points = [dlib.point(int(x), int(y)) for x, y in face.landmarks]
        shape = dlib.full_object_detection(dlib.rectangle(*face.box), points)
        pixels = image.load(path)
        theirs = dlib.get_face_chip(pixels, shape, size=150, padding=0.25)
        count += not np.array_equal(theirs, faces.align(pixels, [face])[0])
    return count


def distances(encodings: Floats) -> Floats:
    """Euclidean, between all pairs."""
    difference = encodings[:, None] - encodings[None]
    return np.asarray(np.sqrt((difference**2).sum(axis=2)))


def equal_error_rate(genuine: Floats, impostor: Floats) -> float:
    """Half of FAR + FRR at the threshold where they are nearest."""
    thresholds = np.sort(np.concatenate([genuine, impostor]))
    accepted = np.searchsorted(np.sort(impostor), thresholds, side="right") / impostor.size
    rejected = 1 - np.searchsorted(np.sort(genuine), thresholds, side="right") / genuine.size
    nearest = np.argmin(np.abs(accepted - rejected))
    return float((accepted[nearest] + rejected[nearest]) / 2)


def report_accuracy(report: Report, all_pairs: Floats, people: NDArray[Any]) -> Floats:
    """Verification and recognition; returns the impostors' distances."""
    first, second = np.triu_indices(len(people), 1)
    same = people[first] == people[second]
    pairs = all_pairs[first, second]
    genuine, impostor = pairs[same], pairs[~same]
    report.line("genuine pairs", genuine.size, "1800", genuine.size == 1800)
    report.line("impostor pairs", impostor.size, "78000", impostor.size == 78000)

    def figure(what: str, value: float, wanted: float, slack: float) -> None:
        report.line(what, f"{value:.5f}", f"{wanted:.5f} within {slack:g}", abs(value - wanted) <= slack + 5e-6)

    pair = 1 / impostor.size
    tar, far = (genuine <= 0.6).mean(), (impostor <= 0.6).mean()
    figure("TAR at 0.6", tar, 0.99722, 0)
    figure("FAR at 0.6", far, 0.01765, 2 * pair)
    figure("balanced accuracy at 0.6", (tar + 1 - far) / 2, 0.98978, 2 * pair)
    near = np.arange(0.5535, 0.5545, 1e-5)  # the best threshold, given as .554, lies at .55406
    best = max(((genuine <= at).mean() + 1 - (impostor <= at).mean()) / 2 for at in near)
    figure("balanced accuracy at 0.554", best, 0.99405, 2 * pair)
    figure("equal error rate", equal_error_rate(genuine, impostor), 0.00674, 3 * pair)
    others = all_pairs + np.diag(np.full(len(people), np.inf))
    figure("rank-1, leave one out", (people[others.argmin(axis=1)] == people).mean(), 1.0, 0)
    return impostor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with faces_orl/ and anchors/")
    parser.add_argument("--dlib", type=Path, metavar="DAT", help="folder with dlib's three files")
    parser.add_argument("--table", action="store_true", help="print how often strangers are as near as a threshold")
    arguments = parser.parse_args()
    anchors = np.load(arguments.folder / "anchors" / "orl_dlib.npz")
    paths = [arguments.folder / str(path) for path in anchors["path"]]
    models = FaceModels.from_dlib(arguments.dlib) if arguments.dlib else FaceModels()
    report = Report()
    results = find(paths, models)
    found = [face for _, face in results if face is not None]
    report.line("pictures", len(paths), "400", len(paths) == 400)
    report.line("with a face", len(found), "400", len(found) == len(paths))
    if len(found) < len(paths):
        sys.exit(1)
    doubled = np.array([upsample for upsample, _ in results])
    boxes = np.array([face.box for face in found])
    scores = np.array([face.score for face in found])
    landmarks = np.array([face.landmarks for face in found])
    encodings = np.array([face.encoding for face in found], np.float64)
    for what, ours, theirs in (
        ("upsample as dlib's", doubled, anchors["upsample"]),
        ("boxes identical", boxes, anchors["box"]),
        ("landmarks identical", landmarks, anchors["landmarks5"]),
    ):
        same = (ours == theirs).reshape(len(found), -1).all(axis=1).sum()
        report.line(what, same, "400", same == 400)
    off = np.abs(scores - anchors["score"]).max()
    report.line("scores, largest difference", f"{off:.1e}", "1e-04", off <= 1e-4)
    chips = differing_chips(paths, found)
    if chips is None:
        print("      chips not compared: dlib is not installed")
    else:
        report.line("chips that differ from dlib's", chips, "at most 4", chips <= 4)
    reference = anchors["descriptor"].astype(np.float64)
    off = np.abs(encodings - reference).max()
    pairs, reference_pairs = distances(encodings), distances(reference)
    apart = np.abs(pairs - reference_pairs).max()
    report.line("encodings, largest difference", f"{off:.1e}", "1e-05", off <= 1e-5)
    report.line("pair distances, largest difference", f"{apart:.1e}", "1e-05", apart <= 1e-5)
    upper = np.triu_indices(len(found), 1)
    changed = ((pairs <= 0.6) != (reference_pairs <= 0.6))[upper].sum()
    report.line(f"decisions of {upper[0].size} that changed", changed, "0", changed == 0)
    impostor = report_accuracy(report, pairs, anchors["identity"])
    if not arguments.dlib:
        report_detector(report, paths, boxes)
    if arguments.table:
        print([int((impostor <= step / 100).sum()) for step in range(30, 101)])
    sys.exit(report.failed)


if __name__ == "__main__":
    main()
