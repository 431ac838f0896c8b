"""What a training went through: a record a step, a record a validation."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
        from pyconvx.training.shares import draw_watched

        return draw_watched(self, path)


def log_line(kind: str, record: Record) -> str:
    """One record as a line of JSON."""
    return json.dumps({"kind": kind, **record})
