"""Transposed convolution and both its gradients, against the oracle.

Each convolution of the table, run backwards: what maps its y back to its x is a transposed convolution with the same
weights, whose output_padding is the rest that the stride left over.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import reference as ref
from cases import CONV_CASES, ConvCase, draw_integers, draw_normal, random_conv_cases
from check import assert_close, assert_same_bits, guarded_output, tolerance

import pyconvx

CASES = [*CONV_CASES, *random_conv_cases(40, seed=21)]
every_case = pytest.mark.parametrize("case", CASES, ids=str)
VARIANTS = [("float32", "auto"), ("float32", "direct"), ("float64", "auto")]  # in float64 all is direct
every_variant = pytest.mark.parametrize(("dtype", "algorithm"), VARIANTS)


def function(rank: int, direction: str = "") -> Any:
    return getattr(pyconvx, f"conv_transpose{rank}d{direction}")


@dataclass(frozen=True)
class Problem:
    x: np.ndarray
    w: np.ndarray
    b: np.ndarray
    dy: np.ndarray
    y: np.ndarray
    dx: np.ndarray
    dw: np.ndarray
    db: np.ndarray


@cache
def problem(case: ConvCase, dtype: str, draw: Any = draw_normal) -> Problem:
    x, w, dy = draw(case.y_shape, dtype, 1), draw(case.w_shape, dtype, 2), draw(case.x_shape, dtype, 3)
    b = draw(case.channels[:1], dtype, 4)
    strides, pads, dilations, groups = case.geometry
    y = ref.conv_transpose(x, w, b, strides, pads, case.rest, dilations, groups)
    dx = ref.conv_transpose_input_grad(dy, w, case.out_size, *case.geometry)
    dw, db = ref.conv_transpose_weight_grad(x, dy, case.kernel, *case.geometry)
    arrays = (x, w, b, dy, y, dx, dw, db)
    for a in arrays:
        a.flags.writeable = False
    return Problem(*arrays)


def close(
    actual: np.ndarray, expected: np.ndarray, length: int, dtype: Any, what: str, algorithm: str = "auto"
) -> None:
    assert actual.dtype == dtype
    assert_close(actual, expected, tolerance(length, dtype, algorithm), length**0.5, what)


@every_case
@every_variant
def test_forward(case: ConvCase, dtype: str, algorithm: str, isa: str) -> None:
    p = problem(case, dtype)
    y = function(case.rank)(p.x, p.w, p.b, algorithm=algorithm, **case.transposed_options)
    close(y, p.y, case.sum_lengths[1], dtype, "y", algorithm)


@every_case
@every_variant
def test_gradients(case: ConvCase, dtype: str, algorithm: str, isa: str) -> None:
    p = problem(case, dtype)
    options = {"algorithm": algorithm, **case.transposed_options}
    dx = function(case.rank, "_input_grad")(p.dy, p.w, case.y_shape, **options)
    close(dx, p.dx, case.sum_lengths[0], dtype, "dx", algorithm)
    dw, db = function(case.rank, "_weight_grad")(p.x, p.dy, case.kernel, **options)
    close(dw, p.dw, case.sum_lengths[2], dtype, "dw", algorithm)
    close(db, p.db, p.dy.size // p.dy.shape[-1], dtype, "db", "direct")


@every_case
def test_small_integers_are_exact_in_float64(case: ConvCase) -> None:
    p = problem(case, "float64", draw_integers)
    y = function(case.rank)(p.x, p.w, p.b, **case.transposed_options)
    np.testing.assert_array_equal(y, p.y)
    dx = function(case.rank, "_input_grad")(p.dy, p.w, case.y_shape, **case.transposed_options)
    np.testing.assert_array_equal(dx, p.dx)
    dw, db = function(case.rank, "_weight_grad")(p.x, p.dy, case.kernel, **case.transposed_options)
    np.testing.assert_array_equal(dw, p.dw)
    np.testing.assert_array_equal(db, p.db)


def first(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(a, -1, 1))


def weights_first(w: np.ndarray) -> np.ndarray:
    """(*kernel, out // groups, in) as PyTorch's (in, out // groups, *kernel)."""
    return np.ascontiguousarray(np.moveaxis(w, (-1, -2), (0, 1)))


@every_case
def test_channels_first_out_and_relu(case: ConvCase) -> None:
    p = problem(case, "float32")
    options = {"data_format": "channels_first", **case.transposed_options}
    x, w, dy = first(p.x), weights_first(p.w), first(p.dy)
    out, assert_guards = guarded_output(dy.shape, "float32")
    forward = function(case.rank)
    assert forward(x, w, p.b, activation="relu", out=out, **options) is out
    assert_guards()
    close(out, np.maximum(first(p.y), 0), case.sum_lengths[1], "float32", "relu(y)")
    dx = function(case.rank, "_input_grad")(dy, w, x.shape, **options)
    close(dx, first(p.dx), case.sum_lengths[0], "float32", "dx")
    dw, db = function(case.rank, "_weight_grad")(x, dy, case.kernel, **options)
    close(dw, weights_first(p.dw), case.sum_lengths[2], "float32", "dw")
    close(db, p.db, p.dy.size // p.dy.shape[-1], "float32", "db")


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_missing_batch_axis_stays_missing(rank: int) -> None:
    x = draw_normal((*(1, 4, 5, 3)[: rank + 1], 6), "float32", 1)
    w = draw_normal((3,) * rank + (4, 6), "float32", 2)
    y = function(rank)(x, w, stride=2, padding=1)
    assert_same_bits(function(rank)(x[0], w, stride=2, padding=1), y[0])
    dx = function(rank, "_input_grad")(y, w, x.shape, stride=2, padding=1)
    assert_same_bits(function(rank, "_input_grad")(y[0], w, x[0].shape, stride=2, padding=1), dx[0])
    dw, db = function(rank, "_weight_grad")(x, y, (3,) * rank, stride=2, padding=1)
    dw_alone, db_alone = function(rank, "_weight_grad")(x[0], y[0], (3,) * rank, stride=2, padding=1)
    assert_same_bits(dw_alone, dw)
    assert_same_bits(db_alone, db)
