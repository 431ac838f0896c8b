"""TripletTrainer: it learns, in every rank and type, with every loss; the same seed, the same bits; clear errors."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from similar_shapes import encoder, examples

import pyconvx
from pyconvx import nn, training, triplet
from pyconvx.errors import DivergedError, DTypeError, Interrupted, OptionError, ShapeError
from pyconvx.triplet import TripletTrainer

Array = NDArray[Any]
OPTIONS: dict[str, Any] = {"n_classes": 4, "n_per_class": 3, "steps": 40, "lr": 2e-3}


def trainer(net: nn.Layer | None = None, **options: Any) -> TripletTrainer:
    return TripletTrainer(encoder() if net is None else net, **{**OPTIONS, **options})


def noisy(batch: Array, rng: np.random.Generator) -> Array:
    return batch + batch.dtype.type(0.05) * rng.standard_normal(batch.shape).astype(batch.dtype)


def learned(before: nn.Layer, after: nn.Layer, x: Array, labels: Array) -> None:
    errors = [training.Validation(x, labels)(partial(training.encode, net))["eer"] for net in (before, after)]
    assert errors[1] < 0.8 * errors[0], errors


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_it_learns_in_every_rank_and_type(rank: int, dtype: Any) -> None:
    x, labels = examples(rank, noise=1.0, dtype=dtype)
    net = encoder(rank, dtype=dtype)
    result = trainer(net, augment=noisy).fit(x, labels)
    assert result.stopped == "finished"
    assert result.best_step == result.steps == 40
    assert all(parameter.dtype == dtype for parameter in net.named_parameters().values())
    learned(encoder(rank, dtype=dtype), net, x, labels)


STRATEGIES = ["random", "all", "easy", "semihard", "hard", "batch_hard", "distance_weighted"]
LOSSES: dict[str, Any] = {
    **{name: name for name in STRATEGIES},
    "soft": triplet.TripletLoss(0.0, mining="batch_hard", soft=True, metric="euclidean"),
    "contrastive": triplet.ContrastiveLoss(),
    "n-pairs": triplet.NPairsLoss(),
    "ntxent": triplet.NTXentLoss(),
    "supcon": triplet.SupConLoss(),
    "multi-similarity": triplet.MultiSimilarityLoss(),
    "circle": triplet.CircleLoss(),
}


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_can_be_trained_with(name: str) -> None:
    x, labels = examples(noise=1.0)
    net = encoder()
    result = trainer(net, loss=LOSSES[name]).fit(x, labels)
    if name not in ("easy", "hard"):  # easy triplets cost nothing; hard ones there are few of
        learned(encoder(), net, x, labels)
    elif name == "easy":
        assert not any(record["moved"] for record in result.history.steps)
        assert all(np.array_equal(value, encoder().state_dict()[key]) for key, value in net.state_dict().items())


@pytest.mark.parametrize("kind", [triplet.ArcFaceLoss, triplet.ProxyAnchorLoss])
def test_losses_with_proxies_learn_them_too(kind: Any) -> None:
    x, labels = examples(noise=1.0)
    loss = kind(12, 16, random_state=0)
    start = loss.weight.value
    net = encoder()
    result = trainer(net, loss=loss, loss_rate=5.0).fit(x, labels)
    assert np.abs(loss.weight.value - start).max() > 0.01
    np.testing.assert_array_equal(result.best["loss.weight"], loss.weight.value)
    learned(encoder(), net, x, labels)


def test_the_encoder_sees_the_batch_once_and_whole() -> None:
    class Counting(nn.Sequential):
        shapes: list[tuple[int, ...]]

        def vjp(self, x: Any, *arguments: Any, **options: Any) -> Any:
            self.shapes.append(np.shape(x))
            return super().vjp(x, *arguments, **options)

    x, labels = examples()
    net = Counting(encoder().layers)
    net.shapes = []
    trainer(net, steps=3).fit(x, labels)
    assert net.shapes == [(12, 8, 8, 1)] * 3


def test_the_same_seed_gives_the_same_bits_and_another_one_does_not() -> None:
    x, labels = examples()
    nets = [encoder() for _ in range(3)]
    for net, seed in zip(nets, (1, 1, 2), strict=True):
        trainer(net, loss="distance_weighted", augment=noisy, seed=seed, steps=12).fit(x, labels)
    first, again, other = (net.state_dict()["linear.weight"] for net in nets)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    x, labels = examples()
    found = []
    for threads in (1, 2, 5):
        net = encoder()
        with pyconvx.num_threads(threads):
            trainer(net, steps=6).fit(x, labels)
        found.append(net.state_dict())
    for other in found[1:]:
        assert all(np.array_equal(value, other[name]) for name, value in found[0].items())


def test_a_step_is_what_it_says() -> None:
    """One step by hand: a batch of the sampler, the loss, its slope pulled back, the optimiser."""
    x, labels = examples()
    net, copy = encoder(), encoder()
    make = partial(nn.SGD, momentum=0.5)
    rates = training.step_decay(0.1, 1, 0.5)
    trainer(net, loss="batch_hard", margin=0.5, steps=2, lr=rates, optimizer=make, seed=3).fit(x, labels)
    sampler = iter(training.PKSampler(labels, 4, 3, random_state=3))
    optimizer = make(copy.named_parameters())
    for rate in (0.1, 0.05):
        rows = next(sampler)
        codes, pullback = copy.vjp(x[rows])
        a, p, n = triplet.mine(codes, labels[rows], "batch_hard")
        slopes = np.zeros_like(codes)
        gradients = triplet.triplet_loss_grad(codes[a], codes[p], codes[n], 0.5, reduction="mean")
        for rows_of, gradient in zip((a, p, n), gradients, strict=True):
            np.add.at(slopes, rows_of, gradient)
        optimizer.lr = rate
        optimizer.step(pullback(slopes)[1])
    for name, value in net.state_dict().items():
        np.testing.assert_allclose(value, copy.state_dict()[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_without_an_encoder_a_ready_one_is_made_to_fit(rank: int) -> None:
    x, labels = examples(rank, noise=0.5)
    own = TripletTrainer(n_classes=3, n_per_class=2, steps=2, seed=5)
    with pytest.raises(OptionError, match="the 'small' encoder is made to fit the examples; call fit first"):
        own.encode(x)
    own.fit(x, labels)
    codes = own.encode(x)
    assert codes.shape == (72, 128)
    np.testing.assert_allclose(np.linalg.norm(codes, axis=1), 1, rtol=1e-5)
    again = TripletTrainer("small", n_classes=3, n_per_class=2, steps=2, seed=5)
    again.fit(x, labels)
    np.testing.assert_array_equal(again.encode(x), codes)


def test_ready_encoders_follow_the_type_and_refuse_vectors() -> None:
    x, labels = examples(dtype=np.float64)
    own = TripletTrainer("medium", n_classes=3, n_per_class=2, steps=1)
    own.fit(x, labels)
    assert own.encode(x[:2]).dtype == np.float64
    with pytest.raises(OptionError, match="give an encoder of your own"):
        TripletTrainer().fit(x.reshape(72, -1), labels)
    with pytest.raises(OptionError, match=r"it must be a layer.*'small' or 'medium'"):
        TripletTrainer("large")  # type: ignore[arg-type]


# Validation, stopping, what is told


def test_the_best_weights_stay() -> None:
    x, labels = examples(classes=24, noise=1.0)
    scores = iter([0.2, 0.9, 0.5, 0.9])
    seen: list[Array] = []
    net = encoder()

    def validate(encode: Any) -> dict[str, float]:
        assert encode(x[:5]).shape == (5, 16)
        seen.append(net.state_dict()["linear.weight"])
        return {"mine": next(scores)}

    result = trainer(net).fit(x, labels, validation=validate, validate_every=10)
    assert (result.best_step, result.measures) == (20, {"mine": 0.9})
    np.testing.assert_array_equal(net.state_dict()["linear.weight"], seen[1])
    np.testing.assert_array_equal(result.best["linear.weight"], seen[1])
    assert [record["step"] for record in result.history.validations] == [10, 20, 30, 40]


def test_patience_stops() -> None:
    x, labels = examples()
    scores = iter([0.5, 0.4, 0.5, 0.6])
    result = trainer().fit(x, labels, validation=lambda encode: {"s": next(scores)}, validate_every=5, patience=2)
    assert (result.stopped, result.steps, result.best_step) == ("patience", 15, 5)


def test_one_shot_and_equal_error_rate_come_out() -> None:
    x, labels = examples(classes=24, noise=1.0)
    result = trainer().fit(x[:72], labels[:72], validation=(x[72:], labels[72:]), validate_every=20)
    record = result.history.validations[-1]
    assert list(record) == ["step", "one_shot", "eer"]
    assert record["one_shot"] > 0.3 > record["eer"]


def test_progress_callback_and_log_tell_of_each_step(tmp_path: Path) -> None:
    x, labels = examples()
    reports: list[tuple[int, int, dict[str, Any]]] = []
    steps: list[training.TrainingStep] = []
    log = tmp_path / "log.jsonl"
    result = trainer(steps=6).fit(
        x,
        labels,
        validation=(x, labels),
        validate_every=3,
        progress=lambda *report: reports.append(report),
        callback=steps.append,
        log=log,
    )
    assert [report[:2] for report in reports] == [(done, 6) for done in range(1, 7)]
    assert {"loss", "lr", "active", "chosen", "seconds_left"} <= set(reports[0][2])
    assert "one_shot" in reports[-1][2]
    assert [step.done for step in steps if step.validation] == [3, 6]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["step"] * 3 + ["validation"] + ["step"] * 3 + ["validation"]
    assert [json.loads(line) for line in result.history.lines()] == lines


def test_a_callback_can_stop() -> None:
    result = trainer().fit(*examples(), callback=lambda step: step.done == 4)
    assert (result.stopped, result.steps) == ("callback", 4)


def test_ctrl_c_keeps_the_best() -> None:
    x, labels = examples()
    net = encoder()
    kept: list[Array] = []
    scores = iter([0.9, 0.1, 0.1])

    def validate(encode: Any) -> dict[str, float]:
        kept.append(net.state_dict()["linear.weight"])
        return {"score": next(scores)}

    def callback(step: training.TrainingStep) -> None:
        if step.done == 25:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        trainer(net).fit(x, labels, validation=validate, validate_every=10, callback=callback)
    result = caught.value.result
    assert (result.stopped, result.best_step, result.steps) == ("interrupted", 10, 25)
    np.testing.assert_array_equal(net.state_dict()["linear.weight"], kept[0])


def test_a_diverged_training_keeps_the_best() -> None:
    x, labels = examples()
    net = encoder()
    with pytest.raises(DivergedError, match=r"step \d+: .*not finite.*smaller learning rate") as caught:
        trainer(net, loss="batch_hard", optimizer=nn.SGD, lr=lambda step: 1e-3 if step < 5 else 1e38, steps=60).fit(
            x, labels
        )
    assert caught.value.result.stopped == "diverged"
    assert caught.value.result.best_step >= 5
    assert all(np.isfinite(value).all() for value in net.state_dict().values())


def test_steps_without_active_triplets_move_nothing_and_go_on() -> None:
    x, labels = examples(classes=4, noise=0.0)
    net = encoder()
    result = trainer(net, loss="random", margin=1e-6, steps=30).fit(x, labels)
    assert result.steps == 30
    assert not result.history.steps[-1]["moved"]
    assert result.history.steps[-1]["loss"] == 0


# Refusals


def test_wrong_examples_are_refused_before_any_work() -> None:
    x, labels = examples()
    holes = x.copy()
    holes[17, 3, 3, 0] = np.nan
    net = encoder()
    before = net.state_dict()
    for error, match, given in (
        (OptionError, "example 17 of x has NaN", (holes, labels)),
        (OptionError, "all 72 labels are 'one'", (x, ["one"] * 72)),
        (OptionError, "a class of its own", (x, np.arange(72))),
        (OptionError, "fewer than 3 examples", (x, np.arange(72) // 2)),
        (OptionError, "there are 3", (x[:18], labels[:18])),
        (ShapeError, r"labels have shape \(71,\)", (x, labels[1:])),
        (DTypeError, "labels have type float64", (x, np.zeros(72))),
        (DTypeError, "x is int64", (x.astype(int), labels)),
        (ShapeError, r"x has shape \(0, 8, 8, 1\)", (x[:0], labels[:0])),
        (ShapeError, r"examples of several shapes, such as \(8, 8, 1\) and \(7, 8, 1\)", ([*x[:-1], x[0, 1:]], labels)),
        (ShapeError, "takes 1 channels", (np.repeat(x, 2, axis=-1), labels)),
        (ShapeError, "x", (x[..., 0], labels)),
        (DTypeError, "float64", (x.astype(np.float64), labels)),
    ):
        with pytest.raises(error, match=match):
            trainer(net).fit(*given)
    assert all(np.array_equal(value, before[name]) for name, value in net.state_dict().items())


def test_wrong_encoders_are_refused() -> None:
    x, labels = examples()
    with pytest.raises(OptionError, match="length 1; end it with nn"):
        trainer(encoder(last=False)).fit(x, labels)
    trainer(encoder(last=False), normalized=False, steps=2).fit(x, labels)
    with pytest.raises(ShapeError, match=r"gives shape \(2, 8, 8, 4\) for 2 examples; wanted \(2, depth\)"):
        trainer(nn.Sequential(nn.Conv2d(1, 4, 3, padding=1))).fit(x, labels)
    with pytest.raises(OptionError, match="it must be a layer"):
        trainer(nn.Sequential)  # type: ignore[arg-type]


def test_wrong_options_are_refused_at_once() -> None:
    x, labels = examples()
    for match, options in (
        ("strategy is 'softhard'", {"loss": "softhard"}),
        ("margin is nan", {"margin": np.nan}),
        ("n_classes is 1", {"n_classes": 1}),
        ("steps is 0", {"steps": 0}),
        ("lr is -1", {"lr": -1}),
        (r"lr\(39\) is -", {"lr": lambda step: -step}),
        ("augment is 3", {"augment": 3}),
        ("optimizer is 'adam'", {"optimizer": "adam"}),
        ("loss_rate is 0", {"loss_rate": 0}),
        ("small is 'drop'", {"small": "drop"}),
    ):
        with pytest.raises(OptionError, match=match):
            trainer(**options)
    for match, options in (
        ("validation must be", {"validation": 3}),
        ("patience counts validations", {"patience": 3}),
        ("validate_every is 0", {"validate_every": 0}),
        ("progress must be", {"progress": 3}),
        ("callback is 3", {"callback": 3}),
        ("watch has 'odd'", {"watch": ["odd"]}),
        ("watch is None; give strategies, \\(\\) for none", {"watch": None}),
        ("log: . is a folder", {"log": "."}),
        ("checkpoint: . is a folder", {"checkpoint": "."}),
        ("validation must be", {"validation": training.Validation}),
    ):
        with pytest.raises(OptionError, match=match):
            trainer().fit(x, labels, **options)


def test_optimizers_and_validations_that_are_none_are_refused() -> None:
    x, labels = examples()
    with pytest.raises(OptionError, match="optimizer made None of the parameters"):
        trainer(optimizer=lambda parameters: None).fit(x, labels)
    with pytest.raises(ShapeError, match="Linear takes"):  # at once, not after the first hundred steps
        trainer().fit(x, labels, validation=(x[:, :4], labels), callback=lambda step: pytest.fail("a step was taken"))
    for returned in (None, 0.5, {"score": "high"}, {"score": np.nan}, {}):
        with pytest.raises(OptionError, match="wanted measures by name, all numbers, the first not NaN"):
            trainer().fit(x, labels, validation=lambda encode, returned=returned: returned, validate_every=1)


def test_an_encoding_that_is_not_finite_is_told_of() -> None:
    x, _ = examples()
    holes = x.copy()
    holes[70, 1, 2, 0] = np.nan
    with pytest.raises(OptionError, match="example 70 of x has NaN or infinity"):
        training.encode(encoder(), holes)
    broken = encoder()
    broken["conv0"].weight.assign(np.full((3, 3, 1, 6), np.inf))  # type: ignore[attr-defined]
    with pytest.raises(DivergedError, match="gives NaN or infinity for example 0"):
        training.encode(broken, x)
    with pytest.raises(DivergedError, match="row 1 of encodings is not finite"):
        training.one_shot_accuracy([[0.0], [np.nan], [5.0], [5.1]], ["a", "a", "b", "b"])


def test_wrong_losses_are_refused() -> None:
    x, labels = examples()
    for error, match, loss in (
        (OptionError, "proxies of 5 classes", triplet.ArcFaceLoss(5, 16)),
        (OptionError, "with 7 entries", triplet.ArcFaceLoss(12, 7)),
        (DTypeError, "weight is float64", triplet.ArcFaceLoss(12, 16, dtype=np.float64)),
        (OptionError, "reduction='none'", triplet.ContrastiveLoss(reduction="none")),
        (OptionError, "give a loss over", nn.MSELoss()),
        (OptionError, "give a loss over", triplet.TripletLoss),
    ):
        with pytest.raises(error, match=match):
            trainer(loss=loss).fit(x, labels)


def test_wrong_augmentations_are_refused() -> None:
    x, labels = examples()
    with pytest.raises(ShapeError, match="augment made shape"):
        trainer(augment=lambda batch, rng: batch[:-1]).fit(x, labels)
    with pytest.raises(OptionError, match="augment made NaN or infinity"):
        trainer(augment=lambda batch, rng: batch * np.float32(np.nan)).fit(x, labels)
    with pytest.raises(DTypeError, match="augment made float64"):
        trainer(augment=lambda batch, rng: batch + rng.standard_normal(batch.shape)).fit(x, labels)
