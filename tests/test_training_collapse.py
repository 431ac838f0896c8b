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


# Recorded, a value every 100 steps: losses, spreads. Of hard triplets of noisy shapes without a BatchNorm, and of
# trainings that learn, the last three Omniglot's.
Curve = tuple[list[float], list[float]]
SLIDES: dict[str, tuple[Curve, int]] = {  # and by which step it is to be told of; the fast rule takes 1352 and more
    "Adam 1e-4": (
        (
            [0.424, 0.309, 0.27, 0.25, 0.238, 0.23, 0.225, 0.221, 0.218, 0.216],
            [0.402, 0.289, 0.232, 0.198, 0.176, 0.159, 0.147, 0.135, 0.127, 0.12],
        ),
        500,
    ),
    "Adam 3e-5": (
        (
            [0.427, 0.376, 0.345, 0.321, 0.3, 0.286, 0.276, 0.266, 0.26, 0.255, 0.25, 0.244, 0.241, 0.236],
            [0.405, 0.364, 0.327, 0.297, 0.276, 0.256, 0.243, 0.226, 0.217, 0.206, 0.199, 0.192, 0.184, 0.177],
        ),
        1200,
    ),
    "SGD": (
        ([0.476, 0.278, 0.251, 0.237, 0.231, 0.226, 0.223], [0.394, 0.219, 0.177, 0.154, 0.142, 0.131, 0.124]),
        500,
    ),
    "from below": (([0.14, 0.17, 0.18, 0.19, 0.195, 0.197], [0.7, 0.6, 0.45, 0.33, 0.25, 0.2]), 500),  # made up
}
LEARNS: dict[str, Curve] = {
    "all": (
        [0.212, 0.202, 0.195, 0.19, 0.181, 0.167, 0.16, 0.141, 0.13, 0.114],
        [0.411, 0.338, 0.323, 0.336, 0.355, 0.401, 0.435, 0.479, 0.49, 0.531],
    ),
    "semihard": ([0.183, 0.177, 0.159, 0.146, 0.131, 0.122], [0.407, 0.488, 0.62, 0.841, 0.949, 0.967]),
    "hard, 1e-2": ([0.214, 0.159, 0.08, 0.066, 0.057, 0.057], [0.315, 0.635, 0.774, 0.832, 0.819, 0.855]),
    "hard, 3e-5": ([0.209, 0.137, 0.112, 0.102, 0.087, 0.092], [0.738, 0.664, 0.724, 0.78, 0.831, 0.824]),
    "hard, SGD": ([0.209, 0.15, 0.13, 0.124, 0.102, 0.109], [0.735, 0.648, 0.693, 0.745, 0.787, 0.798]),
}


def recorded(values: list[float]) -> Any:
    return course(*((100 * place, value) for place, value in enumerate(values)))


@pytest.mark.parametrize("name", SLIDES)
def test_a_slow_slide_is_told_of_before_its_end(name: str) -> None:
    (losses, spreads), latest = SLIDES[name]
    found = told(recorded(losses), recorded(spreads))
    assert len(found) == 1
    step, said = found[0]
    assert 400 <= step <= latest
    assert "slides into a collapse" in said
    assert "the loss nears its margin, 0.2 (" in said
    assert "semihard" in said


@pytest.mark.parametrize("name", LEARNS)
def test_recorded_trainings_that_learn_are_left_in_peace(name: str) -> None:
    losses, spreads = map(recorded, LEARNS[name])
    assert told(losses, spreads) == []
    assert told(losses, spreads, plateau=None) == []


def test_a_slide_is_one_only_if_the_loss_goes_there_too() -> None:
    spreads = course((0, 0.8), (1000, 0.12))
    assert told(course((0, 0.19), (1000, 0.05)), spreads) == []  # narrower, but it leaves its margin
    assert told(course((0, 0.9), (1000, 0.4)), spreads) == []  # far from it yet
    assert len(told(course((0, 0.9), (1000, 0.21)), spreads)) == 1
    assert told(course((0, 0.3), (1000, 0.21)), course((0, 0.8), (300, 0.3), (1000, 0.3))) == []  # it has stopped


def test_slides_with_a_loss_that_has_no_margin() -> None:
    spreads = course((0, 0.5), (1000, 0.02))
    assert "the loss does not fall" in told(course((0, 0.7), (1000, 0.69)), spreads, plateau=None)[0][1]
    assert told(course((0, 0.7), (1000, 0.2)), spreads, plateau=None) == []
    assert told(course((0, 0.7), (1000, 0.69)), course((0, 0.5), (1000, 0.15)), plateau=None) == []


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


def test_a_training_that_slides_is_told_of_and_one_that_learns_is_not() -> None:
    """A second and a half: a slow slide needs its 400 steps."""
    found = caught(TripletTrainer(encoder(), loss="batch_hard", lr=2e-4, steps=430))
    assert len(found) == 1
    assert "slides into a collapse" in str(found[0].message)
    assert not caught(TripletTrainer(encoder(), loss="semihard", lr=2e-4, steps=430))


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
