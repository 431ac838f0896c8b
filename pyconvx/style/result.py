"""What a style transfer gives back, and what it tells while it works."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pyconvx import image as pictures

Picture = NDArray[np.uint8]
Stopped = Literal["finished", "callback", "interrupted", "not finite"]

MESSAGES: dict[Stopped, str] = {
    "finished": "all steps done",
    "callback": "stopped by the callback",
    "interrupted": "interrupted; this is the best picture so far",
    "not finite": (
        "the cost or its gradient is not a finite number, so the run stopped; this is the last good picture. "
        "A smaller learning_rate, or optimizer='lbfgs' with normalization='balanced', keeps it finite"
    ),
}


@dataclass(frozen=True)
class Step:
    """One step that has been taken, as `callback` gets it.

    Attributes
    ----------
    done, total : int
        Steps done and steps in all, over all levels.
    record : dict
        The line of the trace: level, step, width, height, cost, content, style, total_variation, evaluations, seconds.
    """

    done: int
    total: int
    record: dict[str, Any]
    _paint: Callable[[], Picture]

    def picture(self) -> Picture:
        """Return the picture as it is now, uint8 `(height, width, 3)` at the size of this level."""
        return self._paint()


@dataclass(frozen=True)
class Result:
    """A painted picture.

    Attributes
    ----------
    picture : ndarray
        uint8 `(height, width, 3)` RGB: of all that were tried at the last level, the one with the least cost.
    cost : float
        Its cost J.
    stopped : str
        "finished"; "callback" (it asked to stop); "interrupted" (Ctrl-C); or "not finite" (the cost or its gradient was
        NaN or infinite, and this is the last good picture).
    message : str
        The same in a sentence, with what to do.
    trace : list of dict
        One record a step: every term of the cost before its weight.
    provenance : dict
        Version, instruction set, options, digests of pictures and weights.
    """

    picture: Picture
    cost: float
    stopped: Stopped
    message: str
    trace: list[dict[str, Any]]
    provenance: dict[str, Any]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture; the ending of `path` names the format."""
        pictures.save(path, self.picture)

    def save_trace(self, path: str | os.PathLike[str]) -> None:
        """Write the trace as JSON: provenance, how it stopped, and one record a step."""
        document = {**self.provenance, "stopped": self.stopped, "message": self.message, "steps": self.trace}
        Path(path).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
