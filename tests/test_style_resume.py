"""A run that was stopped, even by kill -9, ends with the same bits as one that was not."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_network import CONTENT_LAYERS, STYLE_LAYERS, TinyNetwork, picture

from pyconvx.errors import Interrupted, OptionError
from pyconvx.style import Result, StyleTransfer

CONTENT, STYLE = picture(40, 56, 1), picture(48, 40, 2)
OPTIONS: dict[str, Any] = {
    "size": 48,
    "steps": 12,
    "pyramid": 2,  # 12 steps, then 6
    "init": "random",
    "seed": 8,
    "style_layers": STYLE_LAYERS,
    "content_layers": CONTENT_LAYERS,
}

KILLED = """
import os, signal, sys
sys.path[:0] = {path!r}
from tiny_network import TinyNetwork
from test_style_resume import CONTENT, OPTIONS, STYLE
from pyconvx.style import StyleTransfer

def kill(step):
    if step.done == 14:
        os.kill(os.getpid(), signal.SIGKILL)

transfer = StyleTransfer(network=TinyNetwork(), **OPTIONS)
transfer.run(CONTENT, STYLE, checkpoint={checkpoint!r}, checkpoint_every=3, callback=kill)
"""


def painter(**options: Any) -> StyleTransfer:
    return StyleTransfer(network=TinyNetwork(), **{**OPTIONS, **options})


def without_times(result: Result) -> list[dict[str, Any]]:
    return [{name: value for name, value in record.items() if name != "seconds"} for record in result.trace]


def assert_same(result: Result, wanted: Result) -> None:
    np.testing.assert_array_equal(result.picture, wanted.picture)
    assert result.cost == wanted.cost
    assert without_times(result) == without_times(wanted)


def interrupt_after(steps: int) -> Any:
    def callback(step: Any) -> None:
        if step.done == steps:
            raise KeyboardInterrupt

    return callback


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", "gd"])
@pytest.mark.parametrize("stopped_after", [2, 5, 12, 13, 18], ids=lambda steps: f"step {steps}")
def test_resumed_runs_have_the_same_bits(tmp_path: Path, optimizer: str, stopped_after: int) -> None:
    wanted = painter(optimizer=optimizer).run(CONTENT, STYLE)
    path = tmp_path / "run.ckpt"
    with pytest.raises(Interrupted):
        painter(optimizer=optimizer).run(
            CONTENT, STYLE, checkpoint=path, checkpoint_every=2, callback=interrupt_after(stopped_after)
        )
    steps: list[int] = []
    resumed = painter(optimizer=optimizer).run(
        CONTENT, STYLE, checkpoint=path, resume=True, callback=lambda step: steps.append(step.done)
    )
    assert steps == list(range(stopped_after // 2 * 2 + 1, 19)) or (stopped_after == 13 and steps[0] == 13)
    assert_same(resumed, wanted)


def test_a_killed_process_loses_nothing_but_time(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    program = KILLED.format(path=sys.path, checkpoint=str(path))
    killed = subprocess.run([sys.executable, "-c", program], timeout=120, check=False)
    assert killed.returncode == -signal.SIGKILL
    resumed = painter().run(CONTENT, STYLE, checkpoint=path, resume=True)
    assert_same(resumed, painter().run(CONTENT, STYLE))


def test_a_callback_that_stops_leaves_a_run_that_can_go_on(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    first = painter().run(CONTENT, STYLE, checkpoint=path, checkpoint_every=5, callback=lambda step: step.done == 5)
    assert first.stopped == "callback"
    assert_same(painter().run(CONTENT, STYLE, checkpoint=path, resume=True), painter().run(CONTENT, STYLE))


def test_resuming_a_finished_run_gives_its_result(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    wanted = painter().run(CONTENT, STYLE, checkpoint=path)
    steps: list[int] = []
    again = painter().run(CONTENT, STYLE, checkpoint=path, resume=True, callback=lambda step: steps.append(step.done))
    assert steps == []
    assert_same(again, wanted)


def test_resume_without_a_file_starts_at_the_beginning(tmp_path: Path) -> None:
    assert_same(
        painter().run(CONTENT, STYLE, checkpoint=tmp_path / "run.ckpt", resume=True), painter().run(CONTENT, STYLE)
    )


def test_other_options_pictures_and_weights_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    painter(steps=2).run(CONTENT, STYLE, checkpoint=path)
    for wrong, options, content, style in (
        ("options.tv_weight", {"tv_weight": 3.0}, CONTENT, STYLE),
        ("options.seed", {"seed": 9}, CONTENT, STYLE),
        ("content", {}, STYLE, STYLE),
        ("styles", {}, CONTENT, CONTENT),
        ("weights", {"network": TinyNetwork(seed=3)}, CONTENT, STYLE),
    ):
        with pytest.raises(OptionError, match=rf"belongs to another run \({wrong}"):
            StyleTransfer(**{"network": TinyNetwork(), **OPTIONS, "steps": 2, **options}).run(
                content, style, checkpoint=path, resume=True
            )


def test_a_checkpoint_is_not_overwritten_by_accident(tmp_path: Path) -> None:
    path = tmp_path / "run.ckpt"
    painter(steps=2).run(CONTENT, STYLE, checkpoint=path)
    with pytest.raises(OptionError, match="is there already; resume it, or remove it"):
        painter(steps=2).run(CONTENT, STYLE, checkpoint=path)


def test_paths_and_intervals_are_checked_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="resume needs checkpoint"):
        painter().run(CONTENT, STYLE, resume=True)
    with pytest.raises(OptionError, match="does not exist"):
        painter().run(CONTENT, STYLE, checkpoint=tmp_path / "no" / "run.ckpt")
    with pytest.raises(OptionError, match="checkpoint_every must be a whole number from 1: got 0"):
        painter().run(CONTENT, STYLE, checkpoint=tmp_path / "run.ckpt", checkpoint_every=0)
    (tmp_path / "file").touch()
    with pytest.raises(OptionError, match="frames must name a folder"):
        painter().run(CONTENT, STYLE, frames=tmp_path / "file")
