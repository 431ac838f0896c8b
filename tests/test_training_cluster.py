"""Encoding by Dask: the same encodings, in the same order, from any scheduler."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from check import assert_same_bits

from pyconvx import nn, training
from pyconvx.errors import MissingExtraError, WeightsError
from pyconvx.training.cluster import compute_on, embed_with_dask


@pytest.fixture
def signals(tmp_path: Path) -> list[Any]:
    """An encoder, and 23 signals to encode, two of which cannot be read."""
    net = nn.Sequential(nn.Conv1d(1, 4, 3, random_state=0), nn.GlobalAvgPool(), nn.L2Normalize())
    training.save_encoder(tmp_path / "net.safetensors", net, training.InputFormat(rank=1, shape=(20, 1)))
    (tmp_path / "signals").mkdir()
    for place in range(23):
        values = np.random.default_rng(place).normal(size=19 if place in (3, 16) else 20)
        np.save(tmp_path / "signals" / f"{place:02}.npy", values)
    return training.scan_files(tmp_path / "signals")[0]


def collected(parts: Any) -> tuple[list[str], Any]:
    found = list(parts)
    return [entry.name for part in found for entry in part.entries], np.concatenate([part.encodings for part in found])


@pytest.mark.parametrize(("part_size", "parts_at_once"), [(4, 2), (1, 100), (512, 64)])
def test_the_same_as_without(signals: list[Any], tmp_path: Path, part_size: int, parts_at_once: int) -> None:
    dask = pytest.importorskip("dask")
    lines: list[str] = []
    wanted = collected(
        training.embed(training.load_encoder(tmp_path / "net.safetensors"), signals, problem=lines.append)
    )
    assert len(wanted[0]) == 21
    handed_out, told, done = [], [], []

    def compute(parts: Any) -> Any:
        handed_out.append(len(parts))
        return dask.compute(*parts, scheduler="threads", num_workers=2)

    names, encodings = collected(
        embed_with_dask(
            tmp_path / "net.safetensors",
            signals,
            part_size=part_size,
            parts_at_once=parts_at_once,
            compute=compute,
            problem=told.append,
            progress=lambda *so_far: done.append(so_far[:2]),
        )
    )
    assert names == wanted[0]
    assert_same_bits(encodings, wanted[1])
    assert told == lines
    assert max(handed_out) <= parts_at_once
    assert sum(handed_out) == -(-23 // part_size)
    assert done[-1] == (23, 23)


def test_nothing_that_can_be_read(signals: list[Any], tmp_path: Path) -> None:
    pytest.importorskip("dask")
    lines: list[str] = []
    bad = [signals[3], signals[16]]
    assert list(embed_with_dask(tmp_path / "net.safetensors", bad, problem=lines.append)) == []
    assert len(lines) == 2
    (tmp_path / "net.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError):
        list(embed_with_dask(tmp_path / "net.safetensors", signals))


def test_without_dask_the_extra_is_named(
    signals: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pyconvx import cli

    for name in ("dask", "distributed"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"pyconvx\[dask\]"):
        list(embed_with_dask(tmp_path / "net.safetensors", signals))
    with pytest.raises(MissingExtraError, match=r"pyconvx\[dask\]"):
        compute_on("tcp://localhost:8786")
    monkeypatch.chdir(tmp_path)
    arguments = ["embed", "net.safetensors", "signals", "-o", "e.npz", "--dask", "tcp://localhost:8786"]
    assert cli.main(arguments) == cli.exit_codes.BAD_INPUT
    assert "pyconvx[dask]" in capsys.readouterr().err


SCRIPT = """
import sys

if __name__ == "__main__":
    from distributed import LocalCluster
    from pyconvx import cli

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        address = ["--dask", cluster.scheduler_address, "--part-size", "4"]
        code = cli.main(["embed", "net.safetensors", "signals", "-o", "there.npz", "--json", "--quiet", *address])
    sys.exit(code)
"""


def test_two_workers_of_a_cluster(signals: list[Any], tmp_path: Path) -> None:
    """Takes seconds: processes start, and each imports everything."""
    pytest.importorskip("distributed")
    from pyconvx import cli

    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == cli.exit_codes.BAD_INPUT, done.stderr  # two files cannot be read
    assert json.loads(done.stdout)["files"] == 21
    assert "03.npy: has shape (19, 1); wanted (20, 1)" in done.stderr
    saved = training.load_encoder(tmp_path / "net.safetensors")
    names, encodings = collected(training.embed(saved, signals))
    with np.load(tmp_path / "there.npz") as found:
        assert found["names"].tolist() == names
        np.testing.assert_array_equal(found["encodings"], encodings)
