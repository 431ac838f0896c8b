"""From the flags of `pyconvx train` to what trains: encoder, loss, rate, changes, and which classes are held out."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from pyconvx.cli.train_flags import STRATEGIES
from pyconvx.errors import DataError, OptionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pyconvx.nn import Layer
    from pyconvx.training import Augment, LabelledSet
    from pyconvx.triplet import BatchLoss, TripletTrainer

STEPS = 1000
BATCH = (8, 4)
TOGETHER = 4  # classes
AT_ONCE = 64  # examples that are moved together
FEWEST = 2  # classes that can be told apart
WITH_MARGIN = (*STRATEGIES, "contrastive", "arcface", "proxy_anchor")


class Part(NamedTuple):
    """Examples and the numbers of their classes."""

    x: NDArray[np.float32]
    labels: NDArray[np.int64]


class Parts(NamedTuple):
    """What is learned from, and what is of other classes; the latter is empty without a validation."""

    learned: Part
    held_out: Part


class Clock:
    """A training by the clock: how much of the time is spent, and the learning rate that follows it."""

    def __init__(self, minutes: float, rate_at: Callable[[float], float]) -> None:
        if not 0 < minutes < math.inf:
            raise OptionError(f"--minutes: got {minutes!r}; wanted a number above 0")
        self.seconds = 60 * minutes
        self._rate_at = rate_at
        self._start: float | None = None

    def spent(self) -> float:
        """Seconds since the first call."""
        now = time.monotonic()
        if self._start is None:
            self._start = now
        return now - self._start

    def rate(self, step: int) -> float:
        """The rate at this moment."""
        return self._rate_at(min(1.0, self.spent() / self.seconds)) if step else self._rate_at(0.0)

    def is_over(self, step: Any) -> bool:
        """Whether to stop; takes a TrainingStep."""
        return self.spent() >= self.seconds


def split(arguments: argparse.Namespace, data: LabelledSet) -> Parts:
    """Hold out a share of the classes, drawn by the seed among those with two examples or more.

    Examples are moved where they lie, so that memory holds them once: `data.x` is in another order afterwards.
    """
    import numpy as np

    share = arguments.validation
    if not 0 <= share < 1:
        raise OptionError(f"--validation: got {share!r}; wanted a share of the classes from 0 to below 1")
    counts = np.bincount(data.labels)
    if len(counts) < FEWEST:
        raise DataError(f"{arguments.folder}: has one class; a similarity is learned from two classes or more")
    several = np.flatnonzero(counts >= 2)
    wanted = max(FEWEST, round(share * len(counts))) if share else 0
    wanted = min(wanted, len(several), len(counts) - FEWEST)
    if wanted < FEWEST:
        if share and arguments.patience is not None:
            raise OptionError(f"--patience: {len(counts)} classes are too few to hold {FEWEST} out of them")
        return Parts(Part(data.x, data.labels), Part(data.x[:0], data.labels[:0]))
    held = np.random.default_rng(arguments.seed).permutation(several)[:wanted]
    out = np.isin(data.labels, held)
    kept = np.flatnonzero(~out)
    held_out = data.x[out]
    for start in range(0, len(kept), AT_ONCE):  # a row only moves forward, to where all have been moved already
        rows = kept[start : start + AT_ONCE]
        data.x[start : start + len(rows)] = data.x[rows]
    data.x[len(kept) :] = held_out
    return Parts(Part(data.x[: len(kept)], data.labels[~out]), Part(data.x[len(kept) :], data.labels[out]))


def make_encoder(arguments: argparse.Namespace, shape: tuple[int, ...]) -> Layer:
    """A ready encoder for inputs of this shape, (*spatial, channels)."""
    from pyconvx import training

    makers = {1: training.encoder1d, 2: training.encoder2d, 3: training.encoder3d}
    return makers[len(shape) - 1](
        arguments.encoder,
        shape[-1],
        arguments.dimensions,
        input_size=shape[:-1] if arguments.pool == "places" else None,
        seed=arguments.seed,
    )


def make_trainer(
    arguments: argparse.Namespace, encoder: Layer, classes: int, clock: Clock | None, **options: Any
) -> TripletTrainer:
    """The trainer of so many classes."""
    from pyconvx import nn, triplet

    makers: dict[str, Any] = {"adamw": nn.AdamW, "adam": nn.Adam, "sgd": partial(nn.SGD, momentum=0.9)}
    several, each = arguments.batch or (min(BATCH[0], classes), BATCH[1])
    steps = arguments.steps or STEPS
    together = arguments.offline_classes
    if together is not None and arguments.offline_every is None:
        raise OptionError("--offline-classes goes with --offline-every")
    return triplet.TripletTrainer(
        encoder,
        loss=make_loss(arguments, classes),
        n_classes=several,
        n_per_class=each,
        small=arguments.small,
        offline_every=arguments.offline_every,
        offline_classes=min(TOGETHER, several) if together is None else together,
        steps=steps if clock is None else 1 << 40,  # the clock ends it
        lr=rates(arguments, steps) if clock is None else clock.rate,
        optimizer=makers[arguments.optimizer],
        augment=make_changes(arguments),
        seed=arguments.seed,
        **options,
    )


def make_clock(arguments: argparse.Namespace) -> Clock | None:
    """A clock, if the training is by one."""
    if arguments.minutes is None:
        return None
    if arguments.checkpoint is not None:
        raise OptionError("--checkpoint: a training by the clock cannot go on with the same bits; give --steps")
    rate, kind = arguments.lr, arguments.schedule
    if kind == "cosine":
        return Clock(arguments.minutes, lambda share: rate * (1 + math.cos(math.pi * share)) / 2)
    return Clock(arguments.minutes, lambda share: rate if kind == "constant" else rate * 0.1 ** _falls(share))


def rates(arguments: argparse.Namespace, steps: int) -> Any:
    """The learning rate, as a number or a function of the step."""
    from pyconvx.training import cosine

    if arguments.schedule == "cosine":
        return cosine(arguments.lr, steps, warmup=min(arguments.warmup, steps - 1))
    if arguments.schedule == "constant":
        return arguments.lr
    return lambda step: arguments.lr * 0.1 ** _falls(step / steps)


def _falls(share: float) -> int:
    return int(share >= 0.5) + int(share >= 0.75)


def make_loss(arguments: argparse.Namespace, classes: int) -> BatchLoss:
    """The loss by its name."""
    from pyconvx import triplet

    name, margin = arguments.loss, arguments.margin
    if margin is not None and name not in WITH_MARGIN:
        raise OptionError(f"--margin: the loss {name} has none; it goes with {', '.join(WITH_MARGIN)}")
    own = {} if margin is None else {"neg_margin" if name == "contrastive" else "margin": margin}
    if name in STRATEGIES:
        return triplet.TripletLoss(mining=name, random_state=arguments.seed, **own)
    if name == "soft":
        return triplet.TripletLoss(0.0, mining="batch_hard", soft=True)
    if name in ("arcface", "proxy_anchor"):
        proxies: Any = triplet.ArcFaceLoss if name == "arcface" else triplet.ProxyAnchorLoss
        loss: BatchLoss = proxies(classes, arguments.dimensions, random_state=arguments.seed, **own)
        return loss
    makers: dict[str, Any] = {
        "contrastive": triplet.ContrastiveLoss,
        "ntxent": partial(triplet.NTXentLoss, 0.1),
        "npairs": triplet.NPairsLoss,
        "supcon": triplet.SupConLoss,
        "multi_similarity": triplet.MultiSimilarityLoss,
        "circle": triplet.CircleLoss,
    }
    made: BatchLoss = makers[name](**own)
    return made


def make_changes(arguments: argparse.Namespace) -> Augment | None:
    """The random changes, if there are any."""
    from pyconvx.training import Augment

    names = ("shift", "rotate", "scale", "stretch", "shear", "flip", "elastic", "noise")
    if not any(getattr(arguments, name) for name in names):
        return None
    return Augment(**{name: getattr(arguments, name) for name in (*names, "fill")})
