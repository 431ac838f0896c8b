"""`pyconvx oneshot`: files recognised from one example of each class, or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bar_pictures import SIZE, run

from pyconvx import nn, training
from pyconvx.cli import exit_codes

Capture = pytest.CaptureFixture[str]


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
