"""Options of remembered calls in every form that a caller may write: as arrays of NumPy their values count too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import draw_normal

import pyconvx

X, W = draw_normal((1, 9, 9, 4), "float32", 1), draw_normal((3, 3, 4, 8), "float32", 2)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int64"])
def test_options_that_are_arrays_are_read_each_time(dtype: str) -> None:
    """Unsigned ones are of the types that positions of maxima have, of which sizes alone count."""

    def array(*numbers: int) -> Any:
        return np.array(numbers, dtype)

    for n in (1, 2, 1, 2):
        same: list[tuple[Any, Any]] = [
            (pyconvx.conv2d(X, W, stride=array(n, n)), pyconvx.conv2d(X, W, stride=(n, n))),
            (pyconvx.conv2d(X, W, padding=array(n, 0)), pyconvx.conv2d(X, W, padding=(n, 0))),
            (pyconvx.conv2d(X, W, dilation=array(n, 1)), pyconvx.conv2d(X, W, dilation=(n, 1))),
            (pyconvx.max_pool2d(X, array(n, 3)), pyconvx.max_pool2d(X, (n, 3))),
            (pyconvx.max_pool2d(X, 3, stride=array(n, n)), pyconvx.max_pool2d(X, 3, stride=(n, n))),
            (pyconvx.avg_pool2d(X, array(n, 3)), pyconvx.avg_pool2d(X, (n, 3))),
            (
                pyconvx.conv_transpose2d(X, W.swapaxes(2, 3), stride=array(n, 1)),
                pyconvx.conv_transpose2d(X, W.swapaxes(2, 3), stride=(n, 1)),
            ),
        ]
        for got, expected in same:
            np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int64"])
def test_sizes_that_are_arrays_are_read_each_time(dtype: str) -> None:
    """That of a gradient's result stands where a convolution has its bias."""
    dy = draw_normal((1, 4, 4, 8), "float32", 3)
    y, indices = pyconvx.max_pool2d(X[:, :8, :8], 2, return_indices=True)

    def gradients(size: int, write: Any) -> list[np.ndarray]:
        kernel, below = (size - 8, 1), write((1, size - 1, size - 1, 4))
        return [
            pyconvx.conv2d_input_grad(dy, W, write((1, size, size, 4)), stride=2),
            pyconvx.conv2d_weight_grad(X, pyconvx.conv2d(X, W[: size - 8, :1]), write(kernel))[0],
            pyconvx.max_pool2d_grad(y, indices, below, 2),
            pyconvx.avg_pool2d_grad(y, below, 2),
        ]

    def as_array(sizes: tuple[int, ...]) -> np.ndarray:
        return np.array(sizes, dtype)

    for size in (9, 10, 9, 10):
        for got, expected in zip(gradients(size, as_array), gradients(size, tuple), strict=True):
            np.testing.assert_array_equal(got, expected)


def test_switches_that_are_arrays_are_read_each_time() -> None:
    for on in (1, 0, 1, 0):
        switch: Any = np.array(on, np.float32)
        np.testing.assert_array_equal(
            pyconvx.avg_pool2d(X, 3, padding=1, count_include_pad=switch),
            pyconvx.avg_pool2d(X, 3, padding=1, count_include_pad=bool(on)),
        )
        np.testing.assert_array_equal(pyconvx.gram(X, normalize=switch), pyconvx.gram(X, normalize=bool(on)))
