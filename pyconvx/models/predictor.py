"""Five landmarks of a face in a box, by a cascade of regression trees.

The arithmetic is dlib's to the last bit, rounding by rounding: a changed bit in one stage takes other branches in the
next, and moves a landmark by pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import DTypeError, ShapeError
from pyconvx.models._packaged import read_packaged
from pyconvx.models.card import Card
from pyconvx.models.catalogue import CARDS

_DEPTH = 4  # of a tree: 15 splits, 16 leaves
_TOGETHER = 64  # faces computed at once: more are not faster, and memory stays bounded

_Floats = NDArray[np.float32]
_Indices = NDArray[np.intp]


@dataclass(frozen=True)
class LandmarkPredictor:
    """A cascade from a picture and boxes to five points a box.

    Points are in dlib's order: outer and inner corner of the eye on the picture's right, which is the person's left;
    outer and inner corner of the other eye; base of the nose.

    Parameters
    ----------
    stages : tuple
        The stages of the cascade.
    initial : ndarray of float32, shape (5, 2)
        Where the points of a face are before one has looked, in a box from 0 to 1.
    card : Card
        Licence, sources, notes.
    """

    stages: tuple[_Stage, ...]
    initial: _Floats
    card: Card

    def predict(self, image: NDArray[Any], boxes: ArrayLike) -> NDArray[np.int64]:
        """Return the landmarks of the faces in boxes.

        Parameters
        ----------
        image : ndarray of uint8, shape (H, W) or (H, W, 3)
            Grey or RGB.
        boxes : array_like of int, shape (n, 4)
            left, top, right, bottom; inclusive. They may leave the picture.

        Returns
        -------
        ndarray of int64, shape (n, 5, 2)
            x and y in pixels of the picture; they may lie outside.

        Raises
        ------
        ShapeError, DTypeError
            If picture or boxes have another shape or type.
        """
        if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] != 3) or not image.size:
            raise ShapeError(f"image: got shape {image.shape}; wanted (H, W) or (H, W, 3), RGB")
        if image.dtype != np.uint8:
            raise DTypeError(f"image: got {image.dtype}; wanted uint8 levels")
        places = np.asarray(boxes)
        if not places.size:
            return np.empty((0, len(self.initial), 2), np.int64)
        if places.ndim != 2 or places.shape[1] != 4:
            raise ShapeError(f"boxes: got shape {places.shape}; wanted (n, 4): left, top, right, bottom")
        if places.dtype.kind not in "iu":
            raise DTypeError(f"boxes: got {places.dtype}; wanted integers")
        parts = [
            self._predict(image, places[start : start + _TOGETHER].astype(np.float64))
            for start in range(0, len(places), _TOGETHER)
        ]
        return np.concatenate(parts)

    def _predict(self, image: NDArray[np.uint8], boxes: NDArray[np.float64]) -> NDArray[np.int64]:
        corner, extent = boxes[:, None, :2], boxes[:, None, 2:] - boxes[:, None, :2]
        shapes = np.repeat(self.initial[None], len(boxes), axis=0)
        for stage in self.stages:
            turns = _turns(self.initial, shapes)
            points = stage.points(turns, shapes)
            levels = _levels(image, _to_pixels(corner, extent, points))
            leaves = stage.leaves_of(levels).reshape(len(boxes), -1, *self.initial.shape)
            # One tree after the other, each sum rounded: that is what accumulate promises, and reduce does not.
            steps = np.concatenate([shapes[:, None], leaves], axis=1)
            shapes = np.add.accumulate(steps, axis=1, dtype=np.float32)[:, -1]
        return _to_pixels(corner, extent, shapes)


@dataclass(frozen=True)
class _Stage:
    """500 trees that look at 800 points.

    `anchors` (800) and `deltas` (800, 2) place the points; `pairs` (500, 15, 2) are the points that a split compares,
    `thresholds` (500, 15) with what; `leaves` (500, 16, 10) are the steps.
    """

    anchors: NDArray[np.intp]
    deltas: _Floats
    pairs: NDArray[np.intp]
    thresholds: _Floats
    leaves: _Floats

    def points(self, turns: _Floats, shapes: _Floats) -> _Floats:
        """Where the points lie for the present shapes, (n, 800, 2), in boxes from 0 to 1."""
        x, y = self.deltas[:, 0], self.deltas[:, 1]
        points: _Floats = shapes[:, self.anchors]
        points[..., 0] += turns[:, 0, 0, None] * x + turns[:, 0, 1, None] * y
        points[..., 1] += turns[:, 1, 0, None] * x + turns[:, 1, 1, None] * y
        return points

    def leaves_of(self, levels: _Floats) -> _Floats:
        """The leaf that each tree reaches, (n, 500, 10)."""
        trees = np.arange(len(self.thresholds))
        faces = np.arange(len(levels))[:, None]
        nodes = np.zeros((len(levels), len(trees)), np.intp)
        for _ in range(_DEPTH):
            pairs = self.pairs[trees, nodes]
            difference = levels[faces, pairs[..., 0]] - levels[faces, pairs[..., 1]]
            nodes = 2 * nodes + np.where(difference > self.thresholds[trees, nodes], 1, 2)
        leaves: _Floats = self.leaves[trees, nodes - self.thresholds.shape[1]]
        return leaves


def _turns(initial: _Floats, shapes: _Floats) -> _Floats:
    """Rotation and scale (n, 2, 2) of the similarity that takes `initial` nearest to each shape (least squares)."""
    start = initial.astype(np.float64)
    start -= start.mean(axis=0)
    ends = shapes.astype(np.float64)
    ends -= ends.mean(axis=1, keepdims=True)
    size = (start * start).sum()
    cosine = (ends * start).sum(axis=(1, 2)) / size
    sine = (ends[..., 1] * start[:, 0] - ends[..., 0] * start[:, 1]).sum(axis=1) / size
    return np.stack([cosine, -sine, sine, cosine], axis=1).reshape(-1, 2, 2).astype(np.float32)


def _to_pixels(corner: NDArray[np.float64], extent: NDArray[np.float64], points: _Floats) -> NDArray[np.int64]:
    return np.floor(corner + extent * points + 0.5).astype(np.int64)


def _levels(image: NDArray[np.uint8], places: NDArray[np.int64]) -> _Floats:
    """Grey levels at (n, m, 2) places x, y; 0 outside of the picture; of colours (R + G + B) // 3."""
    height, width = image.shape[:2]
    x, y = places[..., 0], places[..., 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    flat = image.reshape(height * width, -1)
    found = flat[np.where(inside, y * width + x, 0)].astype(np.int32)
    grey = found.sum(axis=-1) // found.shape[-1]
    return np.where(inside, grey, 0).astype(np.float32)


def landmarks() -> LandmarkPredictor:
    """Return dlib's five-point predictor, regression trees, with its packaged weights.

    Raises
    ------
    WeightsError
        If the weight file is missing or damaged.

    References
    ----------
    V. Kazemi, J. Sullivan, "One Millisecond Face Alignment with an Ensemble of Regression Trees", 2014.
    D. E. King, shape_predictor_5_face_landmarks, 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import models
    >>> predictor = models.landmarks()
    >>> predictor.predict(np.zeros((100, 100), np.uint8), [(10, 10, 89, 89)]).shape
    (1, 5, 2)
    """
    card = CARDS["landmarks"]
    return make_predictor(read_packaged(card), card)


def make_predictor(state: dict[str, NDArray[Any]], card: Card) -> LandmarkPredictor:
    """Return a predictor with these arrays."""
    pairs = np.stack([state["first"], state["second"]], axis=-1).astype(np.intp)
    stages = zip(
        state["anchors"].astype(np.intp), state["deltas"], pairs, state["thresholds"], state["leaves"], strict=True
    )
    return LandmarkPredictor(tuple(_Stage(*stage) for stage in stages), state["initial"], card)
