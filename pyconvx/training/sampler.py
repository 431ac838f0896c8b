"""Batches of P classes with K examples each, so that every batch has positive pairs and negatives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import OptionError
from pyconvx.functional._arguments import choice, integer
from pyconvx.training.examples import read_labels

Indices = NDArray[np.int64]


class PKSampler:
    """Draws batches of `n_classes` classes with `n_per_class` examples each, as indices into the set.

    One pass (`for batch in sampler`) is an epoch: classes are shuffled, and each comes once before any comes again;
    within a class examples are drawn without repetition. The draws depend on `random_state`, the epoch and the place of
    the batch alone, so a run that goes on at a given epoch sees what an uninterrupted one would have seen.

    Parameters
    ----------
    labels : array_like, (examples,)
        Integers or strings, equal for the same class.
    n_classes, n_per_class : int
        P and K, both from 2 up: a batch has P K examples.
    batches : int, optional
        How many batches an epoch has. Default: the number of classes by P, rounded up.
    small : {"error", "skip", "repeat"}
        What becomes of classes with fewer than K examples: an error, they are left out, or their examples come more
        than once.
    together : int
        Above 1, a batch is made of groups of so many classes, one drawn as above and the first of its `neighbours`. As
        long as these are None, or too few, other classes are drawn in their place.
    random_state : int, numpy.random.Generator or None
        Where the draws begin.

    Attributes
    ----------
    epoch : int
        The epoch that the next pass draws; it grows when a pass begins, and may be set.
    neighbours : ndarray of int64, (classes, m), or None
        Of each class in sorted order the classes that look most like it, the nearest first, -1 where there are no more.
        To be set; the next batch goes by it. See `pyconvx.triplet.nearest_classes`.

    Raises
    ------
    OptionError
        Fewer than P classes, or classes with fewer than K examples.

    References
    ----------
    Hermans, Beyer and Leibe, In Defense of the Triplet Loss, 2017, section 2 ("P classes ... K images").

    Examples
    --------
    >>> sampler = PKSampler(["a", "a", "b", "b", "b", "c", "c"], 2, 2, random_state=0)
    >>> len(sampler)
    2
    >>> [sorted(batch.tolist()) for batch in sampler]
    [[0, 1, 5, 6], [3, 4, 5, 6]]
    """

    def __init__(
        self,
        labels: ArrayLike,
        n_classes: int,
        n_per_class: int,
        *,
        batches: int | None = None,
        small: Literal["error", "skip", "repeat"] = "error",
        together: int = 1,
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        choice("small", small, ("error", "skip", "repeat"))
        self.n_classes, self.n_per_class = integer("n_classes", n_classes, 2), integer("n_per_class", n_per_class, 2)
        given = read_labels(labels)
        names, classes = np.unique(given, return_inverse=True)
        ends = np.cumsum(np.bincount(classes, minlength=1))
        members = np.split(np.argsort(classes, kind="stable"), ends[:-1])[: len(names)]
        few = [name for name, own in zip(names, members, strict=True) if len(own) < self.n_per_class]
        if few and small == "error":
            raise OptionError(
                f"{len(few)} of {len(names)} classes have fewer than {n_per_class} examples, {few[0].item()!r} among "
                "them: take a smaller n_per_class, or say small='skip' or 'repeat'"
            )
        kept = [c for c, own in enumerate(members) if small == "repeat" or len(own) >= self.n_per_class]
        self._members = {c: members[c] for c in kept}
        if len(self._members) < self.n_classes:
            raise OptionError(f"a batch wants {n_classes} classes; there are {len(self._members)} to draw from")
        self.together = integer("together", together, 1)
        self.neighbours: Indices | None = None
        if self.together > self.n_classes:
            raise OptionError(f"together is {together}; a batch has {n_classes} classes")
        self._drawn = self.n_classes // self.together  # classes of a batch that come in turn
        default = -(-len(self._members) // self._drawn)
        self._batches = default if batches is None else integer("batches", batches, 1)
        if isinstance(random_state, np.random.Generator):
            self._seed = int(random_state.integers(1 << 62))
        elif random_state is None:
            self._seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
        else:
            self._seed = integer("random_state", random_state, 0)
        self.epoch = 0

    def __len__(self) -> int:
        """How many batches an epoch has."""
        return self._batches

    def __iter__(self) -> Iterator[Indices]:
        """Draw the next epoch: `len(self)` arrays of P K indices, class by class."""
        epoch = self.epoch
        self.epoch += 1
        return self._draw(epoch)

    def _draw(self, epoch: int) -> Iterator[Indices]:
        rng = np.random.default_rng([self._seed, epoch])
        waiting: list[int] = []
        for place in range(self._batches):
            chosen: list[int] = []
            while len(chosen) < self._drawn:
                if not waiting:
                    waiting = [int(c) for c in rng.permutation(list(self._members))]
                # A batch that begins with the last of one shuffle goes on with the next, but for those it has.
                chosen += [waiting.pop(place) for place in _first_new(waiting, chosen, self._drawn)]
            own = rng
            if self.together > 1:  # neighbours must not touch what later batches draw: a run that goes on skips these
                own = np.random.default_rng([self._seed, epoch, place])
                chosen = self._with_neighbours(chosen, own)
            yield np.concatenate([self._examples(own, self._members[c]) for c in chosen])

    def _with_neighbours(self, drawn: list[int], rng: np.random.Generator) -> list[int]:
        """The classes of a batch: each drawn one with its nearest, then others until there are enough."""
        chosen = list(drawn)
        table = np.empty((0, 0), np.int64) if self.neighbours is None else self.neighbours
        for c in drawn[: len(table)]:
            near = [int(n) for n in table[c] if n in self._members and n not in chosen]
            chosen += near[: self.together - 1]
        if len(chosen) < self.n_classes:
            rest = sorted(self._members.keys() - chosen)
            chosen += [int(c) for c in rng.permutation(rest)[: self.n_classes - len(chosen)]]
        return chosen

    def _examples(self, rng: np.random.Generator, own: Indices) -> Indices:
        drawn = [rng.permutation(own) for _ in range(-(-self.n_per_class // len(own)))]
        return np.concatenate(drawn)[: self.n_per_class].astype(np.int64, copy=False)


def _first_new(waiting: list[int], chosen: list[int], wanted: int) -> list[int]:
    """Places of the first classes of `waiting` that are not chosen yet, last one first so that each can be popped."""
    places = [place for place, c in enumerate(waiting) if c not in chosen]
    return places[: wanted - len(chosen)][::-1]
