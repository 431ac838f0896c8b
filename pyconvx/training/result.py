"""What a training gives back, and what it tells while it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pyconvx.training.history import History, Record

Weights = dict[str, NDArray[Any]]
Stopped = Literal["finished", "patience", "callback", "interrupted", "diverged"]

MESSAGES: dict[Stopped, str] = {
    "finished": "all steps done",
    "patience": "the validation had not become better for long enough",
    "callback": "stopped by the callback",
    "interrupted": "interrupted; the encoder holds the best weights so far",
    "diverged": "a number was not finite; the encoder holds the best weights before",
}


@dataclass(frozen=True)
class TrainingStep:
    """A step that has been taken, as `callback` gets it.

    Attributes
    ----------
    done, total : int
        Steps done and steps in all.
    record : dict
        The step's record of the history, and "seconds_left".
    validation : dict or None
        The record of the validation after this step, if there was one.
    """

    done: int
    total: int
    record: Record
    validation: Record | None


@dataclass(frozen=True)
class TrainingResult:
    """How a training ended. The encoder, and a loss that learns, hold the best weights by then.

    Attributes
    ----------
    best : dict
        These weights by name: those with the best validation, or the last ones without a validation. The encoder's
        names are those of its `state_dict`.
    best_step : int
        After which step they were.
    measures : dict
        Their measures of validation; empty without one.
    stopped : str
        "finished"; "patience" (early stopping); "callback" (it asked to stop); "interrupted" (Ctrl-C) or "diverged".
    message : str
        The same in a sentence.
    history : History
        A record a step, a record a validation.
    """

    best: Weights
    best_step: int
    measures: dict[str, float]
    stopped: Stopped
    message: str
    history: History

    @property
    def steps(self) -> int:
        """How many steps were taken."""
        return len(self.history.steps)

    @property
    def active_share(self) -> float:
        """Of the last tenth of the steps, the mean share of active triplets; NaN without triplets."""
        shares = [record["share"] for record in self.history.steps[-max(1, self.steps // 10) :] if "share" in record]
        return float(np.mean(shares)) if shares else float("nan")
