"""`pyconvx train`: from a folder of classes to an encoder; exit codes, problems, and what a stop leaves."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bar_pictures import QUICK, run, trained

from pyconvx import image, nn, training
from pyconvx.cli import exit_codes, train_recipe

Capture = pytest.CaptureFixture[str]


def test_train(here: Path, capsys: Capture) -> None:
    trained("--validation", "0.4", "--log", "log.jsonl", "--shift", "1", "--noise", "0.01", "--figure", "a.png")
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out.startswith("net.safetensors: 8 numbers for 12x12x1; 20 examples of 4 classes, 6 steps in ")
    assert "on 2 classes held out; threshold 0." in said.out
    saved = training.load_encoder("net.safetensors")
    assert saved.format == training.InputFormat((12, 12), False, 2, False, (12, 12, 1))
    assert saved.notes["steps"] == 6
    assert set(saved.notes["measures"]) == {"one_shot", "eer"}
    assert saved.threshold is not None
    x = saved.format.read("things/class0/0.png")
    assert saved.net(x[np.newaxis]).shape == (1, 8)
    assert image.load("a.png").std() > 1
    kinds = [json.loads(line)["kind"] for line in Path("log.jsonl").read_text().splitlines()]
    assert kinds == ["step"] * 6 + ["validation"]


@pytest.mark.parametrize("at_once", [1, 3, 64])
def test_classes_are_held_out_without_a_second_copy(here: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    data, before = (training.load_classes("things") for _ in range(2))
    monkeypatch.setattr(train_recipe, "AT_ONCE", at_once)
    learned, held_out = train_recipe.split(argparse.Namespace(validation=0.4, seed=3, patience=None, folder=""), data)
    out = np.isin(before.labels, held_out.labels)
    assert len(np.unique(held_out.labels)) == 2
    for part, rows in ((learned, ~out), (held_out, out)):
        np.testing.assert_array_equal(part.labels, before.labels[rows])
        np.testing.assert_array_equal(part.x, before.x[rows])
        assert np.may_share_memory(part.x, data.x)


def test_the_same_seed_gives_the_same_file(here: Path, capsys: Capture) -> None:
    trained("--json")
    report = json.loads(capsys.readouterr().out)
    assert report["input"] == [12, 12, 1]
    assert report["stopped"] == "finished"
    assert len(report["held_out"]) == 2
    first = Path("net.safetensors").read_bytes()
    trained("--json", "--log", "log.jsonl")
    assert Path("net.safetensors").read_bytes() == first
    trained("--json", "--seed", "1")
    assert Path("net.safetensors").read_bytes() != first


def test_a_training_goes_on_with_the_same_bits(here: Path) -> None:
    trained("--validate-every", "2")
    whole = nn.load_network("net.safetensors").state_dict()
    stopped = ["--checkpoint", "state", "--checkpoint-every", "2", "--validate-every", "2"]
    with pytest.MonkeyPatch.context() as patch:  # the machine fails after four steps
        from pyconvx.training import session

        save, saved = session._Outlets.save, []

        def fail(self: Any, state: Any) -> None:
            save(self, state)
            saved.append(state.done)
            if state.done == 4:
                raise MemoryError("no more")

        patch.setattr(session._Outlets, "save", fail)
        assert run("train", "things", "-o", "net.safetensors", *QUICK, *stopped) == exit_codes.BAD_INPUT
    assert saved == [2, 4]
    trained(*stopped, "--resume")
    for name, array in nn.load_network("net.safetensors").state_dict().items():
        np.testing.assert_array_equal(array, whole[name])


def test_arrays_of_any_rank(here: Path, capsys: Capture) -> None:
    rng = np.random.default_rng(0)
    for name, shape in (("signals", (16, 2)), ("volumes", (8, 8, 8, 1))):
        for kind in range(3):
            for place in range(3):
                Path(name, str(kind)).mkdir(parents=True, exist_ok=True)
                np.save(Path(name, str(kind), f"{place}.npy"), rng.normal(kind, 1, shape).astype(np.float32))
        arguments = ["--steps", "2", "--dimensions", "4", "--pool", "mean", "--standardize"]
        assert run("train", name, "-o", f"{name}.safetensors", *arguments) == exit_codes.OK
        said = capsys.readouterr()
        assert "3 classes are too few to hold some out" in said.err
        assert f"4 numbers for {'x'.join(map(str, shape))}; 9 examples of 3 classes" in said.out
        assert run("embed", f"{name}.safetensors", name, "-o", "e.npz", "--json") == exit_codes.OK
        assert json.loads(capsys.readouterr().out)["files"] == 9


def test_every_loss_schedule_and_optimizer(here: Path) -> None:
    from pyconvx.cli.train_flags import LOSSES, STRATEGIES
    from pyconvx.triplet import mining

    assert set(STRATEGIES) == set(mining.STRATEGIES)
    base = ["train", "things", "-o", "net.safetensors", *QUICK, "--steps", "2", "--validation", "0"]
    for loss in (*STRATEGIES, *LOSSES):
        assert run(*base, "--loss", loss) == exit_codes.OK, loss
    for options in (["--schedule", "step", "--optimizer", "sgd"], ["--schedule", "constant", "--optimizer", "adam"]):
        assert run(*base, *options) == exit_codes.OK
    for margin in ("contrastive", "arcface", "batch_hard"):
        assert run(*base, "--loss", margin, "--margin", "0.3") == exit_codes.OK
    assert training.load_encoder("net.safetensors").threshold is None


def test_classes_that_look_alike_in_one_batch(here: Path) -> None:
    found = set()
    for options in ([], ["--offline-every", "2"], ["--offline-every", "2", "--offline-classes", "2"]):
        trained(*options)
        weights = nn.load_network("net.safetensors").state_dict().values()
        found.add(b"".join(array.tobytes() for array in weights))
    assert len(found) == 3


def test_minutes(here: Path, capsys: Capture) -> None:
    arguments = [option for option in QUICK if option not in ("--steps", "6")]
    for schedule in ("cosine", "step", "constant"):
        start = time.monotonic()
        options = ["--minutes", "0.005", "--schedule", schedule, "--json", "--log", "log.jsonl", "--lr", "0.01"]
        assert run("train", "things", "-o", "net.safetensors", *arguments, *options) == exit_codes.OK
        assert time.monotonic() - start >= 0.3
        report = json.loads(capsys.readouterr().out)
        assert report["stopped"] == "callback"
        assert set(report["measures"]) == {"one_shot", "eer"}  # the last weights are validated, too
        assert report["best_step"] >= 1
        rates = [
            json.loads(line)["lr"] for line in Path("log.jsonl").read_text().splitlines() if '"step", "step' in line
        ]
        assert rates[0] == 0.01
        assert sorted(rates, reverse=True) == rates
        assert len(rates) == report["steps"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["things", "-o", "net.npz"], exit_codes.USAGE, "ends in .safetensors"),
        (["things", "-o", "gone/net.safetensors"], exit_codes.USAGE, "its folder does not exist"),
        (["gone", "-o", "net.safetensors"], exit_codes.BAD_INPUT, "gone: not a folder"),
        (["things", "-o", "net.safetensors", "--validation", "1"], exit_codes.USAGE, "--validation: got 1"),
        (["things", "-o", "net.safetensors", "--margin", "1", "--loss", "circle"], exit_codes.USAGE, "--margin"),
        (["things", "-o", "net.safetensors", "--minutes", "0"], exit_codes.USAGE, "--minutes"),
        (["things", "-o", "net.safetensors", "--minutes", "1", "--steps", "3"], exit_codes.USAGE, "not allowed with"),
        (["things", "-o", "net.safetensors", "--minutes", "1", "--checkpoint", "x"], exit_codes.USAGE, "by the clock"),
        (["things", "-o", "net.safetensors", "--resume"], exit_codes.USAGE, "checkpoint"),
        (["things", "-o", "net.safetensors", "--batch", "8"], exit_codes.USAGE, "is not a batch"),
        (["things", "-o", "net.safetensors", "--batch", "9x2"], exit_codes.USAGE, "wants 9 classes"),
        (["things", "-o", "net.safetensors", "--batch", "3x9", "--small", "error"], exit_codes.USAGE, "fewer than 9"),
        (["things", "-o", "net.safetensors", "--offline-classes", "3"], exit_codes.USAGE, "goes with --offline-every"),
        (["things", "-o", "net.safetensors", "--offline-every", "0"], exit_codes.USAGE, "offline_every is 0"),
        (["things", "-o", "net.safetensors", "--seed", "-1"], exit_codes.USAGE, "from 0 up"),
        (
            ["things", "-o", "net.safetensors", "--lr", "1e30", "--optimizer", "sgd", "--loss", "ntxent"],
            exit_codes.BAD_INPUT,
            "has diverged. Take a smaller",
        ),
        (["things", "-o", "net.safetensors", "--size", "0"], exit_codes.USAGE, "is not a size"),
        (["things", "-o", "net.safetensors", "--size", "2"], exit_codes.USAGE, "input_size"),
        (["things", "-o", "net.safetensors", "--log", "gone/log"], exit_codes.USAGE, "log: the folder"),
        (["things", "-o", "net.safetensors", "--figure", "a.txt"], exit_codes.BAD_INPUT, "a.txt"),
        (
            ["things", "-o", "net.safetensors", "--figure", "a.png", "--loss", "circle"],
            exit_codes.USAGE,
            "has no triplets",
        ),
        (["things/class1", "-o", "net.safetensors"], exit_codes.BAD_INPUT, "in sub-folders of it"),
        (["things", "-o", "net.safetensors", "--patience", "1", "--validation", "0"], exit_codes.USAGE, "patience"),
        (["two", "-o", "net.safetensors", "--patience", "1"], exit_codes.USAGE, "too few to hold 2 out"),
        (["one", "-o", "net.safetensors"], exit_codes.BAD_INPUT, "two classes or more"),
    ],
)
def test_wrong_usage_is_told(here: Path, capsys: Capture, arguments: list[str], code: int, message: str) -> None:
    Path("one").mkdir()
    Path("one/class0").symlink_to(here / "things/class0")
    Path("two").mkdir()
    for name in ("class0", "class1"):
        Path("two", name).symlink_to(here / "things" / name)
    assert run("train", *arguments, "--quiet") == code
    said = capsys.readouterr().err
    assert message in said
    assert not Path("net.safetensors").exists()


def test_bad_files_are_told_of_and_the_rest_is_used(here: Path, capsys: Capture) -> None:
    Path("things/class0/cut.png").write_bytes(Path("things/class0/0.png").read_bytes()[:50])
    assert run("train", "things", "-o", "net.safetensors", *QUICK) == exit_codes.BAD_INPUT
    said = capsys.readouterr()
    assert said.err.startswith("pyconvx train: things/class0/cut.png: ")
    assert said.err.count("\n") == 1
    assert "6 steps" in said.out
    arguments = ["net.safetensors", "things", "gone.png"]
    assert run("embed", *arguments, "-o", "e.npz", "--quiet") == exit_codes.BAD_INPUT
    said = capsys.readouterr()
    assert [line.split(":")[1] for line in said.err.splitlines()] == [" things/class0/cut.png", " gone.png"]
    assert said.out == "e.npz: 30 encodings of 8 numbers\n"


def test_a_collapse_is_one_line(here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    def fit(self: Any, *arguments: Any, **options: Any) -> Any:
        warnings.warn("the training\ncollapses", RuntimeWarning, stacklevel=2)
        raise KeyboardInterrupt

    monkeypatch.setattr("pyconvx.triplet.TripletTrainer.fit", fit)
    assert run("train", "things", "-o", "net.safetensors", *QUICK) == exit_codes.INTERRUPTED
    assert "pyconvx train: the training collapses\n" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT to another process")
def test_ctrl_c_keeps_the_best(here: Path) -> None:
    arguments = ["train", "things", "-o", "net.safetensors", "--steps", "1000000", "--log", "log.jsonl", "--grey"]
    # A shell's background jobs ignore Ctrl-C, and so would what a test in one of them starts.
    start = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from pyconvx.cli import main"
    process = subprocess.Popen(
        [sys.executable, "-c", f"{start}; sys.exit(main())", *arguments, "--validate-every", "1", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not (Path("log.jsonl").exists() and len(Path("log.jsonl").read_text().splitlines()) > 8):
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == exit_codes.INTERRUPTED, err
    report = json.loads(out)
    assert report["stopped"] == "interrupted"
    assert report["best_step"] >= 1
    assert training.load_encoder("net.safetensors").notes["best_step"] == report["best_step"]


def test_interrupted_before_any_validation(here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyconvx.training import loop

    step = loop._step
    monkeypatch.setattr(loop, "_step", lambda task, rows, done: step(task, rows, done) if done < 3 else interrupt())

    def interrupt() -> Any:
        raise KeyboardInterrupt

    assert run("train", "things", "-o", "net.safetensors", *QUICK, "--json") == exit_codes.INTERRUPTED
    report = json.loads(capsys.readouterr().out)
    assert (report["best_step"], report["steps"], report["measures"]) == (3, 3, {})
    assert training.load_encoder("net.safetensors").notes["stopped"] == "interrupted"


def test_the_extras_are_not_needed(here: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    blocked = (
        "import sys; sys.modules.update(dask=None, mpi4py=None, sklearn=None, tqdm=None); from pyconvx import cli; "
    )
    command = f"{blocked}sys.exit(cli.main({['train', 'things', '-o', 'net.safetensors', *QUICK]!r}))"
    done = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
