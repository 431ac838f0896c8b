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
_SPLITS = 2**_DEPTH - 1
_TOGETHER = 16  # faces computed at once: more are not faster, and memory stays bounded

_Floats = NDArray[np.float32]


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
        picture = np.ascontiguousarray(image)
        parts = [
            self._predict(picture, places[start : start + _TOGETHER].astype(np.float64))
            for start in range(0, len(places), _TOGETHER)
        ]
        return np.concatenate(parts)

    def _predict(self, image: NDArray[np.uint8], boxes: NDArray[np.float64]) -> NDArray[np.int64]:
        corner, extent = boxes[:, :2, None], boxes[:, 2:, None] - boxes[:, :2, None]
        shapes = np.repeat(self.initial.reshape(1, -1), len(boxes), axis=0)  # x0, y0, x1, ...
        basis = _basis(self.initial)
        for stage in self.stages:
            points = stage.points(_turns(basis, shapes), _by_axis(shapes))
            leaves = stage.leaves_of(_levels(image, _to_pixels(corner, extent, points)))
            # One tree after the other, each sum rounded: that is what accumulate promises, and a sum does not.
            steps = np.concatenate([shapes[:, None], leaves], axis=1)
            shapes = np.add.accumulate(steps, axis=1, out=steps)[:, -1]
        pixels = _to_pixels(corner, extent, _by_axis(shapes))
        return np.ascontiguousarray(pixels.transpose(0, 2, 1)).astype(np.int64)


class _Stage:
    """500 trees that look at 800 points.

    Parameters
    ----------
    anchors, deltas : ndarray, (800) and (800, 2)
        Where the points lie: so far from one of the five.
    first, second, thresholds : ndarray, (500, 15)
        A split asks whether the level at its first point is higher than that at its second by more than its threshold.
    leaves : ndarray, (500, 16, 10)
        Steps of the shape.
    """

    def __init__(
        self,
        anchors: NDArray[Any],
        deltas: _Floats,
        first: NDArray[Any],
        second: NDArray[Any],
        thresholds: _Floats,
        leaves: _Floats,
    ) -> None:
        self.anchors = anchors.astype(np.intp)
        self.x, self.y = np.ascontiguousarray(deltas.T)
        # One split more, which is never passed, fills two bytes with the answers of a tree.
        self.first, self.second = (np.pad(side.astype(np.intp), ((0, 0), (0, 1))) for side in (first, second))
        self.thresholds = np.pad(thresholds, ((0, 0), (0, 1)), constant_values=np.inf)
        self.leaves = leaves.reshape(-1, leaves.shape[-1])
        self.starts = np.arange(len(leaves)) * leaves.shape[1]

    def points(self, turns: _Floats, shapes: _Floats) -> _Floats:
        """Where the points lie for the present shapes (n, 2, 5): (n, 2, 800), in boxes from 0 to 1."""
        cosine, sine = turns[:, :1], turns[:, 1:]
        points: _Floats = shapes.take(self.anchors, axis=2)
        points[:, 0] += cosine * self.x - sine * self.y
        points[:, 1] += sine * self.x + cosine * self.y
        return points

    def leaves_of(self, levels: _Floats) -> _Floats:
        """The leaves that the trees reach: (n, 500, 10)."""
        difference = levels.take(self.first, axis=1) - levels.take(self.second, axis=1)
        passed = difference > self.thresholds
        answers = np.packbits(passed.ravel()).view(">u2").reshape(passed.shape[:-1])  # of a tree: two bytes
        leaves: _Floats = self.leaves.take(self.starts + _LEAF_OF_ANSWERS.take(answers), axis=0)
        return leaves


def _leaf_of_answers() -> NDArray[np.uint8]:
    """The leaf that a tree reaches, for all answers of its 15 splits as the higher bits of a number, the first highest.

    From split i one goes on to split 2 i + 1 if the answer is yes, else to 2 i + 2.
    """
    answers = np.arange(1 << (_SPLITS + 1))
    split = np.zeros_like(answers)
    for _ in range(_DEPTH):
        split = 2 * split + np.where(answers >> (_SPLITS - split) & 1, 1, 2)
    leaves: NDArray[np.uint8] = (split - _SPLITS).astype(np.uint8)
    return leaves


_LEAF_OF_ANSWERS = _leaf_of_answers()


def _by_axis(shapes: _Floats) -> _Floats:
    """(n, 10) as (n, 2, 5): all x, then all y."""
    return np.swapaxes(shapes.reshape(len(shapes), -1, 2), 1, 2)


def _basis(initial: _Floats) -> NDArray[np.float64]:
    """What (2, 10) to multiply a shape with for cosine and sine, times scale, of the similarity that takes `initial`
    nearest to it (least squares)."""
    start = initial.astype(np.float64)
    start -= start.mean(axis=0)  # so that the shapes need no centring: neither product sees where they are
    across = np.stack([-start[:, 1], start[:, 0]], axis=1)
    basis: NDArray[np.float64] = np.stack([start.ravel(), across.ravel()]) / (start * start).sum()
    return basis


def _turns(basis: NDArray[np.float64], shapes: _Floats) -> _Floats:
    """Cosine and sine (n, 2); by sums of rows, as a matrix product might round one face otherwise than several."""
    turns: _Floats = (shapes[:, None] * basis).sum(axis=2).astype(np.float32)
    return turns


def _to_pixels(corner: NDArray[np.float64], extent: NDArray[np.float64], points: _Floats) -> NDArray[np.float64]:
    pixels: NDArray[np.float64] = extent * points
    pixels += corner
    pixels += 0.5
    np.floor(pixels, out=pixels)
    return pixels


def _levels(image: NDArray[np.uint8], pixels: NDArray[np.float64]) -> _Floats:
    """Grey levels at pixels (n, 2, m): 0 outside of the picture; of colours (R + G + B) // 3."""
    height, width = image.shape[:2]
    x, y = pixels[:, 0], pixels[:, 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    flat = image.reshape(-1)
    channels = flat.size // (height * width)
    at = np.where(inside, y * width + x, 0).astype(np.intp) * channels
    total = flat.take(at).astype(np.int32)
    for channel in range(1, channels):
        total += flat.take(at + channel)
    return np.where(inside, total // channels, 0).astype(np.float32)


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
    names = ("anchors", "deltas", "first", "second", "thresholds", "leaves")
    stages = zip(*(state[name] for name in names), strict=True)
    return LandmarkPredictor(tuple(_Stage(*stage) for stage in stages), state["initial"], card)
