"""Faces: encode, detect, identify, and a folder of pictures from files to encodings.

Where dlib's model files are at hand all sides have its float32 weights; else the packaged ones, and dlib stays out.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from bench import bench_distance
from bench.arrays import Array, normal
from bench.face_networks import Exact, detector, detector_flops, encoder, encoder_flops, face_models
from bench.harness import Case, Prepared, Results, Side, Work, gate
from bench.peers import Peers
from bench.problems.faces import (
    CHECK_FOLDER,
    DETECT,
    DISTINCT,
    ENCODE,
    FOLDER,
    IDENTIFY,
    QUICK_FOLDER,
    chips,
    picture,
    write_folder,
)
from pyconvx import faces, image
from pyconvx.faces import Face, FaceModels
from pyconvx.faces._boxes import on_level_zero, rounded, suppressed
from pyconvx.faces._canvas import layout, paint

PRODUCTS = "2 x products of the convolutions"
# A layer's gate times the root of the number of layers: 29 convolutions, and 7.
ENCODER_GATE, DETECTOR_GATE = 1.5e-5 * math.sqrt(29), 1.5e-5 * math.sqrt(7)
CHECK_SIZE = 160


def cases(peers: Peers, quick: bool, at_most: float | None = None) -> Iterator[Case]:
    """All of it; with `at_most`, one face, a small picture, a few files and a small gallery."""
    models = face_models()
    yield from encoding_cases(models, peers, [1] if quick or at_most else list(ENCODE))
    sizes = [CHECK_SIZE] if at_most else [512] if quick else list(DETECT)
    yield from detection_cases(models, peers, sizes)
    counts = [100] if quick or at_most else list(IDENTIFY)
    yield from identification_cases(peers, counts)
    yield folder_case(models, peers, CHECK_FOLDER if at_most else QUICK_FOLDER if quick else FOLDER)


def encoding_cases(models: FaceModels, peers: Peers, counts: Sequence[int]) -> Iterator[Case]:
    flops = encoder_flops(models.encoder.net.state_dict())
    for count in counts:
        yield Case(
            "faces",
            f"encode {count}",
            ENCODE[count],
            "encode",
            Work(count * flops, "GFLOP/s", PRODUCTS),
            ENCODER_GATE,
            partial(prepare_encoding, models, count, peers),
            group=f"encode {count}",
        )


def prepare_encoding(models: FaceModels, count: int, peers: Peers) -> Prepared:
    given = chips(count)
    weights = models.encoder.net.state_dict()
    exact = exact_encodings(models, given[:2])[np.arange(count) % 2]
    mine = Side("pyconvx", partial(models.encoder.encode, given), lambda y: (y,), ours=True)
    theirs, skipped = peers.sides("face_encoding", weights, given)
    return Prepared((exact,), [mine, *theirs], skipped)


def exact_encodings(models: FaceModels, given: Array) -> Array:
    weights = models.encoder.net.state_dict()
    return encoder(Exact(weights), weights, normalized(models, given))


def normalized(models: FaceModels, levels: Array) -> Array:
    x: Array = (levels - np.array(models.detector.mean)) / models.detector.scale  # both networks take the same
    return x


def detection_cases(models: FaceModels, peers: Peers, sizes: Sequence[int]) -> Iterator[Case]:
    weights = models.detector.net.state_dict()
    for size in sizes:
        plan = layout(size, size)
        work = Work(detector_flops(weights, plan.height, plan.width), "GFLOP/s", PRODUCTS)
        why = DETECT.get(size, "small, for a check")
        for direction, prepare in (("detect", prepare_detection), ("network alone", prepare_network)):
            yield Case(
                "faces",
                f"detect {size}",
                why,
                direction,
                work,
                DETECTOR_GATE,
                partial(prepare, models, size, peers),
                group=f"detect {size}",
            )


def canvas_of(models: FaceModels, pixels: Array) -> Array:
    plan = layout(*pixels.shape[:2])
    return paint(pixels, models.detector.mean, 1 / models.detector.scale, plan)


def exact_scores(models: FaceModels, canvas: Array) -> Array:
    weights = models.detector.net.state_dict()
    return detector(Exact(weights), weights, canvas[None].astype(np.float64), *canvas.shape[:2])[0, :, :, 0]


def prepare_network(models: FaceModels, size: int, peers: Peers) -> Prepared:
    """The score map of the canvas."""
    canvas = canvas_of(models, picture(size))
    weights = models.detector.net.state_dict()
    mine = Side("pyconvx", partial(models.detector.scores, canvas), lambda y: (y,), ours=True)
    theirs, skipped = peers.sides("face_scores", weights, canvas)
    return Prepared((exact_scores(models, canvas),), [mine, *theirs], skipped)


def prepare_detection(models: FaceModels, size: int, peers: Peers) -> Prepared:
    """From pixels to boxes and scores."""
    pixels = picture(size)
    scores = exact_scores(models, canvas_of(models, pixels))
    network = models.detector
    corners, found = on_level_zero(scores, layout(size, size), 0.0, network.stride, network.offset, network.window)
    boxes = rounded(corners)
    stay = suppressed(boxes)
    expected = [Face(tuple(box), score) for box, score in zip(boxes[stay].tolist(), found[stay].tolist(), strict=True)]
    mine = Side("pyconvx", partial(faces.detect, pixels, models=models), read_faces, ours=True)
    theirs, skipped = peers.sides("face_detection", pixels)
    return Prepared(read_faces(expected), [mine, *theirs], skipped)


def read_faces(found: Sequence[Face]) -> Results:
    return np.array([face.box for face in found], np.float64), np.array([face.score for face in found])


def identification_cases(peers: Peers, counts: Sequence[int]) -> Iterator[Case]:
    for count in counts:
        yield Case(
            "faces",
            f"identify among {count}",
            IDENTIFY[count],
            "nearest",
            Work(2.0 * count * 128, "GFLOP/s", bench_distance.FORMULAS["nearest"][1]),
            gate(128),
            partial(prepare_identification, count, peers),
            group=f"identify among {count}",
        )


def prepare_identification(count: int, peers: Peers) -> Prepared:
    """Encodings as they are: 128 numbers of about a tenth, all near to one another."""
    rng = np.random.default_rng(0)
    center = np.float32(0.1) * normal(rng, 128)
    gallery = center + np.float32(0.06) * normal(rng, count, 128)
    queries = center + np.float32(0.06) * normal(rng, 1, 128)
    return bench_distance.prepare_nearest(queries, gallery, peers)


def folder_case(models: FaceModels, peers: Peers, count: int) -> Case:
    return Case(
        "faces",
        f"folder of {count}",
        "an album: files in, encodings out",
        "pipeline",
        Work(folder_flops(models, count), "GFLOP/s", f"{PRODUCTS}, detector and encoder"),
        ENCODER_GATE,
        partial(prepare_folder, models, count, peers),
        group="folder of pictures",
    )


def folder_flops(models: FaceModels, count: int) -> float:
    total = count * encoder_flops(models.encoder.net.state_dict())
    with tempfile.TemporaryDirectory() as folder:
        for path in write_folder(Path(folder), min(count, DISTINCT)):
            plan = layout(*image.load(path).shape[:2])
            each = detector_flops(models.detector.net.state_dict(), plan.height, plan.width)
            total += each * count / min(count, DISTINCT)
    return total


def prepare_folder(models: FaceModels, count: int, peers: Peers) -> Prepared:
    folder = tempfile.TemporaryDirectory()
    paths = write_folder(Path(folder.name), count)
    distinct = []
    for path in paths[:DISTINCT]:
        pixels = image.load(path)
        distinct.append(faces.align(pixels, faces.detect(pixels, models=models), models=models)[0])
    exact = exact_encodings(models, np.stack(distinct))[np.arange(count) % DISTINCT]

    def call(folder: Any = folder) -> list[Face]:  # the folder lives as long as the side
        return [face for outcome in faces.stream(paths, models=models) for face in outcome.faces]

    mine = Side("pyconvx", call, lambda found: (np.array([face.encoding for face in found]),), ours=True)
    theirs, skipped = peers.sides("face_folder", paths)
    return Prepared((exact,), [mine, *theirs], skipped)
