"""Convolutional layers: the oracle, the lecture's layers, fusion with a ReLU, packed weights, PyTorch's layout."""

from __future__ import annotations

import copy
import gc
import pickle
import weakref
from typing import Any

import gradients
import numpy as np
import pytest
import reference as ref
from numpy.typing import DTypeLike, NDArray

import pyconvx
from pyconvx import nn
from pyconvx.errors import ShapeError
from pyconvx.functional._packing import PackedWeights

Array = NDArray[Any]


def picture(*shape: int) -> Array:
    return np.random.default_rng(5).standard_normal(shape).astype(np.float32)


def test_layer_is_the_oracle() -> None:
    layer = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2, dtype=np.float64, random_state=1)
    assert layer.bias is not None
    layer.bias.assign(np.arange(6.0))
    x = np.random.default_rng(0).standard_normal((2, 7, 8, 4))
    expected = ref.conv(x, layer.weight.value, layer.bias.value, (2, 2), [(1, 1)] * 2, (1, 1), 2)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-12, atol=1e-12)


def test_the_lecture_s_layers() -> None:
    """14x1 * 5x1, 16 filters -> 10x16 -> 32 filters -> 6x32; 14x14x3; 14x14x14x1 -> 10x10x10x16 -> 6x6x6x32."""
    signal = nn.Sequential({"one": nn.Conv1d(1, 16, 5), "two": nn.Conv1d(16, 32, 5)})
    assert [y.shape for y in signal.features(picture(1, 14, 1), ["one", "two"]).values()] == [(1, 10, 16), (1, 6, 32)]
    assert nn.Conv2d(3, 16, 5)(picture(1, 14, 14, 3)).shape == (1, 10, 10, 16)
    volume = nn.Sequential({"one": nn.Conv3d(1, 16, 5), "two": nn.Conv3d(16, 32, 5)})
    shapes = [y.shape for y in volume.features(picture(1, 14, 14, 14, 1), ["one", "two"]).values()]
    assert shapes == [(1, 10, 10, 10, 16), (1, 6, 6, 6, 32)]


def two_stages() -> nn.Sequential:
    return nn.Sequential(
        {
            "conv1": nn.Conv2d(3, 8, 3, padding=1, random_state=1),
            "relu1": nn.ReLU(),
            "conv2": nn.Conv2d(8, 5, 3, padding=1, random_state=2),
            "relu2": nn.ReLU(),
        }
    )


def calls(net: nn.Sequential, monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, bool]]:
    """Record how convolutions are run: their output channels, and whether with a ReLU. The core replays none."""
    seen: list[tuple[int, bool]] = []
    compute = nn.Conv2d._compute

    def spy(self: nn.Conv2d, x: Array, packed: PackedWeights, relu: bool) -> Array:
        seen.append((self.out_channels, relu))
        return compute(self, x, packed, relu)

    monkeypatch.setattr(nn.Conv2d, "_compute", spy)
    monkeypatch.setattr(nn.Conv2d, "_key", lambda self, relu: None)
    return seen


def test_relu_is_fused_unless_the_convolution_is_tapped(monkeypatch: pytest.MonkeyPatch) -> None:
    net, x = two_stages(), picture(1, 9, 7, 3)
    seen = calls(net, monkeypatch)
    net(x)
    net.vjp(x)
    assert seen == [(8, True), (5, True)] * 2
    del seen[:]
    net.features(x, ["conv1", "relu1"])
    net.vjp(x, taps=["relu2", "conv2"])
    net.features(x, ["conv2"])
    assert seen == [(8, False), (8, True), (5, False), (8, True), (5, False)]


def test_fusion_changes_no_bit() -> None:
    net, x = two_stages(), picture(2, 9, 7, 3)
    fused, pull_fused = net.vjp(x, taps=["relu1", "relu2"])
    plain, pull_plain = net.vjp(x, taps=["conv1", "conv2", "relu1", "relu2"])
    dys = {name: picture(*y.shape) for name, y in fused.items()}
    for name, y in fused.items():
        np.testing.assert_array_equal(y, plain[name])
    (dx, grads), (dx_plain, grads_plain) = pull_fused(dys), pull_plain(dys)
    np.testing.assert_array_equal(dx, dx_plain)
    for name, grad in grads.items():
        np.testing.assert_array_equal(grad, grads_plain[name])


def test_no_fusion_where_something_else_reads_the_convolution() -> None:
    conv = nn.Conv2d(3, 4, 3, padding=1, random_state=1)
    net = nn.Graph({"conv": (conv, "input"), "relu": (nn.ReLU(), "conv"), "sum": (nn.Add(), "conv", "relu")})
    x = picture(1, 5, 5, 3)
    y = conv(x)
    np.testing.assert_array_equal(net(x), y + np.maximum(y, 0))


def test_a_convolution_alone_is_never_rectified() -> None:
    """A ReLU over a ReLU over a convolution: the second one is not the convolution's."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3, random_state=1), nn.ReLU(), nn.ReLU())
    x = picture(1, 5, 5, 3)
    np.testing.assert_array_equal(net(x), np.maximum(net["0"](x), 0))
    assert (net["0"](x) < 0).any()


def test_wrt_input_keeps_no_activation() -> None:
    net = two_stages()
    x = picture(1, 32, 32, 3)
    found, pullback = net.vjp(x, "input", taps=["relu1", "relu2"])
    watches = [weakref.ref(x), *(weakref.ref(y) for y in found.values())]
    del x, found
    gc.collect()
    assert [watch() for watch in watches] == [None] * 3
    dx, grads = pullback({"relu2": picture(1, 32, 32, 5)})
    assert dx is not None
    assert dx.shape == (1, 32, 32, 3)
    assert grads == {}


def test_weights_are_packed_once_for_each_version_and_instruction_set() -> None:
    layer = nn.Conv2d(3, 4, 3, padding=1, random_state=1)
    for shape in [(1, 40, 40, 3), (2, 39, 41, 3), (40, 40, 3)]:  # of one choice between the direct ways
        y, pullback = layer.vjp(picture(*shape))
        pullback(y)
    old = layer._packed.present()
    assert old.packed == 2  # forward and input gradient
    old_y, old_pullback = layer.vjp(picture(1, 40, 40, 3))
    old_dx, _ = old_pullback(old_y)
    layer.weight.assign(layer.weight.value * 2)
    np.testing.assert_allclose(layer(picture(1, 40, 40, 3)), 2 * old_y, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(old_pullback(old_y)[0], old_dx)  # the weights of its time
    new = layer._packed.present()
    assert (old.packed, new.packed) == (2, 1)
    chosen = pyconvx.active_isa()
    try:
        pyconvx.force_isa("scalar")
        layer(picture(1, 40, 40, 3))
    finally:
        pyconvx.force_isa(chosen)
    assert (old.packed, new.packed) == (2, 1 + (chosen != "scalar"))


def test_forms_belong_to_an_array_and_not_to_a_number() -> None:
    """Two threads that assign at once can bring back a version that was there before."""
    layer, x = nn.Conv2d(3, 4, 3, random_state=1), picture(1, 8, 8, 3)
    y = layer(x)
    layer.weight.assign(layer.weight.value * 2)
    layer.weight._version -= 1
    np.testing.assert_allclose(layer(x), 2 * y, rtol=1e-5, atol=1e-5)


def test_copies_and_pickles_compute_the_same() -> None:
    net, x = two_stages(), picture(1, 6, 6, 3)
    y = net(x)
    for other in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(other(x), y)
        parameter = other.named_parameters()["conv1.weight"]
        assert not parameter.value.flags.writeable
        parameter.assign(parameter.value * 0)
        assert not np.array_equal(other(x), y)
    np.testing.assert_array_equal(net(x), y)


def test_one_network_over_one_two_and_three_axes() -> None:
    ranks = [(nn.Conv1d, nn.MaxPool1d), (nn.Conv2d, nn.MaxPool2d), (nn.Conv3d, nn.MaxPool3d)]
    for rank, (conv, pool) in enumerate(ranks, 1):
        net = nn.Sequential(
            conv(3, 8, 3, padding="same", dtype=np.float64, random_state=1),
            nn.ReLU(),
            pool(2),
            nn.GlobalAvgPool(),
            nn.Linear(8, 2, dtype=np.float64),
        )
        x = np.random.default_rng(rank).standard_normal((2, *[6] * rank, 3))
        assert net(x).shape == (2, 2)
        assert gradients.worst_error(net, x) < gradients.TOLERANCE


def test_groups_must_divide() -> None:
    with pytest.raises(ShapeError, match="groups=2 must divide in_channels=3"):
        nn.Conv2d(3, 4, 3, groups=2)


@pytest.mark.torch
def test_pytorch_s_transposed_weights_give_pytorch_s_numbers() -> None:
    torch = pytest.importorskip("torch")
    options = {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}
    ours, theirs = nn.ConvTranspose2d(4, 6, 3, **options), torch.nn.ConvTranspose2d(4, 6, 3, **options)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()}, layout="pytorch")
    x = picture(2, 5, 4, 4)
    expected = theirs(torch.tensor(np.ascontiguousarray(np.moveaxis(x, -1, 1)))).detach().numpy()
    np.testing.assert_allclose(np.moveaxis(ours(x), -1, 1), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.torch
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_pytorch_s_weights_give_pytorch_s_numbers(rank: int) -> None:
    torch = pytest.importorskip("torch")
    ours = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[rank](4, 6, 3, stride=2, padding=1, groups=2)
    theirs = getattr(torch.nn, f"Conv{rank}d")(4, 6, 3, stride=2, padding=1, groups=2)
    ours.load_state_dict({k: v.numpy() for k, v in theirs.state_dict().items()}, layout="pytorch")
    x = picture(2, *[7, 6, 5][:rank], 4)
    expected = theirs(torch.tensor(np.ascontiguousarray(np.moveaxis(x, -1, 1)))).detach().numpy()
    np.testing.assert_allclose(np.moveaxis(ours(x), -1, 1), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("isa", pyconvx.available_isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_row_of_linear_has_the_same_bits_alone(isa: str, dtype: DTypeLike) -> None:
    """Row counts on either side of every register tile (up to 14 rows) and well past one block of rows."""
    layer = nn.Linear(300, 37, dtype=dtype, random_state=1)
    x = np.random.default_rng(2).standard_normal((701, 300)).astype(dtype)
    chosen = pyconvx.active_isa()
    try:
        pyconvx.force_isa(isa)
        alone = [layer(x[i]) for i in range(40)]
        for count in [*range(1, 40), 701]:
            y = layer(x[:count])
            for i in range(min(count, 40)):
                np.testing.assert_array_equal(y[i], alone[i])
    finally:
        pyconvx.force_isa(chosen)


def test_linear_of_no_rows() -> None:
    layer = nn.Linear(3, 2)
    y, pullback = layer.vjp(np.zeros((0, 3), np.float32))
    dx, grads = pullback(y)
    assert dx is not None
    assert (y.shape, dx.shape, grads["weight"].shape) == ((0, 2), (0, 3), (3, 2))
    assert not grads["weight"].any()
