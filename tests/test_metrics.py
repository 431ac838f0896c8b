"""Verification figures: against plain loops over pairs, against scikit-learn where it is, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from pyconvx import metrics
from pyconvx.errors import DTypeError, OptionError, ShapeError


def some_pairs(seed: int, count: int = 300, levels: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping distances with many ties."""
    rng = np.random.default_rng(seed)
    same = rng.random(count) < 0.4
    distances = np.where(same, rng.normal(0.4, 0.15, count), rng.normal(0.8, 0.15, count))
    return np.round(np.abs(distances) * levels) / levels, same


def naive_rates(distances: np.ndarray, same: np.ndarray, threshold: float) -> tuple[float, float]:
    """(FAR, TAR), pair by pair."""
    false = [distance <= threshold for distance, answer in zip(distances, same, strict=True) if not answer]
    true = [distance <= threshold for distance, answer in zip(distances, same, strict=True) if answer]
    return sum(false) / len(false), sum(true) / len(true)


@pytest.mark.parametrize("seed", range(5))
def test_curves_are_the_rates_at_every_threshold(seed: int) -> None:
    distances, same = some_pairs(seed)
    roc, det = metrics.roc(distances, same), metrics.det(distances, same)
    assert roc.thresholds[0] == -np.inf
    assert set(roc.thresholds[1:]) == set(distances)
    for far, tar, frr, threshold in zip(roc.far, roc.tar, det.frr, roc.thresholds, strict=True):
        assert (far, tar) == naive_rates(distances, same, threshold)
        assert frr == 1 - tar
        found = metrics.rates(distances, same, threshold)
        assert (found.far, found.tar, found.frr) == (far, tar, frr)
        assert found.accuracy == pytest.approx(np.mean((distances <= threshold) == same))
        assert metrics.balanced_accuracy(distances, same, threshold) == pytest.approx((tar + 1 - far) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_auc_counts_ordered_couples(seed: int) -> None:
    distances, same = some_pairs(seed)
    wins = [(g < i) + (g == i) / 2 for g in distances[same] for i in distances[~same]]
    assert metrics.auc(distances, same) == pytest.approx(np.mean(wins), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_scikit_learn_says_the_same(seed: int) -> None:
    learn = pytest.importorskip("sklearn.metrics")
    distances, same = some_pairs(seed)
    far, tar, thresholds = learn.roc_curve(same, -distances, drop_intermediate=False)
    roc = metrics.roc(distances, same)
    np.testing.assert_allclose(roc.far, far, atol=1e-12)
    np.testing.assert_allclose(roc.tar, tar, atol=1e-12)
    np.testing.assert_array_equal(roc.thresholds, -thresholds)
    assert metrics.auc(distances, same) == pytest.approx(learn.roc_auc_score(same, -distances), abs=1e-12)
    for threshold in (0.3, 0.5, 0.7):
        wanted = learn.balanced_accuracy_score(same, distances <= threshold)
        assert metrics.balanced_accuracy(distances, same, threshold) == pytest.approx(wanted, abs=1e-12)
    det_far, det_frr, _ = learn.det_curve(same, -distances, drop_intermediate=False)
    det = metrics.det(distances, same)
    ours = set(zip(np.round(det.far, 12), np.round(det.frr, 12), strict=True))
    assert set(zip(np.round(det_far, 12), np.round(det_frr, 12), strict=True)) <= ours


@pytest.mark.parametrize("seed", range(10))
def test_the_equal_error_rate_is_where_both_errors_differ_least(seed: int) -> None:
    distances, same = some_pairs(seed)
    found = metrics.eer(distances, same)
    naive = {level: naive_rates(distances, same, level) for level in sorted(set(distances))}
    gaps = {level: abs(far - (1 - tar)) for level, (far, tar) in naive.items()}
    assert gaps[found.threshold] == min(gaps.values())
    far, tar = naive[found.threshold]
    assert found.rate == pytest.approx((far + 1 - tar) / 2)


def test_the_equal_error_rate_of_perfect_and_of_reversed_distances() -> None:
    same = np.array([True, True, False, False])
    assert metrics.eer([1, 2, 3, 4], same).rate == 0
    assert metrics.eer([3, 4, 1, 2], same).rate == 1
    assert metrics.eer([1, 1, 1, 1], same).rate == 0.5


@pytest.mark.parametrize("balanced", [True, False])
def test_no_threshold_is_better_than_the_best(balanced: bool) -> None:
    for seed in range(10):
        distances, same = some_pairs(seed, 60)
        best = metrics.best_threshold(distances, same, balanced=balanced)
        name = "balanced_accuracy" if balanced else "accuracy"
        assert getattr(metrics.rates(distances, same, best.threshold), name) == pytest.approx(best.accuracy)
        for threshold in np.linspace(-0.1, 2, 400):
            assert getattr(metrics.rates(distances, same, threshold), name) <= best.accuracy + 1e-12


def test_accepting_nothing_can_be_best() -> None:
    best = metrics.best_threshold([0.9, 0.1, 0.2], [True, False, False], balanced=False)
    assert best.accuracy == 2 / 3
    assert best.threshold < 0.1


@pytest.mark.parametrize("far", [0.011, 0.05, 0.2, 0.5])
def test_tar_at_far_is_the_best_that_keeps_the_rate(far: float) -> None:
    for seed in range(5):
        distances, same = some_pairs(seed, 700)
        point = metrics.tar_at_far(distances, same, far)
        assert (point.far, point.tar) == naive_rates(distances, same, point.threshold)
        assert point.far <= far
        assert (point.false_accepts, point.impostor) == (round(point.far * (~same).sum()), (~same).sum())
        larger = [level for level in np.unique(distances) if level > point.threshold]
        assert not larger or naive_rates(distances, same, larger[0])[0] > far


def test_several_rates_at_once() -> None:
    distances, same = some_pairs(0, 700)
    assert metrics.tar_at_far(distances, same, [0.1, 0.5]) == [
        metrics.tar_at_far(distances, same, far) for far in (0.1, 0.5)
    ]


def test_when_even_one_impostor_is_too_many() -> None:
    point = metrics.tar_at_far([0.0, *[0.0] * 100], [True, *[False] * 100], 0.03)
    assert (point.false_accepts, point.true_accepts) == (0, 0)


def test_a_rate_needs_enough_impostors() -> None:
    distances, same = np.arange(1001.0), np.arange(1001) == 0
    with pytest.raises(OptionError, match=r"1000 impostor pairs .* takes 3000000, .* 0\.003 or more"):
        metrics.tar_at_far(distances, same, 1e-6)
    assert metrics.tar_at_far(distances, same, 3e-3).false_accepts == 3
    assert [metrics.least_impostors(far) for far in (0.1, 1e-3, 1e-6)] == [30, 3000, 3_000_000]
    with pytest.raises(OptionError, match="wanted a rate between 0 and 1"):
        metrics.tar_at_far(distances, same, 0)


def test_groups_are_counted_apart() -> None:
    distances, same = some_pairs(3)
    groups = np.array(["a", "b", "c"])[np.arange(len(same)) % 3]
    report = metrics.group_report(distances, same, groups, 0.55)
    assert list(report) == ["a", "b", "c"]
    for label, found in report.items():
        part = groups == label
        assert (found.far, found.tar) == naive_rates(distances[part], same[part], 0.55)
        assert found.far_interval[0] < found.far < found.far_interval[1]
    assert sum(found.impostor for found in report.values()) == (~same).sum()
    lonely = metrics.group_report([0.1], [True], ["x"], 0.5)["x"]
    assert (lonely.far, lonely.far_interval, lonely.tar, lonely.tar_interval[1]) == (None, None, 1.0, 1.0)


@pytest.mark.parametrize(
    ("distances", "same", "error"),
    [
        ([], [], ShapeError),
        ([1.0, 2.0], [True], ShapeError),
        ([[1.0], [2.0]], [[True], [False]], ShapeError),
        ([1.0, 2.0], [True, True], ShapeError),
        ([1.0, 2.0], [False, False], ShapeError),
        ([1.0, np.nan], [True, False], OptionError),
        ([1.0, 2.0], [2, 0], DTypeError),
        (["a", "b"], [1, 0], DTypeError),
    ],
)
def test_what_is_no_set_of_pairs_is_refused(distances: list, same: list, error: type) -> None:
    for figure in (metrics.roc, metrics.det, metrics.auc, metrics.eer, metrics.best_threshold):
        with pytest.raises(error):
            figure(distances, same)
