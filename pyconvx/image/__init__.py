"""Pictures in and out: read, written, resized, with their colours taken apart. Pillow is imported when first needed."""

from pyconvx.image._color import luminance, rgb_to_ycbcr, ycbcr_to_rgb
from pyconvx.image._packaged import packaged
from pyconvx.image._read import EXTENSIONS, MAX_PIXELS, load
from pyconvx.image._resize import resize, scaled_size
from pyconvx.image._write import check_writable, save

__all__ = [
    "EXTENSIONS",
    "MAX_PIXELS",
    "check_writable",
    "load",
    "luminance",
    "packaged",
    "resize",
    "rgb_to_ycbcr",
    "save",
    "scaled_size",
    "ycbcr_to_rgb",
]
