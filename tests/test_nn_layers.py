"""One table for all layers: derivatives, purity, `wrt`, types, missing batch axis."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import gradients
import numpy as np
import pytest
from numpy.typing import DTypeLike, NDArray

import pyconvx
from pyconvx import nn
from pyconvx.errors import DTypeError, OptionError, ShapeError
from pyconvx.nn.layer import Wrt

Array = NDArray[Any]


class Case(NamedTuple):
    make: Callable[[DTypeLike], nn.Layer]
    shape: tuple[int, ...]
    linear: bool = False


def trained(layer: nn.Layer) -> nn.Layer:
    layer.train()
    return layer


CASES = {
    "ReLU": Case(lambda t: nn.ReLU(), (2, 5, 7, 3)),
    "ReLU over one byte": Case(lambda t: nn.ReLU(), (3, 21_871)),  # 65613 elements = 8201 bytes of bits, and 5 bits
    "PReLU": Case(lambda t: nn.PReLU(dtype=t), (2, 9, 3)),
    "PReLU per channel": Case(lambda t: nn.PReLU(3, dtype=t), (2, 4, 5, 6, 3)),
    "Linear": Case(lambda t: nn.Linear(7, 5, dtype=t, random_state=1), (4, 7)),
    "Linear without bias": Case(lambda t: nn.Linear(7, 5, bias=False, dtype=t, random_state=1), (2, 3, 7), True),
    "BatchNorm": Case(lambda t: _shifted(nn.BatchNorm(4, dtype=t)), (5, 6, 4)),
    "BatchNorm in training": Case(lambda t: trained(_shifted(nn.BatchNorm(4, dtype=t))), (5, 3, 2, 4)),
    "BatchNorm plain": Case(lambda t: trained(nn.BatchNorm(4, affine=False, dtype=t)), (5, 4)),
    "L2Normalize": Case(lambda t: nn.L2Normalize(), (6, 8)),
    "L2Normalize below eps": Case(lambda t: nn.L2Normalize(eps=100.0), (6, 8), True),
    "Flatten": Case(lambda t: nn.Flatten(), (2, 3, 4, 5), True),
    "Flatten as PyTorch": Case(lambda t: nn.Flatten(order="channels_first"), (2, 3, 4, 5), True),
    "Conv1d": Case(lambda t: nn.Conv1d(3, 4, 5, stride=2, padding="causal", dtype=t, random_state=1), (2, 11, 3)),
    "Conv2d": Case(lambda t: nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=1, dtype=t, random_state=1), (2, 7, 6, 4)),
    "Conv2d one picture": Case(lambda t: nn.Conv2d(3, 2, 3, padding="same", dtype=t, random_state=1), (6, 5, 3)),
    "Conv2d grouped": Case(
        lambda t: nn.Conv2d(4, 6, 3, dilation=2, groups=2, bias=False, dtype=t, random_state=1), (2, 8, 7, 4), True
    ),
    "Conv2d depthwise": Case(lambda t: nn.Conv2d(3, 6, 3, padding=1, groups=3, dtype=t, random_state=1), (1, 5, 5, 3)),
    "Conv3d": Case(lambda t: nn.Conv3d(2, 3, 3, padding=(1, 0, 1), dtype=t, random_state=1), (2, 4, 4, 3, 2)),
    "Conv3d without bias": Case(
        lambda t: nn.Conv3d(2, 3, 2, bias=False, dtype=t, random_state=1), (1, 3, 4, 3, 2), True
    ),
    "ConvTranspose2d": Case(
        lambda t: nn.ConvTranspose2d(3, 4, (3, 2), stride=2, padding=1, output_padding=1, dtype=t, random_state=1),
        (2, 4, 5, 3),
    ),
    "ConvTranspose2d grouped": Case(
        lambda t: nn.ConvTranspose2d(4, 6, 3, groups=2, dilation=2, bias=False, dtype=t, random_state=1),
        (1, 4, 3, 4),
        True,
    ),
    "ConvTranspose2d and ReLU": Case(
        lambda t: nn.Sequential(nn.ConvTranspose2d(2, 3, 2, stride=2, dtype=t, random_state=1), nn.ReLU()), (2, 3, 4, 2)
    ),
    "MaxPool1d": Case(lambda t: nn.MaxPool1d(3, 2, 1), (2, 11, 3)),
    "MaxPool2d": Case(lambda t: nn.MaxPool2d(2), (2, 7, 6, 3)),
    "MaxPool2d dilated": Case(lambda t: nn.MaxPool2d(2, stride=1, dilation=2), (7, 6, 3)),
    "MaxPool3d": Case(lambda t: nn.MaxPool3d((2, 3, 2), stride=2, padding=1, ceil_mode=True), (2, 5, 4, 6, 2)),
    "AvgPool1d": Case(lambda t: nn.AvgPool1d(3, 2, 1, count_include_pad=False), (2, 11, 3), True),
    "AvgPool2d": Case(lambda t: nn.AvgPool2d(2), (2, 7, 6, 3), True),
    "AvgPool3d": Case(lambda t: nn.AvgPool3d((2, 3, 2), stride=2, padding=1, ceil_mode=True), (2, 5, 4, 6, 2), True),
    "GlobalAvgPool": Case(lambda t: nn.GlobalAvgPool(), (3, 5, 4, 6), True),
    "GlobalAvgPool of signals": Case(lambda t: nn.GlobalAvgPool(), (3, 9, 2), True),
    "Conv2d and ReLU": Case(
        lambda t: nn.Sequential(nn.Conv2d(2, 5, 3, dtype=t, random_state=1), nn.ReLU()), (2, 6, 6, 2)
    ),
    "Dropout in use": Case(lambda t: nn.Dropout(), (4, 9), True),
}


def _shifted(layer: nn.BatchNorm) -> nn.BatchNorm:
    """Statistics and scales away from 0 and 1, so that forgetting one shows."""
    rng = np.random.default_rng(3)
    for parameter in layer._state().values():
        parameter.assign(rng.uniform(0.5, 2, parameter.shape))
    return layer


def build(name: str, dtype: DTypeLike = np.float64) -> tuple[nn.Layer, Array]:
    case = CASES[name]
    x = np.random.default_rng(7).standard_normal(case.shape).astype(dtype)
    return case.make(dtype), x


@pytest.mark.parametrize("name", CASES)
def test_pullback_agrees_with_finite_differences(name: str) -> None:
    layer, x = build(name)
    assert gradients.worst_error(layer, x) < gradients.TOLERANCE


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.linear])
def test_adjoint_identity_of_linear_layers(name: str) -> None:
    """<layer(x), dy> = <x, dx> = <w, dw>."""
    layer, x = build(name)
    y, pullback = layer.vjp(x)
    dy = np.random.default_rng(8).standard_normal(y.shape)
    dx, grads = pullback(dy)
    assert dx is not None
    np.testing.assert_allclose(np.vdot(x, dx), np.vdot(y, dy), rtol=1e-12)
    for name, parameter in layer.named_parameters().items():
        np.testing.assert_allclose(np.vdot(parameter.value, grads[name]), np.vdot(y, dy), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_wrt_chooses_and_changes_no_bit(name: str, dtype: DTypeLike) -> None:
    layer, x = build(name, dtype)
    y, pullback = layer.vjp(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, layer(x))
    dy = np.random.default_rng(9).standard_normal(y.shape).astype(dtype)
    dx, grads = pullback(dy)
    assert dx is not None
    assert dx.dtype == dtype
    assert dx.shape == x.shape
    assert set(grads) == set(layer.named_parameters())
    only_dx, none = layer.vjp(x, wrt="input")[1](dy)
    np.testing.assert_array_equal(only_dx, dx)
    assert none == {}
    nothing, only_grads = layer.vjp(x, wrt="parameters")[1](dy)
    assert nothing is None
    assert set(only_grads) == set(grads)
    for key, grad in grads.items():
        np.testing.assert_array_equal(only_grads[key], grad)


@pytest.mark.parametrize("name", CASES)
def test_pullback_is_pure(name: str) -> None:
    """Called twice it says the same, it changes nothing that it was given, and keeps the weights of its time."""
    layer, x = build(name)
    before = x.copy()
    y, pullback = layer.vjp(x)
    dy = np.random.default_rng(10).standard_normal(y.shape)
    given = dy.copy()
    dx, grads = pullback(dy)
    assert dx is not None
    assert not np.may_share_memory(dx, dy)
    dx[...] = np.nan
    for parameter in layer.named_parameters().values():
        parameter.assign(np.full(parameter.shape, 99.0))
    again, grads_again = pullback(dy)
    np.testing.assert_array_equal(x, before)
    np.testing.assert_array_equal(dy, given)
    assert again is not None
    assert not np.isnan(again).any()
    for key, grad in grads.items():
        np.testing.assert_array_equal(grads_again[key], grad)


@pytest.mark.parametrize("name", CASES)
def test_inner_pullback_may_overwrite_dy_and_says_the_same(name: str) -> None:
    from pyconvx.nn.layer import Wants

    layer, x = build(name)
    y, backward = layer._vjp(x, Wants(True, True))
    dy = np.random.default_rng(11).standard_normal(y.shape)
    kept, _ = backward(dy.copy(), False)
    fresh, _ = backward(dy.copy(), True)
    np.testing.assert_array_equal(kept, fresh)


@pytest.mark.parametrize("name", CASES)
def test_wrong_arrays_are_explained(name: str) -> None:
    layer, x = build(name)
    with pytest.raises(DTypeError, match="int64"):
        layer(x.astype(np.int64))
    y, pullback = layer.vjp(x)
    with pytest.raises(ShapeError, match="dy has shape"):
        pullback(np.zeros((*y.shape, 1)))
    with pytest.raises(DTypeError, match="float32"):
        pullback(y.astype(np.float32))
    with pytest.raises(OptionError, match="wrt"):
        layer.vjp(x, wrt="weights")  # type: ignore[arg-type]
    if layer.named_parameters():
        with pytest.raises(DTypeError, match="float32"):
            layer(x.astype(np.float32))
        if name != "PReLU":  # one slope fits any number of channels
            with pytest.raises(ShapeError, match="x has shape"):
                layer(np.concatenate([x, x], axis=-1))


def test_a_wrong_pullback_is_caught() -> None:
    """The helper itself: one sign, one factor, one forgotten term must show."""

    class Wrong(nn.Linear):
        broken = ""

        def _vjp(self, x: Array, wants: Any) -> Any:
            y, backward = super()._vjp(x, wants)

            def wrong(dy: Array, overwrite: bool) -> Any:
                dx, grads = backward(dy, overwrite)
                if self.broken == "dx":
                    return -dx, grads
                return dx, grads | {self.broken: grads[self.broken] * 1.001}

            return y, wrong

    for broken in ("dx", "weight", "bias"):
        layer = Wrong(7, 5, dtype=np.float64, random_state=1)
        layer.broken = broken
        assert (
            gradients.worst_error(layer, np.random.default_rng(0).standard_normal((4, 7))) > 100 * gradients.TOLERANCE
        )


@pytest.mark.parametrize(("wrt", "kept"), [("input", False), ("parameters", True), ("all", True)])
def test_input_is_kept_for_weight_gradients_only(wrt: Wrt, kept: bool) -> None:
    layer = nn.Linear(8, 4)
    x = np.ones((2, 8), np.float32)
    watch = weakref.ref(x)
    _, pullback = layer.vjp(x, wrt)
    del x
    gc.collect()
    assert (watch() is not None) == kept
    pullback(np.ones((2, 4), np.float32))


def test_relu_keeps_one_bit_an_element() -> None:
    x = np.random.default_rng(0).standard_normal((100_000,)).astype(np.float32)
    y, pullback = nn.ReLU().vjp(x)
    watches = weakref.ref(x), weakref.ref(y)
    del x, y
    gc.collect()
    assert watches[0]() is None
    assert watches[1]() is None
    dx, _ = pullback(np.ones(100_000, np.float32))
    assert dx is not None
    assert 0 < dx.sum() < 100_000


def test_relu_blocks_exactly() -> None:
    """Zero and -0 are blocked, the gradient there is +0 even if an infinity or a NaN comes; NaN inputs let pass."""
    x = np.float32([-1, -0.0, 0, 1, np.nan, -np.inf, np.inf])
    y, pullback = nn.ReLU().vjp(x)
    np.testing.assert_array_equal(y, np.float32([0, 0, 0, 1, np.nan, 0, np.inf]))
    dx, _ = pullback(np.float32([np.nan, np.inf, -3, 4, 5, np.nan, -np.inf]))
    assert dx is not None
    np.testing.assert_array_equal(dx, np.float32([0, 0, 0, 4, 5, 0, -np.inf]))
    assert not np.signbit(dx[:3]).any()


def test_float16_is_read_as_float32() -> None:
    assert nn.ReLU()(np.ones(3, np.float16)).dtype == np.float32


def test_batch_norm_moves_its_running_statistics() -> None:
    layer = nn.BatchNorm(2, momentum=0.25, dtype=np.float64)
    x = np.random.default_rng(0).normal(3, 2, (50, 2))
    layer(x)
    np.testing.assert_array_equal(layer.running_mean.value, [0, 0])
    layer.train()
    y = layer(x)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(layer.running_mean.value, 0.25 * x.mean(axis=0))
    np.testing.assert_allclose(layer.running_var.value, 0.75 + 0.25 * x.var(axis=0, ddof=1))
    layer.eval()
    np.testing.assert_allclose(
        layer(x), (x - layer.running_mean.value) / np.sqrt(layer.running_var.value + layer.eps), rtol=1e-12
    )
    with pytest.raises(ShapeError, match="two values"):
        trained(layer)(x[:1])


def test_dropout_keeps_the_mean_and_uses_one_mask_both_ways() -> None:
    layer = nn.Dropout(0.25, random_state=3)
    layer.train()
    x = np.ones((200, 100), np.float32)
    y, pullback = layer.vjp(x)
    assert set(np.unique(y)) == {0, np.float32(1) / np.float32(0.75)}
    assert abs((y == 0).mean() - 0.25) < 0.01
    dx, _ = pullback(x)
    np.testing.assert_array_equal(dx, y)
    assert not np.array_equal(layer(x), y)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Dropout(1.0),
        lambda: nn.Linear(0, 3),
        lambda: nn.Linear(3, 2.5),  # type: ignore[arg-type]
        lambda: nn.PReLU(0),
        lambda: nn.MaxPool2d(0),
        lambda: nn.MaxPool2d(2, stride=(1, 1, 1)),
        lambda: nn.AvgPool2d(2, padding=-1),
        lambda: nn.Conv2d(3, 4, 0),
        lambda: nn.Conv2d(3, 4, (3, 3, 3)),
        lambda: nn.Conv2d(3, 4, 3, stride=0),
        lambda: nn.Conv2d(3, 4, 3, padding="causal"),
        lambda: nn.Conv2d(3, 4, 3, padding=-1),
        lambda: nn.Conv2d(3, 4, 3, dilation=1.5),  # type: ignore[arg-type]
        lambda: nn.Conv2d(3, 4, 3, groups=0),
        lambda: nn.Conv2d(3, 4, 3, precision="low"),
        lambda: nn.ConvTranspose2d(3, 4, 3, precision="low"),
        lambda: nn.ConvTranspose2d(3, 4, 3, output_padding=-1),
        lambda: nn.BatchNorm(3, eps=0),
        lambda: nn.BatchNorm(3, momentum=2),
        lambda: nn.L2Normalize(eps=-1),
        lambda: nn.Flatten(order="F"),  # type: ignore[arg-type]
    ],
)
def test_bad_options(make: Callable[[], nn.Layer]) -> None:
    with pytest.raises(OptionError):
        make()


def test_every_option_reaches_the_function() -> None:
    x = np.random.default_rng(0).standard_normal((2, 11, 9, 4))
    window = {"stride": (2, 1), "padding": (1, 0), "ceil_mode": True}
    np.testing.assert_array_equal(
        nn.MaxPool2d((3, 2), dilation=2, **window)(x), pyconvx.max_pool2d(x, (3, 2), dilation=2, **window)
    )
    np.testing.assert_array_equal(
        nn.AvgPool2d((3, 2), count_include_pad=False, **window)(x),
        pyconvx.avg_pool2d(x, (3, 2), count_include_pad=False, **window),
    )
    options = {"stride": (2, 1), "padding": ((1, 0), (2, 1)), "dilation": (1, 2), "groups": 2}
    conv = nn.Conv2d(4, 6, (3, 2), dtype=np.float64, random_state=1, **options)
    np.testing.assert_allclose(conv(x), pyconvx.conv2d(x, conv.weight.value, **options), rtol=1e-12, atol=1e-12)
    options |= {"output_padding": (1, 0), "padding": (1, 0)}
    transposed = nn.ConvTranspose2d(4, 6, (3, 2), dtype=np.float64, random_state=1, **options)
    expected = pyconvx.conv_transpose2d(x, transposed.weight.value, **options)
    np.testing.assert_allclose(transposed(x), expected, rtol=1e-12, atol=1e-12)


def test_max_pool_keeps_a_small_index() -> None:
    x = np.random.default_rng(0).standard_normal((1, 256, 256, 8)).astype(np.float32)
    watch = weakref.ref(x)
    nn.MaxPool2d(2).vjp(x[:, :8, :8].copy())
    before = pyconvx.memory()["in_use"]
    y, pullback = nn.MaxPool2d(2).vjp(x)
    kept = pyconvx.memory()["in_use"] - before
    assert kept <= y.nbytes + y.size + (1 << 21)  # y itself and one byte an output, in pages of the pool
    del x
    gc.collect()
    assert watch() is None
    dx, _ = pullback(y)
    assert dx is not None
    np.testing.assert_array_equal(dx[0].reshape(128, 2, 128, 2, 8).max(axis=(1, 3)).clip(0), y[0].clip(0))


def test_global_average_has_the_same_bits_alone() -> None:
    x = np.random.default_rng(0).standard_normal((5, 37, 41, 19)).astype(np.float32)
    together = nn.GlobalAvgPool()(x)
    for i in range(5):
        np.testing.assert_array_equal(nn.GlobalAvgPool()(x[i : i + 1])[0], together[i])
    with pytest.raises(ShapeError, match="GlobalAvgPool takes"):
        nn.GlobalAvgPool()(x[0, 0])
