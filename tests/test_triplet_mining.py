"""Choosing triplets: each strategy against loops, drawn ones by their distribution; whole sets, threads, refusals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import triplet_reference as ref
from numpy.typing import NDArray

import pyconvx
from pyconvx import _mining
from pyconvx.errors import DivergedError, DTypeError, OptionError, ShapeError
from pyconvx.triplet import PKSampler, Triplets, mine, mine_offline, offline

Array = NDArray[Any]


def batch(seed: int, rows: int, classes: int, dtype: str = "float64") -> tuple[Array, list[int]]:
    """Encodings on a coarse grid, so that many distances are equal and ties are decided."""
    rng = np.random.default_rng(seed)
    return rng.integers(-3, 4, (rows, 2)).astype(dtype) / 2, [int(c) for c in rng.integers(0, classes, rows)]


def listed(triplets: Triplets) -> list[tuple[int, ...]]:
    assert all(part.dtype == np.int64 and part.shape == triplets.anchor.shape for part in triplets)
    return list(zip(*(part.tolist() for part in triplets), strict=True))


# Squares of multiples of a half are exact, and so is the margin; roots are rounded as in the loop in float64 alone.
@pytest.mark.parametrize(
    ("metric", "dtype"), [("sqeuclidean", "float32"), ("sqeuclidean", "float64"), ("euclidean", "float64")]
)
@pytest.mark.parametrize(
    ("strategy", "every"),
    [("all", False), ("batch_hard", False), *((k, e) for k in ("easy", "semihard", "hard") for e in (False, True))],
)
def test_strategies_choose_what_the_loop_chooses(strategy: Any, every: bool, metric: str, dtype: str) -> None:
    sizes = []
    for seed, (rows, classes) in enumerate([(3, 2), (5, 2), (9, 2), (16, 3), (17, 4), (24, 8), (23, 12)]):
        x, y = batch(seed, rows, classes, dtype)
        y[:3] = [0, 0, 1]  # something to choose
        found = listed(mine(x, y, strategy, margin=1.0, metric=metric, every=every))
        assert found == ref.mined(x, y, strategy, 1.0, every, metric), (rows, classes)
        sizes.append(len(found))
    assert sum(sizes) > 20


def test_margins_need_not_be_exact_in_float32() -> None:
    """Every triplet is of one kind alone, whatever rounding does."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((40, 8)).astype(np.float32), rng.integers(0, 5, 40)
    kinds: tuple[Any, ...] = ("easy", "semihard", "hard")
    parts = [set(listed(mine(x, y, kind, margin=0.3, every=True))) for kind in kinds]
    assert sum(map(len, parts)) == len(set.union(*parts))
    assert set.union(*parts) == set(listed(mine(x, y, "all")))
    assert min(map(len, parts)) > 100


def test_random_draws_every_negative_equally_often() -> None:
    y = ["b", "a", "b", "c", "a", "d"]
    x = np.zeros((6, 1))
    counts: Counter[tuple[int, ...]] = Counter()
    rng = np.random.default_rng(0)
    rounds = 4000
    for _ in range(rounds):
        counts.update(listed(mine(x, y, "random", random_state=rng)))
    assert set(counts) == set(ref.all_triplets(y))
    expected = rounds / 4  # each pair has four negatives
    assert max(abs(count - expected) for count in counts.values()) < 5 * np.sqrt(expected)


def test_distance_weighted_draws_by_the_inverse_of_the_density() -> None:
    """Negatives at known distances in 8 dimensions: 1 / q(d), held at d = 0.5 below, nothing beyond 1.4."""
    distances = np.array([0.2, 0.6, 1.0, 1.3, 1.41, 2.0])
    cosines = 1 - distances**2 / 2
    negatives = np.zeros((6, 8))
    negatives[:, 0], negatives[:, 1] = cosines, np.sqrt(1 - cosines**2)
    anchor = np.eye(1, 8)
    x = np.concatenate([anchor, anchor, negatives]) * 3  # the length does not count
    y = [0, 0, 1, 2, 3, 4, 5, 6]
    rng = np.random.default_rng(0)
    counts: Counter[int] = Counter()
    rounds = 3000
    for _ in range(rounds):
        found = mine(x, y, "distance_weighted", random_state=rng)
        assert found.anchor.tolist() == [0, 1]
        counts.update(found.negative.tolist())
    clipped = np.maximum(distances, 0.5)
    weights = np.where(distances < 1.4, clipped**-6 * (1 - np.minimum(clipped, 1.9) ** 2 / 4) ** -2.5, 0)
    expected = 2 * rounds * weights / weights.sum()
    drawn = np.array([counts[2 + k] for k in range(6)])
    assert (np.abs(drawn - expected) < 5 * np.sqrt(expected) + 1e-9).all(), (drawn, expected)


def test_distance_weighted_leaves_out_anchors_whose_negatives_are_all_far() -> None:
    x = np.array([[1.0, 0], [1, 0.1], [-1, 0], [-1, 0.1]])
    assert listed(mine(x, [0, 0, 1, 1], "distance_weighted", random_state=0)) == []


def test_the_same_seed_draws_the_same() -> None:
    x, y = batch(0, 24, 4)
    strategies: tuple[Any, ...] = ("random", "distance_weighted")
    for strategy in strategies:
        first, again, other = (listed(mine(x, y, strategy, random_state=seed)) for seed in (1, 1, 2))
        assert first == again
        assert first != other


def test_threads_do_not_change_what_is_chosen() -> None:
    """Several Python threads in the loops at once, which run without the interpreter's lock."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((300, 16)).astype(np.float32), rng.integers(0, 20, 300)
    strategies: tuple[Any, ...] = ("batch_hard", "semihard", "random", "distance_weighted")

    def run(strategy: Any) -> list[tuple[int, ...]]:
        return listed(mine(x, y, strategy, random_state=0))

    with pyconvx.num_threads(1):
        alone = [run(strategy) for strategy in strategies]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, strategies * 4)) == alone * 4


@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine", "manhattan", "chi2"])
@pytest.mark.parametrize("few", [0, 64])
def test_offline_finds_the_nearest_impostors_of_the_set(metric: str, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "_FEW", few)  # a search for each class, one for all
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((60, 5)), rng.integers(0, 7, 60)
    y[0] = 7  # alone in its class
    distances = pyconvx.pairwise_distances(x, metric=metric)
    for k in (1, 4, 100):
        anchor, positive, negative = mine_offline(x, y, k, positives="hard", metric=metric)
        assert set(anchor) == set(range(1, 60))
        for a in range(1, 60):
            impostors = np.flatnonzero(y != y[a])
            nearest = impostors[np.argsort(distances[a, impostors])][:k]
            np.testing.assert_array_equal(negative[anchor == a], nearest)
            own = [j for j in range(60) if y[j] == y[a] and j != a]
            assert set(positive[anchor == a]) == {max(own, key=lambda j: distances[a, j])}


def test_offline_positives() -> None:
    x, y = batch(1, 30, 4)
    every = listed(mine_offline(x, y, 2, positives="all"))
    assert [t[:2] for t in every[::2]] == list(ref.positive_pairs(y))
    drawn = [listed(mine_offline(x, y, 2, random_state=seed)) for seed in range(100)]
    assert set().union(*drawn) == set(every)
    assert drawn[0] == listed(mine_offline(x, y, 2, random_state=0))
    assert len(drawn[0]) == 2 * 30


# Sampler


def test_batches_have_p_classes_of_k_examples() -> None:
    labels = np.repeat(np.arange(10), 6)[np.random.default_rng(0).permutation(60)]
    sampler = PKSampler(labels, 4, 3, random_state=0)
    assert len(sampler) == 3
    seen: list[int] = []
    for indices in sampler:
        assert indices.dtype == np.int64
        assert len(set(indices.tolist())) == 12
        classes, counts = np.unique(labels[indices], return_counts=True)
        assert len(classes) == 4
        assert set(counts) == {3}
        seen += classes.tolist()
    assert len(set(seen)) == 10, "a class that did not come"
    assert len(set(seen[:8])) == 8, "a class that came twice before another came once"
    assert all(len(PKSampler(labels, 4, 3, batches=n, random_state=0)) == n for n in (1, 50))
    drawn = np.concatenate(list(PKSampler(labels, 4, 3, batches=100, random_state=0)))
    assert set(drawn) == set(range(60)), "examples that never come"


def test_an_epoch_depends_on_the_seed_and_its_number_alone() -> None:
    labels = np.repeat(np.arange(9), 4)

    def epoch(sampler: PKSampler) -> list[list[int]]:
        return [indices.tolist() for indices in sampler]

    first = PKSampler(labels, 2, 2, random_state=3)
    epochs = [epoch(first) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    resumed = PKSampler(labels, 2, 2, random_state=3)
    resumed.epoch = 2
    assert epoch(resumed) == epochs[2]
    assert resumed.epoch == 3
    assert epoch(PKSampler(labels, 2, 2, random_state=4)) != epochs[0]
    generators = [PKSampler(labels, 2, 2, random_state=np.random.default_rng(1)) for _ in range(2)]
    assert epoch(generators[0]) == epoch(generators[1])
    assert epoch(PKSampler(labels, 2, 2)) != epoch(PKSampler(labels, 2, 2))


def test_small_classes_are_refused_left_out_or_repeated() -> None:
    labels = ["a", "a", "b", "b", "c", "d", "d"]
    with pytest.raises(OptionError, match="1 of 4 classes have fewer than 2 examples"):
        PKSampler(labels, 2, 2)
    skipped = np.concatenate(list(PKSampler(labels, 2, 2, small="skip", batches=20, random_state=0)))
    assert set(skipped) == {0, 1, 2, 3, 5, 6}
    repeated = np.concatenate(list(PKSampler(labels, 4, 3, small="repeat", random_state=0)))
    assert Counter(repeated.tolist())[4] == 3
    assert sorted(Counter(repeated.tolist()).values()) == [1, 1, 1, 2, 2, 2, 3]


X, Y = batch(0, 8, 3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mine(X, Y, "hardest"), OptionError, "strategy is 'hardest'"),  # type: ignore[arg-type]
        (lambda: mine(X, Y, "random", every=True), OptionError, "every=True"),
        (lambda: mine(X, Y, margin=np.inf), OptionError, "margin"),
        (lambda: mine(X, Y, metric="dot"), OptionError, "metric"),
        (lambda: mine(X, [1] * 8), OptionError, "one class alone"),
        (lambda: mine(X, range(8)), OptionError, "no class twice"),
        (lambda: mine(X * np.nan, Y), DivergedError, "row 0"),
        (lambda: mine(X, [0.5] * 8), DTypeError, "labels"),
        (lambda: mine(X, Y[1:]), ShapeError, "labels"),
        (lambda: mine_offline(X, Y, 0), OptionError, "k is 0"),
        (lambda: mine_offline(X, Y, positives="easy"), OptionError, "positives"),  # type: ignore[arg-type]
        (lambda: mine_offline(X, Y, metric="dot"), OptionError, "metric"),
        (lambda: mine_offline(X, [1] * 8), OptionError, "one class alone"),
        (lambda: PKSampler(Y, 9, 2, small="repeat"), OptionError, "there are 3"),
        (lambda: PKSampler(Y, 1, 2), OptionError, "n_classes"),
        (lambda: PKSampler(Y, 2, 1), OptionError, "n_per_class"),
        (lambda: PKSampler(Y, 2, 2, batches=0), OptionError, "batches"),
        (lambda: PKSampler(Y, 2, 2, small="drop"), OptionError, "small"),  # type: ignore[arg-type]
        (lambda: PKSampler(Y, 2, 2, random_state=-1), OptionError, "random_state"),
        (lambda: PKSampler([], 2, 2), DTypeError, "labels"),
        (lambda: PKSampler(np.zeros(0, int), 2, 2), OptionError, "there are 0"),
    ],
)
def test_refusals(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_the_extension_guards_its_memory() -> None:
    """Whoever calls it with sizes or indices that do not fit gets an error, not another's memory."""
    d, labels, ends = np.zeros((4, 4)), np.zeros(4, np.int32), np.zeros(4, np.int64)
    triplets, w = np.zeros((2, 3), np.int64), np.zeros(2)
    labels[2:] = 1
    calls: list[Callable[[], object]] = [
        lambda: _mining.hardest(d[:3].copy(), labels, ends, ends),
        lambda: _mining.hardest(d, labels, ends[:2].copy(), ends),
        lambda: _mining.nearest_in_band(d, labels, -1.0, 1.0, triplets),  # four pairs, room for two
        lambda: _mining.every_in_band(d, labels, -1.0, 1.0, triplets[:, :2].copy()),
        lambda: _mining.sum_in_band(d, labels, -1.0, 1.0, 0.2, False, np.zeros((4, 3))),
        lambda: _mining.draw(d, np.array([4]), w[:1].copy(), ends[:1].copy()),
        lambda: _mining.draw(d, np.array([0]), w, ends[:1].copy()),
        lambda: _mining.pull_triplets(d, triplets - 1, w, w, d.copy()),
        lambda: _mining.pull_triplets(d, triplets + 4, w, w, d.copy()),
        lambda: _mining.pull_triplets(d, triplets, w[:1].copy(), w, d.copy()),
        lambda: _mining.pull_triplets(d, triplets, w, w, np.zeros((4, 3))),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="do not belong together"):
            call()
