"""The worked layers of the lecture on special applications of convolutional networks, by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference as ref
from cases import draw_integers
from check import assert_close, tolerance

import pyconvx

LAYERS = {  # name: (size, kernel, channels from layer to layer, size after each layer)
    "ECG: 14x1 * 5x1, 16 filters -> 10x16 -> 32 filters -> 6x32": ((14,), (5,), (1, 16, 32), ((10,), (6,))),
    "image: 14x14x3 * 5x5x3, 16 filters -> 10x10x16 -> 32 filters -> 6x6x32": (
        (14, 14),
        (5, 5),
        (3, 16, 32),
        ((10, 10), (6, 6)),
    ),
    "CT: 14x14x14x1 * 5x5x5x1, 16 filters -> 10x10x10x16 -> 32 filters -> 6x6x6x32": (
        (14, 14, 14),
        (5, 5, 5),
        (1, 16, 32),
        ((10, 10, 10), (6, 6, 6)),
    ),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("dtype", "algorithm"), [("float32", "auto"), ("float32", "direct"), ("float64", "auto")])
def test_layers(name: str, dtype: str, algorithm: str, isa: str) -> None:
    size, kernel, channels, sizes = LAYERS[name]
    rank = len(size)
    function: Any = getattr(pyconvx, f"conv{rank}d")
    unit = (1,) * rank
    x = draw_integers((*size, channels[0]), dtype, 1)
    for layer, after in enumerate(sizes):
        w = draw_integers((*kernel, channels[layer], channels[layer + 1]), dtype, 2 + layer)
        b = draw_integers(channels[layer + 1 : layer + 2], dtype, 9)
        y = function(x, w, b, activation="relu", algorithm=algorithm)
        assert y.shape == (*after, channels[layer + 1])
        expected = np.maximum(ref.conv(x[np.newaxis], w, b, unit, [(0, 0)] * rank, unit, 1)[0], 0)
        assert_close(y, expected, tolerance(w[..., 0].size, dtype, algorithm))
        if algorithm == "direct" or dtype == "float64":
            # Sums stay below 2^24 (the largest could reach 125 * 16 * 2004 * 4), so they are exact in float32 too.
            np.testing.assert_array_equal(y, expected)
        x = y


def test_a_filter_slides_over_the_signal() -> None:
    signal = np.array([1, 20, 15, 3, 18, 12, 4, 17], np.float32).reshape(8, 1)
    taps = np.array([1, 3, 10, 3, 1], np.float32).reshape(5, 1, 1)
    by_hand = [
        1 * 1 + 20 * 3 + 15 * 10 + 3 * 3 + 18,
        20 + 45 + 30 + 54 + 12,
        15 + 9 + 180 + 36 + 4,
        3 + 54 + 120 + 12 + 17,
    ]
    np.testing.assert_array_equal(pyconvx.conv1d(signal, taps)[:, 0], by_hand)
