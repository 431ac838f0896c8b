"""Batches of classes that are hard to tell apart: who is near whom, what the sampler makes of it, exact resume."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from processes import together
from similar_shapes import encoder, examples

from pyconvx import _checkpoint, training
from pyconvx.errors import OptionError, WeightsError
from pyconvx.training.offline import some_of_each
from pyconvx.triplet import TripletTrainer, nearest_classes

Array = NDArray[Any]
OPTIONS: dict[str, Any] = {"n_classes": 6, "n_per_class": 2, "steps": 12, "offline_every": 4, "offline_classes": 3}


def test_the_nearest_classes_are_those_of_the_nearest_impostors() -> None:
    rng = np.random.default_rng(0)
    x, labels = rng.standard_normal((40, 3)), rng.permutation(np.arange(40) % 7)
    found = nearest_classes(x, labels, 5)
    for own in range(7):
        votes = np.zeros(7, int)
        for row in x[labels == own]:
            distances = np.where(labels == own, np.inf, np.square(x - row).sum(axis=1))
            votes += np.bincount(labels[np.argsort(distances)[:5]], minlength=7)
        wanted = [c for c in np.argsort(-votes, kind="stable") if votes[c]]
        assert found[own][found[own] >= 0].tolist() == wanted
    assert nearest_classes(x, np.array(list("abcdefg"))[labels], 5).tolist() == found.tolist()


def circle(classes: int = 12) -> Array:
    """Everybody's nearest class is the next one."""
    return (np.arange(classes)[:, np.newaxis] + np.arange(1, 4)) % classes


def test_a_batch_has_groups_of_neighbours() -> None:
    labels = np.repeat(np.arange(12), 5)
    sampler = training.PKSampler(labels, 6, 2, together=3, random_state=0)
    assert len(sampler) == 6  # two classes of a batch come in turn
    for table in (None, circle(), np.full((12, 2), -1)):
        sampler.neighbours = table
        drawn = []
        for batch in sampler:
            assert len(np.unique(batch)) == 12
            classes = labels[batch[::2]]
            np.testing.assert_array_equal(np.repeat(classes, 2), labels[batch])
            assert len(set(classes)) == 6
            drawn += classes[:2].tolist()
            if table is not None and table[0, 0] == 1:
                assert {(classes[0] + 1) % 12, (classes[1] + 1) % 12} <= set(classes)
        assert sorted(drawn) == list(range(12))


def test_earlier_neighbours_do_not_show_in_later_batches() -> None:
    """A run that goes on has not seen them."""
    batches = []
    for first in (None, circle()):
        sampler = training.PKSampler(np.repeat(np.arange(12), 5), 6, 2, together=3, random_state=0)
        sampler.neighbours = first
        epoch = iter(sampler)
        next(epoch), next(epoch)
        sampler.neighbours = circle()
        batches.append([next(epoch), next(epoch)])
    np.testing.assert_array_equal(*batches)


def test_classes_that_are_left_out_are_nobodys_neighbours() -> None:
    labels = np.repeat(np.arange(12), 5)[:-4]  # the last one has one example
    sampler = training.PKSampler(labels, 6, 2, together=6, small="skip", random_state=0)
    sampler.neighbours = circle()
    assert all(11 not in labels[batch] for batch in sampler)
    with pytest.raises(OptionError, match="together is 7; a batch has 6 classes"):
        training.PKSampler(labels, 6, 2, together=7, small="skip")


def test_some_examples_stand_for_their_class() -> None:
    classes = np.array([2, 0, 1, 1, 1, 0, 1, 1, 1])
    rows = some_of_each(classes, 3, np.random.default_rng(0))
    assert classes[rows].tolist() == [0, 0, 1, 1, 1, 2]
    assert len(set(rows)) == 6
    assert any(rows.tolist() != some_of_each(classes, 3, np.random.default_rng(s)).tolist() for s in range(1, 5))


def train(communicator: Any = None, dtype: Any = np.float32, **options: Any) -> dict[str, Array]:
    x, labels = examples(classes=20, noise=1.0, dtype=dtype)
    fit = {name: options.pop(name) for name in ("checkpoint", "resume", "callback") if name in options}
    net = encoder(dtype=dtype)
    trainer = TripletTrainer(net, **{**OPTIONS, **options}, communicator=communicator)
    trainer.fit(x, labels, checkpoint_every=1, **fit)
    return net.state_dict()


def test_every_so_many_steps_the_whole_set_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[tuple[Any, Any]] = []
    drawn: list[Any] = []

    def spied(encodings: Array, classes: Array) -> Array:
        looked.append((encodings.shape, len(drawn)))
        return nearest_classes(encodings, classes)

    def noted(batch: Array, rng: np.random.Generator) -> Array:
        drawn.append(batch)
        return batch

    monkeypatch.setattr("pyconvx.triplet.trainer.nearest_classes", spied)
    train(augment=noted)
    assert looked == [((80, 16), 4), ((80, 16), 8)]
    assert len(drawn) == 12  # none of them for that look


@pytest.mark.parametrize("stop", [3, 4, 6])
def test_a_training_goes_on_with_the_same_bits(tmp_path: Path, stop: int) -> None:
    whole = train()
    train(checkpoint=tmp_path / "state", callback=lambda step: step.done == stop)
    found = train(checkpoint=tmp_path / "state", resume=True)
    assert all(np.array_equal(array, found[name]) for name, array in whole.items())
    plain = train(offline_every=None)
    assert not all(np.array_equal(array, plain[name]) for name, array in whole.items())


def test_another_way_to_look_is_another_training(tmp_path: Path) -> None:
    train(checkpoint=tmp_path / "state", callback=lambda step: step.done == 6)
    for other in ({"offline_every": 5}, {"offline_classes": 2}, {"offline_every": None}):
        with pytest.raises(WeightsError, match=r"another training .*offline"):
            train(checkpoint=tmp_path / "state", resume=True, **other)


def test_neighbours_of_other_classes_are_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save = _checkpoint.save
    for table in (np.full((20, 3), 20), np.zeros((19, 3), np.int64), np.zeros((20, 3))):

        def spoiled(path: Any, kind: str, state: Any, identity: Any, table: Array = table) -> None:
            save(path, kind, {**state, "neighbours": table}, identity)

        with monkeypatch.context() as patch:
            patch.setattr(_checkpoint, "save", spoiled)
            train(checkpoint=tmp_path / "state", callback=lambda step: step.done == 5)
        with pytest.raises(WeightsError, match=r"damaged .*the neighbours are not of these classes"):
            train(checkpoint=tmp_path / "state", resume=True)
        (tmp_path / "state").unlink()


def test_several_processes_look_together() -> None:
    wanted = train(dtype=np.float64)
    for found in together(3, lambda member: train(member, dtype=np.float64)):
        for name, array in wanted.items():
            np.testing.assert_allclose(found[name], array, rtol=1e-9, atol=1e-11)


def test_wrong_options_are_refused() -> None:
    for match, options in (
        ("offline_every is 0", {"offline_every": 0}),
        ("offline_classes is 1; wanted at least 2", {"offline_classes": 1}),
        ("offline_classes is 7; a batch has 6", {"offline_classes": 7}),
    ):
        with pytest.raises(OptionError, match=match):
            TripletTrainer(encoder(), **{**OPTIONS, **options})
