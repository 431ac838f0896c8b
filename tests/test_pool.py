"""Max and average pooling and their gradients, against the oracle."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import reference as ref
from cases import draw_integers, draw_normal
from check import assert_close, assert_same_bits, direct_tolerance, guarded_output
from pool_cases import POOL_CASES, UNDILATED, PoolCase

import pyconvx
from pyconvx.errors import DTypeError, OptionError, ShapeError

every_case = pytest.mark.parametrize("case", POOL_CASES, ids=str)
every_undilated_case = pytest.mark.parametrize("case", UNDILATED, ids=str)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def function(name: str, rank: int, direction: str = "") -> Any:
    return getattr(pyconvx, f"{name}_pool{rank}d{direction}")


def first(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(a, -1, 1))


def geometry(case: PoolCase) -> tuple[Any, ...]:
    """The oracle's arguments for average pooling; max pooling has a dilation more."""
    return case.kernels, case.strides, case.pads


def max_options(case: PoolCase) -> dict[str, Any]:
    return {"dilation": case.dilation, **case.options}


def index_dtype(case: PoolCase) -> np.dtype:
    """The smallest unsigned integer that holds a position in the window."""
    return np.min_scalar_type(math.prod(case.kernels) - 1)


@every_case
@every_dtype
def test_max_pool(case: PoolCase, dtype: str, isa: str) -> None:
    x = draw_normal(case.x_shape, dtype, 1)
    expected, expected_indices = ref.max_pool(x, *geometry(case), case.dilations, case.ceil_mode)
    y = function("max", case.rank)(x, case.kernel, **max_options(case))
    assert_same_bits(y, expected.astype(dtype), "y")
    again, indices = function("max", case.rank)(x, case.kernel, return_indices=True, **max_options(case))
    assert_same_bits(again, y, "y beside its indices")
    assert indices.dtype == index_dtype(case)
    np.testing.assert_array_equal(indices, expected_indices)


@every_case
@every_dtype
def test_max_pool_grad(case: PoolCase, dtype: str, isa: str) -> None:
    x = draw_normal(case.x_shape, dtype, 1)
    expected_y, indices = ref.max_pool(x, *geometry(case), case.dilations, case.ceil_mode)
    dy = draw_integers(expected_y.shape, dtype, 2)  # sums of several windows' gradients are exact
    indices = indices.astype(index_dtype(case))
    dx = function("max", case.rank, "_grad")(dy, indices, x.shape, case.kernel, **max_options(case))
    assert dx.dtype == dtype
    np.testing.assert_array_equal(dx, ref.max_pool_grad(dy, indices, case.in_size, *geometry(case), case.dilations))


@every_case
def test_the_first_of_equals_is_chosen(case: PoolCase, isa: str) -> None:
    x = draw_integers(case.x_shape, "float32", 3) // 3
    expected, expected_indices = ref.max_pool(x, *geometry(case), case.dilations, case.ceil_mode)
    y, indices = function("max", case.rank)(x, case.kernel, return_indices=True, **max_options(case))
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, expected_indices)


@every_case
@every_dtype
def test_nan_propagates_and_padding_is_never_chosen(case: PoolCase, dtype: str, isa: str) -> None:
    x = np.full(case.x_shape, -np.inf, dtype)
    nans = np.random.default_rng(4).random(x.shape) < 0.1
    x[nans] = np.nan
    expected, expected_indices = ref.max_pool(x, *geometry(case), case.dilations, case.ceil_mode)
    y, indices = function("max", case.rank)(x, case.kernel, return_indices=True, **max_options(case))
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(indices, expected_indices)


@every_undilated_case
@every_dtype
@pytest.mark.parametrize("count_include_pad", [True, False])
def test_avg_pool(case: PoolCase, dtype: str, count_include_pad: bool, isa: str) -> None:
    x = draw_normal(case.x_shape, dtype, 1)
    options = {"count_include_pad": count_include_pad, **case.options}
    expected = ref.avg_pool(x, *geometry(case), case.ceil_mode, count_include_pad)
    y = function("avg", case.rank)(x, case.kernel, **options)
    assert y.dtype == dtype
    length = math.prod(case.kernels)
    assert_close(y, expected, direct_tolerance(length, dtype), length**-0.5, "y")

    dy = draw_normal(y.shape, dtype, 2)
    dx = function("avg", case.rank, "_grad")(dy, x.shape, case.kernel, **options)
    assert dx.dtype == dtype
    expected = ref.avg_pool_grad(dy, case.in_size, *geometry(case), count_include_pad)
    assert_close(dx, expected, direct_tolerance(length, dtype), 1 / length, "dx")


@every_case
def test_channels_first_max_pool(case: PoolCase) -> None:
    x = draw_integers(case.x_shape, "float32", 1)
    options = {"data_format": "channels_first", **max_options(case)}
    expected, indices = ref.max_pool(x, *geometry(case), case.dilations, case.ceil_mode)
    y, found = function("max", case.rank)(first(x), case.kernel, return_indices=True, **options)
    np.testing.assert_array_equal(y, first(expected))
    np.testing.assert_array_equal(found, first(indices))
    dx = function("max", case.rank, "_grad")(y, found, first(x).shape, case.kernel, **options)
    expected_dx = ref.max_pool_grad(expected, indices, case.in_size, *geometry(case), case.dilations)
    np.testing.assert_array_equal(dx, first(expected_dx))


@every_undilated_case
def test_channels_first_avg_pool(case: PoolCase) -> None:
    x = draw_integers(case.x_shape, "float32", 1)
    options = {"data_format": "channels_first", **case.options}
    y = function("avg", case.rank)(x, case.kernel, **case.options)
    assert_same_bits(function("avg", case.rank)(first(x), case.kernel, **options), first(y))
    dx = function("avg", case.rank, "_grad")(y, x.shape, case.kernel, **case.options)
    dx_first = function("avg", case.rank, "_grad")(first(y), first(x).shape, case.kernel, **options)
    assert_same_bits(dx_first, first(dx))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_missing_batch_axis_stays_missing(rank: int) -> None:
    x = draw_normal((1, *(7, 6, 5)[:rank], 9), "float32", 1)
    y, indices = function("max", rank)(x, 2, return_indices=True)
    y_alone, indices_alone = function("max", rank)(x[0], 2, return_indices=True)
    assert_same_bits(y_alone, y[0])
    assert_same_bits(indices_alone, indices[0])
    dx = function("max", rank, "_grad")(y, indices, x.shape, 2)
    assert_same_bits(function("max", rank, "_grad")(y[0], indices[0], x[0].shape, 2), dx[0])
    mean = function("avg", rank)(x, 2)
    assert_same_bits(function("avg", rank)(x[0], 2), mean[0])
    dx = function("avg", rank, "_grad")(mean, x.shape, 2)
    assert_same_bits(function("avg", rank, "_grad")(mean[0], x[0].shape, 2), dx[0])


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_strided_views_are_read_as_their_values(rank: int) -> None:
    x = draw_normal((2, *(14, 12, 10)[:rank], 20), "float32", 1)[:, ::2, ..., ::-2]
    for name in ("max", "avg"):
        y = function(name, rank)(x.copy(), 3, stride=2, padding=1)
        assert_same_bits(function(name, rank)(x, 3, stride=2, padding=1), y)
    dy = draw_normal((*y.shape[:-1], 2 * y.shape[-1]), "float32", 2)[..., ::2]
    dx = function("avg", rank, "_grad")(dy, x.shape, 3, stride=2, padding=1)
    assert_same_bits(function("avg", rank, "_grad")(dy.copy(), x.shape, 3, stride=2, padding=1), dx)


@pytest.mark.parametrize("name", ["max", "avg"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_out_is_written_whole_and_nothing_else_is(name: str, rank: int, isa: str) -> None:
    x = draw_normal((2, *(9, 8, 7)[:rank], 19), "float32", 1)
    expected = function(name, rank)(x, 3, stride=2, padding=1)
    out, assert_guards = guarded_output(expected.shape, "float32")
    assert function(name, rank)(x, 3, stride=2, padding=1, out=out) is out
    assert_guards()
    assert_same_bits(out, expected)


# Bad arguments


def test_bad_arguments() -> None:
    x = np.ones((1, 6, 7, 3), np.float32)
    y, indices = pyconvx.max_pool2d(x, 2, return_indices=True)
    bytes_for_x = np.zeros(x.shape, np.uint8)  # a window of 17 x 17 has too many positions for a byte
    for error, words, call in [
        (ShapeError, "x has 2 axes", lambda: pyconvx.max_pool2d(x[0, 0], 2)),
        (ShapeError, "empty on spatial axis 0", lambda: pyconvx.avg_pool2d(x[:, :0], 2)),
        (DTypeError, "x is uint8", lambda: pyconvx.avg_pool2d(x.astype(np.uint8), 2)),
        (OptionError, "kernel_size is 0", lambda: pyconvx.max_pool2d(x, 0)),
        (OptionError, r"kernel_size is \(2, 2, 2\)", lambda: pyconvx.max_pool2d(x, (2, 2, 2))),
        (OptionError, "kernel_size is 2.5", lambda: pyconvx.max_pool2d(x, 2.5)),
        (OptionError, "stride is 0", lambda: pyconvx.max_pool2d(x, 2, stride=0)),
        (OptionError, "stride is -1", lambda: pyconvx.avg_pool2d(x, 2, stride=-1)),
        (OptionError, "dilation is 0", lambda: pyconvx.max_pool2d(x, 2, dilation=0)),
        (OptionError, "padding is -1", lambda: pyconvx.max_pool2d(x, 2, padding=-1)),
        (OptionError, r"padding is \(2, 2\) on spatial axis 0", lambda: pyconvx.max_pool2d(x, 3, padding=2)),
        (OptionError, "ceil_mode is 1", lambda: pyconvx.max_pool2d(x, 2, ceil_mode=1)),
        (OptionError, "data_format is 'last'", lambda: pyconvx.max_pool2d(x, 2, data_format="last")),
        (ShapeError, "window is larger", lambda: pyconvx.avg_pool2d(x, 8)),
        (ShapeError, "window is larger", lambda: pyconvx.max_pool2d(x, 2, dilation=7)),
        (ShapeError, "kernel_size", lambda: pyconvx.max_pool2d(x, 2**40)),
        (ShapeError, "out has shape", lambda: pyconvx.max_pool2d(x, 2, out=np.ones_like(x))),
        (OptionError, "out shares memory", lambda: pyconvx.max_pool2d(x, 1, out=x)),
        (ShapeError, "dy has shape", lambda: pyconvx.avg_pool2d_grad(y, (1, 9, 9, 3), 2)),
        (ShapeError, "input_size", lambda: pyconvx.avg_pool2d_grad(y, (6, 7), 2)),
        (ShapeError, "indices have shape", lambda: pyconvx.max_pool2d_grad(y, indices[:, :1], x.shape, 2)),
        (DTypeError, "indices are int64", lambda: pyconvx.max_pool2d_grad(y, indices.astype(int), x.shape, 2)),
        (
            DTypeError,
            "indices are uint8",
            lambda: pyconvx.max_pool2d_grad(x, bytes_for_x, (1, 22, 23, 3), 17, stride=1),
        ),
    ]:
        with pytest.raises(error, match=words):
            call()


def test_indices_outside_the_window_reach_no_memory(isa: str) -> None:
    x = draw_normal((1, 6, 6, 17), "float32", 1)
    y, indices = pyconvx.max_pool2d(x, 2, return_indices=True)
    dx = pyconvx.max_pool2d_grad(y, np.full_like(indices, 255), x.shape, 2)
    np.testing.assert_array_equal(dx, np.zeros_like(x))


def test_a_dilated_window_may_not_fall_between_the_pixels() -> None:
    # Taps at -2 and 2 of a signal of one sample or two: the window spans the signal, but reads none of it.
    for length in (1, 2):
        with pytest.raises((OptionError, ShapeError), match="pad less"):
            pyconvx.max_pool1d(np.ones((1, length, 3), np.float32), 2, stride=1, padding=2, dilation=4)
