"""Surveys on Dask's workers, where Dask is installed, and what is said where it is not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_visualize_top import assert_same, coarse, coarse_net

from pyconvx import nn, visualize
from pyconvx.errors import MissingExtraError, OptionError


def make_net() -> nn.Sequential:
    return coarse_net(2)


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(MissingExtraError, match=r"pyconvx\[dask\]"):
        visualize.survey_with_dask(make_net, ["relu"], coarse(2))


def test_a_folder_on_dasks_threads(tmp_path: Path) -> None:
    dask = pytest.importorskip("dask")
    for index, x in enumerate(coarse(2)):
        np.save(tmp_path / f"{index:03}.npy", x)
    wanted = visualize.survey(make_net(), ["conv", "relu"], tmp_path)
    assert_same(visualize.survey_with_dask(make_net, ["conv", "relu"], tmp_path, shards=3), wanted)

    def compute(parts: list[Any]) -> list[Any]:
        return list(dask.compute(*parts, scheduler="sync"))

    assert_same(visualize.survey_with_dask(make_net, ["conv", "relu"], tmp_path, shards=7, compute=compute), wanted)
    with pytest.raises(OptionError, match="state: not for parts"):
        visualize.survey_with_dask(make_net, ["relu"], tmp_path, state="x")
    with pytest.raises(OptionError, match="shards is 0"):
        visualize.survey_with_dask(make_net, ["relu"], tmp_path, shards=0)


def test_a_part_can_be_sent_to_another_process(tmp_path: Path) -> None:
    import pickle

    part = visualize.survey(make_net(), ["relu"], coarse(2), shard=(0, 2))
    assert_same(pickle.loads(pickle.dumps(part)), part)
