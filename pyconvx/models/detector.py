"""The face detector: a score for every window of a picture, 8 pixels apart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import DTypeError, ShapeError
from pyconvx.models._face_input import MEAN, SCALE
from pyconvx.models._packaged import read_packaged
from pyconvx.models.card import Card
from pyconvx.models.catalogue import CARDS

if TYPE_CHECKING:
    from pyconvx.nn import Sequential

_STEM = "relu3"  # after it a map is 64 times smaller than the picture, and of its final size
_MOST_PIXELS = 1 << 20  # of a canvas, that go through the stem at once: its first map has five times their memory


@dataclass(frozen=True)
class FaceDetector:
    """A network from a picture to scores.

    Score (r, c) is that of the window of 80 x 80 pixels around the pixel (row 8 r + 14, column 8 c + 14): above 0 a
    face, below none. Faces of other sizes are found in smaller and larger copies of the picture.

    Parameters
    ----------
    net : nn.Sequential
        From (n, H, W, 3), normalised, to (n, h, w, 1).
    card : Card
        Licence, sources, notes.
    """

    net: Sequential
    card: Card

    mean: ClassVar[tuple[float, float, float]] = MEAN
    scale: ClassVar[float] = SCALE
    stride: ClassVar[int] = 8
    offset: ClassVar[int] = 14
    window: ClassVar[int] = 80
    least: ClassVar[int] = 29  # pixels a side for one score

    def scores(self, canvas: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the score map of a canvas.

        Parameters
        ----------
        canvas : ndarray of float32, shape (H, W, 3)
            (levels - mean) / scale, in the order R, G, B; 29 pixels a side or more.

        Returns
        -------
        ndarray of float32, shape (h, w)

        Raises
        ------
        ShapeError, DTypeError
            If the canvas has another shape or type.
        """
        if canvas.ndim != 3 or canvas.shape[2] != 3 or min(canvas.shape[:2]) < self.least:
            raise ShapeError(
                f"canvas: got shape {canvas.shape}; wanted (H, W, 3) with {self.least} pixels a side or more"
            )
        if canvas.dtype != np.float32:
            raise DTypeError(f"canvas: got {canvas.dtype}; wanted float32")
        x = np.ascontiguousarray(canvas)[None]
        stem, head = self._halves
        rows = [stem(x[:, first:last]) for first, last in self._stripes(*canvas.shape[:2])]
        scores: NDArray[np.float32] = head(rows[0] if len(rows) == 1 else np.concatenate(rows, axis=1))[0, :, :, 0]
        return scores

    @cached_property
    def _halves(self) -> tuple[Sequential, Sequential]:
        """The layers up to the stem's last, which use no padding, and those after it."""
        from pyconvx.nn import Sequential

        names = list(self.net)
        end = names.index(_STEM) + 1
        stem, head = (Sequential({name: self.net[name] for name in part}) for part in (names[:end], names[end:]))
        return stem, head

    def _stripes(self, height: int, width: int) -> list[tuple[int, int]]:
        """Rows of a canvas for the stem, first and last, whose maps put together are the map of the whole."""
        rows = (height - self.least) // self.stride + 1  # of the map
        step = max(1, _MOST_PIXELS // (width * self.stride))
        margin = self.least - self.stride
        return [(first * self.stride, min(first + step, rows) * self.stride + margin) for first in range(0, rows, step)]


def face_detector() -> FaceDetector:
    """Return dlib's face detector, max-margin object detection over seven convolutions, with its packaged weights.

    Raises
    ------
    WeightsError
        If the weight file is missing or damaged.

    References
    ----------
    D. E. King, "Max-Margin Object Detection", 2015; mmod_human_face_detector, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import models
    >>> detector = models.face_detector()
    >>> detector.scores(np.zeros((80, 120, 3), np.float32)).shape
    (7, 12)
    """
    card = CARDS["face_detector"]
    return make_detector(read_packaged(card), card)


def make_detector(state: dict[str, NDArray[Any]], card: Card) -> FaceDetector:
    """Return a detector with these weights."""
    from pyconvx.models._face_layers import build_detector

    net = build_detector()
    net.load_state_dict(state)
    return FaceDetector(net, card)
