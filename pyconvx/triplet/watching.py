"""What a training on triplets tells of its batches: how many triplets were active, and would be by other strategies."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import OptionError
from pyconvx.functional import pairwise_distances
from pyconvx.functional._arguments import integer
from pyconvx.training.history import Record
from pyconvx.triplet.batch import BatchLoss
from pyconvx.triplet.batch_triplet import TripletLoss
from pyconvx.triplet.mining import STRATEGIES, Strategy, choose

Array = NDArray[Any]
Classes = NDArray[np.int64]


class Watch:
    """Called with the encodings of a batch, their classes and the step; returns what the history notes beside the loss.

    Parameters
    ----------
    loss : BatchLoss
        Of the training; there is something to note of a `TripletLoss` only.
    strategies : sequence of str
        Of which to note the share of active triplets, every `every` steps.
    every : int
        Steps between two such notes.
    seed : int
        For the strategies that draw.
    """

    def __init__(self, loss: BatchLoss, strategies: Sequence[Strategy], every: int, seed: int) -> None:
        self._loss, self._seed, self._every = loss, seed, integer("watch_every", every, 1)
        if not isinstance(strategies, Iterable):
            raise OptionError(f"watch is {strategies!r}; give strategies, () for none")
        self._strategies: tuple[Any, ...] = (strategies,) if isinstance(strategies, str) else tuple(strategies)
        for strategy in self._strategies:
            if strategy not in STRATEGIES:
                raise OptionError(f"watch has {strategy!r}; there are {', '.join(map(repr, STRATEGIES))}")

    def __call__(self, encodings: Array, classes: Classes, step: int) -> Record:
        loss = self._loss
        if not isinstance(loss, TripletLoss):
            return {}
        named = isinstance(loss.mining, str) and not loss.every
        asked = asked_for(str(loss.mining), classes, loss.chosen) if named else loss.chosen
        record: Record = {"active": loss.active, "chosen": loss.chosen, "share": loss.active / max(asked, 1)}
        if self._strategies and step % self._every == 0:
            record["watch"] = self._shares(loss, encodings, classes, step)
        return record

    def _shares(self, loss: TripletLoss, encodings: Array, classes: Classes, step: int) -> dict[str, float]:
        """For each strategy, how many of the triplets that it was asked for are there and active."""
        numbers = np.unique(classes, return_inverse=True)[1].reshape(-1).astype(np.int32)
        distances = pairwise_distances(encodings, metric=loss.metric)
        shares: dict[str, float] = {}
        for strategy in self._strategies:
            rng = np.random.default_rng([self._seed, step, STRATEGIES.index(strategy)])
            anchor, positive, negative = choose(encodings, numbers, distances, strategy, loss.margin, False, rng).T
            gaps = distances[anchor, negative] - distances[anchor, positive]
            active = int(np.count_nonzero(gaps < loss.margin))
            shares[strategy] = active / max(asked_for(strategy, classes, len(anchor)), 1)
        return shares


def asked_for(strategy: str, classes: Classes, chosen: int) -> int:
    """How many triplets a strategy would have if it found one wherever it looks."""
    if strategy == "all":
        return chosen
    counts = np.unique(classes, return_counts=True)[1]
    return len(classes) if strategy == "batch_hard" else int((counts * (counts - 1)).sum())


def plateau_of(loss: BatchLoss) -> float | None:
    """The loss of encodings that are all the same, where that tells something."""
    if not isinstance(loss, TripletLoss) or loss.reduction not in ("mean", "mean_nonzero"):
        return None
    if loss.soft:
        return float(np.logaddexp(0, loss.margin))
    return loss.margin if loss.margin > 0 else None
