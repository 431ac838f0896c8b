"""The collapse detector: it tells of collapses, once and with the cure, and leaves healthy trainings in peace."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from similar_shapes import encoder, examples

from pyconvx import nn, siamese, training
from pyconvx.training.collapse import CollapseDetector, spread_of
from pyconvx.triplet import TripletTrainer

MARGIN = 0.2


def told(
    losses: Any, spreads: Sequence[float], lr: Any = 1e-3, plateau: float | None = MARGIN
) -> list[tuple[int, str]]:
    """What a detector says of a course of losses and spreads, and at which step."""
    detector = CollapseDetector(plateau)
    rates, values = (np.broadcast_to(values, len(spreads)) for values in (lr, losses))
    rows = enumerate(zip(values, spreads, rates, strict=True), 1)
    return [(step, said) for step, row in rows if (said := detector.observe(*map(float, row))) is not None]


def course(*points: tuple[int, float]) -> Any:
    """A line through (step, value), with a little noise."""
    steps, values = zip(*points, strict=True)
    line = np.interp(np.arange(steps[-1]), steps, values)
    return line * (1 + 0.03 * np.random.default_rng(0).uniform(-1, 1, len(line)))


def test_shrinking_encodings_with_the_loss_at_its_margin_are_a_collapse() -> None:
    found = told(MARGIN * 1.01, course((0, 0.4), (20, 0.03), (200, 0.02)))
    assert len(found) == 1
    step, said = found[0]
    assert 100 <= step <= 130
    assert "the training collapses" in said
    assert "stayed at its margin, 0.2" in said
    assert "Lower the learning rate" in said


def test_one_point_is_a_collapse_with_any_loss() -> None:
    assert "collapses" in told(7.0, course((0, 0.4), (20, 0.004), (150, 0.003)), plateau=None)[0][1]
    assert "collapses" in told(0.9, np.zeros(150).tolist())[0][1]  # a network whose units are all dead


def test_encodings_that_never_were_apart_are_told_of_later_and_otherwise() -> None:
    found = told(MARGIN, course((0, 0.02), (600, 0.02)))
    assert len(found) == 1
    assert found[0][0] >= 300
    assert "nothing is learned" in found[0][1]
    assert "subtract the mean" in found[0][1]


@pytest.mark.parametrize(
    ("losses", "spreads"),
    [
        (0.05, course((0, 0.4), (100, 0.9), (600, 0.95))),
        (
            MARGIN,
            course((0, 0.02), (20, 0.011), (60, 0.014), (150, 0.03), (300, 0.4), (600, 0.9)),
        ),
        (MARGIN, course((0, 0.75), (30, 0.12), (80, 0.116), (120, 0.16), (250, 0.74))),
        (MARGIN, course((0, 0.75), (30, 0.08), (80, 0.08), (120, 0.12), (250, 0.74))),
        (MARGIN, course((0, 0.02), (600, 0.06))),  # slowly, but it learns
        (MARGIN, course((0, 0.4), (600, 0.3))),
        (0.1, course((0, 0.4), (50, 0.05), (600, 0.05))),  # close together, but the loss falls
    ],
    ids=["well", "a dip first", "a deep dip", "a deeper dip", "slow", "wide", "below the margin"],
)
def test_healthy_trainings_are_left_in_peace(losses: float, spreads: Any) -> None:
    assert told(losses, spreads) == []


def test_a_warm_up_is_too_early_to_tell() -> None:
    shrunk = course((0, 0.4), (10, 0.02), (150, 0.02))
    rising = np.linspace(1e-5, 1e-3, 150)
    assert told(MARGIN, shrunk, rising) == []
    assert told(MARGIN, shrunk)


def test_the_spread() -> None:
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((400, 64))
    assert spread_of(directions) == pytest.approx(1, abs=0.02)
    assert spread_of(np.ones((5, 3))) == 0
    assert spread_of(np.zeros((5, 3))) == 0
    assert spread_of(1 + 1e-3 * rng.standard_normal((400, 64))) == pytest.approx(1e-3, rel=0.05)


def caught(trainer: TripletTrainer, **data: Any) -> list[warnings.WarningMessage]:
    x, labels = examples(classes=30, noise=1.5)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        trainer.fit(x, labels, watch=(), **data)
    return found


def test_a_training_that_collapses_warns_once() -> None:
    net = encoder()
    found = caught(TripletTrainer(net, loss="batch_hard", lr=0.03, steps=130))
    assert len(found) == 1
    assert found[0].category is RuntimeWarning
    assert found[0].filename == __file__
    assert "semihard" in str(found[0].message)
    again = caught(
        TripletTrainer(net, loss="batch_hard", lr=1e-6, steps=320, n_classes=3)
    )  # once per fit, and it stays collapsed
    assert len(again) == 1


def test_the_cure_that_is_told_of_works() -> None:
    assert not caught(TripletTrainer(encoder(), loss="semihard", lr=1e-3, steps=130))
    assert not caught(TripletTrainer(encoder(), loss="all", lr=training.cosine(1e-3, 130, warmup=20), steps=130))


def test_siamese_networks_are_watched_too() -> None:
    x, labels = examples()
    dead = nn.Sequential(
        {
            **{name: layer for name, layer in encoder().layers.items() if name not in ("linear", "unit")},
            "linear": nn.Linear(128, 8),
            "dead": nn.ReLU(),
            "unit": nn.L2Normalize(),
        }
    )
    linear: Any = dead["linear"]
    linear.bias.assign(np.full(8, -100.0))
    with pytest.warns(RuntimeWarning, match="the training collapses"):
        siamese.SiameseNetwork(dead).fit(x, labels, n_classes=4, n_per_class=3, steps=101)
