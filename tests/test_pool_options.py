"""Pooling's options beyond the common ones: dilation, ceil_mode at its edges, guarded gradients, refusals, PyTorch."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from cases import draw_integers, draw_normal
from check import assert_same_bits, guarded_output

import pyconvx
from pyconvx import _core

Size = tuple[int, ...]
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def function(name: str, rank: int, direction: str = "") -> Any:
    return getattr(pyconvx, f"{name}_pool{rank}d{direction}")


def max_pool_by_definition(
    x: np.ndarray, out: Size, kernel: Size, stride: Size, before: Size, dilation: Size
) -> tuple[np.ndarray, np.ndarray]:
    """One window after the other, one tap after the other."""
    y = np.full((x.shape[0], *out, x.shape[-1]), np.nan)
    indices = np.full(y.shape, -1)
    for place in itertools.product(range(x.shape[0]), *map(range, out), range(x.shape[-1])):
        image, *window, channel = place
        for position, tap in enumerate(itertools.product(*map(range, kernel))):
            rows = zip(window, tap, stride, before, dilation, strict=True)
            at = tuple(o * s - b + t * d for o, t, s, b, d in rows)
            if not all(0 <= i < n for i, n in zip(at, x.shape[1:-1], strict=True)):
                continue
            value = x[(image, *at, channel)]
            if indices[place] < 0 or value > y[place] or (np.isnan(value) and not np.isnan(y[place])):
                y[place], indices[place] = value, position
    return y, indices


DILATED = [  # in, kernel, stride, padding, dilation
    ((9,), (3,), (1,), (0,), (2,)),
    ((9,), (3,), (2,), (2,), (2,)),
    ((7, 8), (2, 3), (2, 1), (1, 2), (3, 2)),
    ((11, 9), (2, 2), (2, 2), (0, 0), (4, 3)),
    ((5, 6, 7), (2, 2, 2), (1, 2, 3), (1, 0, 1), (2, 3, 1)),
]


@every_dtype
@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation"), DILATED)
@pytest.mark.parametrize("channels", [1, 5, 17])
def test_dilation(
    size: Size, kernel: Size, stride: Size, padding: Size, dilation: Size, channels: int, dtype: str, isa: str
) -> None:
    rank = len(size)
    x = draw_integers((2, *size, channels), dtype, 1)
    options = {"stride": stride, "padding": padding, "dilation": dilation}
    y, indices = function("max", rank)(x, kernel, return_indices=True, **options)
    expected, expected_indices = max_pool_by_definition(x, y.shape[1:-1], kernel, stride, padding, dilation)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, expected_indices)

    dy = draw_integers(y.shape, dtype, 2)
    dx = function("max", rank, "_grad")(dy, indices, x.shape, kernel, **options)
    scattered = np.zeros(x.shape)
    for place in np.ndindex(y.shape):
        image, *window, channel = place
        tap = np.unravel_index(int(indices[place]), kernel)
        rows = zip(window, tap, stride, padding, dilation, strict=True)
        scattered[(image, *(o * s - b + t * d for o, t, s, b, d in rows), channel)] += dy[place]
    np.testing.assert_array_equal(dx, scattered)


@every_dtype
@pytest.mark.parametrize("channels", [1, 3, 8, 19, 130])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (2, 3, 0), (3, 1, 1), (17, 16, 8)])
def test_gradients_write_their_output_whole_and_nothing_else(
    kernel: int, stride: int, padding: int, channels: int, dtype: str, isa: str
) -> None:
    x = draw_normal((2, 18, 19, channels), dtype, 1)
    options = {"stride": stride, "padding": padding}
    y, indices = pyconvx.max_pool2d(x, kernel, return_indices=True, **options)
    for name, arguments in (("max", (y, indices, x.shape, kernel)), ("avg", (y, x.shape, kernel))):
        expected = function(name, 2, "_grad")(*arguments, **options)
        dx, assert_guards = guarded_output(x.shape, dtype)
        assert function(name, 2, "_grad")(*arguments, out=dx, **options) is dx
        assert_guards()
        assert_same_bits(dx, expected, f"d{name}")


@pytest.mark.parametrize("isa_bytes", [1, 2])
def test_indices_stay_between_their_guards(isa_bytes: int, isa: str) -> None:
    kernel = 2 if isa_bytes == 1 else 17
    x = draw_normal((1, 36, 35, 21), "float32", 1)
    shape = _core.PoolShape(1, 21, (1, 36, 35), (1, kernel, kernel), (1, 2, 2), (1, 1, 1), (0, 0, 0), (0, 0, 0), False)
    y = np.empty((1, *shape.output[1:], 21), np.float32)
    memory = np.full(y.size * isa_bytes + 256, 0xA5, np.uint8)
    indices = memory[128:-128].view(f"u{isa_bytes}").reshape(y.shape)
    _core.max_pool(shape, x, y, indices)
    assert (memory[:128] == 0xA5).all() and (memory[-128:] == 0xA5).all()
    assert indices.max() < kernel * kernel
    with pytest.raises(pyconvx.ShapeError, match="indices"):
        _core.max_pool(shape, x, y, indices.astype("u4"))
    with pytest.raises(pyconvx.ShapeError, match="indices"):
        _core.max_pool(shape, x, y, indices[:, :-1].copy())


def test_the_first_nan_wins_with_its_bits(isa: str) -> None:
    nans = np.array([0x7FC00001, 0xFFC00002], np.uint32).view(np.float32)
    x = np.full((1, 4, 20), 5.0, np.float32)
    x[0, 1], x[0, 3] = nans[0], nans[1]
    y, indices = pyconvx.max_pool1d(x, 4, return_indices=True)
    assert_same_bits(y, np.full((1, 1, 20), nans[0]))
    assert (indices == 1).all()
    dx = pyconvx.max_pool1d_grad(np.full(y.shape, np.inf, np.float32), indices, x.shape, 4)
    assert np.isinf(dx[0, 1]).all() and (dx[0, [0, 2, 3]] == 0).all()


def test_a_window_larger_than_the_input_is_cut_in_ceil_mode() -> None:
    x = np.arange(1.0, 4.0)[:, np.newaxis]
    assert pyconvx.max_pool1d(x, 4, stride=2, ceil_mode=True).tolist() == [[3.0]]
    assert pyconvx.avg_pool1d(x, 4, stride=2, ceil_mode=True).tolist() == [[2.0]]
    with pytest.raises(pyconvx.ShapeError, match="larger than the input"):
        pyconvx.max_pool1d(x, 4, stride=2)
    with pytest.raises(pyconvx.ShapeError, match="larger than the input"):
        pyconvx.max_pool1d(x, 5, stride=2, ceil_mode=True)


@every_dtype
def test_the_mean_of_equal_values_is_that_value(dtype: str, isa: str) -> None:
    x = np.full((1, 9, 9, 33), 3.0, dtype)
    for kernel in (2, 3, 7, 9):
        np.testing.assert_array_equal(pyconvx.avg_pool2d(x, kernel, stride=1), 3.0)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_axes_of_one_place_do_not_matter(place: int, isa: str) -> None:
    """A signal on any axis of a volume has the bits of one of (n,), the positions of its maxima too."""
    x, units = draw_normal((2, 41, 5), "float32", 1), [axis + 1 for axis in range(3) if axis != place]
    wide, window = np.expand_dims(x, units), tuple(3 if axis == place else 1 for axis in range(3))
    options = {"stride": tuple(2 if axis == place else 1 for axis in range(3))}
    options["padding"] = tuple(1 if axis == place else 0 for axis in range(3))
    for ceil_mode in (False, True):
        y, indices = pyconvx.max_pool1d(x, 3, stride=2, padding=1, ceil_mode=ceil_mode, return_indices=True)
        same, same_indices = pyconvx.max_pool3d(wide, window, ceil_mode=ceil_mode, return_indices=True, **options)
        assert_same_bits(same.reshape(y.shape), y)
        np.testing.assert_array_equal(same_indices.reshape(y.shape), indices)
        dx = pyconvx.max_pool1d_grad(y, indices, x.shape, 3, stride=2, padding=1, ceil_mode=ceil_mode)
        same = pyconvx.max_pool3d_grad(same, same_indices, wide.shape, window, ceil_mode=ceil_mode, **options)
        assert_same_bits(same.reshape(x.shape), dx)
        mean = pyconvx.avg_pool1d(x, 3, stride=2, padding=1, ceil_mode=ceil_mode)
        assert_same_bits(pyconvx.avg_pool3d(wide, window, ceil_mode=ceil_mode, **options).reshape(y.shape), mean)


def test_few_rows_and_many_channels_are_cut_by_channels() -> None:
    x = draw_integers((1, 1, 1024, 1100), "float32", 1)
    with pyconvx.num_threads(1):
        alone = pyconvx.max_pool2d(x, (1, 1024)), pyconvx.avg_pool2d(x, (1, 1024))
    with pyconvx.num_threads(3):
        np.testing.assert_array_equal(pyconvx.max_pool2d(x, (1, 1024)), alone[0])
        np.testing.assert_array_equal(pyconvx.avg_pool2d(x, (1, 1024)), alone[1])
    np.testing.assert_array_equal(alone[0][0, 0, 0], x.max(axis=(0, 1, 2)))
    np.testing.assert_array_equal(alone[1][0, 0, 0], x.mean(axis=(0, 1, 2), dtype=np.float64).astype(np.float32))


def test_wrong_indices_are_ignored() -> None:
    dy = np.ones((2, 2, 3), np.float32)
    assert not pyconvx.max_pool2d_grad(dy, np.full(dy.shape, 200, np.uint8), (4, 4, 3), 2).any()


X = np.zeros((1, 6, 6, 2), np.float32)
I = np.zeros((1, 3, 3, 2), np.uint8)  # noqa: E741


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: pyconvx.max_pool2d(X, 0), pyconvx.OptionError, "kernel_size is 0"),
        (lambda: pyconvx.max_pool2d(X, 2.5), pyconvx.OptionError, "kernel_size"),
        (lambda: pyconvx.max_pool2d(X, (2, 2, 2)), pyconvx.OptionError, "kernel_size"),
        (lambda: pyconvx.max_pool2d(X, 2, stride=0), pyconvx.OptionError, "stride is 0"),
        (lambda: pyconvx.max_pool2d(X, 2, padding=2), pyconvx.OptionError, "at most half the window, 1"),
        (lambda: pyconvx.avg_pool2d(X, 3, padding=((2, 0), (0, 0))), pyconvx.OptionError, "at most half"),
        (lambda: pyconvx.avg_pool2d(X, 2, padding="full"), pyconvx.OptionError, "full"),
        (lambda: pyconvx.max_pool2d(X, 2, ceil_mode="yes"), pyconvx.OptionError, "ceil_mode"),
        (lambda: pyconvx.max_pool2d(X, 2, data_format="NHWC"), pyconvx.OptionError, "data_format"),
        (lambda: pyconvx.max_pool2d(X, 7), pyconvx.ShapeError, "larger than the input"),
        (lambda: pyconvx.max_pool2d(X[:, :0], 2), pyconvx.ShapeError, "empty on spatial axis 0"),
        (lambda: pyconvx.max_pool2d(X[0, 0], 2), pyconvx.ShapeError, "2 axes"),
        (lambda: pyconvx.max_pool2d(X.astype(int), 2), pyconvx.DTypeError, "x is int"),
        (lambda: pyconvx.max_pool2d(X, 2, out=X), pyconvx.ShapeError, "out has shape"),
        (lambda: pyconvx.max_pool2d(X, 1, out=X), pyconvx.OptionError, "shares memory"),
        (lambda: pyconvx.max_pool2d_grad(X, I, X.shape, 2), pyconvx.ShapeError, "indices have shape"),
        (lambda: pyconvx.max_pool2d_grad(X, X, X.shape, 2), pyconvx.ShapeError, "dy has shape"),
        (lambda: pyconvx.max_pool2d_grad(I + 0.0, I.astype(int), X.shape, 2), pyconvx.DTypeError, "wanted uint8"),
        (lambda: pyconvx.avg_pool2d_grad(I + 0.0, (6, 6, 2), 2), pyconvx.ShapeError, "input_size"),
        (lambda: pyconvx.max_pool1d(X[0, 0], 1 << 40), pyconvx.ShapeError, "2\\^32"),
    ],
)
def test_refusals(call: Any, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def test_a_dilated_window_that_sees_only_padding_is_refused() -> None:
    with pytest.raises(pyconvx.ShapeError, match="beside x"):
        pyconvx.max_pool1d(np.zeros((1, 2), np.float32), 2, padding=1, dilation=2)


@pytest.mark.torch
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (2, 3, 1), (3, 1, 0), (5, 4, 2)])
@pytest.mark.parametrize("size", [5, 6, 7, 8, 9])
def test_torch_agrees(size: int, kernel: int, stride: int, padding: int, ceil_mode: bool) -> None:
    torch = pytest.importorskip("torch")
    x = draw_integers((2, 3, size, size + 1), "float64", 1)
    x[0, 0, 1, 1] = np.nan
    options = {"stride": stride, "padding": padding, "ceil_mode": ceil_mode, "data_format": "channels_first"}
    leaf = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.max_pool2d(leaf, kernel, stride, padding, ceil_mode=ceil_mode)
    y, indices = pyconvx.max_pool2d(x, kernel, return_indices=True, **options)
    np.testing.assert_array_equal(y, expected.detach().numpy())
    dy = draw_integers(y.shape, "float64", 2)
    expected.backward(torch.tensor(dy))
    dx = pyconvx.max_pool2d_grad(dy, indices, x.shape, kernel, **options)
    np.testing.assert_array_equal(dx, leaf.grad.numpy())

    x = draw_integers(x.shape, "float64", 3)
    for include in (False, True):
        leaf = torch.tensor(x, requires_grad=True)
        expected = torch.nn.functional.avg_pool2d(leaf, kernel, stride, padding, ceil_mode, include)
        y = pyconvx.avg_pool2d(x, kernel, count_include_pad=include, **options)
        np.testing.assert_allclose(y, expected.detach().numpy(), 1e-14, 1e-14)
        expected.backward(torch.tensor(dy))
        dx = pyconvx.avg_pool2d_grad(dy, x.shape, kernel, count_include_pad=include, **options)
        np.testing.assert_allclose(dx, leaf.grad.numpy(), 1e-14, 1e-14)
