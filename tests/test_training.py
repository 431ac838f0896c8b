"""What trainers share: schedules, one-shot accuracy and equal error rate, encoding in parts, checks of examples."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from similar_shapes import encoder, examples

from pyconvx import metrics, nn, training
from pyconvx.errors import DTypeError, OptionError, ShapeError
from pyconvx.training.examples import first_not_finite, read_examples
from pyconvx.training.session import describe
from pyconvx.training.validation import as_validation, draw_episodes

Array = NDArray[Any]


# Schedules


def test_cosine_rises_and_falls() -> None:
    schedule = training.cosine(0.1, 110, warmup=10, final=0.01)
    rates = [schedule(step) for step in range(110)]
    assert rates[0] == pytest.approx(0.1 / 11)
    assert schedule(10) == 0.1 == max(rates)
    assert rates == [*sorted(rates[:10]), *sorted(rates[10:], reverse=True)]
    assert schedule(60) == pytest.approx(0.055)
    assert schedule(110) == schedule(10**6) == pytest.approx(0.01)
    assert schedule(85) == pytest.approx(0.01 + 0.09 * (1 + math.cos(0.75 * math.pi)) / 2)


def test_steps_fall() -> None:
    schedule = training.step_decay(1.0, 3, 0.5)
    assert [schedule(step) for step in range(7)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    assert training.constant(0.3)(0) == training.constant(0.3)(10**9) == 0.3


@pytest.mark.parametrize(
    ("match", "make"),
    [
        ("lr is -1", lambda: training.constant(-1)),
        ("lr is nan", lambda: training.constant(math.nan)),
        ("lr is 'fast'", lambda: training.constant("fast")),  # type: ignore[arg-type]
        ("lr is True", lambda: training.constant(True)),
        ("warmup is 10; it must be below the 10 steps", lambda: training.cosine(0.1, 10, warmup=10)),
        ("steps is 0", lambda: training.cosine(0.1, 0)),
        ("final is -1", lambda: training.cosine(0.1, 10, final=-1)),
        ("every is 0", lambda: training.step_decay(0.1, 0)),
        ("factor is 2", lambda: training.step_decay(0.1, 5, 2)),
    ],
)
def test_wrong_schedules_are_refused(match: str, make: Callable[[], Any]) -> None:
    with pytest.raises(OptionError, match=match):
        make()


# One-shot accuracy and equal error rate


def test_one_shot_accuracy_is_that_of_a_naive_loop() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(15), 4)
    encodings = rng.standard_normal((15, 8))[labels] + 0.9 * rng.standard_normal((60, 8))
    found = training.one_shot_accuracy(encodings, labels, way=10, trials=30)
    episodes = draw_episodes(labels, 10, 30)
    right = 0
    for known, probes in episodes:
        for place, probe in enumerate(probes):
            distances = [np.sum((encodings[probe] - encodings[row]) ** 2) for row in known]
            right += int(np.argmin(distances) == place)
    assert (found.accuracy, found.way, found.probes) == (right / 300, 10, 300)
    assert 0.3 < found.accuracy < 1


def test_trials_have_distinct_classes_and_examples() -> None:
    labels = np.repeat(np.arange(25), 3)
    episodes = draw_episodes(labels, 20, 50)
    assert episodes.shape == (50, 2, 20)
    for known, probes in episodes:
        np.testing.assert_array_equal(labels[known], labels[probes])
        assert len(set(labels[known])) == 20
        assert not set(known) & set(probes)
    assert not np.array_equal(episodes[0], episodes[1])
    np.testing.assert_array_equal(episodes, draw_episodes(labels, 20, 50))
    assert len(np.unique(episodes)) == 75, "all examples come up"


def test_trials_stay_within_their_group() -> None:
    labels = np.repeat(np.arange(12), 2)
    alphabets = np.array(["greek", "latin", "tamil"])[labels % 3]
    episodes = draw_episodes(labels, None, 9, alphabets)
    assert episodes.shape == (9, 2, 4)
    groups = [set(alphabets[trial.ravel()]) for trial in episodes]
    assert all(len(group) == 1 for group in groups)
    assert groups == [{"greek"}, {"latin"}, {"tamil"}] * 3


def test_equal_encodings_are_as_good_as_chance() -> None:
    labels = np.repeat(np.arange(10), 2)
    assert training.one_shot_accuracy(np.ones((20, 3)), labels).accuracy == 0.1


def test_classes_with_one_example_take_no_part() -> None:
    labels = np.array([0, 0, 1, 1, 2, 3])
    found = training.one_shot_accuracy(np.arange(6.0)[:, np.newaxis], labels, trials=3)
    assert found.way == 2


def test_impossible_trials_are_refused() -> None:
    x, labels = np.zeros((6, 2)), np.array([0, 0, 1, 1, 2, 3])
    for match, options in (
        ("trials among 3 classes: there are 2", {"way": 3}),
        ("way is 1", {"way": 1}),
        ("trials is 0", {"trials": 0}),
        ("a group has 1", {"groups": [0, 0, 1, 1, 1, 1]}),
        ("a class is in two of them", {"groups": [0, 1, 0, 0, 0, 0]}),
    ):
        with pytest.raises(OptionError, match=match):
            training.one_shot_accuracy(x, labels, **options)
    with pytest.raises(ShapeError):
        training.one_shot_accuracy(x, labels[:5])
    with pytest.raises(OptionError, match="there are 0"):
        training.one_shot_accuracy(x, np.arange(6))


def test_validation_measures_both() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(15), 4)
    x = rng.standard_normal((15, 8))[labels] + 0.9 * rng.standard_normal((60, 8))
    validation = training.Validation(x, labels, way=10, trials=30)
    found = validation(lambda rows: rows)
    pairs = metrics.all_pairs(x, labels)
    assert found == {
        "one_shot": training.one_shot_accuracy(x, labels, way=10, trials=30).accuracy,
        "eer": metrics.eer(pairs.distances, pairs.same).rate,
    }
    assert validation(lambda rows: rows) == found
    assert validation.way == 10
    with pytest.raises(ShapeError, match="the encodings have shape"):
        validation(lambda rows: rows[:-1])


def test_a_part_of_a_large_set_has_all_classes_alike() -> None:
    labels = np.repeat(np.arange(30), np.arange(1, 31))
    validation = training.Validation(np.arange(465.0)[:, np.newaxis], labels, max_examples=150)
    counts = np.bincount(validation.classes, minlength=30)
    assert len(validation.x) == 150
    assert counts.max() <= 6
    assert (counts[6:] >= 5).all()
    np.testing.assert_array_equal(np.sort(validation.x, axis=0), validation.x)
    few = training.Validation(np.arange(465.0)[:, np.newaxis], labels, max_examples=20)
    assert len(few.x) == 20
    assert set(np.bincount(few.classes)) <= {0, 1, 2, 3}


def test_validations_come_in_three_forms() -> None:
    x, labels = examples()
    assert as_validation(None) is None
    assert isinstance(as_validation((x, labels)), training.Validation)
    given = training.Validation(x, labels)
    assert as_validation(given) is given
    for wrong in (3, (x,), training.Validation):
        with pytest.raises(OptionError, match="validation must be"):
            as_validation(wrong)


# Encoding


def test_encoding_in_parts_gives_the_same_bits() -> None:
    x, _ = examples()
    net = nn.Sequential({**encoder().layers, "norm": nn.BatchNorm(16)})
    net.train()
    before = net.state_dict()
    whole = training.encode(net, x, batch_size=1000)
    for size in (1, 7, 64, 71, 72):
        np.testing.assert_array_equal(training.encode(net, x, batch_size=size), whole)
    assert net.training, "as it was before"
    assert all(np.array_equal(value, before[name]) for name, value in net.state_dict().items())


def test_encoding_reads_memory_maps_and_halves(tmp_path: Path) -> None:
    x, labels = examples()
    half = x.astype(np.float16)
    np.save(tmp_path / "x.npy", half)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(training.encode(encoder(), mapped), encoder()(half.astype(np.float32)))
    assert np.may_share_memory(read_examples(mapped, labels).x, mapped), "not copied"


def test_what_cannot_be_encoded_is_refused() -> None:
    x, _ = examples()
    with pytest.raises(ShapeError, match=r"shape \(0, 8, 8, 1\)"):
        training.encode(encoder(), x[:0])
    with pytest.raises(OptionError, match="batch_size is 0"):
        training.encode(encoder(), x, batch_size=0)
    with pytest.raises(ShapeError, match=r"wanted \(64, depth"):
        training.encode(nn.MaxPool2d(2), x)
    with pytest.raises(DTypeError, match="x has type uint8"):
        training.encode(encoder(), x.astype(np.uint8))


# Examples


def test_numbers_that_are_not_finite_are_found_wherever_they_are() -> None:
    x = np.ones((20, 1 << 20), np.float32)  # more than is looked at together
    assert first_not_finite(x) is None
    x[18, 12345] = np.nan
    assert first_not_finite(x) == 18
    x[3, 0] = -np.inf
    assert first_not_finite(x) == 3
    assert first_not_finite(np.full((3, 4), 1e308)) is None, "the sum overflows, the numbers do not"
    assert first_not_finite(np.array([[np.inf], [-np.inf]])) == 0


def test_labels_become_classes_in_sorted_order() -> None:
    found = read_examples(np.zeros((4, 2)), ["b", "a", "b", "c"])
    assert found.classes.tolist() == [1, 0, 1, 2]
    assert found.names.tolist() == ["a", "b", "c"]


def test_progress_in_words() -> None:
    assert describe({"loss": 0.5, "seconds_left": 61.0}) == "loss 0.5, 1:01 left"
    assert "0% active" in describe({"loss": 0.0, "active": 0, "chosen": 5, "seconds_left": 1.0})
