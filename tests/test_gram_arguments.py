"""Gram matrices: the missing batch axis, `out=`, long sums, a sum of nothing, and wrong arguments."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import reference as ref
from cases import draw_integers, draw_normal
from check import assert_close, assert_same_bits, direct_tolerance, guarded_output

import pyconvx
from pyconvx import DTypeError, OptionError, ShapeError

every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


@pytest.mark.parametrize("shape", [(1, 5000, 16), (1, 7000, 130), (2, 900, 300)], ids=str)
@every_dtype
def test_sums_over_slices_and_rectangles(shape: tuple[int, ...], dtype: str, isa: str) -> None:
    x, dg = draw_normal(shape, dtype, 1), draw_normal((shape[0], shape[2], shape[2]), dtype, 2)
    g, check_g = guarded_output(dg.shape, dtype)
    dx, check_dx = guarded_output(shape, dtype)
    for normalize in (False, True):
        assert pyconvx.gram(x, normalize=normalize, out=g) is g
        assert pyconvx.gram_grad(x, dg, normalize=normalize, out=dx) is dx
        assert_close(g, ref.gram(x, normalize), direct_tolerance(shape[1], dtype), what="gram")
        assert_close(dx, ref.gram_grad(x, dg, normalize), direct_tolerance(shape[2], dtype), what="dx")
        assert_same_bits(g, np.ascontiguousarray(g.transpose(0, 2, 1)), "transposed gram")
    check_g()
    check_dx()


@pytest.mark.parametrize("shape", [(3, 5, 7), (1, 9000, 33), (2, 3, 1500, 64)], ids=str)
@every_dtype
def test_the_gradient_may_replace_x(shape: tuple[int, ...], dtype: str, isa: str) -> None:
    x, dg = draw_normal(shape, dtype, 1), draw_normal((shape[0], shape[-1], shape[-1]), dtype, 2)
    expected = pyconvx.gram_grad(x, dg, normalize=True)
    for threads in (1, 3):
        replaced, check = guarded_output(shape, dtype)
        replaced[...] = x
        with pyconvx.num_threads(threads):
            assert pyconvx.gram_grad(replaced, dg, normalize=True, out=replaced) is replaced
        assert_same_bits(replaced, expected)
        check()


@pytest.mark.parametrize("channels", [1, 3, 15, 16, 17, 33, 64, 65])
def test_nothing_is_written_beside_the_result(channels: int, isa: str) -> None:
    for positions in (1, 7, 100):
        x, dg = (
            draw_integers((2, positions, channels), "float32", 1),
            draw_integers((2, channels, channels), "float32", 2),
        )
        g, check_g = guarded_output(dg.shape, "float32")
        dx, check_dx = guarded_output(x.shape, "float32")
        np.testing.assert_array_equal(pyconvx.gram(x, out=g), ref.gram(x, False))
        np.testing.assert_array_equal(pyconvx.gram_grad(x, dg, out=dx), ref.gram_grad(x, dg, False))
        check_g()
        check_dx()


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
def test_two_axes_have_no_batch_axis(data_format: str) -> None:
    x, dg = draw_normal((40, 6), "float32", 1), draw_normal((6, 6), "float32", 2)
    given = x if data_format == "channels_last" else np.ascontiguousarray(x.T)
    g = pyconvx.gram(given, data_format=data_format)
    assert_same_bits(g, pyconvx.gram(x[None])[0])
    dx = pyconvx.gram_grad(given, dg, data_format=data_format)
    whole = pyconvx.gram_grad(x[None], dg[None])[0]
    assert_same_bits(dx if data_format == "channels_last" else np.ascontiguousarray(dx.T), whole)


def test_three_axes_begin_with_the_batch() -> None:
    x = draw_normal((4, 5, 6), "float32", 1)
    assert_same_bits(pyconvx.gram(x), np.stack([pyconvx.gram(image) for image in x]))
    picture = x[None]  # the same numbers as one picture of 4 x 5 pixels
    assert_close(pyconvx.gram(picture)[0], pyconvx.gram(x).sum(0).astype(np.float64), direct_tolerance(20, "float32"))


def test_out_is_filled_in_either_layout() -> None:
    x, dg = draw_normal((2, 3, 7, 5), "float32", 1), draw_normal((2, 3, 3), "float32", 2)  # channels first
    options = {"data_format": "channels_first"}
    out = np.empty_like(x)
    assert pyconvx.gram_grad(x, dg, out=out, **options) is out
    assert_same_bits(out, pyconvx.gram_grad(x, dg, **options))


def test_a_mean_of_nothing_is_nan_and_its_gradient_empty() -> None:
    x = np.empty((2, 0, 3), np.float32)
    np.testing.assert_array_equal(pyconvx.gram(x), np.zeros((2, 3, 3)))
    assert np.isnan(pyconvx.gram(x, normalize=True)).all()
    assert pyconvx.gram_grad(x, np.ones((2, 3, 3), np.float32)).shape == x.shape
    assert pyconvx.gram(np.empty((2, 4, 0), np.float32), normalize=True).shape == (2, 0, 0)


F = np.float32
X, DG = np.ones((2, 5, 3), F), np.ones((2, 3, 3), F)
WRONG: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: pyconvx.gram(X[0, 0]), ShapeError, "x has 1 axes"),
    (lambda: pyconvx.gram(X.astype(int)), DTypeError, "x is int64"),
    (lambda: pyconvx.gram(X, data_format="NHWC"), OptionError, "data_format is 'NHWC'"),
    (lambda: pyconvx.gram(X, out=np.empty((3, 3), F)), ShapeError, "out has shape (3, 3)"),
    (lambda: pyconvx.gram(X, out=np.empty((2, 3, 3))), DTypeError, "out is float64"),
    (lambda: pyconvx.gram(X[:, :3], out=X[:, :3]), ShapeError, "out is not C-contiguous"),
    (lambda: pyconvx.gram(DG, out=DG), OptionError, "out shares memory"),
    (lambda: pyconvx.gram_grad(X, DG[0]), ShapeError, "dg has shape (3, 3)"),
    (lambda: pyconvx.gram_grad(X[0], DG), ShapeError, "dg has shape (2, 3, 3)"),
    (lambda: pyconvx.gram_grad(X, DG[:, :2]), ShapeError, "dg has shape (2, 2, 3)"),
    (lambda: pyconvx.gram_grad(X, DG.astype(float)), DTypeError, "dg is float64"),
    (lambda: pyconvx.gram_grad(X, DG, out=X[:]), OptionError, "out shares memory"),
]


@pytest.mark.parametrize(("call", "error", "text"), WRONG, ids=[text for _, _, text in WRONG])
def test_wrong_arguments_are_named(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=re.escape(text)):
        call()
