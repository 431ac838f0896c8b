"""What is known of one face in a picture."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import ShapeError

Box = tuple[int, int, int, int]
Landmarks = NDArray[np.int64]
Encoding = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Face:
    """A face: where it is, and what was computed of it.

    Parameters
    ----------
    box : (int, int, int, int)
        Left, top, right, bottom in pixels; all four lie inside the face. A box may leave the picture.
    score : float, optional
        How sure the detector is, above 0; NaN for a box that came from elsewhere.
    landmarks : ndarray of shape (5, 2), optional
        (x, y) of the subject's left eye, outer and inner corner (on the right of the picture), of the right eye, outer
        and inner, and of the base of the nose.
    encoding : ndarray of shape (128,), optional
        float32; the Euclidean distance of two encodings says how different the persons are.

    Examples
    --------
    >>> from pyconvx.faces import Face
    >>> face = Face((10, 20, 109, 139))
    >>> face.width, face.height, face.center
    (100, 120, (59.5, 79.5))
    """

    box: Box
    score: float = math.nan
    landmarks: Landmarks | None = None
    encoding: Encoding | None = None

    def __post_init__(self) -> None:
        try:
            left, top, right, bottom = (int(side) for side in self.box)
        except (TypeError, ValueError):
            raise ShapeError(f"box: got {self.box!r}; wanted left, top, right, bottom") from None
        if right < left or bottom < top:
            raise ShapeError(f"box: got {self.box!r}; wanted left <= right and top <= bottom")
        object.__setattr__(self, "box", (left, top, right, bottom))
        object.__setattr__(self, "score", float(self.score))
        for name, shape, dtype in (("landmarks", (5, 2), np.int64), ("encoding", (128,), np.float32)):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, _frozen(value, name, shape, dtype))

    @property
    def width(self) -> int:
        """Pixels across."""
        return self.box[2] - self.box[0] + 1

    @property
    def height(self) -> int:
        """Pixels from top to bottom."""
        return self.box[3] - self.box[1] + 1

    @property
    def area(self) -> int:
        """Pixels in the box."""
        return self.width * self.height

    @property
    def center(self) -> tuple[float, float]:
        """(x, y) of the middle of the box."""
        return (self.box[0] + self.box[2]) / 2, (self.box[1] + self.box[3]) / 2

    def with_(self, **changes: Any) -> Face:
        """Return a copy with some fields replaced."""
        return replace(self, **changes)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON; what is not known is None."""
        return {
            "box": list(self.box),
            "score": None if math.isnan(self.score) else self.score,
            "landmarks": None if self.landmarks is None else self.landmarks.tolist(),
            "encoding": None if self.encoding is None else self.encoding.tolist(),
        }


def _frozen(value: Any, name: str, shape: tuple[int, ...], dtype: type) -> NDArray[Any]:
    array: NDArray[Any] = np.array(value, dtype)
    if array.shape != shape:
        raise ShapeError(f"{name}: got shape {array.shape}; wanted {shape}")
    array.flags.writeable = False
    return array
