"""BatchNorm over many rows: accuracy, threads, and the ReLU that is computed with it."""

import numpy as np
import pytest

import pyconvx
from pyconvx import nn
from pyconvx.nn._arrays import Array

RNG = np.random.default_rng(5)


def layer_of(channels: int, dtype: type = np.float32) -> nn.BatchNorm:
    layer = nn.BatchNorm(channels, dtype=dtype)
    rng = np.random.default_rng(channels)
    assert layer.weight is not None
    assert layer.bias is not None
    layer.weight.assign(rng.uniform(0.5, 1.5, channels))
    layer.bias.assign(rng.uniform(-0.5, 0.5, channels))
    layer.running_mean.assign(rng.uniform(-0.5, 0.5, channels))
    layer.train()
    return layer


def expected(layer: nn.BatchNorm, x: Array, dy: Array, relu: bool) -> tuple[Array, Array, Array, Array]:
    """y, dx, and the gradients of weight and bias in float64, by the formulas of the paper."""
    x, dy = x.astype(np.float64), dy.astype(np.float64)
    axes = tuple(range(x.ndim - 1))
    assert layer.weight is not None
    assert layer.bias is not None
    weight, bias = layer.weight.value.astype(np.float64), layer.bias.value.astype(np.float64)
    deviation = np.sqrt(x.var(axis=axes) + layer.eps)
    normal = (x - x.mean(axis=axes)) / deviation
    y = normal * weight + bias
    if relu:
        dy = dy * (y > 0)
        y = np.maximum(y, 0)
    dnormal = dy * weight
    dx = (dnormal - dnormal.mean(axis=axes) - normal * (dnormal * normal).mean(axis=axes)) / deviation
    return y, dx, (dy * normal).sum(axis=axes), dy.sum(axis=axes)


# Rows of one block of the kernels, of many, and of a last one that is not whole.
@pytest.mark.parametrize("shape", [(2, 1), (7, 5), (3, 70, 41, 64), (2, 5000, 3), (300, 513), (2, 9, 8, 11, 16)])
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("mean", [0, 1000])
def test_training_against_the_formulas(shape: tuple[int, ...], relu: bool, mean: float) -> None:
    layer = layer_of(shape[-1])
    net = nn.Sequential(layer, nn.ReLU()) if relu else nn.Sequential(layer)
    x = RNG.normal(mean, 2, shape).astype(np.float32)
    dy = RNG.normal(0, 1, shape).astype(np.float32)
    # x itself is rounded to its own size: beside a mean of 1000 its deviation of 2 has 500 times fewer digits.
    unit = 2e-6 if mean == 0 else 1e-3
    if relu:  # what may fall on either side of it has no gradient
        dy *= np.abs(expected(layer, x, dy, False)[0]) > unit
    y, pullback = net.vjp(x)
    dx, grads = pullback(dy)
    want_y, want_dx, want_weight, want_bias = expected(layer, x, dy, relu)
    rows = x.size // shape[-1]
    assert dx is not None
    assert np.abs(y - want_y).max() < unit
    assert np.abs(dx - want_dx).max() < unit
    assert np.abs(grads["0.weight"] - want_weight).max() < unit * rows
    assert np.abs(grads["0.bias"] - want_bias).max() < 1e-6 * rows


@pytest.mark.parametrize("training", [False, True])
def test_the_relu_that_is_computed_with_it_changes_no_bit(training: bool) -> None:
    layer, relu = layer_of(19), nn.ReLU()
    layer.train(training)
    x, dy = (RNG.standard_normal((4, 31, 19)).astype(np.float32) for _ in range(2))
    y, pullback = nn.Sequential(layer, relu).vjp(x)
    dx, grads = pullback(dy)
    middle, first = layer.vjp(x)
    apart, second = relu.vjp(middle)
    np.testing.assert_array_equal(y, apart)
    dmiddle, _ = second(dy)
    assert dmiddle is not None
    dx_apart, grads_apart = first(dmiddle)
    np.testing.assert_array_equal(dx, dx_apart)
    np.testing.assert_array_equal(grads["0.weight"], grads_apart["weight"])
    np.testing.assert_array_equal(grads["0.bias"], grads_apart["bias"])


def test_same_bits_for_any_number_of_threads() -> None:
    layer = layer_of(24)
    x, dy = (RNG.standard_normal((3, 120, 90, 24)).astype(np.float32) for _ in range(2))
    results = []
    for threads in (1, 2, 3):
        with pyconvx.num_threads(threads):
            y, pullback = layer.vjp(x)
            dx, grads = pullback(dy)
            results.append([y, dx, grads["weight"], grads["bias"]])
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_in_use_an_infinite_input_leaves_its_neighbours_gradients_alone() -> None:
    layer = layer_of(2)
    layer.eval()
    x = np.float32([[1, np.inf], [2, 3], [np.nan, -np.inf]])
    y, pullback = nn.Sequential(layer, nn.ReLU()).vjp(x, "input")
    assert np.isnan(y[2, 0])
    assert y[0, 1] == np.inf
    assert y[2, 1] == 0
    dx, _ = pullback(np.ones_like(x))
    assert dx is not None
    assert np.isfinite(dx).all()
    assert dx[2, 1] == 0


def test_a_batch_of_nothing_in_use() -> None:
    layer = layer_of(3)
    layer.eval()
    assert layer(np.empty((0, 4, 3), np.float32)).shape == (0, 4, 3)
