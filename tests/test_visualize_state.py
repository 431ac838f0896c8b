"""The state file: a pass that was stopped or killed goes on and finds the same bits; damaged files are told."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_visualize_top import assert_same, coarse, coarse_net

from pyconvx import visualize
from pyconvx.errors import Interrupted, OptionError, WeightsError
from pyconvx.nn import safetensors

KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from test_visualize_top import coarse, coarse_net
from pyconvx import visualize

def kill(done, total, info):
    if done >= {after}:
        os.kill(os.getpid(), signal.SIGKILL)

data = coarse(2, 60)
options = dict(state={state!r}, resume=True, save_every=7, batch_size=4, progress=kill)
visualize.survey(coarse_net(2), ["conv", "relu"], {form}, 9, **options)
"""


@pytest.mark.parametrize("form", ["data", "iter(data)"])
def test_killed_again_and_again_it_finds_the_same(tmp_path: Path, form: str) -> None:
    state = tmp_path / "state"
    for after in (17, 30, 53):
        program = KILLED.format(path=sys.path, after=after, form=form, state=str(state))
        killed = subprocess.run([sys.executable, "-c", program], timeout=120, check=False)
        assert killed.returncode == -signal.SIGKILL
        assert visualize.Survey.load(state).done == [(0, after // 7 * 7)]
    data = coarse(2, 60)
    once = data if form == "data" else iter(data)
    resumed = visualize.survey(coarse_net(2), ["conv", "relu"], once, 9, state=state, resume=True)
    again = data if form == "data" else iter(data)
    wanted = visualize.survey(coarse_net(2), ["conv", "relu"], again, 9)
    assert_same(resumed, wanted)
    assert_same(visualize.Survey.load(state), wanted)
    for layer in ("conv", "relu"):
        for unit in range(6):
            for one, two in zip(
                resumed[layer].patches(unit, data, coarse_net(2)),
                wanted[layer].patches(unit, data, coarse_net(2)),
                strict=True,
            ):
                np.testing.assert_array_equal(one.x, two.x)


def test_layers_stay_as_they_were_asked_for(tmp_path: Path) -> None:
    net, data = coarse_net(2), coarse(2)
    for layers in (["conv", "relu"], ["relu", "conv"]):
        found = visualize.survey(net, layers, data, state=tmp_path / layers[0])
        loaded = visualize.Survey.load(tmp_path / layers[0])
        assert found.layers == loaded.layers == layers
        for layer in layers:
            wanted = visualize.top_patches(net, layer, None, data).statistics
            np.testing.assert_array_equal(loaded[layer].statistics.mean, wanted.mean)
        assert_same(loaded, found)


def test_a_file_that_cannot_be_written_is_told_before_any_work(tmp_path: Path) -> None:
    def never(*_: Any) -> None:
        raise AssertionError("it was looked at pictures")

    refused = [(tmp_path, "is a folder; name a file in it")]
    if Path("/proc/version").exists():  # a folder that takes no file, not even from its owner
        refused.append((Path("/proc/survey"), "cannot be written"))
    for resume in (False, True):
        for state, message in refused:
            with pytest.raises(OptionError, match=message):
                visualize.survey(coarse_net(1), ["conv"], coarse(1), state=state, resume=resume, progress=never)
    assert not list(tmp_path.glob("*"))


def test_a_finished_pass_is_not_done_again(tmp_path: Path) -> None:
    state, data, net = tmp_path / "state", coarse(1), coarse_net(1)
    wanted = visualize.survey(net, ["relu"], data, state=state)
    steps: list[int] = []
    again = visualize.survey(
        net, ["relu"], data, state=state, resume=True, progress=lambda done, total, info: steps.append(done)
    )
    assert not steps
    assert_same(again, wanted)


def test_shards_are_resumed_saved_and_merged(tmp_path: Path) -> None:
    data, net = coarse(3), coarse_net(3)

    def stop(done: int, total: int, info: dict[str, Any]) -> None:
        assert total == 20
        if done >= 8:
            raise KeyboardInterrupt

    for index in range(2):
        with pytest.raises(Interrupted, match="the state file has what was found"):
            visualize.survey(net, ["relu"], data, state=tmp_path / f"{index}", shard=(index, 2), progress=stop)
    for index in range(2):
        visualize.survey(net, ["relu"], data, state=tmp_path / f"{index}", shard=(index, 2), resume=True)
    empty = visualize.survey(net, ["relu"], data, state=tmp_path / "empty", shard=(0, 99))
    assert_same(visualize.Survey.load(tmp_path / "empty"), empty)
    assert empty.pictures == 0
    merged = visualize.merge([visualize.Survey.load(tmp_path / f"{index}") for index in (1, 0)])
    assert_same(merged, visualize.survey(net, ["relu"], data))
    with pytest.raises(OptionError, match="which do not begin this part"):
        visualize.survey(net, ["relu"], data, state=tmp_path / "1", resume=True)


def test_another_survey_is_refused(tmp_path: Path) -> None:
    state, data, net = tmp_path / "state", coarse(1), coarse_net(1)
    visualize.survey(net, ["relu"], data, state=state)
    with pytest.raises(OptionError, match="is there already; resume it, or remove it"):
        visualize.survey(net, ["relu"], data, state=state)
    other = coarse_net(1)
    other.load_state_dict({name: array * 2 for name, array in other.state_dict().items()})
    for wrong, call in (
        ("k differ", lambda: visualize.survey(net, ["relu"], data, 3, state=state, resume=True)),
        ("layers differ", lambda: visualize.survey(net, ["conv"], data, state=state, resume=True)),
        ("weights differ", lambda: visualize.survey(other, ["relu"], data, state=state, resume=True)),
        ("data differ", lambda: visualize.survey(net, ["relu"], data[:9], state=state, resume=True)),
        ("data differ", lambda: visualize.survey(net, ["relu"], data, labels=["a"] * 40, state=state, resume=True)),
    ):
        with pytest.raises(OptionError, match=wrong):
            call()
    labels = ["a", "b"] * 20
    visualize.survey(net, ["relu"], data, labels=labels, state=tmp_path / "labelled")
    with pytest.raises(OptionError, match="data differ"):
        visualize.survey(net, ["relu"], data, labels=labels[::-1], state=tmp_path / "labelled", resume=True)
    with pytest.raises(OptionError, match=r"different things \(k\)"):
        visualize.merge([visualize.survey(net, ["relu"], data, k, shard=(k - 2, 2)) for k in (2, 3)])


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    state, data, net = tmp_path / "state", coarse(1), coarse_net(1)
    visualize.survey(net, ["relu"], data, state=state)
    tensors, metadata = safetensors.load_file(state), safetensors.load_metadata(state)
    whole = state.read_bytes()
    for count in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        state.write_bytes(whole[:count])
        with pytest.raises(WeightsError):
            visualize.Survey.load(state)
    for place in range(len(whole) - 1, len(whole) - 3000, -97):  # a bit in the tables, which any reader would believe
        state.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(WeightsError, match="damaged"):
            visualize.Survey.load(state)
    asked = json.loads(metadata["asked"])
    for broken_tensors, broken_metadata in (
        ({name: array for name, array in tensors.items() if name != "0/sums"}, metadata),
        (tensors | {"0/values": tensors["0/values"][:2]}, metadata),
        (tensors | {"class_counts": tensors["class_counts"][:0]}, metadata),
        (tensors, metadata | {"state": "[]"}),
        (tensors, metadata | {"asked": json.dumps(asked | {"k": 4})}),
        (tensors, {"format": metadata["format"]}),
    ):
        safetensors.save_file(broken_tensors, state, metadata=broken_metadata)
        with pytest.raises(WeightsError, match="damaged"):
            visualize.Survey.load(state)
    safetensors.save_file(tensors, state)
    with pytest.raises(WeightsError, match="is not a survey"):
        visualize.Survey.load(state)
