"""One training on several processes: each has the same weights and computes its part of every batch.

Encodings are gathered, so that the loss sees the whole batch everywhere (a triplet may have its parts on three
processes); each process pulls the slope back through its own rows, and the gradients are summed before the step.
"""

from __future__ import annotations

from typing import Any, Protocol

from numpy.typing import NDArray

from pyconvx.errors import OptionError
from pyconvx.nn import BatchNorm, Layer

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
    if communicator.size > 1 and any(isinstance(layer, BatchNorm) for layer in all_layers(encoder)):
        raise OptionError(
            "the encoder has a BatchNorm, whose statistics would be those of one process's rows; train it on one "
            "process, or take an encoder without one"
        )


def all_layers(layer: Layer) -> list[Layer]:
    """A layer and all that it contains."""
    return [layer, *(inner for child in layer._children.values() for inner in all_layers(child))]
