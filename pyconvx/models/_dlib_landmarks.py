"""dlib's five-point shape predictor from its .dat file: a cascade of regression trees, as plain arrays.

The file: version; initial shape (10 x 1); 15 stages of 500 trees, each with 15 splits (two indices and a threshold) and
16 leaves (10 x 1); 15 vectors of 800 anchors; 15 vectors of 800 offsets. Only these sizes are read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import WeightsError
from pyconvx.models._dlib_stream import Stream

State = dict[str, NDArray[np.generic]]

STAGES, TREES, SPLITS, LEAVES, PIXELS, POINTS = 15, 500, 15, 16, 800, 5
_COORDINATES = 2 * POINTS
_LEAF = 2 + 2 * _COORDINATES  # integers of a leaf: rows and columns, then mantissa and exponent of each coordinate
_TREE = 1 + 4 * SPLITS + 1 + _LEAF * LEAVES


def read_landmarks(stream: Stream) -> State:
    """Read a whole file; raises WeightsError."""
    stream.expect("the version of the file", 1)
    read_sizes(stream)
    initial = stream.reals(_COORDINATES)
    stream.expect("the number of stages", STAGES)
    stages = [_read_stage(stream) for _ in range(STAGES)]
    anchors = np.stack(_read_vectors(stream, "anchors", 1))[..., 0]
    if not ((anchors >= 0) & (anchors < POINTS)).all():
        raise stream.fail("an anchor is not one of the points")
    offsets = np.stack(_read_vectors(stream, "offsets", 4))
    deltas = stream.join(offsets[..., 0::2], offsets[..., 1::2])
    stream.end()
    arrays = {name: np.stack([stage[name] for stage in stages]) for name in stages[0]}
    return {
        "initial": stream.narrow(initial).reshape(POINTS, 2),
        **arrays,
        "anchors": anchors.astype(np.uint8),
        "deltas": stream.narrow(deltas),
    }


def read_sizes(stream: Stream) -> None:
    """Read how many coordinates a shape has: enough to refuse other predictors."""
    rows, columns = stream.integers(2).tolist()
    if (rows, columns) == (-136, -1):
        raise WeightsError(
            f"{stream.source}: is the 68-point predictor, which was trained on pictures that exclude commercial use "
            "(iBUG 300-W); pyconvx does not read it. Use shape_predictor_5_face_landmarks.dat, or models.landmarks()"
        )
    if (rows, columns) != (-_COORDINATES, -1):
        raise stream.fail(f"a shape has sizes {(rows, columns)}, wanted {(-_COORDINATES, -1)} as stored,")


def _read_stage(stream: Stream) -> State:
    stream.expect("the number of trees", TREES)
    trees = stream.integers(TREES * _TREE).reshape(TREES, _TREE)
    splits = trees[:, 1 : 1 + 4 * SPLITS].reshape(TREES, SPLITS, 4)
    leaves = trees[:, 2 + 4 * SPLITS :].reshape(TREES, LEAVES, _LEAF)
    _check(stream, "the number of splits", trees[:, 0], SPLITS)
    _check(stream, "the number of leaves", trees[:, 1 + 4 * SPLITS], LEAVES)
    _check(stream, "the size of a leaf", leaves[..., :2], [-_COORDINATES, -1])
    pixels = splits[..., :2]
    if not ((pixels >= 0) & (pixels < PIXELS)).all():
        raise stream.fail("a split compares pixels that are not there")
    return {
        "first": pixels[..., 0].astype(np.uint16),
        "second": pixels[..., 1].astype(np.uint16),
        "thresholds": stream.narrow(stream.join(splits[..., 2], splits[..., 3])),
        "leaves": stream.narrow(stream.join(leaves[..., 2::2], leaves[..., 3::2])),
    }


def _read_vectors(stream: Stream, what: str, width: int) -> list[NDArray[np.int64]]:
    """A vector a stage of a vector of PIXELS items, each of `width` integers."""
    stream.expect(f"the number of vectors of {what}", STAGES)
    vectors = []
    for _ in range(STAGES):
        stream.expect(f"the number of {what}", PIXELS)
        vectors.append(stream.integers(PIXELS * width).reshape(PIXELS, width))
    return vectors


def _check(stream: Stream, what: str, values: NDArray[np.int64], wanted: int | list[int]) -> None:
    if (values != np.array(wanted)).any():
        raise stream.fail(f"{what} is not {wanted}, before")
