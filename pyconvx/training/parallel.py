"""One training on several processes: each has the same weights and computes its part of every batch.

Encodings are gathered, so that the loss sees the whole batch everywhere (a triplet may have its parts on three
processes); each process pulls the slope back through its own rows, and the gradients are summed before the step. So
does every BatchNorm gather its statistics. The result is that of one process with the whole batch, up to rounding.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import OptionError
from pyconvx.nn import BatchNorm, Dropout, Layer

Array = NDArray[Any]
Gradients = dict[str, Array]


class Communicator(Protocol):
    """What a trainer asks of the processes that train together. Every process makes the same calls, in one order."""

    @property
    def rank(self) -> int:
        """Which of the processes this is, from 0."""
        ...

    @property
    def size(self) -> int:
        """How many there are."""
        ...

    def gather(self, rows: Array) -> Array:
        """Return the rows of all processes, in the order of their ranks; numbers of rows may differ."""
        ...

    def sum(self, gradients: Gradients) -> Gradients:
        """Return the sum over all processes of each array, the same bits on every one."""
        ...


class Alone:
    """One process."""

    rank = 0
    size = 1

    def gather(self, rows: Array) -> Array:
        """Return the rows."""
        return rows

    def sum(self, gradients: Gradients) -> Gradients:
        """Return the gradients."""
        return gradients


def own_rows(communicator: Communicator, rows: int) -> slice:
    """The part of a batch that is this process's: equal parts, the first ones one row longer if need be."""
    each, longer = divmod(rows, communicator.size)
    start = communicator.rank * each + min(communicator.rank, longer)
    return slice(start, start + each + (communicator.rank < longer))


def check_parallel(communicator: Communicator, encoder: Layer, rows: int) -> None:
    """Refuses what would not train as one process does."""
    if communicator.size > rows:
        raise OptionError(f"{communicator.size} processes cannot share a batch of {rows}; take larger batches")
    if communicator.size > 1 and any(isinstance(layer, Dropout) and layer.p for layer in all_layers(encoder)):
        raise OptionError(
            "the encoder has a Dropout, which would draw otherwise on each process; train it on one, or take p=0"
        )


def check_same(communicator: Communicator, fingerprints: dict[str, str]) -> None:
    """Refuse, on all processes, to train if they differ in something that must be the same; the first one is right.

    Raises
    ------
    OptionError
        Which says in what they differ.
    """
    if communicator.size == 1:
        return
    own = [hashlib.sha256(text.encode()).digest() for text in fingerprints.values()]
    everyone = communicator.gather(np.frombuffer(b"".join(own), np.uint8)[np.newaxis])
    differ = (everyone != everyone[0]).reshape(len(everyone), len(own), -1).any(axis=(0, 2))
    if differ.any():
        names = ", ".join(name for name, differs in zip(fingerprints, differ, strict=True) if differs)
        raise OptionError(f"the processes do not agree in: {names}; start all with the same data, options and seeds")


def first_says(communicator: Communicator, values: Sequence[float]) -> list[float]:
    """The numbers of the first process, on all: what is decided by them is decided alike."""
    if communicator.size == 1:
        return list(values)
    told: list[float] = communicator.gather(np.array([values], np.float64))[0].tolist()
    return told


def anyone(communicator: Communicator, said: bool) -> bool:
    """Whether any of the processes said so."""
    return said if communicator.size == 1 else bool(communicator.gather(np.array([said])).any())


@contextmanager
def joined(communicator: Communicator, encoder: Layer) -> Iterator[None]:
    """Let every BatchNorm have the statistics of the whole batch meanwhile."""
    norms = [layer for layer in all_layers(encoder) if isinstance(layer, BatchNorm)]
    try:
        for norm in norms:
            norm.gather = communicator.gather if communicator.size > 1 else None
        yield
    finally:
        for norm in norms:
            norm.gather = None


def all_layers(layer: Layer) -> list[Layer]:
    """A layer and all that it contains."""
    return [layer, *(inner for child in layer._children.values() for inner in all_layers(child))]
