"""A figure as one picture: a band a layer, its units side by side and in rows, each with its grids below each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from pyconvx.image._text import font, latin
from pyconvx.visualize._tiles import PAPER, Tile

if TYPE_CHECKING:
    from pyconvx.visualize.layout import Figure, LayerView, UnitView

_MARGIN = 16
_WIDTH = 1600  # of a row of units, unless a single one is wider
_LINE = 18
_INK = (30, 30, 30)
_GREY = (110, 110, 110)


def draw(figure: Figure) -> Tile:
    """Return the page."""
    bands = [_band(layer) for layer in figure.layers]
    head = (2 + len(figure.notes)) * _LINE
    texts = [_text_width(figure.title), *(_text_width(note, 11) for note in figure.notes)]
    width = max([band.width for band in bands] + texts) + 2 * _MARGIN
    height = head + 4 + sum(band.height + _MARGIN for band in bands) + _MARGIN
    page = Image.new("RGB", (width, height), PAPER)
    write = ImageDraw.Draw(page)
    _write(write, (_MARGIN, _MARGIN // 2), figure.title, _INK, 15)
    for number, note in enumerate(figure.notes, 1):
        _write(write, (_MARGIN, _MARGIN // 2 + 4 + number * _LINE), note, _GREY, 11)
    top = head + 4
    for band in bands:
        page.paste(band, (_MARGIN, top))
        top += band.height + _MARGIN
    return np.array(page)


def _band(layer: LayerView) -> Image.Image:
    facts = layer.facts
    label = (
        f"{layer.layer}   field {_extents(facts['field'])}   {facts['dead_units']} of {facts['units_seen']} units dead"
    )
    rows = _rows([_column(view) for view in layer.units])
    width = max([_row_width(row) for row in rows] + [_text_width(label)])
    height = _LINE + sum(max(column.height for column in row) for row in rows) + _MARGIN * max(0, len(rows) - 1)
    band = Image.new("RGB", (width, max(height, 2 * _LINE)), PAPER)
    _write(ImageDraw.Draw(band), (0, 0), label, _INK, 13)
    top = _LINE
    for row in rows:
        left = 0
        for column in row:
            band.paste(column, (left, top))
            left += column.width + _MARGIN
        top += max(column.height for column in row) + _MARGIN
    return band


def _rows(columns: list[Image.Image]) -> list[list[Image.Image]]:
    """Break units into rows that fit into the page's width."""
    rows: list[list[Image.Image]] = []
    for column in columns:
        if rows and _row_width([*rows[-1], column]) <= _WIDTH:
            rows[-1].append(column)
        else:
            rows.append([column])
    return rows


def _row_width(row: list[Image.Image]) -> int:
    return sum(column.width for column in row) + _MARGIN * (len(row) - 1)


def _column(view: UnitView) -> Image.Image:
    width = max([tile.shape[1] for tile in view.grids.values()], default=60)
    height = _LINE + sum(tile.shape[0] + _LINE - 2 for tile in view.grids.values())
    column = Image.new("RGB", (width, height), PAPER)
    write = ImageDraw.Draw(column)
    dead = "dead" if view.statistics["dead"] else f"{view.statistics['zeros']:.0%} zeros"
    _write(write, (0, 2), f"unit {view.unit}   {dead}", _INK, 11)
    top = _LINE
    for title, tile in view.grids.items():
        _write(write, (0, top - 1), title, _GREY, 10)
        column.paste(Image.fromarray(tile), (0, top + _LINE - 6))
        top += tile.shape[0] + _LINE - 2
    return column


def _extents(values: list[int | None]) -> str:
    return "x".join("all" if value is None else str(value) for value in values)


def _write(on: ImageDraw.ImageDraw, place: tuple[int, int], text: str, color: tuple[int, int, int], size: int) -> None:
    on.text(place, latin(text), fill=color, font=font(size))


def _text_width(text: str, size: int = 15) -> int:
    return int(font(size).getlength(latin(text))) + 4
