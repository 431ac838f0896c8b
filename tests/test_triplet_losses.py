"""Losses over batches: values against loops, gradients against differences of these loops, extremes, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
import triplet_reference as ref
from numpy.typing import NDArray

from pyconvx import nn, triplet
from pyconvx.errors import DivergedError, DTypeError, OptionError, ShapeError, WeightsError

Array = NDArray[Any]

LABELS = [0, 1, 0, 2, 1, 0, 2, 3]  # class 3 has no positive
PROXIES = np.random.default_rng(5).standard_normal((5, 3))  # class 4 has no row
METRICS = ("sqeuclidean", "euclidean", "cosine")


def encodings(seed: int = 0, rows: int = len(LABELS), depth: int = 3) -> Array:
    return np.random.default_rng(seed).standard_normal((rows, depth))


class Case(NamedTuple):
    make: Callable[..., triplet.BatchLoss]
    terms: Callable[[Array, Array], Any]  # of x, and of the point that was chosen or weighed at


def of_triplets(mining: str, metric: str, *, soft: bool = False, every: bool = False, margin: float = 0.7) -> Case:
    def terms(x: Array, at: Array) -> list[float]:
        return ref.triplet(x, ref.mined(at, LABELS, mining, margin, every, metric), margin, metric, soft)

    def make(reduction: Any) -> triplet.BatchLoss:
        kind: Any = mining
        return triplet.TripletLoss(margin, mining=kind, metric=metric, soft=soft, every=every, reduction=reduction)

    return Case(make, terms)


def with_proxies(loss: Any) -> Any:
    loss.load_state_dict({"weight": PROXIES})
    return loss


CASES: dict[str, Case] = {
    **{f"{mining} {metric}": of_triplets(mining, metric) for mining in ("all", "batch_hard") for metric in METRICS},
    **{f"{mining}": of_triplets(mining, "sqeuclidean") for mining in ("semihard", "hard")},
    **{f"every {mining}": of_triplets(mining, "euclidean", every=True) for mining in ("semihard", "hard")},
    # Easy triplets cost nothing but softly.
    "easy": of_triplets("easy", "sqeuclidean", soft=True),
    "every easy": of_triplets("easy", "euclidean", soft=True, every=True),
    "soft all": of_triplets("all", "euclidean", soft=True),
    "soft batch_hard": of_triplets("batch_hard", "sqeuclidean", soft=True, margin=0.0),
    **{
        f"contrastive {metric}{' squared' if squared else ''}": Case(
            lambda r, m=metric, s=squared: triplet.ContrastiveLoss(0.3, 1.5, squared=s, metric=m, reduction=r),
            lambda x, at, m=metric, s=squared: ref.contrastive(x, LABELS, 0.3, 1.5, s, m),
        )
        for metric in METRICS
        for squared in (False, True)
    },
    "nt_xent": Case(
        lambda r: triplet.NTXentLoss(0.4, reduction=r),
        lambda x, at: ref.nt_xent(x, LABELS, 0.4),
    ),
    "sup_con": Case(
        lambda r: triplet.SupConLoss(0.4, reduction=r),
        lambda x, at: ref.sup_con(x, LABELS, 0.4),
    ),
    "n_pairs": Case(lambda r: triplet.NPairsLoss(r), lambda x, at: ref.n_pairs(x, LABELS)),
    "multi_similarity": Case(
        lambda r: triplet.MultiSimilarityLoss(2, 10, 0.4, reduction=r),
        lambda x, at: ref.multi_similarity(x, LABELS, 2, 10, 0.4, None),
    ),
    "multi_similarity mined": Case(
        lambda r: triplet.MultiSimilarityLoss(2, 10, 0.4, epsilon=0.1, reduction=r),
        lambda x, at: ref.multi_similarity(x, LABELS, 2, 10, 0.4, 0.1),
    ),
    "circle": Case(
        lambda r: triplet.CircleLoss(0.25, 5, reduction=r),
        lambda x, at: ref.circle(x, LABELS, 0.25, 5, at),
    ),
    "arc_face": Case(
        lambda r: with_proxies(triplet.ArcFaceLoss(5, 3, 0.5, 4, reduction=r, dtype=np.float64)),
        lambda x, at: ref.arc_face(x, LABELS, PROXIES, 0.5, 4),
    ),
    "proxy_anchor": Case(
        lambda r: with_proxies(triplet.ProxyAnchorLoss(5, 3, 0.1, 4, reduction=r, dtype=np.float64)),
        lambda x, at: ref.proxy_anchor(x, LABELS, PROXIES, 0.1, 4),
    ),
}


@pytest.mark.parametrize("reduction", ["sum", "mean", "mean_nonzero", "none"])
@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_those_of_the_loop(name: str, reduction: str) -> None:
    case, x = CASES[name], encodings()
    loss = case.make(reduction)
    value, pullback = loss.vjp(x, LABELS)
    np.testing.assert_allclose(value, ref.reduced(case.terms(x, x), reduction), rtol=1e-12)
    assert isinstance(value, float) == (reduction != "none")
    dvalue = np.random.default_rng(1).standard_normal(np.shape(value))
    dx, grads = pullback(dvalue)
    # Which terms are zero does not change within a difference.
    expected = ref.gradient(lambda at: float(np.vdot(ref.reduced(case.terms(at, x), reduction), dvalue)), x)
    np.testing.assert_allclose(dx, expected, atol=1e-7)
    assert np.abs(expected).max() > 1e-3, "nothing was compared"
    assert set(grads) == set(loss.named_parameters())
    again, _ = pullback(dvalue)
    np.testing.assert_array_equal(again, dx)


@pytest.mark.parametrize("name", ["arc_face", "proxy_anchor"])
def test_gradient_of_proxies(name: str) -> None:
    x = encodings(4)
    loss = CASES[name].make("mean")
    weight = loss.named_parameters()["weight"]
    _, pullback = loss.vjp(x, LABELS)
    claimed = pullback(1.5)[1]["weight"]

    def at(proxies: Array) -> float:
        weight.assign(proxies)
        return float(loss(x, LABELS)) * 1.5

    np.testing.assert_allclose(claimed, ref.gradient(at, PROXIES), atol=1e-7)
    assert np.abs(claimed).max() > 1e-2


# Proxies have the encodings' type: for them test_a_step_of_training takes float32.
@pytest.mark.parametrize("name", sorted(set(CASES) - {"arc_face", "proxy_anchor"}))
def test_float32_gives_float32(name: str) -> None:
    x = encodings()
    value, pullback = CASES[name].make("mean").vjp(x.astype(np.float32), LABELS)
    wide, wide_pullback = CASES[name].make("mean").vjp(x.astype(np.float32).astype(np.float64), LABELS)
    dx, _ = pullback()
    assert dx.dtype == np.float32
    np.testing.assert_allclose(value, wide, rtol=1e-5)
    np.testing.assert_allclose(dx, wide_pullback()[0], atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_extremes_have_a_finite_gradient(name: str) -> None:
    """All encodings equal, zero, opposite, huge or tiny: no overflow, no 0 / 0."""
    loss = CASES[name].make("mean")
    same = np.tile(encodings(rows=1), (len(LABELS), 1))
    opposite = same * np.where(np.arange(len(LABELS)) % 2, 1, -1)[:, np.newaxis]
    for x in (same, np.zeros_like(same), opposite, encodings() * 1e-30, np.linspace(0, 1, 24).reshape(8, 3) ** 9):
        value, pullback = loss.vjp(x, LABELS)
        assert np.isfinite(value)
        assert np.isfinite(pullback()[0]).all()
    if not name.startswith("n_pairs"):
        value, pullback = loss.vjp(encodings() * 1e20, LABELS)
        assert np.isfinite(value)
        assert np.isfinite(pullback()[0]).all()


def test_a_collapsed_batch_costs_its_margin() -> None:
    """What the lecture warns of: f = 0 for everything costs exactly the margin, and has no gradient to leave by."""
    value, pullback = triplet.TripletLoss(0.2, mining="all").vjp(np.zeros((4, 3)), [0, 0, 1, 1])
    assert value == pytest.approx(0.2)
    np.testing.assert_array_equal(pullback()[0], 0)


def test_encodings_close_together_keep_their_digits() -> None:
    """Differences of 1e-3 about a point 1000 away, in float32: gradients come from the differences."""
    x = (1000 + 1e-3 * encodings()).astype(np.float32)
    centred = (x.astype(np.float64) - 1000).astype(np.float64)
    for mining in ("all", "batch_hard"):
        kind: Any = mining
        loss = triplet.TripletLoss(1.0, mining=kind, reduction="sum")
        dx, exact = loss.vjp(x, LABELS)[1]()[0], loss.vjp(centred, LABELS)[1]()[0]
        np.testing.assert_allclose(dx, exact, atol=1e-6 * np.abs(exact).max())


def test_nothing_semihard_is_a_zero() -> None:
    x = np.array([[0.0], [0.1], [9.0], [9.1]])
    loss = triplet.TripletLoss(0.2, mining="semihard")
    value, pullback = loss.vjp(x, [0, 0, 1, 1])
    assert (value, loss.chosen, loss.active) == (0.0, 0, 0)
    np.testing.assert_array_equal(pullback()[0], 0)
    assert triplet.TripletLoss(0.2, mining="semihard", reduction="none")(x, [0, 0, 1, 1]).shape == (0,)
    every = triplet.TripletLoss(0.2, mining="hard", every=True)
    assert every(x, [0, 0, 1, 1]) == 0


@pytest.mark.parametrize("mining", ["all", "batch_hard"])
def test_active_and_chosen_are_counted(mining: Any) -> None:
    x = encodings()
    loss = triplet.TripletLoss(0.7, mining=mining)
    loss(x, LABELS)
    terms = ref.triplet(x, ref.mined(x, LABELS, mining, 0.7, False, "sqeuclidean"), 0.7, "sqeuclidean", False)
    assert (loss.chosen, loss.active) == (len(terms), sum(term > 0 for term in terms))


def test_a_miner_of_one_s_own() -> None:
    x = encodings()
    loss = triplet.TripletLoss(5.0, mining=lambda x, classes: ([0, 1], [2, 4], [3, 0]), reduction="none")
    np.testing.assert_allclose(loss(x, LABELS), ref.triplet(x, [(0, 2, 3), (1, 4, 0)], 5.0, "sqeuclidean", False))
    for found, error in [(([0], [2], [99]), OptionError), (([0], [2]), ShapeError), (([0.5], [2], [3]), ShapeError)]:
        with pytest.raises(error, match="mining returned"):
            triplet.TripletLoss(mining=lambda x, classes, found=found: found)(x, LABELS)  # type: ignore[misc]


def test_labels_may_be_words() -> None:
    names = np.array(["ann", "bob", "cem", "dot"])[LABELS]
    assert triplet.SupConLoss()(encodings(), names) == triplet.SupConLoss()(encodings(), LABELS)


@pytest.mark.parametrize("make", [triplet.ArcFaceLoss, triplet.ProxyAnchorLoss])
def test_a_step_of_training_makes_the_loss_smaller(make: Any) -> None:
    """Encodings and proxies move together, as an optimiser's own parameters do."""
    x = encodings().astype(np.float32)
    loss = make(5, 3, random_state=0)
    optimizer = nn.SGD(loss.named_parameters(), 0.01)
    before, pullback = loss.vjp(x, LABELS)
    dx, grads = pullback()
    assert grads["weight"].dtype == np.float32
    optimizer.step(grads)
    assert loss(x - 0.01 * dx, LABELS) < before
    other = make(5, 3, random_state=1)
    assert other(x, LABELS) != loss(x, LABELS)
    other.load_state_dict(loss.state_dict())
    assert other(x, LABELS) == loss(x, LABELS)
    with pytest.raises(WeightsError):
        other.load_state_dict({"weight": np.zeros((4, 3), np.float32)})


def test_a_margin_holds_beyond_the_angle_where_the_cosine_turns() -> None:
    """angle + margin > pi: the loss goes on rising with the angle."""
    loss = triplet.ArcFaceLoss(2, 2, 1.0, 4.0, dtype=np.float64)
    loss.load_state_dict({"weight": np.array([[1.0, 0.0], [0.0, 1.0]])})
    angles = np.linspace(0, np.pi, 50)
    x = np.column_stack([np.cos(angles), -np.sin(angles)])
    values = np.array([loss(row[np.newaxis], [0]) for row in x])
    own = [ref.arc_face(row[np.newaxis], [0], loss.weight.value, 1.0, 4.0)[0] for row in x[1:-1]]
    np.testing.assert_allclose(values[1:-1], own, rtol=1e-12)


X = encodings()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: triplet.TripletLoss()(X, [0] * 8), OptionError, "one class alone"),
        (lambda: triplet.TripletLoss(mining="all")(X, [0] * 8), OptionError, "one class alone"),
        (lambda: triplet.SupConLoss()(X, list(range(8))), OptionError, "no class twice"),
        (lambda: triplet.ContrastiveLoss()(X[:0], np.zeros(0, int)), OptionError, "nothing at all"),
        (lambda: triplet.NPairsLoss()(X, [0, 0, 0, 1, 2, 3, 4, 5]), OptionError, "only one class has two rows"),
        (lambda: triplet.NTXentLoss()(X, LABELS[:-1]), ShapeError, "labels have shape"),
        (lambda: triplet.NTXentLoss()(X, np.float32(LABELS)), DTypeError, "labels have type"),
        (lambda: triplet.NTXentLoss()(X[0], LABELS), ShapeError, "encodings has shape"),
        (lambda: triplet.NTXentLoss()(np.zeros((8, 3), int), LABELS), DTypeError, "encodings is int64"),
        (lambda: triplet.NTXentLoss()(np.where(X[2, 1] == X, np.nan, X), LABELS), DivergedError, "row 2"),
        (lambda: triplet.TripletLoss()(np.where(X[7, 0] == X, np.inf, X), LABELS), DivergedError, "row 7"),
        (lambda: triplet.TripletLoss(metric="manhattan"), OptionError, "metric"),
        (lambda: triplet.ContrastiveLoss(metric="chi2"), OptionError, "metric"),
        (lambda: triplet.TripletLoss(np.nan), OptionError, "margin"),
        (lambda: triplet.TripletLoss(mining="hardest"), OptionError, "strategy"),  # type: ignore[arg-type]
        (lambda: triplet.TripletLoss(mining="random", every=True), OptionError, "every"),
        (lambda: triplet.TripletLoss(reduction="avg"), OptionError, "reduction"),  # type: ignore[arg-type]
        (lambda: triplet.NTXentLoss(0.0), OptionError, "temperature"),
        (lambda: triplet.SupConLoss(-1.0), OptionError, "temperature"),
        (lambda: triplet.MultiSimilarityLoss(beta=0), OptionError, "beta"),
        (lambda: triplet.CircleLoss(gamma=np.inf), OptionError, "gamma"),
        (lambda: triplet.CircleLoss(np.nan), OptionError, "m is nan"),
        (lambda: triplet.ArcFaceLoss(4, 3, 28.6), OptionError, "radians"),
        (lambda: triplet.ArcFaceLoss(4, 3)(X, LABELS), DTypeError, "dtype="),
        (lambda: triplet.ArcFaceLoss(3, 3, dtype=np.float64)(X, LABELS), OptionError, "labels go from 0 to 3"),
        (lambda: triplet.ArcFaceLoss(4, 2, dtype=np.float64)(X, LABELS), ShapeError, "proxies"),
        (lambda: triplet.ArcFaceLoss(4, 3, dtype=np.float64)(X, ["a"] * 8), DTypeError, "ArcFaceLoss takes classes"),
        (lambda: triplet.ProxyAnchorLoss(4, 3, dtype=np.float64)(X[:0], np.zeros(0, int)), ShapeError, "one row"),
        (lambda: triplet.TripletLoss(mining="all").vjp(X, LABELS)[1](np.ones(2)), ShapeError, "dvalue"),
        (lambda: triplet.SupConLoss(reduction="none").vjp(X, LABELS)[1](np.ones(2)), ShapeError, "dvalue"),
    ],
)
def test_refusals(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
