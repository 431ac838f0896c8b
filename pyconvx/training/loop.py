"""The loop of every trainer: draw a batch, encode it once, pull the loss's slope back, move; now and then validate.

Everything that is drawn depends on the seed and the step alone, or on generators whose state is kept; so a run that
goes on sees what an uninterrupted one would have seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import DivergedError, DTypeError, OptionError, ShapeError
from pyconvx.nn import Layer, Parameter
from pyconvx.nn._arrays import as_float
from pyconvx.training.collapse import spread_of
from pyconvx.training.encoding import check_rank, encode
from pyconvx.training.examples import Examples, first_not_finite
from pyconvx.training.history import History, Record
from pyconvx.training.offline import Offline
from pyconvx.training.parallel import Communicator, anyone, first_says, own_rows
from pyconvx.training.result import Stopped, Weights
from pyconvx.training.sampler import PKSampler
from pyconvx.training.schedules import Schedule
from pyconvx.training.validation import Validate

Array = NDArray[Any]
Gradients = dict[str, Array]
Augment = Callable[[Array, np.random.Generator], Array]
"""From a batch `(examples, *spatial, channels)` to one of the same shape and type; draws from the generator alone.

One with a method `part(rows, rng, first, count)`, as `training.Augment` has it, changes only its own rows where several
processes train together.
"""
Observe = Callable[[Array, NDArray[np.int64], int], Record]
"""From the encodings of a batch, their classes and the step, to what a trainer adds to the step's record."""


class Objective(Protocol):
    """A loss over encodings and classes."""

    def vjp(self, encodings: Array, labels: Array, /) -> tuple[Any, Callable[..., tuple[Array, Gradients]]]:
        """Return the value, and a pullback that gives the encodings' gradient and those of own parameters."""
        ...

    def named_parameters(self) -> dict[str, Parameter]:
        """What the loss itself learns."""
        ...


class Moves(Protocol):
    """An optimiser."""

    lr: float

    def step(self, grads: Mapping[str, Any], /) -> Any:
        """Move."""
        ...

    def state_dict(self) -> dict[str, Array]:
        """Return its memory."""
        ...

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Take it back."""
        ...


@dataclass(frozen=True)
class Task:
    """What is trained, on what, and how."""

    encoder: Layer
    loss: Objective
    examples: Examples
    sampler: PKSampler
    steps: int
    rate: Schedule
    loss_rate: float
    optimizers: tuple[Moves, Moves | None]  # of the encoder, of what the loss learns
    augment: Augment | None
    offline: Offline | None
    observe: Observe | None
    validate: Validate | None
    validate_every: int
    patience: int | None
    batch_size: int  # of validation, and of a look at the whole set
    seed: int
    communicator: Communicator

    def weights(self) -> Weights:
        """All that is learned, and running statistics; arrays that later steps do not change."""
        own = {f"loss.{name}": parameter.value for name, parameter in self.loss.named_parameters().items()}
        return {f"encoder.{name}": array for name, array in self.encoder.state_dict().items()} | own

    def assign(self, weights: Weights) -> None:
        """Put weights back."""
        parts = {name[8:]: array for name, array in weights.items() if name.startswith("encoder.")}
        self.encoder.load_state_dict(parts)
        for name, parameter in self.loss.named_parameters().items():
            parameter.assign(weights[f"loss.{name}"])


@dataclass
class State:
    """Where a training stands, between two steps."""

    best: Weights
    best_step: int = 0
    measures: dict[str, float] = field(default_factory=dict)
    done: int = 0
    waited: int = 0  # validations since the best one
    neighbours: NDArray[np.int64] | None = None  # of the classes, as the sampler has them
    history: History = field(default_factory=History)


Between = Callable[[State, Record | None], bool]
"""Called after each step, with the record of a validation if there was one; True asks to stop."""


def train(task: Task, state: State, between: Between) -> Stopped:
    """Take steps from `state`, changing it, until all are taken or something ends them; return what did.

    Raises
    ------
    DivergedError
        If the loss, a gradient or an encoding is not finite; the state is then that after the last good step.
    """
    batches = _batches(task.sampler, state.done)
    while state.done < task.steps:
        if task.patience is not None and state.waited >= task.patience:
            return "patience"
        started = time.perf_counter()
        task.encoder.train()
        try:
            _look_for_neighbours(task, state)
            record = _step(task, next(batches), state.done)
        finally:
            task.encoder.eval()
        record["seconds"] = round(time.perf_counter() - started, 5)
        state.done += 1
        state.history.steps.append(record)
        found = validated(task, state)
        if not state.measures:  # the last weights are the best ones, as far as is known
            state.best, state.best_step = task.weights(), state.done
        if anyone(task.communicator, between(state, found)):
            return "callback"
    return "finished"


def _look_for_neighbours(task: Task, state: State) -> None:
    """Tell the sampler which classes look most alike, found anew if it is time to."""
    if task.offline is not None and task.offline.is_time(state.done):
        state.neighbours = task.offline.neighbours(
            task.encoder, task.examples, task.seed, state.done, task.batch_size, task.communicator
        )
    task.sampler.neighbours = state.neighbours


def _batches(sampler: PKSampler, done: int) -> Iterator[NDArray[np.int64]]:
    """Batches of an endless training from the step `done` on."""
    sampler.epoch, passed = divmod(done, len(sampler))
    while True:
        for place, batch in enumerate(sampler):
            if place >= passed:
                yield batch
        passed = 0


def _step(task: Task, rows: NDArray[np.int64], step: int) -> Record:
    """Take one step; `step` counts from 0."""
    (lr,) = first_says(task.communicator, [task.rate(step)])
    record: Record = {"step": step + 1, "loss": 0.0, "lr": lr}
    classes = task.examples.classes[rows]
    part = own_rows(task.communicator, len(rows))
    x = _drawn(task, rows, part, step)
    with np.errstate(over="ignore", invalid="ignore"):  # looked at here, and said in words
        own, pullback = task.encoder.vjp(x, wrt="parameters", once=True)
        del x
        encodings = task.communicator.gather(check_rank(own, part.stop - part.start))
        value, pull = task.loss.vjp(encodings, classes)
        if not np.isfinite(value):
            raise DivergedError("the loss is not finite")
        slopes, loss_gradients = pull()
        record |= {"loss": float(value), "spread": spread_of(encodings)}
        if task.observe is not None:
            record |= task.observe(encodings, classes, step)
        record["moved"] = bool(slopes.any() or any(np.any(gradient) for gradient in loss_gradients.values()))
        if record["moved"]:
            _, gradients = pullback(np.ascontiguousarray(slopes[part]))
            _move(task, task.communicator.sum(gradients), loss_gradients, lr)
    return record


def _drawn(task: Task, rows: NDArray[np.int64], part: slice, step: int) -> Array:
    """The inputs of a part of a batch, augmented as they are in the whole batch on one process."""
    augment, rng = task.augment, np.random.default_rng([task.seed, step])
    by_part = getattr(augment, "part", None)
    alone = augment is None or by_part is not None
    x = as_float(task.examples.x[rows[part] if alone else rows], "x")
    if augment is None:
        return x
    changed = np.asarray(by_part(x, rng, part.start, len(rows)) if by_part is not None else augment(x, rng))
    if changed.shape != x.shape:
        raise ShapeError(f"augment made shape {changed.shape} of {x.shape}; it must keep the shape")
    if changed.dtype != x.dtype:
        raise DTypeError(f"augment made {changed.dtype} of {x.dtype}; it must keep the type")
    if first_not_finite(changed) is not None:
        raise OptionError("augment made NaN or infinity of finite examples")
    return changed if alone else changed[part]  # a mere function draws for the whole batch, so that all draw the same


def _move(task: Task, gradients: Gradients, loss_gradients: Gradients, lr: float) -> None:
    for name, gradient in (gradients | loss_gradients).items():
        if not np.isfinite(gradient).all():
            raise DivergedError(f"the gradient of {name} is not finite")
    encoder, loss = task.optimizers
    encoder.lr = lr
    encoder.step(gradients)
    if loss is not None:
        loss.lr = lr * task.loss_rate
        loss.step(loss_gradients)


def validated(task: Task, state: State, *, last: bool = False) -> Record | None:
    """Validate if it is time to, or if these weights are the last and have not been; keep them if they are the best."""
    is_time = state.done % task.validate_every == 0 or state.done == task.steps
    if task.validate is None or not state.done or is_time == last:
        return None
    found = task.validate(lambda x: encode(task.encoder, x, batch_size=task.batch_size))
    try:
        own = {name: float(value) for name, value in found.items()}
    except (AttributeError, TypeError, ValueError):
        own = {}
    measures = dict(zip(own, first_says(task.communicator, list(own.values())), strict=True))
    if not measures or np.isnan(next(iter(measures.values()))):
        raise OptionError(
            f"the validation returned {str(found)[:80]}; wanted measures by name, all numbers, the first not NaN"
        )
    record: Record = {"step": state.done, **measures}
    state.history.validations.append(record)
    if not state.measures or _rank(measures) > _rank(state.measures):
        state.best, state.best_step, state.measures, state.waited = task.weights(), state.done, measures, 0
    else:
        state.waited += 1
    return record


def _rank(measures: dict[str, float]) -> tuple[float, float]:
    """The first measure, where more is better; of equal ones the lower equal error rate."""
    return next(iter(measures.values())), -measures.get("eer", 0.0)
