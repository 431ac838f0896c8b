"""Parameters and their way into files and back: versions, snapshots, strict loading, PyTorch's layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pyconvx import nn
from pyconvx.errors import DTypeError, OptionError, ShapeError, WeightsError
from pyconvx.nn.layer import Layout


def network(seed: int = 1) -> nn.Sequential:
    return nn.Sequential({"fc": nn.Linear(3, 3, random_state=seed), "norm": nn.BatchNorm(3), "act": nn.PReLU(3)})


def test_parameter_is_read_only_and_counts() -> None:
    parameter = nn.Parameter([1, 2])
    assert (parameter.version, parameter.dtype, parameter.shape) == (0, np.float32, (2,))
    old = parameter.value
    with pytest.raises(ValueError, match="read-only"):
        parameter.value[0] = 5
    with pytest.raises(AttributeError):
        parameter.value = np.zeros(2)  # type: ignore[misc]
    source = np.array([3.0, 4.0])
    parameter.assign(source)
    source[:] = 0
    assert parameter.version == 1
    np.testing.assert_array_equal(parameter.value, [3, 4])
    np.testing.assert_array_equal(old, [1, 2])


def test_parameter_refuses() -> None:
    parameter = nn.Parameter(np.zeros((2, 3)))
    with pytest.raises(ShapeError, match=r"\(3, 2\); this parameter has \(2, 3\)"):
        parameter.assign(np.zeros((3, 2)))
    with pytest.raises(DTypeError, match="int64"):
        parameter.assign(np.zeros((2, 3), np.int64))
    with pytest.raises(DTypeError, match="float16"):
        nn.Parameter(0.0, np.float16)
    assert parameter.version == 0


def test_state_is_a_snapshot() -> None:
    net = network()
    state = net.state_dict()
    assert list(state) == [
        "fc.weight",
        "fc.bias",
        "norm.weight",
        "norm.bias",
        "act.weight",
        "norm.running_mean",
        "norm.running_var",
    ]
    before = {name: array.copy() for name, array in state.items()}
    for parameter in net.named_parameters().values():
        parameter.assign(parameter.value + 1)
    for name, array in before.items():
        np.testing.assert_array_equal(state[name], array)
    net.load_state_dict(state)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@pytest.mark.parametrize("layout", ["channels_last", "pytorch"])
def test_save_and_load(tmp_path: Path, layout: Layout) -> None:
    net, other = network(1), network(2)
    net.save(tmp_path / "net.safetensors", layout=layout)
    other.load(tmp_path / "net.safetensors", layout=layout)
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], array)
    wrong = "channels_last" if layout == "pytorch" else "pytorch"
    with pytest.raises(WeightsError, match=f"pass layout='{layout}'"):
        other.load(tmp_path / "net.safetensors", layout=wrong)


def test_pytorch_layout_swaps_kernels_only() -> None:
    net = network()
    state = net.state_dict(layout="pytorch")
    np.testing.assert_array_equal(state["fc.weight"], net["fc"].named_parameters()["weight"].value.T)
    np.testing.assert_array_equal(state["norm.running_var"], net.state_dict()["norm.running_var"])
    state["norm.num_batches_tracked"] = np.array(3)
    network().load_state_dict(state, layout="pytorch")
    with pytest.raises(WeightsError, match="num_batches_tracked"):
        network().load_state_dict(state)


def test_a_bad_state_changes_nothing_and_is_explained() -> None:
    net = network()
    versions = {name: p.version for name, p in net.named_parameters().items()}
    good = dict(network(5).state_dict())
    missing = {name: array for name, array in good.items() if name != "fc.bias"}
    with pytest.raises(WeightsError, match=r"missing: fc\.bias"):
        net.load_state_dict(missing)
    with pytest.raises(WeightsError, match=r"not of this network: fc2\.bias"):
        net.load_state_dict(good | {"fc2.bias": np.zeros(3)})
    with pytest.raises(WeightsError, match=r"fc.weight is \(3, 4\), expected \(3, 3\)"):
        net.load_state_dict(good | {"fc.weight": np.zeros((3, 4))}, strict=False)
    with pytest.raises(WeightsError, match=r"fc\.weight is int64"):
        net.load_state_dict(good | {"fc.weight": np.zeros((3, 3), np.int64)})
    with pytest.raises(OptionError, match="layout"):
        net.load_state_dict(good, layout="NCHW")  # type: ignore[arg-type]
    assert {name: p.version for name, p in net.named_parameters().items()} == versions
    left = net.load_state_dict(missing | {"x": np.zeros(1)}, strict=False)
    assert left.missing == ["fc.bias"]
    assert left.unexpected == ["x"]
    np.testing.assert_array_equal(net.state_dict()["fc.weight"], good["fc.weight"])


def test_the_other_layout_is_suggested_where_it_fits() -> None:
    net = nn.Sequential({"fc": nn.Linear(3, 5)})
    with pytest.raises(WeightsError, match="they fit layout='pytorch'"):
        net.load_state_dict({"fc.weight": np.zeros((5, 3)), "fc.bias": np.zeros(5)})
    with pytest.raises(WeightsError, match=r"expected \(5, 3\) \(they fit layout='channels_last'\)"):
        net.load_state_dict({"fc.weight": np.zeros((3, 5)), "fc.bias": np.zeros(5)}, layout="pytorch")


def test_errors_of_files_name_the_file(tmp_path: Path) -> None:
    nn.Linear(2, 2).save(tmp_path / "small")
    with pytest.raises(WeightsError, match=r"small: the weights do not fit; shapes: weight is \(2, 2\)"):
        nn.Linear(3, 3).load(tmp_path / "small")
    nn.safetensors.save_file({"weight": np.zeros((2, 2)), "bias": np.zeros(2)}, tmp_path / "bare")
    nn.Linear(2, 2).load(tmp_path / "bare")
    nn.safetensors.save_file({}, tmp_path / "torch", metadata={"format": "pt"})
    with pytest.raises(WeightsError, match="pass layout='pytorch'"):
        nn.Linear(2, 2).load(tmp_path / "torch")


def test_same_seed_same_weights() -> None:
    for name, array in network(4).state_dict().items():
        np.testing.assert_array_equal(array, network(4).state_dict()[name])
    assert not np.array_equal(network(4).state_dict()["fc.weight"], network(5).state_dict()["fc.weight"])


@pytest.mark.torch
def test_pytorch_reads_and_writes_the_same_numbers() -> None:
    torch = pytest.importorskip("torch")
    net = network()
    theirs = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.BatchNorm1d(3), torch.nn.PReLU(3)).eval()
    names = {"fc": "0", "norm": "1", "act": "2"}
    state = net.state_dict(layout="pytorch")
    theirs.load_state_dict(
        {f"{names[n.split('.')[0]]}.{n.split('.')[1]}": torch.tensor(a.copy()) for n, a in state.items()}, strict=False
    )
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    np.testing.assert_allclose(net(x), theirs(torch.tensor(x)).detach().numpy(), rtol=1e-5, atol=1e-6)
