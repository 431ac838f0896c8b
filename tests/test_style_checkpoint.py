"""Checkpoints: what goes in comes out to the bit, another run's file is refused by name, damage is found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pyconvx.errors import OptionError, WeightsError
from pyconvx.nn import safetensors
from pyconvx.style import checkpoint
from pyconvx.style.checkpoint import State

IDENTITY: dict[str, Any] = {"version": "1.0", "isa": "avx2", "options": {"size": 64, "layers": {"relu1": 0.5}}}
RNG = np.random.default_rng(5)


def some_state() -> State:
    return State(
        x=RNG.standard_normal((1, 4, 5, 3)).astype(np.float32),
        best=RNG.standard_normal((1, 4, 5, 3)).astype(np.float32),
        best_cost=0.1 + 0.2,  # no short decimal
        level=1,
        step=7,
        optimizer={
            "pairs": [{"s": RNG.standard_normal(6), "y": RNG.standard_normal(6)}, {"s": np.zeros(0), "y": np.ones(1)}],
            "count": np.int64(3),
            "rate": np.float32(0.1),
            "name": "tensor",
            "none": None,
            "infinite": np.inf,
        },
        random=dict(np.random.default_rng(1).bit_generator.state),
        trace=[{"level": 0, "step": 1, "cost": 1e-17, "style": {"relu1": 2.5}}],
    )


def test_everything_comes_back_to_the_bit(tmp_path: Path) -> None:
    state = some_state()
    checkpoint.save(tmp_path / "run.ckpt", state, IDENTITY)
    back, warnings = checkpoint.load(tmp_path / "run.ckpt", IDENTITY)
    assert warnings == []
    np.testing.assert_array_equal(back.x, state.x)
    np.testing.assert_array_equal(back.best, state.best)
    assert (back.best_cost, back.level, back.step) == (0.1 + 0.2, 1, 7)
    assert back.trace == state.trace
    assert back.random == state.random
    for pair, wanted in zip(back.optimizer["pairs"], state.optimizer["pairs"], strict=True):
        np.testing.assert_array_equal(pair["s"], wanted["s"])
        np.testing.assert_array_equal(pair["y"], wanted["y"])
    rest = {name: value for name, value in back.optimizer.items() if name != "pairs"}
    assert rest == {"count": 3, "rate": float(np.float32(0.1)), "name": "tensor", "none": None, "infinite": np.inf}


def test_the_random_state_goes_on(tmp_path: Path) -> None:
    rng = np.random.default_rng(9)
    rng.standard_normal(3)
    state = some_state()
    state.random = dict(rng.bit_generator.state)
    checkpoint.save(tmp_path / "run.ckpt", state, IDENTITY)
    restored = np.random.default_rng()
    restored.bit_generator.state = checkpoint.load(tmp_path / "run.ckpt", IDENTITY)[0].random
    np.testing.assert_array_equal(restored.standard_normal(4), rng.standard_normal(4))


def test_another_runs_file_is_refused_by_name(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "run.ckpt", some_state(), IDENTITY)
    other = {**IDENTITY, "options": {"size": 96, "layers": {"relu1": 0.5}}, "content": "abc"}
    with pytest.raises(OptionError, match=r'belongs to another run \(content: null there, "abc" now; options.size: 64'):
        checkpoint.load(tmp_path / "run.ckpt", other)


def test_another_version_is_a_warning(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "run.ckpt", some_state(), IDENTITY)
    state, warnings = checkpoint.load(tmp_path / "run.ckpt", {**IDENTITY, "isa": "avx512", "version": "1.1"})
    assert state.step == 7
    assert warnings == ["isa was avx2 and is avx512", "version was 1.0 and is 1.1"]


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    safetensors.save_file({"x": np.zeros(3, np.float32)}, path)
    with pytest.raises(WeightsError, match="is not a checkpoint of a style transfer"):
        checkpoint.load(path, IDENTITY)


@pytest.mark.parametrize(
    "metadata",
    [
        {"format": "pyconvx.style 1"},
        {"format": "pyconvx.style 1", "identity": "{}", "state": "{"},
        {"format": "pyconvx.style 1", "identity": "{}", "state": '{"step": 1}'},
        {"format": "pyconvx.style 1", "identity": "{}", "state": '{"best_cost": 1, "unknown": 1}'},
        {"format": "pyconvx.style 1", "identity": "{}", "state": '{"best_cost": 1, "optimizer": "tensor:gone"}'},
        {"format": "pyconvx.style 1", "identity": "[]", "state": '{"best_cost": 1}'},
    ],
    ids=["nothing", "half", "lacking", "unknown", "tensor gone", "wrong type"],
)
def test_damage_is_found(tmp_path: Path, metadata: dict[str, str]) -> None:
    path = tmp_path / "run.ckpt"
    safetensors.save_file({"x": np.zeros(3, np.float32), "best": np.zeros(3, np.float32)}, path, metadata=metadata)
    with pytest.raises(WeightsError, match="the checkpoint is damaged"):
        checkpoint.load(path, IDENTITY)


def test_a_truncated_file_is_found(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    checkpoint.save(path, some_state(), IDENTITY)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(WeightsError):
        checkpoint.load(path, IDENTITY)


def test_digests_tell_type_shape_and_bytes_apart() -> None:
    arrays = [np.zeros(4, np.float32), np.zeros((2, 2), np.float32), np.zeros(4, np.int32), np.ones(4, np.float32)]
    assert len({checkpoint.digest(array) for array in arrays}) == len(arrays)
    assert checkpoint.digest(arrays[0]) == checkpoint.digest(np.zeros(8, np.float32)[::2])
