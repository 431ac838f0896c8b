"""A figure as one picture: a band a layer, side by side its units, each with its grids one below the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from pyconvx.image._text import font, latin
from pyconvx.visualize._tiles import PAPER, Tile

if TYPE_CHECKING:
    from pyconvx.visualize.layout import Figure, LayerView, UnitView

_MARGIN = 16
_LINE = 18
_INK = (30, 30, 30)
_GREY = (110, 110, 110)


def draw(figure: Figure) -> Tile:
    """Return the page."""
    bands = [_band(layer) for layer in figure.layers]
    head = 2 * _LINE
    width = max([band.width for band in bands] + [_text_width(figure.title)]) + 2 * _MARGIN
    height = head + sum(band.height + _MARGIN for band in bands) + _MARGIN
    page = Image.new("RGB", (width, height), PAPER)
    write = ImageDraw.Draw(page)
    _write(write, (_MARGIN, _MARGIN // 2), figure.title, _INK, 15)
    top = head
    for band in bands:
        page.paste(band, (_MARGIN, top))
        top += band.height + _MARGIN
    return np.array(page)


def _band(layer: LayerView) -> Image.Image:
    columns = [_column(view) for view in layer.units]
    label = f"{layer.layer}   field {_extents(layer.facts['field'])}"
    width = max(sum(column.width + _MARGIN for column in columns), _text_width(label))
    height = _LINE + max([column.height for column in columns], default=_LINE)
    band = Image.new("RGB", (width, height), PAPER)
    _write(ImageDraw.Draw(band), (0, 0), label, _INK, 13)
    left = 0
    for column in columns:
        band.paste(column, (left, _LINE))
        left += column.width + _MARGIN
    return band


def _column(view: UnitView) -> Image.Image:
    grids = list(view.grids.values())
    width = max([tile.shape[1] for tile in grids], default=60)
    column = Image.new("RGB", (width, _LINE + sum(tile.shape[0] + 4 for tile in grids)), PAPER)
    _write(ImageDraw.Draw(column), (0, 2), f"unit {view.unit}", _GREY, 11)
    top = _LINE
    for tile in grids:
        column.paste(Image.fromarray(tile), (0, top))
        top += tile.shape[0] + 4
    return column


def _extents(values: list[int | None]) -> str:
    return "x".join("all" if value is None else str(value) for value in values)


def _write(on: ImageDraw.ImageDraw, place: tuple[int, int], text: str, color: tuple[int, int, int], size: int) -> None:
    on.text(place, latin(text), fill=color, font=font(size))


def _text_width(text: str) -> int:
    return int(font(15).getlength(latin(text))) + 4
