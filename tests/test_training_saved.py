"""Encoders in one file, with how their inputs are read: what lies is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyconvx import nn, training
from pyconvx.errors import OptionError, WeightsError


def test_encoders_that_lie(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    format = training.InputFormat(shape=(4, 1))
    with pytest.raises(OptionError, match="no shape"):
        training.save_encoder(path, net, training.InputFormat())
    for change in (
        {"input": "{"},
        {"input": training.InputFormat().to_json()},
        {"input": training.InputFormat(shape=(5, 1)).to_json()},
        {"input": training.InputFormat(shape=(5, 1)).to_json().replace("[5", "[1099511627776")},
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
