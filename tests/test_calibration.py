"""Thresholds for a wanted rate: what they achieve, how sure that is, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pyconvx import metrics
from pyconvx.errors import OptionError, ShapeError


def population(people: int, each: int, seed: int, kin: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Encodings in 16 dimensions; every `kin` people in a row share a family that makes them alike."""
    rng = np.random.default_rng(seed)
    family = rng.normal(size=(-(-people // kin), 16)).repeat(kin, axis=0)[:people]
    own = family + (0.3 if kin > 1 else 0) * rng.normal(size=(people, 16))
    numbers = np.repeat(np.arange(people), each)
    return own[numbers] + 0.45 * rng.normal(size=(len(numbers), 16)), numbers


def pairs_of(people: int, each: int, seed: int, kin: int = 1) -> metrics.Pairs:
    return metrics.all_pairs(*population(people, each, seed, kin))


def test_all_pairs_are_there_once() -> None:
    encodings, people = population(5, 3, 0)
    pairs = metrics.all_pairs(encodings, people)
    row = 0
    for i in range(15):
        for j in range(i + 1, 15):
            assert pairs.distances[row] == pytest.approx(np.linalg.norm(encodings[i] - encodings[j]))
            assert tuple(pairs.people[row]) == (people[i], people[j])
            row += 1
    assert row == len(pairs.distances)
    assert (len(pairs.genuine), len(pairs.impostor)) == (15, 90)


def test_of_too_many_rows_whole_people_are_drawn() -> None:
    encodings, people = population(20, 3, 0)
    pairs = metrics.all_pairs(encodings, people, max_rows=30, seed=1)
    assert len(pairs.distances) == 30 * 29 // 2
    assert len(pairs.genuine) == 10 * 3
    with pytest.raises(ShapeError, match="0 encodings can be compared"):
        metrics.all_pairs(encodings, people, max_rows=2)


def test_the_rate_is_kept_and_counted() -> None:
    pairs = pairs_of(40, 5, 1)
    found = metrics.calibrate(pairs, 1e-3)
    assert found.pair_far <= 1e-3
    assert found.false_accepts == np.sum(pairs.impostor <= found.threshold)
    assert found.true_accepts == np.sum(pairs.genuine <= found.threshold)
    assert (found.impostor, found.genuine, found.people) == (len(pairs.impostor), len(pairs.genuine), 40)
    assert found.interval[0] <= found.pair_far <= found.interval[1]
    assert found.tar_interval[0] <= found.tar <= found.tar_interval[1]


def test_the_threshold_holds_on_other_people() -> None:
    found = metrics.calibrate(pairs_of(300, 2, 2), 0.01)
    others = pairs_of(300, 2, 3)
    assert np.mean(others.impostor <= found.threshold) < 0.02


def test_k_entries_give_k_chances() -> None:
    pairs = pairs_of(60, 4, 2)
    one, many = metrics.calibrate(pairs, 0.05), metrics.calibrate(pairs, 0.05, gallery_size=100)
    assert many.threshold < one.threshold
    assert many.search_far() <= 0.05 < one.search_far(100)
    assert many.search_far() == pytest.approx(1 - (1 - many.pair_far) ** 100)
    assert metrics.search_rate(metrics.pair_rate(1e-4, 10**6), 10**6) == pytest.approx(1e-4)
    assert metrics.search_rate(0.01, 100) == pytest.approx(1 - 0.99**100)


def test_a_search_is_right_as_often_as_calibrated() -> None:
    """Strangers against a gallery of 50: false identifications stay near the rate that was asked for."""
    found = metrics.calibrate(pairs_of(100, 3, 4), 0.1, gallery_size=50)
    gallery, _ = population(50, 1, 5)
    strangers, _ = population(400, 1, 6)
    distances = np.sqrt(((strangers[:, None] - gallery) ** 2).sum(axis=2))
    assert 0.03 < np.mean(distances.min(axis=1) <= found.threshold) < 0.2


def test_a_person_who_is_drawn_twice_is_there_twice() -> None:
    """The interval, with copies of people made one by one."""
    encodings, people = population(12, 3, 8)
    found = metrics.calibrate(metrics.all_pairs(encodings, people), 0.05, resamples=100, seed=3)
    rng = np.random.default_rng(3)
    far, tar = [], []
    for draw in rng.multinomial(12, np.full(12, 1 / 12), size=100):
        copies = [number for number in range(12) for _ in range(draw[number])]
        false, true = [], []
        for place, one in enumerate(copies):
            rows = np.flatnonzero(people == one)
            true += [np.linalg.norm(encodings[i] - encodings[j]) for i in rows for j in rows if i < j]
            for other in copies[:place]:
                if other != one:
                    others = np.flatnonzero(people == other)
                    false += [np.linalg.norm(encodings[i] - encodings[j]) for i in rows for j in others]
        far.append(np.mean(np.array(false) <= found.threshold))
        tar.append(np.mean(np.array(true) <= found.threshold))
    assert found.interval == pytest.approx(np.quantile(far, [0.025, 0.975]))
    assert found.tar_interval == pytest.approx(np.quantile(tar, [0.025, 0.975]))


def test_the_interval_comes_from_people() -> None:
    """Ten pictures of each person in place of two: many more pairs, hardly more knowledge."""
    few, many = (metrics.calibrate(pairs_of(30, each, 7, kin=3), 0.05) for each in (3, 12))
    assert many.impostor > 15 * few.impostor
    width = [found.interval[1] - found.interval[0] for found in (few, many)]
    assert width[1] > width[0] / 3  # independent pairs would make it a fourth, and less
    pairwise = 2 * 1.96 * np.sqrt(many.pair_far * (1 - many.pair_far) / many.impostor)
    assert width[1] > 3 * pairwise


def test_the_interval_holds_the_truth_most_of_the_time() -> None:
    truth = pairs_of(500, 2, 1000)
    inside = 0
    for seed in range(40):
        found = metrics.calibrate(pairs_of(40, 3, seed), 0.05, resamples=200)
        rate = np.mean(truth.impostor <= found.threshold)
        inside += found.interval[0] <= rate <= found.interval[1]
    assert inside >= 32  # of 40 at 95%: 38 are expected, and fewer than 32 has a chance of 1e-4


def test_the_same_seed_gives_the_same_interval() -> None:
    pairs = pairs_of(20, 4, 0)
    one, two, other = (metrics.calibrate(pairs, 0.01, seed=seed) for seed in (1, 1, 2))
    assert one == two
    assert one.interval != other.interval


def test_more_people_than_fit_a_table_are_drawn_in_bundles(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyconvx.metrics import _resampling

    pairs = pairs_of(60, 3, 3)
    exact = metrics.calibrate(pairs, 0.02).interval
    monkeypatch.setattr(_resampling, "_MAX_UNITS", 30)
    bundled = metrics.calibrate(pairs, 0.02).interval
    assert bundled != exact
    assert bundled[0] < 0.02 < bundled[1]
    assert (bundled[1] - bundled[0]) / (exact[1] - exact[0]) == pytest.approx(1, abs=0.5)


def test_pairs_without_people_have_no_interval() -> None:
    pairs = pairs_of(20, 4, 0)
    found = metrics.calibrate(metrics.Pairs(pairs.distances, pairs.same), 0.01)
    assert (found.interval, found.tar_interval, found.people) == (None, None, None)
    assert metrics.calibrate((pairs.distances, pairs.same), 0.01) == found
    assert found.threshold == metrics.calibrate(pairs, 0.01).threshold


def test_an_object_with_pairs() -> None:
    class Shelf:
        def pairs(self) -> metrics.Pairs:
            return pairs_of(20, 4, 0)

    assert metrics.calibrate(Shelf(), 0.01) == metrics.calibrate(Shelf().pairs(), 0.01)
    for path in ("people", Path("people")):
        with pytest.raises(
            OptionError, match=r"a path, 'people', .*; pyconvx\.faces\.calibrate\('people', \.\.\.\) does"
        ):
            metrics.calibrate(path, 0.01)
    with pytest.raises(OptionError, match=r"got ndarray; wanted .*pairs\(\), such as a pyconvx\.faces\.Gallery"):
        metrics.calibrate(np.zeros(3), 0.01)


def test_a_rate_that_the_pairs_cannot_support_is_refused() -> None:
    pairs = pairs_of(20, 4, 0)  # 3040 impostor pairs
    assert metrics.calibrate(pairs, 1e-3).false_accepts <= 3
    with pytest.raises(OptionError, match=r"3040 impostor pairs cannot .* takes 30000, .* 0\.00099 or more"):
        metrics.calibrate(pairs, 1e-4)
    with pytest.raises(OptionError, match=r"far is 0\.01 among 100 entries, .* 0\.0001; .* ask for 0\.095 or more"):
        metrics.calibrate(pairs, 0.01, gallery_size=100)
    assert metrics.calibrate(pairs, 0.00099).pair_far <= 0.00099
    assert metrics.calibrate(pairs, 0.095, gallery_size=100).search_far() <= 0.095
    with pytest.raises(ShapeError, match="0 genuine"):
        metrics.calibrate(pairs_of(20, 1, 0), 0.1)
    for wrong in ({"gallery_size": 0}, {"confidence": 1}, {"resamples": 5}, {"far": 1.5}):
        with pytest.raises(OptionError):
            metrics.calibrate(pairs, **wrong)


def test_people_must_agree_with_same() -> None:
    with pytest.raises(OptionError, match="contradict"):
        metrics.Pairs([0.1], [True], [[0, 1]])
    with pytest.raises(ShapeError, match="people"):
        metrics.Pairs([0.1], [True], [0])


def test_a_calibration_survives_json() -> None:
    found = metrics.calibrate(pairs_of(20, 4, 0), 0.01)
    stored = json.loads(json.dumps(found.as_dict()))
    assert metrics.Calibration.from_dict(stored) == found
    for name, value in [("threshold", "0.5"), ("threshold", float("nan")), ("interval", [1]), ("genuine", 1.5)]:
        with pytest.raises(OptionError, match=f"calibration: {name}"):
            metrics.Calibration.from_dict({**stored, name: value})
    with pytest.raises(OptionError, match="wanted the fields"):
        metrics.Calibration.from_dict({"threshold": 1})
