"""SiameseNetwork: learns end to end by logistic units and by the contrastive loss; what it decides; clear errors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from similar_shapes import encoder, examples

from pyconvx import nn, training, triplet
from pyconvx.errors import DTypeError, Interrupted, OptionError, ShapeError
from pyconvx.siamese import SiameseNetwork, draw_pairs
from pyconvx.siamese.pair_losses import ContrastivePairLoss, LogisticPairLoss

Array = NDArray[Any]
OPTIONS: dict[str, Any] = {"n_classes": 4, "n_per_class": 3, "steps": 60, "lr": 2e-3}
LOSSES: list[tuple[Any, str]] = [("logistic", "absolute"), ("logistic", "chi2"), ("contrastive", "absolute")]


def accuracy(network: SiameseNetwork, x: Array, labels: Array) -> float:
    pairs = draw_pairs(labels, random_state=1)
    return float(np.mean(network.verify(x[pairs.first], x[pairs.second]) == pairs.same))


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize(("loss", "features"), LOSSES)
def test_it_learns_what_is_the_same(rank: int, loss: Any, features: Any) -> None:
    x, labels = examples(rank, noise=0.5)
    network = SiameseNetwork(encoder(rank), features=features)
    result = network.fit(x, labels, loss=loss, **OPTIONS)
    assert result.stopped == "finished"
    assert accuracy(network, x, labels) > 0.9
    assert (network.head is None) == (loss == "contrastive") == (network.threshold is not None)


def test_without_an_encoder_a_ready_one_is_made_to_fit() -> None:
    x, labels = examples()
    network = SiameseNetwork()
    with pytest.raises(OptionError, match="call fit first"):
        network.distance(x[:1], x[1:2])
    network.fit(x, labels, n_classes=3, n_per_class=2, steps=2)
    assert network.encode(x[:2]).shape == (2, 128)


def test_float64_and_losses_of_other_rooms() -> None:
    x, labels = examples(dtype=np.float64)
    network = SiameseNetwork(encoder(dtype=np.float64))
    network.fit(x, labels, **{**OPTIONS, "steps": 5})
    assert network.head is not None
    assert network.head.weight.dtype == np.float64
    network.fit(x, labels, loss=triplet.SupConLoss(), **OPTIONS)
    assert network.head is None
    assert accuracy(network, x, labels) > 0.9


def test_both_sides_are_encoded_as_one_batch() -> None:
    class Counting(nn.Sequential):
        def _forward(self, x: Array) -> Array:
            batches.append(len(x))
            return super()._forward(x)

    batches: list[int] = []
    x, _ = examples()
    network = SiameseNetwork(Counting(encoder().layers))
    one, other = network.encode(x[:5]), network.encode(x[5:10])
    batches.clear()
    np.testing.assert_allclose(network.distance(x[:5], x[5:10]), np.linalg.norm(one - other, axis=1), rtol=1e-5)
    assert batches == [10]
    np.testing.assert_array_equal(network.distance(x[:3], x[:3]), 0)


def test_decisions_follow_from_probabilities_and_thresholds() -> None:
    x, labels = examples(noise=1.0)
    network = SiameseNetwork(encoder())
    with pytest.raises(OptionError, match="cannot decide yet"):
        network.verify(x[:2], x[2:4])
    with pytest.raises(OptionError, match="has no logistic unit"):
        network.predict_proba(x[:2], x[2:4])
    threshold = network.calibrate(x, labels)
    distances = network.distance(x[:36], x[36:])
    np.testing.assert_array_equal(network.verify(x[:36], x[36:]), distances <= threshold)
    network.fit(x, labels, **{**OPTIONS, "steps": 20})
    probabilities = network.predict_proba(x[:36], x[1:37])
    assert ((probabilities > 0) & (probabilities < 1)).all()
    np.testing.assert_array_equal(network.verify(x[:36], x[1:37]), probabilities > 0.5)
    np.testing.assert_allclose(network.predict_proba(x[1:37], x[:36]), probabilities, rtol=1e-6)


def test_the_unit_serves_as_a_verifier_of_known_persons() -> None:
    x, labels = examples(noise=0.5)
    network = SiameseNetwork(encoder())
    network.fit(x, labels, **OPTIONS)
    verifier = network.verifier()
    codes = network.encode(x)
    verifier.enrol("ann", codes[:1])
    np.testing.assert_allclose(
        [verifier.verify(code, "ann") for code in codes[[1, 30]]], network.predict_proba(x[[0, 0]], x[[1, 30]]), 1e-5
    )
    np.testing.assert_array_equal(
        verifier.predict(np.stack([codes[[0, 0]], codes[[1, 30]]], axis=1)), network.verify(x[[0, 0]], x[[1, 30]])
    )


def test_the_best_weights_come_back_with_their_head(tmp_path: Path) -> None:
    x, labels = examples(classes=20, noise=1.0)
    path = tmp_path / "run.ckpt"
    options: dict[str, Any] = {**OPTIONS, "steps": 12, "validation": (x[60:], labels[60:]), "validate_every": 4}

    def stop(step: training.TrainingStep) -> None:
        if step.done == 9:
            raise KeyboardInterrupt

    network = SiameseNetwork(encoder())
    with pytest.raises(Interrupted) as caught:
        network.fit(x[:60], labels[:60], checkpoint=path, checkpoint_every=2, callback=stop, **options)
    assert network.head is not None
    np.testing.assert_array_equal(caught.value.result.best["loss.weight"], network.head.weight.value)
    network.fit(x[:60], labels[:60], checkpoint=path, resume=True, **options)
    whole = SiameseNetwork(encoder())
    whole.fit(x[:60], labels[:60], **options)
    assert whole.head is not None
    assert network.head is not None
    np.testing.assert_array_equal(network.head.weight.value, whole.head.weight.value)
    np.testing.assert_array_equal(network.encode(x[:3]), whole.encode(x[:3]))


# Losses


def batch(seed: int = 0) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((9, 5))
    return x / np.linalg.norm(x, axis=1, keepdims=True), np.array([3, 3, 3, 1, 1, 2, 2, 2, 2])


def naive(x: Array, labels: Array, cost: Any) -> float:
    """Half the mean over pairs of one class, plus half the mean over pairs of two."""
    costs: dict[bool, list[float]] = {True: [], False: []}
    for i in range(len(x)):
        for j in range(i):
            costs[bool(labels[i] == labels[j])].append(cost(x[i], x[j], labels[i] == labels[j]))
    return float(np.mean(costs[True]) + np.mean(costs[False])) / 2


@pytest.mark.parametrize("features", ["absolute", "chi2"])
def test_the_logistic_loss_is_that_of_the_lecture(features: Any) -> None:
    x, labels = batch()
    loss = LogisticPairLoss(5, features, np.float64)
    loss.weight.assign(np.random.default_rng(1).standard_normal(5))

    def cost(f_i: Array, f_j: Array, same: bool) -> float:
        difference = np.abs(f_i - f_j) if features == "absolute" else (f_i - f_j) ** 2 / (np.abs(f_i) + np.abs(f_j))
        y = 1 / (1 + np.exp(-(difference @ loss.weight.value + loss.bias.value[0])))
        return float(-np.log(y if same else 1 - y))

    assert loss.vjp(x, labels)[0] == pytest.approx(naive(x, labels, cost), rel=1e-12)


def test_the_contrastive_loss_is_that_of_the_paper() -> None:
    x, labels = batch()

    def cost(f_i: Array, f_j: Array, same: bool) -> float:
        d = float(np.linalg.norm(f_i - f_j))
        return d**2 / 2 if same else max(0.9 - d, 0) ** 2 / 2

    assert ContrastivePairLoss(0.9).vjp(x, labels)[0] == pytest.approx(naive(x, labels, cost), rel=1e-12)


@pytest.mark.parametrize(
    "loss",
    [
        LogisticPairLoss(5, "absolute", np.float64),
        LogisticPairLoss(5, "chi2", np.float64),
        ContrastivePairLoss(1.2),
    ],
    ids=["absolute", "chi2", "contrastive"],
)
def test_gradients_of_the_losses(loss: Any) -> None:
    x, labels = batch()
    _, pullback = loss.vjp(x, labels)
    slopes, grads = pullback(2.0)
    rng = np.random.default_rng(2)
    direction = rng.standard_normal(x.shape)
    measured = reference_slope(lambda at: loss.vjp(at, labels)[0], x, direction)
    assert 2 * measured == pytest.approx(np.vdot(slopes, direction), rel=1e-6)
    for name, parameter in loss.named_parameters().items():
        value, direction = parameter.value, rng.standard_normal(parameter.shape)

        def moved(at: Array, parameter: Any = parameter) -> float:
            parameter.assign(at)
            return float(loss.vjp(x, labels)[0])

        assert 2 * reference_slope(moved, value, direction) == pytest.approx(np.vdot(grads[name], direction), rel=1e-6)
        parameter.assign(value)


def reference_slope(function: Any, at: Array, direction: Array) -> float:
    return float((function(at + 1e-5 * direction) - function(at - 1e-5 * direction)) / 2e-5)


def test_equal_encodings_of_two_classes_do_no_harm() -> None:
    x, labels = np.ones((4, 3)) / np.sqrt(3), np.array([0, 0, 1, 1])
    for loss in (LogisticPairLoss(3, "absolute", np.float64), ContrastivePairLoss()):
        value, pullback = loss.vjp(x, labels)
        assert np.isfinite(value)
        np.testing.assert_array_equal(pullback()[0], 0)


# Refusals


def test_wrong_calls_are_refused() -> None:
    x, labels = examples()
    network = SiameseNetwork(encoder())
    with pytest.raises(OptionError, match="it must be a layer"):
        SiameseNetwork(nn.Sequential)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="features are 'manhattan'"):
        SiameseNetwork(encoder(), features="manhattan")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="loss is 'hinge'"):
        network.fit(x, labels, loss="hinge")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="margin is 0"):
        network.fit(x, labels, loss="contrastive", margin=0)
    with pytest.raises(ShapeError, match="first and second have shapes"):
        network.distance(x[:3], x[:4])
    with pytest.raises(DTypeError, match="first has type int64"):
        network.distance(x[:3].astype(int), x[:3])
    with pytest.raises(OptionError, match="all 72 labels are 1"):
        network.fit(x, np.ones(72, int))
    holes = x.copy()
    holes[0, 0, 0, 0] = np.inf
    with pytest.raises(OptionError, match="example 0 of x has NaN or infinity"):
        network.fit(holes, labels)
    with pytest.raises(OptionError, match="length 1; end it"):
        SiameseNetwork(encoder(last=False)).fit(x, labels)
