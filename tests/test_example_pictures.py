"""The examples with faces and with clips run from end to end, on little."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyconvx import image
from pyconvx.errors import OptionError

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="an installed package without its examples")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """A function that runs a module of the examples with arguments, and returns the lines that it prints."""
    monkeypatch.syspath_prepend(str(EXAMPLES))

    def main(module: Any, *arguments: str) -> list[str]:
        monkeypatch.setattr(sys, "argv", ["example.py", *arguments])
        module.main()
        return capsys.readouterr().out.splitlines()

    return main


def test_clips(run: Any) -> None:
    pytest.importorskip("sklearn")
    import clips

    said = run(clips, "--steps", "1", "--each", "2")
    assert said[0] == "112 clips of 56 classes to learn from, 48 of 24 others to judge on"
    assert said[1].startswith("nearest neighbour on pixels: ")
    assert [line.split(":")[0].split(",")[0] for line in said[2:]] == ["encoder", "  its frames in disorder"]


def test_ways_of_a_clip(run: Any) -> None:
    pytest.importorskip("sklearn")
    import clips

    rng = np.random.default_rng(0)
    ends = {way: clips.path(way, rng) for way in clips.WAYS}
    moved = {way: np.sign(np.round(centres[-1] - centres[0])).tolist() for way, (centres, _) in ends.items()}
    assert (moved["left"], moved["right"], moved["up"], moved["down"]) == ([0, -1], [0, 1], [-1, 0], [1, 0])
    grown = {way: np.sign(sizes[-1] - sizes[0]) for way, (_, sizes) in ends.items()}
    assert grown == {**dict.fromkeys(clips.WAYS, 0), "grow": 1, "shrink": -1}
    turns = {}
    for way in ("circle", "circle back"):
        y, x = (ends[way][0] - ends[way][0].mean(axis=0)).T
        turns[way] = np.sign(np.sum(x[:-1] * y[1:] - y[:-1] * x[1:]))
    assert turns["circle"] == -turns["circle back"]


def test_faces(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The packaged encoder, which has tests of its own, is replaced."""
    import faces_orl

    rng = np.random.default_rng(0)
    for person in range(26):
        (tmp_path / f"s{person:02}").mkdir()
        face = rng.integers(0, 256, (14, 12, 3), np.uint8)
        for place in range(4):
            image.save(
                tmp_path / f"s{person:02}" / f"{place}.png",
                np.clip(face + rng.integers(0, 9, 3), 0, 255).astype(np.uint8),
            )
    seen: list[str] = []

    def packaged(paths: list[str]) -> tuple[np.ndarray, list[int]]:
        seen.extend(paths)
        people = np.array([int(Path(path).parent.name[1:]) for path in paths], np.float32)
        return people[:, np.newaxis], list(range(len(paths)))

    monkeypatch.setattr(faces_orl, "packaged", packaged)
    said = run(faces_orl, str(tmp_path), "--steps", "1", "--folds", "1")
    assert said[0] == "fold 1: 16 people to learn from, 10 to verify"
    assert {Path(path).parent.name for path in seen} == {f"s{person}" for person in range(16, 26)}
    assert "(60 pairs of one person, 720 of two)" in said[1]
    assert "packaged encoder: equal error rate 0.00%, area 1.0000" in said[4]
    assert len(said) == 8
    with pytest.raises(OptionError, match="too few for 3 folds"):
        run(faces_orl, str(tmp_path), "--folds", "3")
