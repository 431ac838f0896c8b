"""A training that was stopped, even by kill -9, ends with the same bits as one that was not; damage is one error."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from similar_shapes import encoder, examples

from pyconvx import _checkpoint as files
from pyconvx import nn, training, triplet
from pyconvx.errors import Interrupted, OptionError, WeightsError
from pyconvx.nn import safetensors
from pyconvx.training import TrainingResult
from pyconvx.triplet import TripletTrainer

Array = NDArray[Any]
X, LABELS = examples(classes=20, noise=1.0)
HELD_OUT = X[60:], LABELS[60:]

KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from test_training_checkpoint import run

def kill(step):
    if step.done == 14:
        os.kill(os.getpid(), signal.SIGKILL)

run("adam", checkpoint={checkpoint!r}, checkpoint_every=3, callback=kill)
"""


def noisy(batch: Array, rng: np.random.Generator) -> Array:
    return batch + batch.dtype.type(0.05) * rng.standard_normal(batch.shape).astype(batch.dtype)


def network() -> nn.Sequential:
    """With running statistics, and with something that draws."""
    layers = dict(encoder().layers)
    unit = layers.pop("unit")
    return nn.Sequential({**layers, "norm": nn.BatchNorm(16), "drop": nn.Dropout(0.2, random_state=4), "unit": unit})


RUNS: dict[str, Callable[[], dict[str, Any]]] = {
    "adam": lambda: {"loss": "distance_weighted", "lr": training.cosine(2e-3, 20, warmup=3)},
    "momentum": lambda: {"loss": "random", "optimizer": momentum},
    "proxies": lambda: {"loss": triplet.ProxyAnchorLoss(10, 16, random_state=1), "loss_rate": 3.0},
}


def momentum(parameters: Any) -> nn.SGD:
    return nn.SGD(parameters, momentum=0.9)


def run(kind: str, *, net: nn.Layer | None = None, x: Array = X, options: Any = None, **fit: Any) -> Any:
    net = network() if net is None else net
    chosen = {"n_classes": 4, "n_per_class": 3, "steps": 20, "augment": noisy, **RUNS[kind](), **(options or {})}
    trainer = TripletTrainer(net, **chosen)
    result = trainer.fit(x[:60], LABELS[:60], validation=HELD_OUT, validate_every=4, **fit)
    return result, net, trainer


def timeless(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in record.items() if name != "seconds"} for record in records]


def assert_same(found: tuple[TrainingResult, nn.Layer, Any], wanted: tuple[TrainingResult, nn.Layer, Any]) -> None:
    for first, second in ((found[0].best, wanted[0].best), (found[1].state_dict(), wanted[1].state_dict())):
        assert list(first) == list(second)
        assert all(np.array_equal(value, second[name]) for name, value in first.items())
    for name in ("best_step", "measures", "stopped", "steps"):
        assert getattr(found[0], name) == getattr(wanted[0], name)
    assert timeless(found[0].history.steps) == timeless(wanted[0].history.steps)
    assert found[0].history.validations == wanted[0].history.validations


def interrupt_after(steps: int) -> Any:
    def callback(step: Any) -> None:
        if step.done == steps:
            raise KeyboardInterrupt

    return callback


@pytest.mark.parametrize("kind", RUNS)
@pytest.mark.parametrize("stopped_after", [3, 8, 17], ids=lambda steps: f"step {steps}")
def test_resumed_trainings_have_the_same_bits(tmp_path: Path, kind: str, stopped_after: int) -> None:
    path, log = tmp_path / "run.ckpt", tmp_path / "log.jsonl"
    with pytest.raises(Interrupted):
        run(kind, checkpoint=path, checkpoint_every=3, callback=interrupt_after(stopped_after), log=log)
    steps: list[int] = []
    other = network()  # begins elsewhere: all of it comes out of the file
    other.load_state_dict({name: value + np.float32(0.5) for name, value in other.state_dict().items()})
    resumed = run(kind, net=other, checkpoint=path, resume=True, log=log, callback=lambda step: steps.append(step.done))
    assert steps == list(range(stopped_after // 3 * 3 + 1, 21))
    assert_same(resumed, run(kind))
    told = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["step"] for line in told if line["kind"] == "step"] == list(range(1, 21))


def test_a_killed_process_loses_nothing_but_time(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    program = KILLED.format(path=sys.path, checkpoint=str(path))
    killed = subprocess.run([sys.executable, "-c", program], timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert_same(run("adam", checkpoint=path, resume=True), run("adam"))


def test_ended_trainings_give_their_result_again(tmp_path: Path) -> None:
    def scores() -> Any:
        rest = iter([0.5, 0.4, 0.3, 0.2])
        return lambda encode: {"score": next(rest)}

    def fit(path: Path, **options: Any) -> TrainingResult:
        trainer = TripletTrainer(network(), n_classes=4, n_per_class=3, steps=20)
        return trainer.fit(X, LABELS, validate_every=4, checkpoint=path, **options)

    steps: list[int] = []
    for name, options in (("finished", {}), ("patience", {"validation": scores(), "patience": 2})):
        path = tmp_path / name
        first = fit(path, **options)
        again = fit(path, resume=True, callback=lambda step: steps.append(step.done), **options)
        assert first.stopped == again.stopped == name
        assert steps == []
        assert all(np.array_equal(value, again.best[key]) for key, value in first.best.items())


def test_a_callback_that_stops_leaves_a_training_that_can_go_on(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    first, _, _ = run("momentum", checkpoint=path, checkpoint_every=50, callback=lambda step: step.done == 7)
    assert first.stopped == "callback"
    assert_same(run("momentum", checkpoint=path, resume=True), run("momentum"))


def test_without_a_file_it_starts_at_the_beginning(tmp_path: Path) -> None:
    assert_same(run("adam", checkpoint=tmp_path / "run.ckpt", resume=True), run("adam"))


def test_other_trainings_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    run("adam", checkpoint=path)
    net = encoder(depth=8)
    before = net.state_dict()
    for wrong, arguments in (
        ("seed: 0 there, 3 now", {"options": {"seed": 3}}),
        ("rates", {"options": {"lr": 2e-3}}),
        ("loss.margin: 0.2 there, 0.3 now", {"options": {"margin": 0.3}}),
        ("loss.mining", {"options": {"loss": "batch_hard"}}),
        ("optimizer.class", {"options": {"optimizer": nn.AdamW}}),
        ("steps: 20 there, 24 now", {"options": {"steps": 24, "lr": training.cosine(2e-3, 20, warmup=3)}}),
        ("augment", {"options": {"augment": None}}),
        ("examples", {"x": X + np.float32(1e-3)}),
        ("weights.encoder.linear.bias", {"net": net}),
        ("patience", {"patience": 50}),
    ):
        with pytest.raises(WeightsError, match=rf"belongs to another training \(.*{wrong}"):
            run("adam", checkpoint=path, resume=True, **arguments)
    assert all(np.array_equal(value, before[name]) for name, value in net.state_dict().items())


def test_damaged_and_foreign_files_are_one_clear_error(tmp_path: Path) -> None:
    path, broken = tmp_path / "run.ckpt", tmp_path / "broken.ckpt"
    run("proxies", checkpoint=path)
    tensors, metadata = safetensors.load_file(path), safetensors.load_metadata(path)
    del metadata["seal"]  # which would find everything that follows

    def write(lost: str = "", **changed: str) -> None:
        kept = {name: array for name, array in tensors.items() if name != lost}
        safetensors.save_file(kept, broken, metadata={**metadata, **changed})

    def refused(match: str) -> None:
        net = network()
        before = net.state_dict()
        with pytest.raises(WeightsError, match=match):
            run("proxies", net=net, checkpoint=broken, resume=True)
        assert all(np.array_equal(value, before[name]) for name, value in net.state_dict().items())

    broken.write_bytes(path.read_bytes()[:-10])
    refused("damaged|bytes")
    broken.write_bytes(b"no safetensors at all")
    refused("broken.ckpt")
    write(format="pyconvx.style 1")
    refused("is not a checkpoint of a training")
    for lost in ("history", "weights.encoder.linear.weight", "weights.loss.weight", "optimizers.0.mean.linear.weight"):
        write(lost)
        refused("the checkpoint is damaged")
    state = json.loads(metadata["state"])
    for change in ({"done": 19}, {"generators": []}, {"optimizers": [None, None]}, {"best": {}}, {"weights": {}}):
        write(state=json.dumps(state | change))
        refused("the checkpoint is damaged")
    write()
    run("proxies", checkpoint=broken, resume=True)  # what was not damaged is taken


def test_a_changed_bit_is_found_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "state"
    files.save(path, "kind", {"weights": np.arange(5.0), "done": 3}, {"seed": 1})
    whole = path.read_bytes()
    assert files.load(path, "kind", "a test", dict, {"seed": 1}) == (
        {"weights": pytest.approx(np.arange(5.0)), "done": 3},
        [],
    )
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            read, differences = files.load(path, "kind", "a test", dict, {"seed": 1})
        except WeightsError:
            continue
        assert not differences  # the seal's own name, or spaces that fill the header up
        assert read["done"] == 3
        assert np.array_equal(read["weights"], np.arange(5.0))


def test_paths_are_checked_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "there.ckpt").touch()
    for match, options in (
        ("resume needs checkpoint", {"resume": True}),
        ("does not exist", {"checkpoint": tmp_path / "no" / "run.ckpt"}),
        (
            "checkpoint_every must be a whole number",
            {"checkpoint": tmp_path / "x", "checkpoint_every": 0},
        ),
        ("is there already; resume it", {"checkpoint": tmp_path / "there.ckpt"}),
        ("log: the folder", {"log": tmp_path / "no" / "log.jsonl"}),
    ):
        with pytest.raises(OptionError, match=match):
            run("adam", **options)
