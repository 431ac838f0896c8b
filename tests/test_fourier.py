"""Convolution by Fourier transforms in every rank and direction, forced, against the oracle; and when it is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference as ref
from cases import ConvCase, draw_normal
from check import assert_close, assert_same_bits, contract_tolerance, guarded_output

import pyconvx
from pyconvx import OptionError, nn

CASES = [
    ConvCase("a single tap", (300,), (1, 1), (1,)),
    ConvCase("shorter than a transform", (20,), (1, 1), (5,)),
    ConvCase("a kernel as long as the signal", (300,), (1, 1), (300,)),
    ConvCase("longer than half the signal", (1000,), (1, 1), (700,)),
    ConvCase("longer than the signal, in padding", (40,), (1, 1), (99,), padding=49),
    ConvCase("blocks and a rest", (3000,), (1, 1), (65,)),
    ConvCase("an odd number of blocks", (5000,), (1, 1), (64,), padding=((5, 0),)),
    ConvCase("nothing but padding in a block", (70,), (1, 1), (33,), padding=900),
    ConvCase("causal", (700,), (1, 1), (50,), padding="causal"),
    ConvCase("same", (700,), (1, 1), (50,), padding="same"),
    ConvCase("dilated", (900,), (1, 1), (20,), padding=7, dilation=5),
    ConvCase("a batch", (500,), (1, 1), (37,), batch=3),
    ConvCase("stereo", (500,), (2, 2), (37,), padding=3),
    ConvCase("a bank of filters", (500,), (1, 33), (37,), padding=3),
    ConvCase("many channels to one", (500,), (35, 1), (37,), padding=3),
    ConvCase("channels on either side of a vector", (200,), (15, 17), (31,), padding=3),
    ConvCase("depthwise, fewer channels than are turned at once", (600,), (5, 5), (41,), padding=20, groups=5),
    ConvCase("depthwise, one more", (600,), (17, 17), (41,), padding=20, groups=17),
    ConvCase("depthwise, two outputs a channel", (300,), (9, 18), (41,), padding=20, groups=9),
    ConvCase("groups", (250,), (12, 20), (64,), padding=32, groups=4),
    ConvCase("2D", (70, 90), (1, 1), (15, 13), padding=3),
    ConvCase("2D, a kernel as large as the picture", (40, 33), (1, 1), (40, 33)),
    ConvCase("2D, one row of taps", (20, 90), (2, 3), (1, 31), padding=(0, 15)),
    ConvCase("2D, one column of taps", (90, 20), (2, 3), (31, 1), padding=(15, 0)),
    ConvCase("2D, depthwise, another dilation on each axis", (40, 50), (6, 6), (7, 9), dilation=(2, 3), groups=6),
    ConvCase("2D, uneven padding", (40, 41), (3, 4), (9, 8), padding=((0, 5), (7, 1)), batch=2),
    ConvCase("3D", (20, 21, 22), (1, 1), (5, 7, 6), padding=2),
    ConvCase("3D, channels, one axis left", (9, 20, 18), (2, 3), (1, 7, 9), padding=(0, 3, 4)),
]
every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_type = pytest.mark.parametrize("dtype", ["float32", "float64"])


def function(rank: int, direction: str = "") -> Any:
    return getattr(pyconvx, f"conv{rank}d{direction}")


def tolerance(dtype: str) -> float:
    return 3e-6 if dtype == "float32" else 2e-14  # a fifth of what "auto" promises


@every_case
@every_type
def test_forward(case: ConvCase, dtype: str, isa: str) -> None:
    x, w = draw_normal(case.x_shape, dtype, 1), draw_normal(case.w_shape, dtype, 2)
    b = draw_normal(case.channels[1:], dtype, 3)
    expected = np.maximum(ref.conv(x, w, b, *case.geometry), 0)
    out, check = guarded_output(case.y_shape, dtype)
    y = function(case.rank)(x, w, b, algorithm="fft", activation="relu", out=out, **case.options)
    check()
    assert_close(y, expected, tolerance(dtype), np.sqrt(case.sum_lengths[0]), "y")


@every_case
@every_type
def test_input_grad(case: ConvCase, dtype: str, isa: str) -> None:
    w, dy = draw_normal(case.w_shape, dtype, 2), draw_normal(case.y_shape, dtype, 4)
    expected = ref.conv_input_grad(dy, w, case.in_size, *case.geometry)
    dx = function(case.rank, "_input_grad")(dy, w, case.x_shape, algorithm="fft", **case.options)
    assert_close(dx, expected, tolerance(dtype), np.sqrt(case.sum_lengths[1]), "dx")


def test_channels_first_and_transposed() -> None:
    x, w = draw_normal((2, 3, 40, 50), "float32", 1), draw_normal((5, 3, 9, 9), "float32", 2)
    last = x.transpose(0, 2, 3, 1).copy(), w.transpose(2, 3, 1, 0).copy()
    y = pyconvx.conv2d(x, w, data_format="channels_first", algorithm="fft")
    assert_same_bits(y, np.ascontiguousarray(pyconvx.conv2d(*last, algorithm="fft").transpose(0, 3, 1, 2)))
    y = draw_normal(y.shape, "float32", 3)
    back = pyconvx.conv_transpose2d(y, w, data_format="channels_first", algorithm="fft")
    direct = pyconvx.conv_transpose2d(y.astype(float), w.astype(float), data_format="channels_first")
    assert_close(back, direct, 3e-6)


@pytest.mark.parametrize("taps", [100, 1000, 20_000, 200_000])
def test_long_filters_keep_the_contract(taps: int, isa: str) -> None:
    x, w = draw_normal((1, 300_000, 1), "float32", 1), draw_normal((taps, 1, 1), "float32", 2)
    y = pyconvx.conv1d(x, w, algorithm="fft")
    size = 1 << 20
    spectra = np.fft.rfft(x[0, :, 0].astype(float), size) * np.conj(np.fft.rfft(w[:, 0, 0].astype(float), size))
    assert_close(y, np.fft.irfft(spectra, size)[None, : y.shape[1], None], 3e-6)
    assert float(np.abs(y).max()) > 0
    assert contract_tolerance(1) >= 5 * 3e-6


def test_same_bits_alone_in_a_batch_and_for_any_number_of_threads(isa: str) -> None:
    x, w = draw_normal((3, 20_000, 20), "float32", 5), draw_normal((200, 1, 20), "float32", 6)
    options: dict[str, Any] = {"padding": 100, "groups": 20, "algorithm": "fft"}
    with pyconvx.num_threads(1):
        one = pyconvx.conv1d(x, w, **options)
        alone = pyconvx.conv1d(x[1], w, **options)
    with pyconvx.num_threads(3):
        three = pyconvx.conv1d(x, w, **options)
    assert_same_bits(three, one)
    assert_same_bits(alone, one[1])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_a_picture_that_is_not_finite_comes_out_as_the_direct_algorithm_has_it(bad: float, isa: str) -> None:
    x, w = draw_normal((3, 900, 2), "float32", 7), draw_normal((50, 2, 3), "float32", 8)
    x[1, 333, 1] = bad
    y = pyconvx.conv1d(x, w, padding=5, algorithm="fft", activation="relu")
    direct = pyconvx.conv1d(x, w, padding=5, algorithm="direct", activation="relu")
    assert_same_bits(y[1], direct[1])
    assert np.isfinite(y[[0, 2]]).all()


def test_a_filter_that_is_not_finite(isa: str) -> None:
    x, w = draw_normal((1, 900, 1), "float32", 7), draw_normal((50, 1, 1), "float32", 8)
    w[3] = np.inf
    assert_same_bits(pyconvx.conv1d(x, w, algorithm="fft"), pyconvx.conv1d(x, w, algorithm="direct"))


def test_an_outlier_costs_no_more_than_in_proportion(isa: str) -> None:
    x, w = draw_normal((1, 9000, 1), "float64", 7), draw_normal((50, 1, 1), "float64", 8)
    x[0, 4000] = 1e4
    y = pyconvx.conv1d(x.astype("float32"), w.astype("float32"), algorithm="fft")
    exact = pyconvx.conv1d(x.astype("float32").astype(float), w.astype("float32").astype(float), algorithm="direct")
    assert np.abs(y - exact).max() < 3e-6 * 1e4


def test_layers_keep_the_spectra() -> None:
    layer = nn.Conv1d(16, 16, 300, groups=16, padding=150)
    x = draw_normal((1, 2000, 16), "float32", 1)
    found = pyconvx.explain("conv1d", x.shape, layer.weight.value.shape, padding=150, groups=16, kept=True)
    assert found.algorithm == "fft"
    assert found.packed_bytes >= 2 * 300 * 16 * 4
    once, again = layer(x), layer(x)
    assert_same_bits(once, again)
    w, b = layer.weight.value, layer.bias.value
    assert_close(once, ref.conv(x, w, b, (1,), [(150, 150)], (1,), 16), 3e-6, 1.0)


@pytest.mark.parametrize(
    ("size", "kernel", "chosen"),
    [
        ((100_000,), (1024,), True),
        ((100_000,), (16,), False),
        ((300,), (8,), False),
        ((512, 512), (15, 15), True),
        ((512, 512), (3, 3), False),
        ((64, 64, 64), (7, 7, 7), True),
        ((64, 64, 64), (2, 2, 2), False),
    ],
)
@every_type
def test_chosen_where_it_pays(size: tuple[int, ...], kernel: tuple[int, ...], chosen: bool, dtype: str) -> None:
    name, x, w = f"conv{len(size)}d", (1, *size, 1), (*kernel, 1, 1)
    found = pyconvx.explain(name, x, w, dtype=dtype)
    assert (found.algorithm == "fft") == chosen
    forced = pyconvx.explain(name, x, w, dtype=dtype, algorithm="fft")
    assert all(block >= 1 for block in forced.tile)
    assert forced.thread_scratch_bytes <= 64 << 20
    assert "Fourier transforms, blocks of" in str(forced)
    assert found.algorithm == pyconvx.explain(name, (7, *x[1:]), w, dtype=dtype).algorithm


def test_what_it_cannot_do() -> None:
    x, w = draw_normal((1, 90, 1), "float32", 1), draw_normal((30, 1, 1), "float32", 2)
    with pytest.raises(OptionError, match="stride 1"):
        pyconvx.conv1d(x, w, stride=2, algorithm="fft")
    with pytest.raises(OptionError, match="weight gradient"):
        pyconvx.conv1d_weight_grad(x, np.zeros((1, 61, 1), "float32"), 30, algorithm="fft")
    with pytest.raises(OptionError, match="too far"):
        pyconvx.explain("conv1d", (1, 1 << 24, 1), (1 << 21, 1, 1), algorithm="fft")
    with pytest.raises(OptionError, match="memory"):
        pyconvx.explain("conv1d", (1, 1 << 16, 1 << 13), (1 << 14, 1 << 13, 1), algorithm="fft")


def test_nothing_to_compute() -> None:
    assert pyconvx.conv1d(np.zeros((0, 90, 1), "float32"), np.zeros((30, 1, 1), "float32"), algorithm="fft").size == 0
    none = pyconvx.conv1d(np.zeros((1, 90, 1), "float32"), np.zeros((30, 1, 0), "float32"), algorithm="fft")
    assert none.shape == (1, 61, 0)
