"""Batches through the network, and each picture's activations to the tallies.

What a batch has found is staged first and taken over at once at its end, so that an interruption leaves no half of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import DivergedError, OptionError, ShapeError
from pyconvx.nn.composite import Composite
from pyconvx.visualize._best import Best
from pyconvx.visualize._ranking import Ranking
from pyconvx.visualize._tally import Found, Tally
from pyconvx.visualize.patches import crop
from pyconvx.visualize.reader import Fields
from pyconvx.visualize.sources import Item
from pyconvx.visualize.surveys import Survey

Array = NDArray[Any]


class Pass:
    """Runs batches through the network."""

    def __init__(self, net: Composite, survey: Survey) -> None:
        self._net, self._survey = net, survey
        self._asked = survey.asked
        fields = Fields(net)
        self._fields = fields if survey.asked["keep_patches"] else None
        self._ranking = Ranking(survey.asked["rank_by"], fields if survey.asked["inside"] else None)
        self._names = 1000  # so many names before those are forgotten whose pictures have left the tables
        self.whole = True  # whether the survey holds whole batches only

    def take(self, batch: list[Item]) -> None:
        """Compute the readable pictures of a batch, all of one shape."""
        good = [item for item in batch if item.x is not None]
        staged: list[tuple[str, Item, Found]] = []
        if good:
            x = np.stack([item.x for item in good if item.x is not None])

            def receive(layer: str, y: Array) -> None:
                tally = self._tally(layer, y)
                for item, part in zip(good, y, strict=True):
                    factors, places = self._ranking.of(layer, part, x.shape[1:-1])
                    try:
                        staged.append((layer, item, tally.look(part, factors, places)))
                    except DivergedError as error:
                        raise DivergedError(f"{item.name}: {error} in {layer!r}") from error

            try:
                self._net.features(x, list(self._asked["layers"]), receive=receive)
            except ShapeError as error:
                raise ShapeError(f"{_named(good)}: {error}") from error
        self.whole = False
        for layer, item, found in staged:
            self._take_over(layer, item, found)
        for item in good:
            self._survey.class_counts[max(item.label, 0)] += 1
        self._survey.skipped += [item.name for item in batch if item.x is None]
        if len(self._survey.names) > self._names:
            self._survey.prune()
            self._names = 2 * len(self._survey.names) + 1000
        self._survey.add_done(batch[0].number, batch[-1].number + 1)
        self.whole = True

    def _take_over(self, layer: str, item: Item, found: Found) -> None:
        tally = self._survey.tallies[layer]
        changed = tally.take(item.number, item.label, found)
        if changed:
            self._survey.names[item.number] = item.name
        if changed and self._fields is not None:
            assert item.x is not None
            field = self._fields.of(layer, item.x.shape[:-1])
            for key in [key for unit in changed for key in tally.keys(unit) if key[1] == item.number]:
                tally.kept[key] = crop(item.x, field.box(key[2]))
            if len(tally.kept) > 2 * tally.best.pictures.size:
                tally.prune()

    def _tally(self, layer: str, y: Array) -> Tally:
        tallies = self._survey.tallies
        if layer not in tallies:
            tallies[layer] = self._new_tally(layer, y)
            # Layers come as the network has them; the survey, its file and its page have them as they were asked for.
            self._survey.tallies = {name: tallies[name] for name in self._asked["layers"] if name in tallies}
        return self._survey.tallies[layer]

    def _new_tally(self, layer: str, y: Array) -> Tally:
        wanted = self._asked["layers"][layer]
        units = np.arange(y.shape[-1]) if wanted is None else np.array(wanted, np.int64)
        if not len(units) or units.min() < 0 or units.max() >= y.shape[-1] or len(set(units.tolist())) < len(units):
            raise OptionError(f"units of {layer!r}: got {wanted}; wanted different ones of 0 to {y.shape[-1] - 1}")
        best = Best.empty(len(units), self._asked["k"], y.ndim - 2, y.dtype)
        return Tally(units, best, len(self._survey.classes), self._asked["one_per_picture"])


def batches(items: Iterator[Item], size: int, save_every: int) -> Iterator[list[Item]]:
    """Group neighbours of one shape; a group ends where a save is due."""
    batch: list[Item] = []
    for item in items:
        if (
            batch
            and item.x is not None
            and any(other.x is not None and other.x.shape != item.x.shape for other in batch)
        ):
            yield batch
            batch = []
        batch.append(item)
        if len(batch) == size or (item.number + 1) % save_every == 0:
            yield batch
            batch = []
    if batch:
        yield batch


def _named(items: list[Item]) -> str:
    return items[0].name if len(items) == 1 else f"{items[0].name} to {items[-1].name}"
