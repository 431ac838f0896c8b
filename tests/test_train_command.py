"""`pyconvx train`, `embed` and `oneshot`: from folders to an encoder, to encodings, to names; exit codes, problems."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyconvx import cli, image, nn, training
from pyconvx.cli import exit_codes
from pyconvx.training.encoding_files import encoding_writer
from pyconvx.training.folders import Entry

Capture = pytest.CaptureFixture[str]
SIZE = 12
QUICK = ["--steps", "6", "--batch", "3x3", "--dimensions", "8", "--quiet", "--grey"]


def draw(path: Path, kind: int, seed: int) -> None:
    """A picture with a bar whose place tells its class, and some noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 60, (SIZE, SIZE, 3), np.uint8)
    pixels[kind : kind + 3] += 180
    image.save(path, pixels)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in: six classes of five pictures."""
    monkeypatch.chdir(tmp_path)
    for kind in range(6):
        for place in range(5):
            draw(Path("things", f"class{kind}", f"{place}.png"), kind + kind // 2, 10 * kind + place)
    return tmp_path


def run(*arguments: Any) -> int:
    return cli.main([str(argument) for argument in arguments])


def trained(*more: Any) -> None:
    assert run("train", "things", "-o", "net.safetensors", *QUICK, *more) == exit_codes.OK


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


def test_minutes(here: Path, capsys: Capture) -> None:
    arguments = [option for option in QUICK if option not in ("--steps", "6")]
    for schedule in ("cosine", "step", "constant"):
        start = time.monotonic()
        options = ["--minutes", "0.005", "--schedule", schedule, "--json", "--log", "log.jsonl", "--lr", "0.01"]
        assert run("train", "things", "-o", "net.safetensors", *arguments, *options) == exit_codes.OK
        assert time.monotonic() - start >= 0.3
        report = json.loads(capsys.readouterr().out)
        assert report["stopped"] == "callback"
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
    process = subprocess.Popen(
        [sys.executable, "-m", "pyconvx", *arguments, "--validate-every", "1", "--json"],
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
    assert process.returncode == exit_codes.INTERRUPTED, err
    report = json.loads(out)
    assert report["stopped"] == "interrupted"
    assert report["best_step"] >= 1
    assert training.load_encoder("net.safetensors").notes["best_step"] == report["best_step"]


def test_embed(here: Path, capsys: Capture) -> None:
    trained()
    saved = training.load_encoder("net.safetensors")
    for name in ("e.npz", "e.csv"):
        assert run("embed", "net.safetensors", "things", "-o", name, "--batch-size", "7", "--quiet") == exit_codes.OK
    with np.load("e.npz", allow_pickle=False) as found:
        encodings, names, labels = found["encodings"], found["names"], found["labels"]
    paths = sorted(str(path) for path in Path("things").rglob("*.png"))
    wanted = saved.net(np.stack([saved.format.read(path) for path in paths]))
    np.testing.assert_array_equal(encodings, wanted, strict=True)
    assert [f"things/{name}" for name in names] == paths
    assert labels.tolist() == [Path(path).parent.name for path in paths]
    with Path("e.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == names.tolist()
    assert [row["label"] for row in rows] == labels.tolist()
    numbers = np.array([[row[f"e{place}"] for place in range(8)] for row in rows], np.float32)
    np.testing.assert_array_equal(numbers, encodings)
    assert {path.name for path in here.iterdir()} == {"things", "net.safetensors", "e.npz", "e.csv"}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["net.safetensors", "things", "-o", "e.txt"], exit_codes.USAGE, "end in .npz or .csv"),
        (["net.safetensors", "things", "-o", "gone/e.npz"], exit_codes.USAGE, "folder does not exist"),
        (["gone.safetensors", "things", "-o", "e.npz"], exit_codes.BAD_INPUT, "gone.safetensors"),
        (["weights.safetensors", "things", "-o", "e.npz"], exit_codes.BAD_INPUT, "no saved encoder"),
        (["net.safetensors", "*.gif", "-o", "e.npz"], exit_codes.BAD_INPUT, "matches no file"),
        (["net.safetensors", "gone.png", "-o", "e.npz"], exit_codes.BAD_INPUT, "none of the files can be used"),
    ],
)
def test_embed_refuses(here: Path, capsys: Capture, arguments: list[str], code: int, message: str) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(SIZE * SIZE * 3, 2))
    training.save_encoder("net.safetensors", net, training.InputFormat((SIZE, SIZE)).fitted((SIZE, SIZE, 3)))
    net.save("weights.safetensors")
    Path("e.npz").write_text("before")
    assert run("embed", *arguments, "--quiet") == code
    assert message in capsys.readouterr().err
    assert Path("e.npz").read_text() == "before"  # nothing was lost, and nothing left beside it
    assert {path.name for path in here.iterdir()} == {"things", "net.safetensors", "weights.safetensors", "e.npz"}


def test_encodings_are_written_in_bounded_memory(tmp_path: Path) -> None:
    part = np.ones((1000, 128), np.float32)
    entries = [Entry("x.png", "x.png", "")] * len(part)
    tracemalloc.start()
    with encoding_writer(tmp_path / "e.npz") as writer:
        for _ in range(20):  # 10 MB
            writer.write(entries, part)
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()
    with np.load(tmp_path / "e.npz") as found:
        assert found["encodings"].shape == (20_000, 128)
        assert found["encodings"].all()


def bars() -> None:
    """An encoder that finds the brightest row, without any training: encodings are exact."""
    linear = nn.Linear(SIZE * SIZE, SIZE, bias=False)
    weight = np.repeat(np.eye(SIZE, dtype=np.float32), SIZE, axis=0)
    linear.weight.assign(weight)
    net = nn.Sequential(nn.Flatten(), linear, nn.L2Normalize())
    format = training.InputFormat((SIZE, SIZE), False).fitted((SIZE, SIZE, 1))
    training.save_encoder("net.safetensors", net, format, {"threshold": 0.25})


def test_oneshot(here: Path, capsys: Capture) -> None:
    bars()
    Path("known/class0").mkdir(parents=True)
    Path("known/class0/a.png").write_bytes(Path("things/class0/0.png").read_bytes())
    Path("known/class4.png").write_bytes(Path("things/class4/0.png").read_bytes())
    assert run("oneshot", "net.safetensors", "known", "things/class4/1.png", "--quiet") == exit_codes.OK
    name, answer, distance = capsys.readouterr().out.strip().split(",")
    assert (name, answer) == ("things/class4/1.png", "class4")
    assert 0 < float(distance) < 0.1
    assert run("oneshot", "net.safetensors", "known", "things", "--quiet") == exit_codes.OK
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 31
    assert lines[-1] == "right: 10 of 30 (33.3%)"
    arguments = ["oneshot", "net.safetensors", "known", "things", "--threshold", "auto", "--quiet"]
    assert run(*arguments) == exit_codes.OK
    lines = capsys.readouterr().out.splitlines()
    assert sum(",not_recognised," in line for line in lines) == 20
    assert lines[-1] == "right: 30 of 30 (100.0%)"
    assert run(*arguments, "--json", "--batch-size", "4", "--prototypes", "mean") == exit_codes.OK
    report = json.loads(capsys.readouterr().out)
    assert (report["accuracy"], report["queries"], report["recognised"]) == (1, 30, 10)
    assert report["answers"][10]["class"] is None
    assert report["answers"][10]["label"] == "class2"
    assert report["answers"][0]["distance"] == 0
    stranger = ["oneshot", "net.safetensors", "known", "things/class2/1.png", "--threshold", "0.25"]
    assert run(*stranger) == exit_codes.NEGATIVE
    assert "not_recognised" in capsys.readouterr().out


def test_oneshot_refuses(here: Path, capsys: Capture) -> None:
    bars()
    Path("known").mkdir()
    for arguments, code, message in (
        (["net.safetensors", "things/class0/0.png", "things"], exit_codes.USAGE, "not a folder"),
        (["net.safetensors", "known", "things"], exit_codes.BAD_INPUT, "in this folder"),
        (["net.safetensors", "things", "gone.png"], exit_codes.BAD_INPUT, "none of the queries"),
        (["net.safetensors", "things", "things", "--threshold", "-1"], exit_codes.USAGE, "neither a distance nor auto"),
    ):
        assert run("oneshot", *arguments, "--quiet") == code
        assert message in capsys.readouterr().err
    saved = training.load_encoder("net.safetensors")
    training.save_encoder("net.safetensors", saved.net, saved.format)
    assert run("oneshot", "net.safetensors", "things", "things", "--threshold", "auto") == exit_codes.USAGE
    assert "without a validation" in capsys.readouterr().err


def test_one_class_alone_can_be_known(here: Path, capsys: Capture) -> None:
    bars()
    Path("known").mkdir()
    Path("known/class0.png").write_bytes(Path("things/class0/0.png").read_bytes())
    arguments = ["oneshot", "net.safetensors", "known", "things", "--threshold", "0.25", "--quiet"]
    assert run(*arguments) == exit_codes.OK
    assert capsys.readouterr().out.splitlines()[-1] == "right: 30 of 30 (100.0%)"


def test_encoders_that_lie(tmp_path: Path) -> None:
    from pyconvx.errors import OptionError, WeightsError

    path = tmp_path / "net.safetensors"
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    format = training.InputFormat(shape=(4, 1))
    with pytest.raises(OptionError, match="no shape"):
        training.save_encoder(path, net, training.InputFormat())
    for change in (
        {"input": "{"},
        {"input": training.InputFormat().to_json()},
        {"input": training.InputFormat(shape=(5, 1)).to_json()},
        {"input": training.InputFormat(shape=(1 << 40, 1)).to_json()},
        {"training": "[]"},
        {"training": "nothing"},
        {"network": "{}"},
    ):
        training.save_encoder(path, net, format, {"threshold": True})
        assert training.load_encoder(path).threshold is None
        metadata = nn.safetensors.load_metadata(path)
        nn.safetensors.save_file(net.state_dict(), path, metadata={**metadata, **change})
        with pytest.raises(WeightsError, match=r"net\.safetensors"):
            training.load_encoder(path)
    training.save_encoder(path, nn.Conv1d(1, 2, 1), format)
    with pytest.raises(WeightsError, match="wanted an encoding"):
        training.load_encoder(path)


def test_the_extras_are_not_needed(here: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    blocked = (
        "import sys; sys.modules.update(dask=None, mpi4py=None, sklearn=None, tqdm=None); from pyconvx import cli; "
    )
    command = f"{blocked}sys.exit(cli.main({['train', 'things', '-o', 'net.safetensors', *QUICK]!r}))"
    done = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
