"""Which classes of the whole set look most alike, found every so many steps, so that batches have them together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyconvx.nn import Layer
from pyconvx.training.encoding import encode
from pyconvx.training.examples import Examples
from pyconvx.training.parallel import Communicator, own_rows

Array = NDArray[Any]
Indices = NDArray[np.int64]

EACH = 4  # examples of a class that stand for it


class Offline(NamedTuple):
    """Every how many steps, and how, from encodings and their classes to `PKSampler.neighbours`."""

    every: int
    nearest: Callable[[Array, Indices], Indices]

    def is_time(self, done: int) -> bool:
        """Whether so many steps are followed by a look at the whole set; none by the first weights."""
        return done > 0 and done % self.every == 0

    def neighbours(
        self, encoder: Layer, examples: Examples, seed: int, done: int, batch_size: int, communicator: Communicator
    ) -> Indices:
        """Encode some examples of each class, without augmentation, each process its part; return who is near whom."""
        rows = some_of_each(examples.classes, EACH, np.random.default_rng([seed, done]))
        part = own_rows(communicator, len(rows))
        own = rows[part]
        batches = [own[start : start + batch_size] for start in range(0, len(own), batch_size)]
        # A batch at a time, so that of a memory map no more is in memory than of a training step.
        encodings = np.concatenate([encode(encoder, examples.x[batch], batch_size=batch_size) for batch in batches])
        return self.nearest(communicator.gather(encodings), examples.classes[rows])


def some_of_each(classes: Indices, most: int, rng: np.random.Generator) -> Indices:
    """Rows of at most so many examples of each class, drawn, class by class."""
    order = rng.permutation(len(classes))
    order = order[np.argsort(classes[order], kind="stable")]
    starts = np.cumsum(np.bincount(classes)) - np.bincount(classes)
    turn = np.arange(len(order)) - starts[classes[order]]
    result: Indices = order[turn < most]
    return result
