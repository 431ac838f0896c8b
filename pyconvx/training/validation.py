"""How good an encoder is on classes that it was not trained on: one-shot accuracy and equal error rate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import DivergedError, OptionError, ShapeError
from pyconvx.functional import pairwise_distances
from pyconvx.functional._arguments import integer
from pyconvx.metrics import all_pairs, eer
from pyconvx.training.examples import first_not_finite, read_examples, read_labels

Array = NDArray[Any]
Indices = NDArray[np.int64]
Encode = Callable[[Array], Array]
Measures = dict[str, float]
Validate = Callable[[Encode], Mapping[str, float]]
"""Takes a function from inputs to encodings, returns measures by name; of the first one, more is better."""

WAY = 20


class OneShot(NamedTuple):
    """The share of probes whose nearest example is of their class, among how many classes, of how many probes."""

    accuracy: float
    way: int
    probes: int


def one_shot_accuracy(
    encodings: ArrayLike,
    labels: ArrayLike,
    *,
    way: int | None = None,
    trials: int = 20,
    groups: ArrayLike | None = None,
    metric: str = "sqeuclidean",
    random_state: int | np.random.Generator | None = 0,
) -> OneShot:
    """One example of each of N classes is known; how often is it nearest to another one of its class?

    A trial draws N classes and two examples of each; each second one is looked for among the N first ones.

    Parameters
    ----------
    encodings : array_like, (rows, depth)
        float32 or float64.
    labels : array_like, (rows,)
        Integers or strings, equal for the same class.
    way : int, optional
        N; default: 20, or all classes that have two examples if they are fewer.
    trials : int
        How many trials, of N probes each.
    groups : array_like, (rows,), optional
        The classes of a trial are of one group (characters of one alphabet, say); groups take turns.
    metric : str
        As `pyconvx.pairwise_distances` names it.
    random_state : int, numpy.random.Generator or None
        For the draws.

    Returns
    -------
    OneShot
        `accuracy`, `way` and `probes`. Of equally near examples the one of the lower class counts.

    Raises
    ------
    OptionError
        Fewer than `way` classes with two examples, in all or in a group.
    ShapeError, DTypeError, DivergedError
        Arrays that do not fit, or are not finite.

    References
    ----------
    Lake, Salakhutdinov and Tenenbaum, Human-level concept learning through probabilistic program induction, 2015.

    Examples
    --------
    >>> import numpy as np
    >>> one_shot_accuracy(np.array([[0.0], [0.1], [5.0], [5.1]]), ["a", "a", "b", "b"], trials=5)
    OneShot(accuracy=1.0, way=2, probes=10)
    """
    rows = np.asarray(encodings)
    given = read_labels(labels, len(rows))
    bad = first_not_finite(rows)
    if bad is not None:
        raise DivergedError(f"row {bad} of encodings is not finite; the network that computed it has diverged")
    episodes = draw_episodes(given, way, trials, groups, random_state)
    return _accuracy(rows, episodes, metric)


def draw_episodes(
    labels: Array,
    way: int | None,
    trials: int,
    groups: ArrayLike | None = None,
    random_state: int | np.random.Generator | None = 0,
) -> Indices:
    """Rows of examples and probes of each trial, `(trials, 2, way)`."""
    classes = np.unique(labels, return_inverse=True)[1].reshape(-1)
    owners = np.zeros(len(labels), np.int64) if groups is None else _group_numbers(groups, classes)
    members = [np.flatnonzero(classes == c) for c in range(classes.max(initial=-1) + 1)]
    several = [own for own in members if len(own) >= 2]
    sets = [[own for own in several if owners[own[0]] == g] for g in range(owners.max(initial=-1) + 1)]
    fewest = min((len(own) for own in sets), default=0)
    wanted = min(WAY, fewest) if way is None else integer("way", way, 2)
    if wanted < 2 or wanted > fewest:
        where = "there are" if groups is None else "a group has"
        raise OptionError(f"one-shot trials among {max(wanted, 2)} classes: {where} {fewest} with two examples or more")
    rng = np.random.default_rng(random_state)
    episodes = np.empty((integer("trials", trials, 1), 2, wanted), np.int64)
    for trial in range(len(episodes)):
        own = sets[trial % len(sets)]
        for place, c in enumerate(np.sort(rng.choice(len(own), wanted, replace=False))):
            episodes[trial, :, place] = rng.choice(own[c], 2, replace=False)
    return episodes


def _accuracy(encodings: Array, episodes: Indices, metric: str) -> OneShot:
    right = 0
    for known, probes in episodes:
        found = pairwise_distances(encodings[probes], encodings[known], metric=metric).argmin(axis=1)
        right += int(np.count_nonzero(found == np.arange(len(known))))
    way = episodes.shape[2]
    return OneShot(right / (len(episodes) * way), way, len(episodes) * way)


def _group_numbers(groups: ArrayLike, classes: Indices) -> Indices:
    owners = np.unique(read_labels(groups, len(classes)), return_inverse=True)[1].reshape(-1).astype(np.int64)
    first = np.zeros(classes.max(initial=-1) + 1, np.int64)
    first[classes] = owners
    if (first[classes] != owners).any():
        raise OptionError("groups: a class is in two of them; give classes of two groups two labels")
    return owners


class Validation:
    """One-shot accuracy and equal error rate on held-out examples: `validation(encode)` -> measures.

    Parameters
    ----------
    x : array_like, (examples, *spatial, channels)
        Examples of classes that are not trained on; finite, of a floating type.
    labels : array_like, (examples,)
        Integers or strings.
    way, trials, groups
        As `one_shot_accuracy` takes them. The same trials are used at every call.
    max_examples : int
        Of more than so many, a part is drawn once: as many of each class as of any other, as far as there are.
    random_state : int
        For the draws.

    Notes
    -----
    Measures are "one_shot", the accuracy, and "eer", the equal error rate of all pairs of the examples.

    Examples
    --------
    >>> import numpy as np
    >>> x, labels = np.array([[0.0], [0.1], [5.0], [5.1]]), ["a", "a", "b", "b"]
    >>> Validation(x, labels)(lambda rows: rows)
    {'one_shot': 1.0, 'eer': 0.0}
    """

    def __init__(
        self,
        x: ArrayLike,
        labels: ArrayLike,
        *,
        way: int | None = None,
        trials: int = 20,
        groups: ArrayLike | None = None,
        max_examples: int = 1000,
        random_state: int = 0,
    ) -> None:
        examples = read_examples(x, labels, "validation x")
        most = integer("max_examples", max_examples, 4)
        kept = _even_part(examples.classes, most, np.random.default_rng(random_state))
        owners = None if groups is None else read_labels(groups, len(examples.x))[kept]
        self.x: Array = examples.x if len(kept) == len(examples.x) else examples.x[kept]
        self.classes: Indices = examples.classes[kept]
        self._episodes = draw_episodes(self.classes, way, trials, owners, random_state)

    @property
    def way(self) -> int:
        """Among how many classes a trial decides."""
        return int(self._episodes.shape[2])

    def __call__(self, encode: Encode) -> Measures:
        """Encode the examples and measure."""
        encodings = encode(self.x)
        if np.ndim(encodings) != 2 or len(encodings) != len(self.x):
            raise ShapeError(f"the encodings have shape {np.shape(encodings)}; wanted ({len(self.x)}, depth)")
        found = _accuracy(encodings, self._episodes, "sqeuclidean")
        pairs = all_pairs(encodings, self.classes, max_rows=len(self.x))
        return {"one_shot": found.accuracy, "eer": eer(pairs.distances, pairs.same).rate}


def _even_part(classes: Indices, most: int, rng: np.random.Generator) -> Indices:
    """Rows in their order, at most so many, of every class alike; at least two of a class that comes at all."""
    if len(classes) <= most:
        return np.arange(len(classes))
    order = rng.permutation(len(classes))
    turn = np.full(len(classes), len(classes))  # the how-manieth of its class in this order
    for c in rng.permutation(classes.max() + 1)[: most // 2]:
        own = order[classes[order] == c]
        turn[own] = np.arange(len(own))
    return np.sort(np.lexsort((order, turn))[:most])


def as_validation(validation: Any) -> Validate | None:
    """Take `(x, labels)`, a `Validation`, or any function of `encode`; None stays None."""
    if validation is None:
        return None
    if callable(validation) and not isinstance(validation, type):
        given: Validate = validation
        return given
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise OptionError("validation must be (x, labels), a training.Validation, or a function of encode")
    return Validation(*validation)
