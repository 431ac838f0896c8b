"""Gram matrices and their gradient, against the oracle."""

from __future__ import annotations

import math

import numpy as np
import pytest
import reference as ref
from cases import draw_integers, draw_normal
from check import assert_close, assert_same_bits, direct_tolerance, guarded_output

import pyconvx
from pyconvx.errors import DTypeError, OptionError, ShapeError

SHAPES = [  # (batch, *spatial, channels)
    *((1, 5, 7, c) for c in (1, 2, 3, 4, 5, 7, 8, 9)),  # around 4 and 8 lanes
    *((1, 5, 7, c) for c in (15, 16, 17, 31, 32, 33)),  # around 16 lanes and two vectors
    *((1, 6, 7, c) for c in (47, 63, 64, 65, 127, 129)),  # several blocks of the triangle, with and without a tail
    *((1, n, 9) for n in (1, 2, 3, 13, 14, 15, 255, 256, 257, 1031)),  # positions around blocks of the sum
    (1, 3, 4, 5, 6),  # 3D
    (3, 11, 5),  # 1D, a batch
    (0, 4, 4, 3),  # no image
    (2, 0, 4, 3),  # no position: a sum of nothing
    (2, 40, 300),  # three blocks of channels a side
    (2, 210, 257),  # several blocks, and positions enough to share out
    (1, 32, 32, 64),  # a layer of VGG, small
]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


@every_shape
@every_dtype
@pytest.mark.parametrize("normalize", [False, True])
def test_gram(shape: tuple[int, ...], dtype: str, normalize: bool, isa: str) -> None:
    x = draw_normal(shape, dtype, 1)
    g = pyconvx.gram(x, normalize=normalize)
    assert g.dtype == dtype
    positions = math.prod(shape[1:-1])
    if not positions:  # a sum of nothing is zero, a mean of nothing is no number
        np.testing.assert_array_equal(g, np.full((shape[0], shape[-1], shape[-1]), np.nan if normalize else 0, dtype))
        return
    # The diagonal is a sum of squares, which grows with the length itself and not with its root.
    unit = positions / (positions * shape[-1] if normalize else 1)
    assert_close(g, ref.gram(x, normalize), direct_tolerance(positions, dtype), unit, "gram")
    assert_same_bits(g, np.ascontiguousarray(g.transpose(0, 2, 1)), "transposed gram")


@every_shape
@every_dtype
@pytest.mark.parametrize("normalize", [False, True])
def test_gram_grad(shape: tuple[int, ...], dtype: str, normalize: bool, isa: str) -> None:
    x, dg = draw_normal(shape, dtype, 1), draw_normal((shape[0], shape[-1], shape[-1]), dtype, 2)
    dx = pyconvx.gram_grad(x, dg, normalize=normalize)
    assert dx.dtype == dtype
    unit = math.sqrt(2 * shape[-1]) / (max(1, math.prod(shape[1:])) if normalize else 1)
    assert_close(dx, ref.gram_grad(x, dg, normalize), direct_tolerance(shape[-1], dtype), unit, "dx")


@every_shape
def test_small_integers_are_exact_in_float64(shape: tuple[int, ...], isa: str) -> None:
    x, dg = draw_integers(shape, "float64", 1), draw_integers((shape[0], shape[-1], shape[-1]), "float64", 2)
    np.testing.assert_array_equal(pyconvx.gram(x), ref.gram(x, False))
    np.testing.assert_array_equal(pyconvx.gram_grad(x, dg), ref.gram_grad(x, dg, False))


@every_shape
def test_channels_first(shape: tuple[int, ...]) -> None:
    x, dg = draw_integers(shape, "float32", 1), draw_integers((shape[0], shape[-1], shape[-1]), "float32", 2)
    first = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    assert_same_bits(pyconvx.gram(first, data_format="channels_first"), pyconvx.gram(x))
    dx = pyconvx.gram_grad(first, dg, data_format="channels_first")
    assert_same_bits(dx, np.moveaxis(pyconvx.gram_grad(x, dg), -1, 1))


def test_strided_views_are_read_as_their_values() -> None:
    x = draw_normal((2, 6, 8, 10), "float32", 1)
    view = x[:, ::2, ::-1, 1::3]
    dg = draw_normal((2, 3, 6), "float32", 2)[..., ::2]
    assert_same_bits(pyconvx.gram(view), pyconvx.gram(view.copy()))
    assert_same_bits(pyconvx.gram_grad(view, dg), pyconvx.gram_grad(view.copy(), dg.copy()))


def test_the_gradient_of_an_asymmetric_dg_is_by_dg_and_its_transpose() -> None:
    x, dg = draw_integers((1, 4, 3), "float64", 1), draw_integers((1, 3, 3), "float64", 2)
    upper = np.triu(2 * dg, 1) + dg * np.eye(3)
    symmetric = (upper + upper.transpose(0, 2, 1)) / 2
    np.testing.assert_array_equal(pyconvx.gram_grad(x, upper), pyconvx.gram_grad(x, symmetric))


def test_nan_and_inf_stay_in_their_row_and_column(isa: str) -> None:
    x = draw_normal((1, 40, 21), "float32", 1)
    x[0, 17, 18] = np.nan
    g = pyconvx.gram(x)
    touched = np.zeros((1, 21, 21), bool)
    touched[:, 18, :] = touched[:, :, 18] = True
    np.testing.assert_array_equal(np.isnan(g), touched)


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_a_missing_batch_axis_stays_missing(data_format: str) -> None:
    x, dg = draw_normal((1, 30, 30), "float32", 1), draw_normal((1, 30, 30), "float32", 2)
    g, dx = pyconvx.gram(x, data_format=data_format), pyconvx.gram_grad(x, dg, data_format=data_format)
    assert_same_bits(pyconvx.gram(x[0], data_format=data_format), g[0])
    assert_same_bits(pyconvx.gram_grad(x[0], dg[0], data_format=data_format), dx[0])


def test_out_is_written_whole_and_nothing_else_is(isa: str) -> None:
    x, dg = draw_normal((2, 37, 29), "float32", 1), draw_normal((2, 29, 29), "float32", 2)
    out, assert_guards = guarded_output((2, 29, 29), "float32")
    assert pyconvx.gram(x, out=out) is out
    assert_guards()
    assert_same_bits(out, pyconvx.gram(x))
    out, assert_guards = guarded_output(x.shape, "float32")
    assert pyconvx.gram_grad(x, dg, out=out) is out
    assert_guards()
    assert_same_bits(out, pyconvx.gram_grad(x, dg))


def test_bad_arguments() -> None:
    x, dg = np.ones((2, 5, 3), np.float32), np.ones((2, 3, 3), np.float32)
    for error, words, call in [
        (ShapeError, "x has 1 axes", lambda: pyconvx.gram(x[0, 0])),
        (DTypeError, "x is int64", lambda: pyconvx.gram(x.astype(int))),
        (OptionError, "data_format is 'NCHW'", lambda: pyconvx.gram(x, data_format="NCHW")),
        (ShapeError, r"dg has shape \(3, 3\)", lambda: pyconvx.gram_grad(x, dg[0])),
        (ShapeError, r"dg has shape \(2, 3, 2\)", lambda: pyconvx.gram_grad(x, dg[..., :2])),
        (DTypeError, "dg is float64", lambda: pyconvx.gram_grad(x, dg.astype(np.float64))),
        (ShapeError, r"out has shape \(2, 5, 3\)", lambda: pyconvx.gram(x, out=np.ones_like(x))),
        (OptionError, "out shares memory", lambda: pyconvx.gram_grad(x, dg, out=x[:])),
        (OptionError, "out shares memory", lambda: pyconvx.gram_grad(dg, dg, out=dg)),
    ]:
        with pytest.raises(error, match=words):
            call()
