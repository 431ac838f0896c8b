"""The file that a stopped training goes on from, with the same bits as one that was never stopped.

State: the weights and the best ones, the optimisers' memory, generators, the history. Identity: options, digests of the
examples and of the learning rates, loss, optimiser, shapes of the weights, versions.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
from typing import Any

import numpy as np

from pyconvx import _checkpoint as files
from pyconvx._checkpoint import PathLike, digest
from pyconvx._version import __version__
from pyconvx.errors import WeightsError
from pyconvx.runtime import active_isa
from pyconvx.training.history import History
from pyconvx.training.loop import State, Task
from pyconvx.training.parallel import all_layers
from pyconvx.training.validation import Validation

_FORMAT = "pyconvx.training 1"
# The same version, instruction set and number of processes are needed for the same bits, not for going on.
_ADVISORY = ("version", "isa", "processes")
_MOST_RATES = 100_000  # of a longer training's, so many, evenly spread
_LOG = logging.getLogger("pyconvx")


def save(path: PathLike, task: Task, state: State, identity: dict[str, Any]) -> None:
    """Write the file, whole or not at all."""
    history = {"steps": state.history.steps, "validations": state.history.validations}
    files.save(
        path,
        _FORMAT,
        {
            "weights": task.weights(),
            "best": state.best,
            "best_step": state.best_step,
            "measures": state.measures,
            "done": state.done,
            "waited": state.waited,
            "neighbours": state.neighbours,
            "optimizers": [None if own is None else own.state_dict() for own in task.optimizers],
            "generators": [generator.bit_generator.state for generator in _generators(task)],
            "history": np.frombuffer(json.dumps(history).encode(), np.uint8),  # too long for a header
        },
        identity,
    )


def resume(path: PathLike, task: Task, identity: dict[str, Any]) -> State:
    """Put a training that was asked for the same where it was saved, and return its state.

    Raises
    ------
    WeightsError
        If the file is damaged, is no checkpoint, or belongs to another training; the message says which of its options
        differ. Weights are then as they were.
    """
    before = task.weights()
    read: dict[str, Any]
    read, differences = files.load(path, _FORMAT, "a training", _complete, identity)
    refused = [difference for difference in differences if difference.name not in _ADVISORY]
    if refused:
        raise WeightsError(
            f"checkpoint: {os.fspath(path)} belongs to another training ({'; '.join(map(str, refused))}); give the "
            "same options and examples, or start anew with another checkpoint file"
        )
    for name, there, now in differences:
        _LOG.warning("checkpoint: %s was %s and is %s; the result may differ in its last bits", name, there, now)
    try:
        task.assign(read["weights"])
        for own, memory in zip(task.optimizers, read["optimizers"], strict=True):
            if own is not None:
                own.load_state_dict(memory)
        for generator, drawn in zip(_generators(task), read["generators"], strict=True):
            generator.bit_generator.state = drawn
        if {name: a.shape for name, a in read["best"].items()} != {name: a.shape for name, a in before.items()}:
            raise WeightsError("the best weights are not of this encoder")
        _check_neighbours(read.get("neighbours"), len(task.examples.names))
        kept = ("best", "best_step", "measures", "done", "waited", "history")
        return State(**{name: read[name] for name in kept}, neighbours=read.get("neighbours"))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        task.assign(before)
        raise WeightsError(f"{os.fspath(path)}: the checkpoint is damaged ({error!r})") from error


def identity_of(task: Task) -> dict[str, Any]:
    """What a training was asked for, as JSON can hold it; digests take a moment."""
    encoder, loss = task.optimizers
    looked_at = np.linspace(0, task.steps - 1, min(task.steps, _MOST_RATES)).astype(np.int64)
    rates = np.array([task.rate(int(step)) for step in looked_at], np.float64)
    validation: Any = None
    if isinstance(task.validate, Validation):
        validation = [digest(task.validate.x, task.validate.classes), task.validate.way]
    elif task.validate is not None:
        validation = _described(task.validate)
    return {
        "version": __version__,
        "isa": active_isa(),
        "processes": task.communicator.size,
        "steps": task.steps,
        "rates": digest(rates),
        "examples": digest(task.examples.x, task.examples.classes),
        "batches": _batches(task),
        "offline": _offline(task),
        "seed": task.seed,
        "augment": None if task.augment is None else _described(task.augment),
        "loss": _described(task.loss),
        "optimizer": _described(encoder),
        "loss_optimizer": None if loss is None else _described(loss),
        "loss_rate": task.loss_rate,
        "validation": validation,
        "validate_every": task.validate_every,
        "patience": task.patience,
        "weights": {name: f"{array.shape} {array.dtype}" for name, array in task.weights().items()},
    }


def fingerprints(task: Task, state: State) -> dict[str, str]:
    """By name, what must be the same on all processes that train together: else they would drift apart."""
    if task.communicator.size == 1:
        return {}
    generators = [generator.bit_generator.state for generator in _held_by(task.loss)]  # no layer may draw
    encoder, loss = task.optimizers
    return {
        "version": __version__,
        "instruction set": active_isa(),
        "examples": digest(task.examples.x, task.examples.classes),
        "weights": digest(*task.weights().values()),
        "options": repr([task.steps, task.seed, *_batches(task), _offline(task)]),
        "augmentation": repr(None if task.augment is None else _described(task.augment)),
        "loss and optimiser": repr([_described(task.loss), _described(encoder), task.loss_rate, loss is None]),
        "state": repr([state.done, state.waited, generators])
        + digest(np.array([] if state.neighbours is None else state.neighbours)),
        "validation": repr([task.validate is None, task.validate_every, task.patience, task.batch_size]),
    }


def _complete(values: dict[str, Any]) -> dict[str, Any]:
    """What was saved, its history read; a KeyError or TypeError if something is missing."""
    history = json.loads(values["history"].tobytes())
    for record in history["steps"]:
        if not {"step", "loss", "lr", "spread"} <= set(record):
            raise ValueError("a step's record is not whole")
    values["history"] = History(list(history["steps"]), list(history["validations"]))
    if not values["done"] == len(values["history"].steps):
        raise ValueError(f"{values['done']} steps were made, and {len(values['history'].steps)} are told of")
    return values


def _batches(task: Task) -> list[int]:
    return [task.sampler.n_classes, task.sampler.n_per_class, len(task.sampler)]


def _offline(task: Task) -> list[int] | None:
    return None if task.offline is None else [task.offline.every, task.sampler.together]


def _check_neighbours(table: Any, classes: int) -> None:
    if table is None:
        return
    fits = table.dtype == np.int64 and table.ndim == 2 and len(table) == classes
    if not fits or not ((table >= -1) & (table < classes)).all():
        raise WeightsError("the neighbours are not of these classes")


def _described(thing: Any) -> Any:
    """A thing by its class and those of its constructor's arguments that it keeps; a function by its name."""
    if inspect.isroutine(thing) or isinstance(thing, type):
        return f"{thing.__module__}.{thing.__qualname__}"
    name = f"{type(thing).__module__}.{type(thing).__qualname__}"
    kept = {}
    for argument in inspect.signature(type(thing)).parameters:
        value = getattr(thing, argument, None)
        if argument != "lr" and isinstance(value, (bool, int, float, str, tuple)):
            kept[argument] = value
        elif inspect.isroutine(value):
            kept[argument] = _described(value)
    return {"class": name, **kept}


def _generators(task: Task) -> list[np.random.Generator]:
    """All that the loss and the layers draw from."""
    return [generator for holder in (task.loss, *all_layers(task.encoder)) for generator in _held_by(holder)]


def _held_by(holder: Any) -> list[np.random.Generator]:
    return [value for value in vars(holder).values() if isinstance(value, np.random.Generator)]
