"""Figures of a training on triplets: the share of them that is active, over time."""

from __future__ import annotations

import os
from collections.abc import Mapping

from pyconvx.errors import OptionError
from pyconvx.training.history import History, Picture, Record

Points = tuple[list[int], list[float]]


def draw_watched(history: History, path: str | os.PathLike[str] | None) -> Picture:
    """What each watched strategy found, or without one what the training itself did; see `History.figure`."""
    shares = {name: _points(history.steps, name) for name in _watched(history.steps)}
    if not shares:
        shares = {"trained on": _own(history.steps)}
    return _drawn(shares, "Active triplets in the same batches, by strategy", path)


def compare(histories: Mapping[str, History], path: str | os.PathLike[str] | None = None) -> Picture:
    """Draw the share of active triplets over time of several trainings, each by its own strategy.

    Parameters
    ----------
    histories : mapping of str to History
        By the name that stands beside the line.
    path : path, optional
        Where to write the picture.

    Returns
    -------
    ndarray
        uint8 `(height, width, 3)` RGB.

    Raises
    ------
    OptionError
        If there are none, or one was not a training on triplets.
    """
    return _drawn({name: _own(h.steps) for name, h in histories.items()}, "Active triplets, by training", path)


def _watched(records: list[Record]) -> list[str]:
    """Strategies in the order in which they come up."""
    return list(dict.fromkeys(name for record in records for name in record.get("watch", ())))


def _points(records: list[Record], name: str) -> Points:
    kept = [record for record in records if name in record.get("watch", ())]
    return [record["step"] for record in kept], [record["watch"][name] for record in kept]


def _own(records: list[Record]) -> Points:
    kept = [record for record in records if "share" in record]
    return [record["step"] for record in kept], [record["share"] for record in kept]


def _drawn(shares: Mapping[str, Points], title: str, path: str | os.PathLike[str] | None) -> Picture:
    from pyconvx import image
    from pyconvx.training.figure import line_plot

    if not shares or not all(steps for steps, _ in shares.values()):
        raise OptionError("no shares of active triplets were noted; train with a triplet loss, and with watch=[...]")
    picture = line_plot(shares, title=title, x_label="step", y_label="share that is active")
    if path is not None:
        image.save(path, picture)
    return picture
