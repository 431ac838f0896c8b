"""Networks in one file, layers and weights: the same function back, and a file that lies is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from check import assert_same_bits

from pyconvx import nn
from pyconvx.errors import OptionError, WeightsError
from pyconvx.nn import architecture, safetensors


def networks() -> dict[str, tuple[nn.Layer, tuple[int, ...]]]:
    """Every class of layer and merge, and the shape of an input."""
    shared = nn.Conv1d(4, 4, 3, padding="same")
    branches = nn.Graph(
        {
            "first": (nn.Conv2d(3, 4, (3, 5), (2, 1), ((1, 0), (2, 2)), groups=1, bias=False), "input"),
            "norm": (nn.BatchNorm(4, 1e-4, 0.3), "first"),
            "slope": (nn.PReLU(4), "norm"),
            "same": (nn.Conv2d(4, 4, 3, padding=1, dilation=1, groups=2, precision="fast"), "slope"),
            "sum": (nn.Add(), "same", "slope"),
            "product": (nn.Multiply(), "sum", "same"),
            "both": (nn.Concat(), "sum", "product"),
            "wide": (nn.PaddedAdd(), "both", "sum"),
            "unread": (nn.ReLU(), "wide"),
        },
        output="wide",
    )
    return {
        "signals": (
            nn.Sequential(
                {
                    "conv": nn.Conv1d(2, 4, 5, 2, "causal", random_state=0),
                    "again": shared,
                    "relu": nn.ReLU(),
                    "twice": shared,
                    "pool": nn.MaxPool1d(3, 2, 1, ceil_mode=True),
                    "mean": nn.AvgPool1d(2, count_include_pad=False),
                    "all": nn.GlobalAvgPool(),
                    "out": nn.Linear(4, 6, bias=False),
                    "unit": nn.L2Normalize(1e-6),
                }
            ),
            (3, 40, 2),
        ),
        "pictures": (branches, (2, 9, 8, 3)),
        "larger": (nn.ConvTranspose2d(3, 5, 3, 2, 1, 1, dilation=1), (1, 4, 5, 3)),
        "volumes": (
            nn.Sequential(
                nn.Residual(nn.Conv3d(2, 3, 3, padding=1), nn.Conv3d(2, 3, 1)),
                nn.MaxPool3d(2),
                nn.Dropout(0.25),
                nn.Flatten(order="channels_first"),
                nn.BatchNorm(24, affine=False),
            ),
            (2, 4, 4, 4, 2),
        ),
        "doubles": (
            nn.Sequential(nn.AvgPool2d(2), nn.MaxPool2d(2), nn.AvgPool3d(1), nn.Conv2d(1, 2, 1, dtype=float)),
            (),
        ),
    }


@pytest.mark.parametrize("name", networks())
def test_there_and_back(name: str, tmp_path: Path) -> None:
    net, shape = networks()[name]
    path = tmp_path / "net.safetensors"
    nn.save_network(net, path, metadata={"input": "mine"})
    back = nn.load_network(path)
    assert nn.describe(back) == nn.describe(net) == json.loads(json.dumps(nn.describe(net)))
    assert repr(back) == repr(net)
    assert safetensors.load_metadata(path)["input"] == "mine"
    for key, value in net.state_dict().items():
        assert_same_bits(back.state_dict()[key], value)
    if shape:
        x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
        assert_same_bits(back(x), net(x))
        back.load(path)  # it is a file of weights as any other


def test_every_class_can_be_described() -> None:
    classes = {kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, (nn.Layer, nn.Merge))}
    networks = {nn.Sequential, nn.Residual, nn.Graph}
    known = {*architecture.LEAVES.values(), *architecture.MERGES.values(), *networks}
    assert classes - {nn.Layer, nn.Merge} == known
    seen = {part["layer"] for net, _ in globals()["networks"]().values() for part in parts(nn.describe(net))}
    assert seen == {kind.__name__ for kind in known} - set(architecture.MERGES)


def parts(described: Any) -> list[dict[str, Any]]:
    """All layers of a description."""
    inner = [*described.get("layers", {}).values(), *described.get("nodes", {}).values()]
    own = [described] if "layer" in described else []
    return own + [part for child in inner for part in parts(child)]


def test_layers_of_a_callers_own_are_refused(tmp_path: Path) -> None:
    class Mine(nn.ReLU):
        pass

    class Join(nn.Add):
        pass

    for net in (nn.Sequential(Mine()), nn.Graph({"a": (nn.ReLU(), "input"), "b": (Join(), "a", "input")})):
        with pytest.raises(OptionError, match=r"no class of pyconvx\.nn"):
            nn.save_network(net, tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def test_weights_alone_are_not_a_network(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    nn.Linear(2, 3).save(path)
    with pytest.raises(WeightsError, match="no description"):
        nn.load_network(path)


HOSTILE: dict[str, Any] = {
    "not JSON": "{",
    "a list": [],
    "no version": {"version": None},
    "another version": {"version": 2},
    "no layer": {"layer": None},
    "an unknown layer": {"layer": "Popen"},
    "a private class": {"layer": "_Conv"},
    "a loss": {"layer": "MSELoss"},
    "a size that takes all memory": {"arguments": {"in_features": 1 << 40, "out_features": 1 << 40}},
    "a negative size": {"arguments": {"in_features": -2, "out_features": -3}},
    "a size that is no number": {"arguments": {"in_features": "2", "out_features": 3}},
    "groups of zero": {
        "layer": "Conv1d",
        "arguments": {"in_channels": 2, "out_channels": 3, "kernel_size": 1, "groups": 0},
    },
    "arguments of another layer": {"arguments": {"kernel_size": 3}},
    "arguments that are none": {"arguments": 3},
    "layers that are none": {"layer": "Sequential", "layers": {"a": None}},
    "a layer that is not there": {"layer": "Sequential", "layers": {"a": {"again": ".b"}}},
    "a graph that reads itself": {
        "layer": "Graph",
        "nodes": {"a": {"layer": "ReLU", "arguments": {}, "reads": ["a"]}},
        "output": "a",
    },
    "weights of another shape": {"arguments": {"in_features": 3, "out_features": 2}},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_files_that_lie(name: str, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    net = nn.Linear(2, 3)
    change = HOSTILE[name]
    said = {"version": 1, **nn.describe(net), **change} if isinstance(change, dict) else change
    text = said if isinstance(said, str) else json.dumps(said)
    safetensors.save_file(net.state_dict(), path, metadata={"network": text})
    with pytest.raises(WeightsError, match=str(path.name)):
        nn.load_network(path)


def test_deep_nesting(tmp_path: Path) -> None:
    described: dict[str, Any] = {"layer": "ReLU", "arguments": {}}
    for _ in range(100_000):
        described = {"layer": "Sequential", "layers": {"a": described}}
    with pytest.raises(WeightsError, match="nested too deeply"):
        nn.build(described)
