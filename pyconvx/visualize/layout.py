"""The lecture's page: for each layer several units, for each unit its patches and what in them excites it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from pyconvx import image as pictures
from pyconvx._progress import Report, reporter
from pyconvx.errors import ImageError, OptionError
from pyconvx.visualize._network import network_of
from pyconvx.visualize._rewired import Rule
from pyconvx.visualize._tiles import GAP, TILE, VOLUME_GAP, Tile, grid, levels_of, signed_levels, tile_of
from pyconvx.visualize.attribution import backproject_patch
from pyconvx.visualize.fields import Box, receptive_field
from pyconvx.visualize.maximization import maximize
from pyconvx.visualize.patches import Patch, TopPatches
from pyconvx.visualize.reader import PatchReader
from pyconvx.visualize.surveys import Survey


@dataclass(frozen=True)
class UnitView:
    """A unit on the page: its numbers, its patches, and grids of tiles by title."""

    unit: int
    statistics: dict[str, float | bool]
    classes: list[tuple[str, float]]
    patches: list[Patch]
    grids: dict[str, Tile]

    def as_dict(self) -> dict[str, Any]:
        """Return all but the tiles as plain data."""
        patches = [
            {"value": p.value, "picture": p.picture, "name": p.name, "position": list(p.position), "box": p.box}
            for p in self.patches
        ]
        return {"unit": self.unit, **self.statistics, "classes": dict(self.classes), "patches": patches}


@dataclass(frozen=True)
class LayerView:
    """A layer on the page."""

    layer: str
    facts: dict[str, Any]
    units: list[UnitView]

    def as_dict(self) -> dict[str, Any]:
        """Return all but the tiles as plain data."""
        return {"layer": self.layer, **self.facts, "units": [unit.as_dict() for unit in self.units]}


@dataclass(frozen=True)
class Figure:
    """A page, to be written as PNG or as HTML.

    Attributes
    ----------
    title : str
    layers : list of LayerView
    notes : list of str
    """

    title: str
    layers: list[LayerView]
    notes: list[str] = field(default_factory=list)

    def picture(self) -> Tile:
        """Return the page as a picture."""
        from pyconvx.visualize._page import draw

        return draw(self)

    def html(self) -> str:
        """Return the page as one HTML document that needs no other file."""
        from pyconvx.visualize._html import document

        return document(self)

    def as_dict(self) -> dict[str, Any]:
        """Return the page's numbers as plain data."""
        return {"title": self.title, "notes": self.notes, "layers": [layer.as_dict() for layer in self.layers]}

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page: HTML for names that end in .html, else a picture in the format of the ending.

        Raises
        ------
        ImageError
            If the file cannot be written.
        """
        target = Path(path)
        if target.suffix.lower() not in (".html", ".htm"):
            pictures.save(target, self.picture())
            return
        beside = target.with_name(f".{target.name}.tmp")
        try:
            beside.write_text(self.html(), encoding="utf-8")
            beside.replace(target)
        except OSError as error:
            raise ImageError(f"{target}: cannot be written: {error.strerror}") from error
        finally:
            beside.unlink(missing_ok=True)


def figure(
    found: Survey | TopPatches,
    net: Any,
    data: Any,
    *,
    units: Mapping[str, Sequence[int]] | None = None,
    unit_count: int = 6,
    rule: Rule | None = "guided",
    maximize_steps: int = 0,
    title: str = "What the units of a network look for",
    progress: bool | Report = False,
    **reading: Any,
) -> Figure:
    """Lay out what a survey has found.

    Parameters
    ----------
    found : Survey or TopPatches
    net, data
        Those that it was found with.
    units : mapping of str to sequence of int, optional
        Units of each layer to show; else the `unit_count` that `TopPatches.select` takes.
    unit_count : int
    rule : {"guided", "deconvnet", "gradient"} or None
        Beside the patches, what in them excites the unit, by `backproject`; not for data that cannot be read again.
    maximize_steps : int
        With more than 0, also the picture that `maximize` makes in so many steps, for layers with positions.
    title : str
    progress : bool or callable
        See `survey`.
    **reading
        `preprocess` and `size`, as the survey had them.

    Returns
    -------
    Figure
        `save(path)` writes it as PNG or HTML.

    Raises
    ------
    OptionError
        If a unit was not looked at, or the survey is one of another network or of other data.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import nn, visualize
    >>> net = nn.Sequential({"conv": nn.Conv2d(1, 4, 3, random_state=0)})
    >>> pictures = np.random.default_rng(0).random((12, 9, 9, 1), np.float32)
    >>> found = visualize.survey(net, ["conv"], pictures)
    >>> visualize.figure(found, net, pictures).layers[0].units[0].patches[0].x.shape
    (3, 3, 1)
    """
    survey = found.survey if isinstance(found, TopPatches) else found
    names = [found.layer] if isinstance(found, TopPatches) else survey.layers
    chosen = {
        name: list(units[name]) if units else survey[name].select(unit_count)
        for name in names
        if not units or name in units
    }
    if units and set(units) - set(chosen):
        raise OptionError(f"units: {sorted(set(units) - set(chosen))} were not looked at; there are {', '.join(names)}")
    reader = PatchReader(net, data, **reading)
    reader.check(survey)
    total, done = sum(map(len, chosen.values())), 0
    layers = []
    with reporter(progress) as report:
        for name, wanted in chosen.items():
            views = []
            for unit in wanted:
                views.append(
                    _unit_view(survey[name], unit, net, reader, rule if data is not None else None, maximize_steps)
                )
                done += 1
                report(done, total, {"layer": name, "unit": unit})
            layers.append(LayerView(name, _facts(survey[name], net), views))
    where = ", inside their pictures" if survey.asked["inside"] else ""
    notes = [f"{survey.pictures} pictures; {survey.asked['k']} patches a unit{where}, by {survey.asked['rank_by']}."]
    if survey.missing:
        ranges = ", ".join(f"{start} to {stop - 1}" for start, stop in survey.missing)
        notes.append(f"Of {survey.asked['data']['pictures']} pictures these were not looked at: {ranges}.")
    if survey.skipped:
        notes.append(f"{len(survey.skipped)} pictures could not be read: {', '.join(survey.skipped[:5])}")
    return Figure(title, layers, notes)


def _facts(found: TopPatches, net: Any) -> dict[str, Any]:
    field_ = receptive_field(network_of(net), found.layer)
    statistics = found.statistics
    return {
        "field": [None if extent is None else int(extent) for extent in field_.size],
        "stride": [None if stride is None else float(stride) for stride in field_.stride],
        "offset": list(field_.offset),
        "units_seen": len(found.units),
        "dead_units": int(statistics.dead.sum()),
        "positions": statistics.positions,
    }


def _unit_view(
    found: TopPatches, unit: int, net: Any, reader: PatchReader, rule: Rule | None, maximize_steps: int
) -> UnitView:
    place, statistics = found.place(unit), found.statistics
    patches = reader.patches(found, unit)
    tiles, backs = [], []
    for patch in patches:
        x = None if reader.is_empty else reader.read(patch.picture)
        extents = () if x is None else x.shape[:-1]
        part, box = _shown(patch.box, extents)
        tiles.append(tile_of(levels_of(net, patch.x)[part], box, extents))
        if rule is not None and x is not None:
            dx = backproject_patch(net, found.layer, unit, x, patch.position, rule=rule)
            backs.append(tile_of(signed_levels(_as_shown(net, dx))[part], box, extents))
    columns = math.ceil(math.sqrt(found.values.shape[1]))
    gap = VOLUME_GAP if patches and patches[0].x.ndim == 4 else GAP
    grids = {"patches": grid(tiles, columns, gap)} if tiles else {}
    if backs and rule is not None:
        grids[rule] = grid(backs, columns, gap)
    if maximize_steps and all(extent is not None for extent in receptive_field(reader.net, found.layer).size):
        made = maximize(net, found.layer, unit, steps=maximize_steps)
        grids["maximised"] = tile_of(levels_of(net, made.x), size=columns * TILE)
    numbers: dict[str, float | bool] = {
        "mean": float(statistics.mean[place]),
        "mean_maximum": float(statistics.mean_maximum[place]),
        "zeros": float(statistics.zeros[place]),
        "dead": bool(statistics.dead[place]),
    }
    return UnitView(unit, numbers, found.top_classes(unit), patches, grids)


def _shown(box: Box, extents: tuple[int, ...]) -> tuple[tuple[slice, ...], Box]:
    """Return the part of a patch that is worth a tile: a field wider than its picture is shown as far as that goes."""
    shown = list(box)
    for axis, extent in enumerate(extents):
        start, stop = box[axis]
        if stop - start > extent:
            shown[axis] = (max(start, 0), min(stop, extent))
    part = tuple(slice(a - start, b - start) for (a, b), (start, _) in zip(shown, box, strict=True))
    return part, tuple(shown)


def _as_shown(net: Any, dx: Any) -> Any:
    """Return a gradient with its channels in the order of the picture's."""
    bgr = getattr(getattr(net, "preprocessing", None), "channels", "rgb") == "bgr"
    return np.ascontiguousarray(dx[..., ::-1]) if bgr else dx
