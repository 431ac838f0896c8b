"""The ECG example: a record in format 212 with every kind of annotation is read back, and the example runs on it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="an installed package without its examples")


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples can be imported, as they import each other."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    for name in ("ecg", "mitdb"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def pack_212(samples: Any) -> bytes:
    """Pairs of 12-bit integers, three bytes each, one bit at a time."""
    data = bytearray()
    for first, second in samples:
        a, b = first % 4096, second % 4096
        data += bytes([a % 256, a // 256 + 16 * (b // 256), b % 256])
    return bytes(data)


def word(code: int, value: int) -> bytes:
    return (code * 1024 + value).to_bytes(2, "little")


def write(folder: Path, beats: list[tuple[int, int]], length: int = 4000) -> np.ndarray:
    """A record of noise with a peak at each beat, wider where its code is not normal; the samples in it."""
    rng = np.random.default_rng(0)
    samples = rng.integers(-20, 20, (length, 2))
    for at, code in beats:
        samples[at - (8 if code != 1 else 2) : at + 3] += 300
    (folder / "x.hea").write_text(
        f"# a comment\nx 2 360 {length}\nx.dat 212 200 11 0 0 0 0 I\nx.dat 212 100/mV 11 10 0\n"
    )
    (folder / "x.dat").write_bytes(pack_212(samples) + b"\0")
    annotations, time = word(28, 18) + word(63, 3) + b"(N\0\0", 18
    for at, code in beats:
        if at - time > 1000:
            annotations += (
                word(59, 0) + (at - time >> 16).to_bytes(2, "little") + (at - time & 0xFFFF).to_bytes(2, "little")
            )
            time = at
        annotations += word(code, at - time) + word(61, 1)
        time = at
    (folder / "x.atr").write_bytes(annotations + word(0, 0) + b"junk")
    return samples


def test_format_212(examples: None) -> None:
    from mitdb import unpack_212

    samples = np.array([[0, -1], [2047, -2048], [-2, 1], [291, -1110]])
    np.testing.assert_array_equal(unpack_212(pack_212(samples), 4), samples)
    assert unpack_212(bytes([0x34, 0x12, 0x56]), 1).tolist() == [[0x234, 0x156]]


def test_a_record(examples: None, tmp_path: Path) -> None:
    from mitdb import read_record

    beats = [(30, 1), (400, 8), (3900, 5), (3950, 1)]
    samples = write(tmp_path, beats)
    record = read_record(tmp_path / "x.dat")
    np.testing.assert_allclose(record.signals, (samples - [0, 10]) / [200, 100], rtol=1e-6)
    assert record.rate == 360
    assert record.beats.tolist() == [at for at, _ in beats]
    assert record.codes.tolist() == ["N", "A", "V", "N"]
    (tmp_path / "x.hea").write_text("x 2 360 4000\nx.dat 16 200 11 0\nx.dat 16 200 11 0\n")
    with pytest.raises(ValueError, match="not a record of two signals in format 212"):
        read_record(tmp_path / "x")


def test_the_example(
    examples: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import ecg

    beats = [
        (300 * place + 150 - 90 * (place % 6 == 5), 8 if place % 6 == 5 else 1) for place in range(60)
    ]  # the last has no next neighbour
    write(tmp_path, beats, 300 * 60)
    monkeypatch.setattr(sys, "argv", ["ecg.py", str(tmp_path / "x"), "--steps", "3", "--seeds", "0"])
    ecg.main()
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "recorded: 50 normal beats, 10 premature ones"
    assert "found 4/4" in said[3]
    assert len(said) == 8
    assert all("normal kept" in line for line in said[3:])


def test_wilsons_interval(examples: None) -> None:
    from ecg import interval

    for hits, of in ((0, 5), (3, 10), (22, 22)):
        for edge in interval(hits, of):
            if 0 < edge < 1:  # the edges are the shares whose own deviation reaches to what was seen
                assert abs(hits / of - edge) == pytest.approx(1.96 * np.sqrt(edge * (1 - edge) / of), rel=1e-6)
    assert interval(0, 0) == (0.0, 1.0)


def test_examples_are_short() -> None:
    assert not [path.name for path in EXAMPLES.glob("*.py") if len(path.read_text().splitlines()) >= 120]
