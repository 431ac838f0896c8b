"""The whole chain, encoder, normalisation and loss or head: its gradients by finite differences in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gradients import relative
from similar_shapes import encoder, examples

from pyconvx import triplet
from pyconvx.siamese.pair_losses import ContrastivePairLoss, LogisticPairLoss
from pyconvx.triplet import TripletTrainer

# Smaller than elsewhere: among 17,000 units a larger step takes one or the other across the kink of its ReLU.
STEP, TOLERANCE = 1e-7, 1e-6

LOSSES: dict[str, Any] = {
    "all": triplet.TripletLoss(1.0, mining="all"),
    "batch hard": triplet.TripletLoss(1.0, mining="batch_hard"),
    "semihard": triplet.TripletLoss(1.0, mining="semihard"),
    "proxies": triplet.ProxyAnchorLoss(12, 16, dtype=np.float64, random_state=0),
    "logistic": LogisticPairLoss(16, "absolute", np.float64),
    "chi-square": LogisticPairLoss(16, "chi2", np.float64),
    "contrastive": ContrastivePairLoss(1.5),
}


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", LOSSES)
def test_gradients_of_the_whole_chain(rank: int, name: str) -> None:
    x, labels = examples(rank, each=2, dtype=np.float64)
    classes = np.unique(labels, return_inverse=True)[1]
    net, loss = encoder(rank, dtype=np.float64), LOSSES[name]
    encodings, pullback = net.vjp(x, wrt="parameters", once=True)
    _, pull = loss.vjp(encodings, classes)
    slopes, loss_grads = pull()
    _, grads = pullback(slopes)
    assert slopes.any()
    rng = np.random.default_rng(3)
    parameters = net.named_parameters() | {f"loss.{key}": own for key, own in loss.named_parameters().items()}
    found = grads | {f"loss.{key}": gradient for key, gradient in loss_grads.items()}
    assert set(found) == set(parameters)
    for key, parameter in parameters.items():
        value, direction = parameter.value, rng.standard_normal(parameter.shape)

        def moved(at: Any, parameter: Any = parameter) -> float:
            parameter.assign(at)
            return float(loss.vjp(net(x), classes)[0])

        measured = (moved(value + STEP * direction) - moved(value - STEP * direction)) / (2 * STEP)
        parameter.assign(value)
        assert relative(measured, float(np.vdot(found[key], direction))) < TOLERANCE, key


def test_a_step_of_the_trainer_goes_down_that_gradient() -> None:
    """With plain descent the first step changes the loss by -lr |gradient|^2, to first order."""
    from pyconvx import nn

    x, labels = examples(each=2, dtype=np.float64)
    net, lr = encoder(dtype=np.float64), 1e-6
    before = net.state_dict()
    loss = triplet.TripletLoss(1.0, mining="all")
    TripletTrainer(net, loss=loss, n_classes=12, n_per_class=2, steps=1, lr=lr, optimizer=nn.SGD).fit(x, labels)
    moved = sum(float(np.square(net.state_dict()[name] - value).sum()) for name, value in before.items())
    change = loss(net(x), labels)
    net.load_state_dict(before)
    change -= loss(net(x), labels)
    assert moved > 0
    assert change == pytest.approx(-moved / lr, rel=1e-3)
