"""Text on pictures in the font that comes with Pillow."""

from __future__ import annotations

from typing import Any


def font(size: int) -> Any:
    """The font, of so many pixels where it can be had in more than one size."""
    from PIL import ImageFont

    try:
        return ImageFont.load_default(size)
    except (TypeError, ImportError):  # Pillow before 10.1 has one size
        return ImageFont.load_default()


def latin(text: str) -> str:
    """Return text that every font of Pillow has: that before 10.1 knows Latin letters alone, and no other is there."""
    return text.encode("latin-1", "replace").decode("latin-1")
