"""What a training went through: a record a step, a record a validation."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import OptionError

Points = tuple[list[int], list[float]]
Record = dict[str, Any]
Picture = NDArray[np.uint8]


@dataclass
class History:
    """Records of a training.

    Attributes
    ----------
    steps : list of dict
        For each step: "step" from 1, "loss", "lr", "spread" (how far the batch's encodings lie apart, see
        `pyconvx.training.collapse`), "moved" (False where nothing was to be learned), "seconds", and what the trainer
        adds. For triplets: "active" and "chosen", how many cost something and how many there were; "share", how many
        were active of those that the strategy was asked for; and under "watch" this share for other strategies.
    validations : list of dict
        For each validation: "step", and the measures by name.
    """

    steps: list[Record] = field(default_factory=list)
    validations: list[Record] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The records as lines of JSON, in order of time; each says under "kind" whether it is a step or validation."""
        merged = [("step", record) for record in self.steps] + [("validation", record) for record in self.validations]
        merged.sort(key=lambda item: (item[1]["step"], item[0]))
        return [log_line(kind, record) for kind, record in merged]

    def figure(self, path: str | os.PathLike[str] | None = None) -> Picture:
        """Draw the share of active triplets over time: what each watched strategy finds in the same batches.

        Shares are of the positive pairs (of the anchors for "batch_hard", of all triplets for "all"): a pair counts if
        the negative that the strategy has for it costs something. Random negatives soon do not.

        Parameters
        ----------
        path : path, optional
            Where to write the picture: `.png`, `.jpg` or `.webp`.

        Returns
        -------
        ndarray
            uint8 `(height, width, 3)` RGB.

        Raises
        ------
        OptionError
            If nothing was noted: `watch` was empty, and the loss has no triplets.
        """
        shares = {name: _points(self.steps, name) for name in _watched(self.steps)}
        if not shares:
            shares = {"trained on": _own(self.steps)}
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


def log_line(kind: str, record: Record) -> str:
    """One record as a line of JSON."""
    return json.dumps({"kind": kind, **record})


class Log:
    """A file of JSON lines that can be read while it grows."""

    def __init__(self, path: str | os.PathLike[str] | None, history: History) -> None:
        """Begin the file with what is in the history already, in the place of one that is there."""
        self._stream: TextIO | None = None
        if path is not None:
            self._stream = Path(path).open("w", encoding="utf-8")  # noqa: SIM115 - open for as long as the training
            self._stream.writelines(line + "\n" for line in history.lines())
            self._stream.flush()

    def write(self, kind: str, record: Record) -> None:
        """Append a record."""
        if self._stream is not None:
            self._stream.write(log_line(kind, record) + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
