"""ReLU, its bits, the gradient they keep, and changes of layout: every instruction set, every tail, guarded outputs."""

from __future__ import annotations

import numpy as np
import pytest
from check import assert_same_bits, guarded_output

import pyconvx
from pyconvx import _core
from pyconvx.functional import _arrays, _elementwise

every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
# around 8 bits of a byte, 16 lanes, a piece of 2^16 and the 2^18 from which threads are used
every_size = pytest.mark.parametrize("size", [0, 1, 3, 7, 8, 9, 15, 16, 17, 31, 33, (1 << 16) + 5, (1 << 18) + 3])


def special(size: int, dtype: str, seed: int) -> np.ndarray:
    """Normal numbers among zeros of both signs, infinities, NaN and the smallest numbers there are."""
    draw = np.random.default_rng(seed)
    x = draw.standard_normal(size).astype(dtype)
    tiny = np.nextafter(np.zeros(1, dtype), np.ones(1, dtype))[0]
    for value in (0.0, -0.0, np.inf, -np.inf, np.nan, tiny, -tiny):
        x[draw.random(size) < 0.05] = value
    return x


@every_size
@every_dtype
def test_relu(size: int, dtype: str, isa: str) -> None:
    x = special(size, dtype, 1)
    y, assert_guards = guarded_output((size,), dtype)
    _core.relu(x, y)
    assert_guards()
    np.testing.assert_array_equal(y, np.maximum(x, 0))
    assert_same_bits(_elementwise.relu(x), y)
    _core.relu(x, x)
    assert_same_bits(x, y, "in place")


@every_size
@every_dtype
def test_bits_remember_what_passed(size: int, dtype: str, isa: str) -> None:
    x, dy = special(size, dtype, 1), special(size, dtype, 2)
    bits, assert_bit_guards = guarded_output((-(-size // 8),), "float16")  # room for more than is written
    bits = bits.view(np.uint8)[: -(-size // 8)]
    _core.relu_passed(x, bits)
    assert_bit_guards()
    passed = ~(x <= 0)
    np.testing.assert_array_equal(bits, np.packbits(passed, bitorder="little"))
    dx, assert_guards = guarded_output((size,), dtype)
    _core.keep_passed(dy, bits, dx)
    assert_guards()
    assert_same_bits(dx, np.where(passed, dy, np.zeros(1, dtype)))
    assert_same_bits(_elementwise.keep_passed(dy, bits, False), dx)
    assert _elementwise.keep_passed(dy, bits, True) is dy
    assert_same_bits(dy, dx, "in place")


@every_dtype
def test_any_shape_and_stride(dtype: str) -> None:
    x = special(4 * 6 * 10, dtype, 1).reshape(4, 6, 10)[::2, :, ::-3]
    np.testing.assert_array_equal(_elementwise.relu(x), np.maximum(x, 0))
    bits = _elementwise.passed_bits(x)
    np.testing.assert_array_equal(bits, np.packbits(~(x <= 0), bitorder="little"))
    before = x.copy()
    dx = _elementwise.keep_passed(x, bits, True)  # not one piece: not in place
    assert_same_bits(x, before)
    assert_same_bits(dx, np.where(~(x <= 0), x, np.zeros(1, dtype)))
    scalar = np.array(-2.0, dtype)
    assert _elementwise.relu(scalar).shape == ()


def test_threads_do_not_change_a_bit_of_relu() -> None:
    x = special(1 << 19, "float32", 1)
    with pyconvx.num_threads(1):
        y, bits = _elementwise.relu(x), _elementwise.passed_bits(x)
    with pyconvx.num_threads(3):
        assert_same_bits(_elementwise.relu(x), y)
        assert_same_bits(_elementwise.passed_bits(x), bits)


# Changes of layout


@every_dtype
@pytest.mark.parametrize(
    "shape",
    [
        *((2, n, 5) for n in (1, 2, 3, 4, 7, 8, 9, 15, 16, 17)),  # around lanes
        *((2, n, 3) for n in (63, 64, 65, 129)),  # around a block of 64
        (3, 5, 1000),
        (1, 67, 71),
        (0, 3, 4),
        (2, 0, 4),
        (2, 300, 600),  # enough for threads
    ],
)
def test_transpose_batch(shape: tuple[int, int, int], dtype: str, isa: str) -> None:
    batch, rows, columns = shape
    for sizes in ((batch, rows, columns), (batch, columns, rows)):
        x = np.random.default_rng(1).standard_normal(sizes).astype(dtype)
        y, assert_guards = guarded_output((sizes[0], sizes[2], sizes[1]), dtype)
        _core.transpose_batch(x, y)
        assert_guards()
        assert_same_bits(y, np.ascontiguousarray(x.transpose(0, 2, 1)))


def test_transpose_batch_guards_memory() -> None:
    x = np.zeros((2, 3, 4), np.float32)
    for shape in ((2, 3, 4), (2, 4, 2), (1, 4, 3), (2, 12)):
        with pytest.raises(pyconvx.ShapeError, match="transpose_batch"):
            _core.transpose_batch(x, np.zeros(shape, np.float32))


@every_dtype
@pytest.mark.parametrize("shape", [(2, 5, 4, 3), (2, 1, 4, 3), (2, 5, 1, 1), (0, 5, 4), (2, 5, 0), (3, 17, 4, 5, 6)])
def test_layouts_there_and_back(shape: tuple[int, ...], dtype: str) -> None:
    x = np.random.default_rng(1).standard_normal(shape).astype(dtype)
    last = _arrays.to_last(x, True)
    assert last.flags.c_contiguous
    assert_same_bits(last, np.ascontiguousarray(np.moveaxis(x, 1, -1)))
    assert_same_bits(_arrays.from_last(last, True), x)
    view = x[..., ::-1]
    assert_same_bits(_arrays.to_last(view, True), np.ascontiguousarray(np.moveaxis(view, 1, -1)))
    assert _arrays.to_last(x, False) is x
