"""A picture of shares over time: lines from 0 to 100%, their names beside their ends."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pyconvx.image._text import font, latin

Picture = NDArray[np.uint8]
Color = tuple[int, int, int]

_SIZE = 760, 440
_LEFT, _TOP, _RIGHT, _BOTTOM = 62, 64, 150, 52  # margins
_FINE = 3  # lines are drawn larger by this and made smaller, which smooths them
_INK, _GREY, _GRID = (30, 30, 30), (110, 110, 110), (225, 225, 225)
_LINES: tuple[Color, ...] = (
    (31, 90, 170),
    (200, 80, 30),
    (40, 140, 70),
    (130, 60, 150),
    (0, 140, 150),
    (150, 110, 20),
    (90, 90, 90),
)
_PIECES = 80  # a line has at most so many; each is a mean


def line_plot(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, title: str, x_label: str, y_label: str
) -> Picture:
    """Draw curves of shares (x, y), y from 0 to 1; long ones as means of pieces."""
    width, height = _SIZE
    last = max(max(x) for x, _ in curves.values())
    canvas = Image.new("RGB", (width * _FINE, height * _FINE), (255, 255, 255))
    draw = ImageDraw.Draw(canvas)
    for share in (0, 0.25, 0.5, 0.75, 1):
        _line(draw, [_place(0, share, last), _place(last, share, last)], _GRID, 1)
    _line(draw, [_place(0, 1, last), _place(0, 0, last), _place(last, 0, last)], _GREY, 1)
    for tick in _ticks(last):
        x, y = _place(tick, 0, last)
        _line(draw, [(x, y), (x, y + 5)], _GREY, 1)
    ends: list[tuple[float, str, Color]] = []
    for index, (name, curve) in enumerate(curves.items()):
        color = _LINES[index % len(_LINES)]
        points = [_place(*point, last) for point in _means(*curve)]
        _line(draw, points if len(points) > 1 else [points[0], (points[0][0] + 3, points[0][1])], color, 2.5)
        ends.append((points[-1][1], name, color))
    picture = canvas.resize(_SIZE, Image.Resampling.BOX)
    _write_all(ImageDraw.Draw(picture), ends, last, title, x_label, y_label)
    return np.array(picture)


def _write_all(
    draw: Any, ends: list[tuple[float, str, Color]], last: float, title: str, x_label: str, y_label: str
) -> None:
    draw.text((_LEFT, 14), latin(title), fill=_INK, font=font(16))
    for share in (0, 0.25, 0.5, 0.75, 1):
        text = f"{100 * share:.0f}%"
        y = _place(0, share, last)[1]
        draw.text((_LEFT - 8 - font(12).getlength(text), y - 7), text, fill=_GREY, font=font(12))
    for tick in _ticks(last):
        x, y = _place(tick, 0, last)
        text = f"{tick:g}"
        draw.text((x - font(12).getlength(text) / 2, y + 8), text, fill=_GREY, font=font(12))
    right = _SIZE[0] - _RIGHT
    draw.text((right - font(12).getlength(x_label), _SIZE[1] - 22), latin(x_label), fill=_GREY, font=font(12))
    draw.text((_LEFT, _TOP - 22), latin(y_label), fill=_GREY, font=font(12))
    for y, name, color in _apart(ends):
        draw.text((right + 10, y - 8), latin(name), fill=color, font=font(13))


def _apart(ends: list[tuple[float, str, Color]], least: float = 17) -> list[tuple[float, str, Color]]:
    """Names from top to bottom, moved so that none lies on another, and none below the axis."""
    lowest = _SIZE[1] - _BOTTOM
    placed: list[tuple[float, str, Color]] = []
    for y, name, color in sorted(ends, key=lambda end: end[0], reverse=True):
        y = min(y, placed[-1][0] - least if placed else lowest)
        placed.append((y, name, color))
    return placed


def _place(x: float, share: float, last: float) -> tuple[float, float]:
    """Where a point lies, in pixels."""
    width, height = _SIZE[0] - _LEFT - _RIGHT, _SIZE[1] - _TOP - _BOTTOM
    return _LEFT + width * x / max(last, 1), _TOP + height * (1 - min(max(share, 0.0), 1.0))


def _line(draw: Any, points: list[tuple[float, float]], color: Color, width: float) -> None:
    fine = [(_FINE * x, _FINE * y) for x, y in points]
    draw.line(fine, fill=color, width=max(1, round(_FINE * width)), joint="curve")


def _means(x: Sequence[float], y: Sequence[float]) -> list[tuple[float, float]]:
    """A curve in at most so many pieces, each the mean of its points."""
    pieces = np.array_split(np.arange(len(x)), min(len(x), _PIECES))
    at, values = np.asarray(x, np.float64), np.asarray(y, np.float64)
    return [(float(at[piece].mean()), float(values[piece].mean())) for piece in pieces]


def _ticks(last: float) -> list[float]:
    """Round numbers from 0 on, four to eight of them."""
    rough = max(last, 1) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    return [index * step for index in range(int(last / step + 1e-9) + 1)]
