"""Verification: the features of pairs, the logistic unit, thresholds, the nearest encoding, pairs to learn from."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import triplet_reference as ref
from numpy.typing import NDArray

import pyconvx
from pyconvx.errors import DTypeError, OptionError, PyconvxError, ShapeError
from pyconvx.siamese import (
    NearestEncodingClassifier,
    PairClassifier,
    PairVerifier,
    ThresholdVerifier,
    draw_pairs,
    pair_features,
    pair_features_grad,
)

Array = NDArray[Any]


def persons(seed: int = 0, people: int = 20, pictures: int = 6, noise: float = 0.5) -> tuple[Array, Array]:
    """Encodings of several pictures of some people, and whose they are."""
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(people), pictures)
    return rng.standard_normal((people, 12))[owners] + noise * rng.standard_normal((len(owners), 12)), owners


def training(seed: int = 0) -> tuple[Array, Array]:
    x, owners = persons(seed)
    pairs = draw_pairs(owners, random_state=seed)
    return np.stack([x[pairs.first], x[pairs.second]], axis=1), pairs.same


# Features


def feature(a: float, b: float, kind: str) -> float:
    if kind == "absolute":
        return abs(a - b)
    return (a - b) ** 2 / (abs(a) + abs(b)) if a or b else 0.0


@pytest.mark.parametrize("kind", ["absolute", "chi2"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_features_are_those_of_the_formula(kind: Any, dtype: str) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(-3, 4, (2, 7, 5)).astype(dtype)
    found = pair_features(a, b, kind)
    assert found.dtype == dtype
    expected = [
        [feature(float(s), float(t), kind) for s, t in zip(u, v, strict=True)] for u, v in zip(a, b, strict=True)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-6 if dtype == "float32" else 1e-14)
    np.testing.assert_array_equal(pair_features(b, a, kind), found)
    np.testing.assert_array_equal(pair_features(a[0], b, kind), pair_features(np.tile(a[0], (7, 1)), b, kind))
    metric = {"absolute": "manhattan", "chi2": "chi2"}[kind]
    distances = np.diagonal(pyconvx.pairwise_distances(a, b, metric=metric))
    np.testing.assert_allclose(found.sum(axis=1), distances, rtol=1e-5)


@pytest.mark.parametrize("kind", ["absolute", "chi2"])
def test_gradient_of_features(kind: Any) -> None:
    a, b, slope = np.random.default_rng(0).standard_normal((3, 6, 4))
    expected = ref.gradient(lambda at: float(np.vdot(pair_features(at, b, kind), slope)), a)
    np.testing.assert_allclose(pair_features_grad(a, b, slope, kind), expected, atol=1e-8)
    expected = ref.gradient(lambda at: float(np.vdot(pair_features(a, at, kind), slope)), b)
    np.testing.assert_allclose(pair_features_grad(b, a, slope, kind), expected, atol=1e-8)
    np.testing.assert_array_equal(pair_features_grad(a, a, slope, kind), 0)
    np.testing.assert_array_equal(pair_features_grad(0 * a, 0 * a, slope, kind), 0)


def test_chi_square_neither_overflows_nor_vanishes() -> None:
    for size in (1e-200, 1e200):
        np.testing.assert_allclose(pair_features(np.array([size]), np.array([3 * size]), "chi2"), [size])


# The logistic unit


def objective(w: Array, b: float, x: Array, y: Array, c: float) -> float:
    """Summed row by row from the docstring."""
    losses = [math.log(1 + math.exp(-z if t else z)) for z, t in zip(x @ w + b, y, strict=True)]
    return c * sum(losses) + sum((w * x.std(axis=0)) ** 2) / 2


@pytest.mark.parametrize("c", [0.1, 10.0])
def test_weights_are_at_the_minimum(c: float) -> None:
    pairs, same = training()
    x = pair_features(pairs[:, 0], pairs[:, 1]) * np.linspace(0.1, 10, 12) + 3  # units and offsets do not matter
    head = PairClassifier(c, tol=1e-9).fit(x, same)
    w, b = head.coef_[0], head.intercept_[0]
    here = objective(w, b, x, same, c)
    rng = np.random.default_rng(0)
    for _ in range(20):
        dw, db = rng.standard_normal(12) / x.std(axis=0) * 1e-2, 1e-2 * rng.standard_normal()
        assert objective(w + dw, b + db, x, same, c) > here
        assert objective(w - dw, b - db, x, same, c) > here
    plain = PairClassifier(c, tol=1e-9).fit((x - 3) / np.linspace(0.1, 10, 12), same)
    np.testing.assert_allclose(plain.decision_function((x - 3) / np.linspace(0.1, 10, 12)), head.decision_function(x))
    assert (head.coef_ < 0).all(), "the farther, the less the same"


def test_probabilities_are_the_sigmoid_of_the_sum() -> None:
    pairs, same = training()
    x = pair_features(pairs[:, 0], pairs[:, 1])
    head = PairClassifier().fit(x, np.where(same, "same", "other"))
    assert head.classes_.tolist() == ["other", "same"]
    z = x @ head.coef_[0] + head.intercept_[0]
    np.testing.assert_allclose(head.predict_proba(x)[:, 1], 1 / (1 + np.exp(-z)))
    np.testing.assert_allclose(head.predict_proba(x).sum(axis=1), 1)
    assert head.predict(x).tolist() == ["same" if v > 0 else "other" for v in z]
    far = np.full((1, 12), 1e6)
    assert head.predict_proba(far)[0].tolist() == [1.0, 0.0]
    assert head.score(x, np.where(same, "same", "other")) > 0.9


def test_who_has_not_converged_is_told() -> None:
    pairs, same = training()
    with pytest.warns(RuntimeWarning, match="not converged after 2 iterations"):
        PairClassifier(max_iter=2, tol=1e-12).fit(pair_features(pairs[:, 0], pairs[:, 1]), same)


# The verifier


@pytest.mark.parametrize("kind", ["absolute", "chi2"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_verifier_is_its_head_on_features(kind: Any, dtype: str) -> None:
    pairs, same = training()
    pairs = pairs.astype(dtype)
    verifier = PairVerifier(kind).fit(pairs, same)
    features = pair_features(pairs[:, 0], pairs[:, 1], kind)
    head = PairClassifier().fit(features, same)
    np.testing.assert_array_equal(verifier.predict_proba(pairs), head.predict_proba(features))
    np.testing.assert_array_equal(verifier.decision_function(pairs), head.decision_function(features))
    np.testing.assert_array_equal(verifier.predict(pairs), head.predict(features))
    unseen, truth = training(1)
    assert verifier.score(unseen.astype(dtype), truth) > 0.9
    np.testing.assert_array_equal(verifier.predict(pairs[:, ::-1]), verifier.predict(pairs))


def test_known_persons_are_encoded_once() -> None:
    pairs, same = training()
    verifier = PairVerifier().fit(pairs, same)
    x, owners = persons(2)
    for person in range(3):
        verifier.enrol(person, x[owners == person][:2])
    verifier.enrol("ann", x[owners == 3][0])
    by_hand = [
        max(verifier.predict_proba(np.stack([picture, known])[np.newaxis])[0, 1] for known in x[owners == 1][:2])
        for picture in x
    ]
    np.testing.assert_allclose(verifier.verify_all(x)[:, 1], by_hand)
    np.testing.assert_allclose([verifier.verify(picture, 1) for picture in x], by_hand)
    assert verifier.verify_all(x).shape == (len(x), 4)
    assert verifier.verify(x[owners == 3][1], "ann") > 0.5 > verifier.verify(x[owners == 4][1], "ann")
    verifier.enrol("ann", x[owners == 4][0])
    assert verifier.verify(x[owners == 4][1], "ann") > 0.5


# Thresholds


def test_the_threshold_with_the_fewest_errors() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        d = rng.integers(0, 12, 25) / 4
        y = rng.integers(0, 2, 25)
        y[:2] = [0, 1]
        verifier = ThresholdVerifier().fit(d[:, np.newaxis], y)
        errors = [int(np.sum((d <= tau) != y)) for tau in [-1.0, *d]]
        assert np.sum(verifier.predict(d[:, np.newaxis]) != y) == min(errors)
        assert verifier.threshold_ not in d[d < d.max()]
    parts = rng.random((25, 3))
    by_parts = ThresholdVerifier().fit(parts, y)
    assert by_parts.threshold_ == ThresholdVerifier().fit(parts.sum(axis=1, keepdims=True), y).threshold_
    np.testing.assert_allclose(by_parts.decision_function(parts), by_parts.threshold_ - parts.sum(axis=1))


def test_the_threshold_for_a_false_accept_rate() -> None:
    rng = np.random.default_rng(0)
    d, y = rng.random((200, 1)), np.repeat([0, 1], 100)
    for far in (0.0, 0.01, 0.1, 0.5):
        verifier = ThresholdVerifier(far).fit(d, y)
        accepted = verifier.predict(d[:100]).sum()
        assert accepted == round(100 * far), "as large as the rate allows"
    with pytest.raises(OptionError, match=r"100 impostor pairs can tell no rate below 0\.01"):
        ThresholdVerifier(0.001).fit(d, y)
    with pytest.raises(OptionError, match="far"):
        ThresholdVerifier(1.0).fit(d, y)


# The nearest encoding


@pytest.mark.parametrize("metric", ["sqeuclidean", "cosine", "chi2"])
@pytest.mark.parametrize("prototypes", ["all", "mean"])
def test_nearest_encoding(metric: str, prototypes: str) -> None:
    x, owners = persons(noise=0.3)
    names = np.array([f"person {owner:02}" for owner in owners])
    known = np.arange(len(x)) % 6 < 2
    classifier = NearestEncodingClassifier(metric, prototypes).fit(x[known], names[known])
    gallery = np.array([x[known & (owners == c)] for c in range(20)])
    if prototypes == "mean":
        gallery = gallery.mean(axis=1, keepdims=True)
    every = [pyconvx.pairwise_distances(x, own, metric=metric).min(axis=1) for own in gallery]
    np.testing.assert_allclose(classifier.distances(x), np.transpose(every))
    assert classifier.predict(x).tolist() == [f"person {c:02}" for c in np.argmin(every, axis=0)]
    assert classifier.score(x[~known], names[~known]) > 0.9
    assert classifier.predict(x.astype(np.float32)).tolist() == classifier.predict(x).tolist()


def test_one_example_of_a_class_is_enough() -> None:
    classifier = NearestEncodingClassifier().fit(np.eye(3), [5, 5, 9])
    assert classifier.predict(np.eye(3)).tolist() == [5, 5, 9]


# Pairs


def test_all_positive_pairs_and_as_many_negative_ones() -> None:
    rng = np.random.default_rng(0)
    for rows, classes, negatives in [(30, 4, 1.0), (30, 4, 2.5), (100, 40, 0.5), (100, 40, 3.0), (6, 2, 50.0)]:
        y = rng.integers(0, classes, rows)
        y[:3] = [0, 0, 1]
        pairs = draw_pairs(y, negatives=negatives, random_state=0)
        found = list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
        assert len(set(found)) == len(found)
        assert all(i < j for i, j in found)
        np.testing.assert_array_equal(y[pairs.first] == y[pairs.second], pairs.same)
        every = {(i, j) for i, j in ref.positive_pairs(y.tolist()) if i < j}
        assert {pair for pair, same in zip(found, pairs.same, strict=True) if same} == every
        different = rows * (rows - 1) // 2 - len(every)
        assert np.sum(~pairs.same) == min(round(negatives * len(every)), different)


def test_negative_pairs_are_equally_likely() -> None:
    y = [0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9]
    counts = np.zeros((12, 12))
    for seed in range(2000):
        pairs = draw_pairs(y, random_state=seed)
        counts[pairs.first[~pairs.same], pairs.second[~pairs.same]] += 1
    drawn = counts[np.triu_indices(12, 1)]
    drawn = drawn[drawn > 0]
    assert len(drawn) == 64
    assert np.abs(drawn - 2000 * 2 / 64).max() < 5 * np.sqrt(2000 * 2 / 64)


def test_fewer_positive_pairs() -> None:
    pairs = draw_pairs(np.repeat(np.arange(5), 20), max_positives=7, random_state=0)
    assert (pairs.same.sum(), (~pairs.same).sum()) == (7, 7)


# Conventions


def test_without_scikit_learn() -> None:
    """The whole room works where it cannot be imported, and never tries to."""
    program = """
        import sys
        sys.modules["sklearn"] = None
        import numpy as np
        from pyconvx.siamese import NearestEncodingClassifier, PairClassifier, PairVerifier, ThresholdVerifier
        x, y = np.array([[0.0], [1.0], [2.0], [3.0]]), [1, 1, 0, 0]
        for estimator in (PairClassifier(), ThresholdVerifier(), NearestEncodingClassifier()):
            try:
                estimator.predict(x)
            except ValueError as error:
                print(error)
            print(estimator.fit(x, y).predict(x), estimator)
        print(PairClassifier(C=2.0).set_params(tol=0.5).get_params())
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(line[8:] for line in program.splitlines())],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "this PairClassifier has not been fitted; call fit first"
    assert lines[1] == "[1 1 0 0] PairClassifier()"
    assert lines[-1] == "{'C': 2.0, 'max_iter': 200, 'tol': 0.5}"


PAIRS, SAME = training()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: pair_features(np.zeros(3), np.zeros(4)), ShapeError, "cannot be paired"),
        (lambda: pair_features(np.zeros(3, int), np.zeros(3)), DTypeError, "f_i"),
        (lambda: pair_features(np.zeros(3), np.zeros(3), "l1"), OptionError, "features"),  # type: ignore[arg-type]
        (lambda: pair_features_grad(np.zeros(3), np.zeros(3), np.zeros(4)), ShapeError, "dfeatures"),
        (lambda: PairClassifier(C=0).fit([[1.0], [2]], [0, 1]), OptionError, "C is 0"),
        (lambda: PairClassifier(max_iter=0).fit([[1.0], [2]], [0, 1]), OptionError, "max_iter"),
        (lambda: PairClassifier().fit([[1.0], [2]], [1, 1]), OptionError, "one class"),
        (lambda: PairClassifier().fit([[1.0], [np.nan]], [0, 1]), ShapeError, "NaN"),
        (lambda: PairClassifier().set_params(alpha=1), OptionError, "no parameter 'alpha'"),
        (lambda: PairVerifier().predict(PAIRS), PyconvxError, "not been fitted"),
        (lambda: PairVerifier().enrol("ann", PAIRS[0, 0]), PyconvxError, "not been fitted"),
        (lambda: PairVerifier().fit(PAIRS[:, :1], SAME), ShapeError, r"\(pairs, 2, depth\)"),
        (lambda: PairVerifier().fit(PAIRS, SAME[1:]), ShapeError, "y has shape"),
        (lambda: PairVerifier().fit(PAIRS, SAME & False), OptionError, "two classes"),
        (lambda: PairVerifier().fit(PAIRS * np.nan, SAME), ShapeError, "NaN"),
        (lambda: PairVerifier("l2").fit(PAIRS, SAME), OptionError, "features"),  # type: ignore[arg-type]
        (lambda: PairVerifier().fit(PAIRS, SAME).verify(PAIRS[0, 0], "bob"), OptionError, "'bob' is not known"),
        (lambda: PairVerifier().fit(PAIRS, SAME).enrol("bob", PAIRS[0, 0, 1:]), ShapeError, "wanted"),
        (lambda: PairVerifier().fit(PAIRS, SAME).enrol("bob", PAIRS[0, 0] * np.inf), ShapeError, "finite"),
        (lambda: NearestEncodingClassifier("dot").fit(np.eye(2), [0, 1]), OptionError, "metric"),
        (lambda: NearestEncodingClassifier(prototypes="median").fit(np.eye(2), [0, 1]), OptionError, "prototypes"),
        (lambda: draw_pairs([0, 1, 2]), OptionError, "no pair of one class"),
        (lambda: draw_pairs([0, 0]), OptionError, "none of two"),
        (lambda: draw_pairs([]), OptionError, "no pair"),
        (lambda: draw_pairs([[0, 0, 1]]), ShapeError, "labels"),
        (lambda: draw_pairs([0, 0, 1], negatives=0), OptionError, "negatives"),
    ],
)
def test_refusals(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
