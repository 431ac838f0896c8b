"""Every gradient is the adjoint of its operation: <f(x), dy> = <x, dx>, exact in float64 on small integers."""

from __future__ import annotations

import numpy as np
import pytest
from cases import CONV_CASES, ConvCase, draw_integers, draw_normal, random_conv_cases
from pool_cases import POOL_CASES, PoolCase

import pyconvx


def inner(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float((a.astype(np.float64) * b.astype(np.float64)).sum())


@pytest.mark.parametrize("case", [*CONV_CASES, *random_conv_cases(60, seed=22)], ids=str)
@pytest.mark.parametrize("transposed", [False, True])
def test_convolution(case: ConvCase, transposed: bool, isa: str) -> None:
    """<conv(x, w), dy> = <x, dx> = <w, dw>, and the same for the transposed convolution."""
    name = f"conv_transpose{case.rank}d" if transposed else f"conv{case.rank}d"
    options = case.transposed_options if transposed else case.options
    x = draw_integers(case.y_shape if transposed else case.x_shape, "float64", 1)
    w = draw_integers(case.w_shape, "float64", 2)
    y = getattr(pyconvx, name)(x, w, **options)
    dy = draw_integers(y.shape, "float64", 3)
    dx = getattr(pyconvx, f"{name}_input_grad")(dy, w, x.shape, **options)
    dw, db = getattr(pyconvx, f"{name}_weight_grad")(x, dy, case.kernel, **options)
    assert inner(y, dy) == inner(x, dx) == inner(w, dw)
    np.testing.assert_array_equal(db, dy.reshape(-1, dy.shape[-1]).sum(axis=0))


@pytest.mark.parametrize("case", POOL_CASES, ids=str)
def test_pooling(case: PoolCase, isa: str) -> None:
    """Average pooling is linear; max pooling is, once its choice is made."""
    options = {"dilation": case.dilation, **case.options}
    x = draw_normal(case.x_shape, "float64", 1)
    y, indices = getattr(pyconvx, f"max_pool{case.rank}d")(x, case.kernel, return_indices=True, **options)
    dy = draw_integers(y.shape, "float64", 2)
    dx = getattr(pyconvx, f"max_pool{case.rank}d_grad")(dy, indices, x.shape, case.kernel, **options)
    assert inner(y, dy) == pytest.approx(inner(x, dx), rel=1e-11, abs=1e-9)
    if case.dilation != 1:
        return  # average pooling has no dilation
    dy = draw_integers(y.shape, "float64", 2)
    mean = getattr(pyconvx, f"avg_pool{case.rank}d")(x, case.kernel, **case.options)
    dx = getattr(pyconvx, f"avg_pool{case.rank}d_grad")(dy, x.shape, case.kernel, **case.options)
    assert inner(mean, dy) == pytest.approx(inner(x, dx), rel=1e-11, abs=1e-9)


def test_gram(isa: str) -> None:
    """Gram is quadratic: G(x + h) - G(x) - G(h) is its derivative at x along h, without a limit."""
    x, h = draw_integers((2, 5, 4, 19), "float64", 1), draw_integers((2, 5, 4, 19), "float64", 2)
    dg = draw_integers((2, 19, 19), "float64", 3)
    derivative = pyconvx.gram(x + h) - pyconvx.gram(x) - pyconvx.gram(h)
    assert inner(derivative, dg) == inner(h, pyconvx.gram_grad(x, dg))
