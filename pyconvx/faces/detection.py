"""Where the faces of a picture are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx import image as images
from pyconvx._memory import available, format_size
from pyconvx.errors import ImageError, OptionError
from pyconvx.faces._boxes import on_level_zero, rounded, suppressed
from pyconvx.faces._canvas import layout, paint
from pyconvx.faces._enlarge import SHIFT, double, doubled_size
from pyconvx.faces._models import PACKAGED, FaceModels
from pyconvx.faces._picture import Picture, read
from pyconvx.faces.face import Face
from pyconvx.faces.selection import Policy, check_policy, select
from pyconvx.models import FaceDetector

MOST_UPSAMPLING = 8
_BYTES_A_PIXEL = 85  # of what the detector is shown, measured
_NO_QUESTION = 256 << 20  # bytes for which the system is not asked


@dataclass(frozen=True)
class Search:
    """How to look for faces; the arguments of `detect`, checked."""

    min_face_size: int | None = None
    upsample: int = 0
    least_score: float = 0.0
    policy: Policy = "all"

    def __post_init__(self) -> None:
        check_policy(self.policy)
        if not _whole(self.upsample) or not 0 <= self.upsample <= MOST_UPSAMPLING:
            raise OptionError(f"upsample: got {self.upsample!r}; wanted how often to double, 0 to {MOST_UPSAMPLING}")
        if self.min_face_size is not None:
            if not _whole(self.min_face_size) or self.min_face_size < 1:
                raise OptionError(f"min_face_size: got {self.min_face_size!r}; wanted pixels, 1 or more")
            if self.upsample:
                raise OptionError("min_face_size and upsample: both say how small faces may be; pass one of them")
        if not math.isfinite(self.least_score):
            raise OptionError(f"least_score: got {self.least_score!r}; wanted a number, 0 by default")

    def working_size(self, shape: tuple[int, ...], window: int) -> tuple[int, int]:
        """Height and width of what the detector is shown of a picture (H, W, 3)."""
        height, width = shape[:2]
        if self.min_face_size is not None:
            scale = window / self.min_face_size
            return max(1, round(height * scale)), max(1, round(width * scale))
        for _ in range(self.upsample):
            height, width = doubled_size(height, width)
        return height, width


def detect(
    image: Any,
    *,
    min_face_size: int | None = None,
    upsample: int = 0,
    least_score: float = 0.0,
    policy: Policy = "all",
    models: FaceModels | None = None,
) -> list[Face]:
    """Find the faces in a picture.

    Time and memory grow with the number of pixels that the detector is shown: about 85 bytes each.

    Parameters
    ----------
    image : path, bytes, binary file, PIL image or ndarray
        Whatever `pyconvx.image.load` takes.
    min_face_size : int, optional
        Pixels across the smallest face that matters. The detector's window is 80 pixels wide: the picture is made
        smaller, and detection faster, for a larger number, and larger for a smaller one.
    upsample : int
        In place of `min_face_size`: how often to double the picture. 0 finds faces from about 80 pixels on, 1 from 40.
        The boxes are those of dlib's detector, to the pixel.
    least_score : float
        Windows that score more are faces. Above 0 fewer and surer ones are found.
    policy : {"all", "error", "largest", "center", "best"}
        Which faces are meant; see `select`.
    models : FaceModels, optional
        Other models than the package's.

    Returns
    -------
    list of Face
        With box and score, the surest first.

    Raises
    ------
    ImageError
        If the picture cannot be read, becomes too large by upsampling, or needs more memory than is available.
    NoFaceError, MultipleFacesError
        As the policy says; they name the picture.
    OptionError
        If an option has a wrong value.

    Examples
    --------
    >>> from pyconvx import faces, image
    >>> [face.box for face in faces.detect(image.packaged("astronaut"))]
    [(101, 69, 195, 164)]
    >>> faces.detect(image.packaged("chelsea"))
    []
    """
    search = Search(min_face_size, upsample, least_score, policy)
    return find(read(image), search, models or PACKAGED)


def find(picture: Picture, search: Search, models: FaceModels) -> list[Face]:
    """Detect in a picture that is read already."""
    height, width = picture.pixels.shape[:2]
    detector = models.detector
    shown = search.working_size((height, width), detector.window)
    if shown[0] * shown[1] > images.MAX_PIXELS and shown[0] * shown[1] > height * width:
        raise ImageError(
            f"{picture.name}: {width} x {height} pixels would be searched at {shown[1]} x {shown[0]}; at most "
            f"{images.MAX_PIXELS} pixels are: pass a larger min_face_size or a smaller upsample"
        )
    _require_memory(picture.name, shown)
    corners, scores = _windows(_enlarged(picture.pixels, search, shown), detector, search.least_score)
    boxes = rounded(corners)
    stay = suppressed(boxes)
    boxes, scores = boxes[stay], scores[stay]
    boxes = _to_picture(boxes, search, shown, (height, width))
    faces = [Face(tuple(box), score) for box, score in zip(boxes.tolist(), scores.tolist(), strict=True)]
    return select(faces, search.policy, (height, width), picture.name)


def _require_memory(name: str, shown: tuple[int, int]) -> None:
    """Refuse what the system would end this process for."""
    needed = _BYTES_A_PIXEL * shown[0] * shown[1]
    if needed < _NO_QUESTION or (there := available()) is None or needed <= there:
        return
    raise ImageError(
        f"{name}: searching {shown[1]} x {shown[0]} pixels needs about {format_size(needed)} of memory, and "
        f"{format_size(there)} is available: pass a larger min_face_size or a smaller upsample"
    )


def _enlarged(pixels: NDArray[np.uint8], search: Search, shown: tuple[int, int]) -> NDArray[np.uint8]:
    if search.min_face_size is not None:
        return images.resize(pixels, shown, resample="bilinear")  # Pillow's, which averages when it makes smaller
    for _ in range(search.upsample):
        pixels = double(pixels)
    return pixels


def _windows(
    pixels: NDArray[np.uint8], detector: FaceDetector, least_score: float
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Corners and scores of all windows of all sizes that look like a face."""
    plan = layout(*pixels.shape[:2])
    if min(plan.height, plan.width) < detector.least:
        return np.empty((0, 4)), np.empty(0, np.float32)
    scores = detector.scores(paint(pixels, detector.mean, 1 / detector.scale, plan))
    return on_level_zero(scores, plan, least_score, detector.stride, detector.offset, detector.window)


def _to_picture(
    boxes: NDArray[np.int64], search: Search, shown: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.int64]:
    """From the picture that the detector was shown to the caller's."""
    corners = boxes.astype(np.float64)
    if search.min_face_size is not None:
        scale = np.array([size[1] / shown[1], size[0] / shown[0]] * 2)
        return rounded((corners + 0.5) * scale - 0.5)
    for _ in range(search.upsample):
        corners = corners / 2 - np.array(SHIFT * 2)
    return rounded(corners)


def _whole(value: object) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
