"""`pyconvx embed`: encodings of files as .npz and .csv, whole or not at all, in bounded memory."""

from __future__ import annotations

import csv
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from bar_pictures import SIZE, run, trained
from check import assert_same_bits

from pyconvx import nn, training
from pyconvx.cli import exit_codes
from pyconvx.training.encoding_files import encoding_writer
from pyconvx.training.folders import Entry

Capture = pytest.CaptureFixture[str]


def test_embed(here: Path, capsys: Capture) -> None:
    trained()
    saved = training.load_encoder("net.safetensors")
    for name in ("e.npz", "e.csv"):
        assert run("embed", "net.safetensors", "things", "-o", name, "--batch-size", "7", "--quiet") == exit_codes.OK
    with np.load("e.npz", allow_pickle=False) as found:
        encodings, names, labels = found["encodings"], found["names"], found["labels"]
    paths = sorted(str(path) for path in Path("things").rglob("*.png"))
    wanted = saved.net(np.stack([saved.format.read(path) for path in paths]))
    assert_same_bits(encodings, wanted)
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
