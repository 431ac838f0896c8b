"""`explain` against what a call then does: its algorithm, its memory, its error."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
from cases import CONV_CASES, ConvCase, draw_normal, random_conv_cases
from check import assert_same_bits, peak_memory

import pyconvx
from pyconvx.errors import DTypeError, OptionError, PyconvxError, ShapeError

DIRECTIONS = ["", "_input_grad", "_weight_grad"]
LARGE = [
    ConvCase("tiles of Winograd's algorithm", (40, 40), (64, 48), (3, 3), padding=1),
    ConvCase("two pictures", (33, 31), (32, 64), (3, 3), padding=1, batch=2),
    ConvCase("a volume", (12, 14, 13), (32, 32), (3, 3, 3), padding=1),
    ConvCase("1D", (500,), (64, 64), (3,)),
    ConvCase("a matrix product", (30, 30), (96, 64), (1, 1)),
    ConvCase("strided", (41, 43), (24, 32), (3, 3), padding=1, stride=2),
    ConvCase("strided, a sum over residues", (90, 94), (32, 32), (5, 5), 2, 2),
    ConvCase("a large kernel", (32, 32), (16, 16), (7, 7), padding=3),
    ConvCase("depthwise", (50, 50), (32, 32), (3, 3), padding=1, groups=32),
    ConvCase("few channels", (64, 64), (3, 64), (3, 3), padding=1),
    ConvCase("few channels, strided", (96, 96), (3, 64), (7, 7), 2, 3),
    ConvCase("long chains", (20, 20), (512, 32), (3, 3), padding=1),
]
MANY = ConvCase("many strided pictures", (72, 72), (32, 8), (3, 3), padding=1, stride=2, batch=32)
MANY_DEPTHWISE = ConvCase("the same, depthwise", (72, 72), (32, 32), (3, 3), 2, 1, groups=32, batch=32)
MEMORY = [*itertools.product(LARGE, DIRECTIONS), (MANY, "_input_grad"), (MANY_DEPTHWISE, "_input_grad")]


def explained(case: ConvCase, direction: str, **options: Any) -> Any:
    return pyconvx.explain(f"conv{case.rank}d{direction}", case.x_shape, case.w_shape, **({**case.options, **options}))


def call(case: ConvCase, direction: str, dtype: str, **options: Any) -> Any:
    x, w, dy = (draw_normal(s, dtype, i) for i, s in enumerate([case.x_shape, case.w_shape, case.y_shape]))
    function, options = getattr(pyconvx, f"conv{case.rank}d{direction}"), {**case.options, **options}
    if direction == "":
        return function(x, w, **options)
    if direction == "_input_grad":
        return function(dy, w, case.x_shape, **options)
    return function(x, dy, case.kernel, **options)[0]


def taps_inside(case: ConvCase, axis: int) -> np.ndarray:
    """For each output and tap whether it reads the picture; the others meet padding."""
    starts = np.arange(case.out_size[axis]) * case.strides[axis] - case.pads[axis][0]
    places = starts[:, None] + np.arange(case.kernel[axis]) * case.dilations[axis]
    return (places >= 0) & (places < case.in_size[axis])


def taps_met(case: ConvCase, axis: int) -> range:
    """From the first tap to the last that reads the picture for some output; the others meet padding alone."""
    met = np.flatnonzero(taps_inside(case, axis).any(axis=0))
    return range(met[0], met[-1] + 1) if len(met) else range(1)


@pytest.mark.parametrize("case", [*LARGE, *CONV_CASES, *random_conv_cases(20, seed=5)], ids=str)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_algorithm_is_the_one_of_the_call(case: ConvCase, direction: str, dtype: str, isa: str) -> None:
    found = explained(case, direction, dtype=dtype)
    assert found.isa == isa
    assert (found.algorithm != "direct") == (max(found.tile) > 1)
    assert len(found.tile) == case.rank
    assert_same_bits(call(case, direction, dtype), call(case, direction, dtype, algorithm=found.algorithm))
    itemsize = np.dtype(dtype).itemsize
    products = np.prod(case.y_shape) * np.prod(case.w_shape[:-1])
    assert found.flops == 2 * products
    assert (found.x_bytes, found.w_bytes, found.y_bytes) == tuple(
        int(np.prod(shape)) * itemsize for shape in (case.x_shape, case.w_shape, case.y_shape)
    )
    if found.algorithm == "direct" and direction == "_weight_grad":
        assert found.multiplications == products
    if found.algorithm == "direct" and direction == "":
        taps = np.prod([len(taps_met(case, axis)) for axis in range(case.rank)]) * case.channels[0] // case.groups
        scattered = np.prod(case.x_shape[:-1]) * taps * case.channels[1]  # all taps of each pixel of x
        most, read = np.prod(case.y_shape) * taps, case.batch * case.w_shape[-2] * case.w_shape[-1]
        for axis in range(case.rank):
            read *= taps_inside(case, axis).sum()
        assert read <= found.multiplications <= most or found.multiplications == scattered


@pytest.mark.parametrize(("case", "direction"), MEMORY, ids=str)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("algorithm", ["auto", "direct"])
def test_memory_is_what_the_pool_gives_out(
    case: ConvCase, direction: str, threads: int, algorithm: str, isa: str
) -> None:
    """Blocks of the pool are up to a quarter larger than asked for, and have a line in front."""
    found = explained(case, direction, algorithm=algorithm)
    with pyconvx.num_threads(threads):
        result = call(case, direction, "float32", algorithm=algorithm)
        del result
        x, w, dy = (draw_normal(s, "float32", i) for i, s in enumerate([case.x_shape, case.w_shape, case.y_shape]))
        function, options = getattr(pyconvx, f"conv{case.rank}d{direction}"), {**case.options, "algorithm": algorithm}
        args = {"": (x, w), "_input_grad": (dy, w, case.x_shape), "_weight_grad": (x, dy, case.kernel)}[direction]

        def last_of_many() -> Any:
            for _ in range(20 if threads > 1 else 0):  # brief work by itself wakes no threads
                function(*args, **options)
            return function(*args, **options)

        results, peak = peak_memory(last_of_many)
    written = results if isinstance(results, tuple) else (results,)
    pooled = sum(y.nbytes for y in written if y.nbytes >= 1 << 16)
    expected = pooled + found.scratch_bytes(threads) + found.packed_bytes
    grain = 64 << 10  # of blocks above 1 MiB
    assert expected <= peak <= 1.25 * expected + 4 * grain, f"{peak} bytes, explained {expected}: {found}"


@pytest.mark.parametrize("case", LARGE, ids=str)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("algorithm", ["auto", "direct"])
def test_the_expected_error_is_what_is_measured(case: ConvCase, direction: str, algorithm: str, isa: str) -> None:
    found = explained(case, direction, algorithm=algorithm)
    actual = call(case, direction, "float32", algorithm=algorithm).astype(np.float64)
    wide = [draw_normal(s, "float32", i).astype(np.float64) for i, s in enumerate([case.x_shape, case.w_shape])]
    dy = draw_normal(case.y_shape, "float32", 2).astype(np.float64)
    function = getattr(pyconvx, f"conv{case.rank}d{direction}")
    args = {"": wide, "_input_grad": (dy, wide[1], case.x_shape), "_weight_grad": (wide[0], dy, case.kernel)}
    expected = function(*args[direction], **case.options)
    expected = expected[0] if isinstance(expected, tuple) else expected
    error = np.abs(actual - expected).max() / np.sqrt(np.mean(expected**2))
    print(f"{case} {direction} {found.algorithm} {isa}: {error:.2e}, expected {found.expected_error:.2e}")
    assert found.expected_error / 2.5 <= error <= 2.5 * found.expected_error


def test_it_is_a_function_of_its_arguments() -> None:
    layer = ("conv2d", (1, 7, 7, 256), (3, 3, 256, 256))
    first = pyconvx.explain(*layer, padding=1)
    with pyconvx.num_threads(1):
        assert pyconvx.explain(*layer, padding=1) == first
    assert first.algorithm == "direct"
    assert pyconvx.explain(*layer, padding=1, kept=True).algorithm == "winograd"
    assert pyconvx.explain("conv2d", (7, 7, 256), (3, 3, 256, 256), padding=1) == first
    channels_first = pyconvx.explain(
        "conv2d", (1, 256, 7, 7), (256, 256, 3, 3), padding=1, data_format="channels_first"
    )
    assert channels_first == first
    many = pyconvx.explain("conv2d", (64, 7, 7, 256), (3, 3, 256, 256), padding=1)
    assert (many.algorithm, many.tile) == (first.algorithm, first.tile)
    assert many.multiplications == 64 * first.multiplications
    with pytest.raises(dataclasses.FrozenInstanceError):
        first.threads = 2


@pytest.mark.parametrize(
    ("function", "size", "channels", "algorithm"),
    [
        ("conv2d_input_grad", (28, 28), (3, 16), "direct"),  # all taps of a pixel are one product
        ("conv2d_input_grad", (224, 224), (3, 64), "winograd"),  # summed over lanes
        ("conv3d_input_grad", (64, 64, 64), (1, 32), "direct"),
        ("conv2d", (16, 16), (64, 3), "direct"),
        ("conv2d_input_grad", (56, 56), (64, 64), "winograd"),
        ("conv3d", (16, 16, 16), (64, 64), "winograd"),
    ],
)
def test_winograd_competes_with_the_faster_of_the_direct_ways(
    function: str, size: tuple[int, ...], channels: tuple[int, int], algorithm: str, isa: str
) -> None:
    if isa == "scalar":
        pytest.skip("without vectors it pays to save multiplications everywhere")
    kernel = (3,) * len(size)
    found = pyconvx.explain(function, (*size, channels[0]), (*kernel, *channels), padding=1, kept=True)
    assert found.algorithm == algorithm, isa


def test_it_reads_as_a_few_lines() -> None:
    found = pyconvx.explain("conv2d", (1, 56, 56, 64), (3, 3, 64, 64), padding=1, kept=True)
    text = str(found)
    for words in ("conv2d: Winograd's algorithm, tiles of 4 x 4, on", "0.2312 GFLOP", "4 times fewer", "784 KiB"):
        assert words in text
    assert "the direct algorithm" in str(pyconvx.explain("conv1d", (14, 1), (5, 1, 16)))
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize(
    ("error", "change"),
    [
        (OptionError, {"function": "conv4d"}),
        (OptionError, {"function": "gram"}),
        (OptionError, {"function": None}),
        (OptionError, {"algorithm": "im2col"}),
        (OptionError, {"stride": 2, "algorithm": "fft"}),
        (OptionError, {"precision": "low"}),
        (OptionError, {"data_format": "NHWC"}),
        (OptionError, {"stride": True}),
        (OptionError, {"stride": 3, "algorithm": "winograd"}),
        (OptionError, {"dtype": np.float64, "algorithm": "winograd"}),
        (OptionError, {"x_shape": (1, 8, 8.0, 4)}),
        (DTypeError, {"dtype": np.int32}),
        (ShapeError, {"x_shape": (8, 8)}),
        (ShapeError, {"x_shape": "8844"}),
        (ShapeError, {"x_shape": 8}),
        (ShapeError, {"w_shape": (3, 3, 4)}),
        (ShapeError, {"w_shape": (3, 3, 5, 4)}),
        (ShapeError, {"w_shape": (9, 9, 4, 4)}),
        (ShapeError, {"groups": 3}),
    ],
    ids=str,
)
def test_errors_are_those_of_the_call(error: type[PyconvxError], change: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"function": "conv2d", "x_shape": (1, 8, 8, 4), "w_shape": (3, 3, 4, 8)}
    pyconvx.explain(**arguments)
    with pytest.raises(error):
        pyconvx.explain(**{**arguments, **change})


def test_nothing_to_compute() -> None:
    found = pyconvx.explain("conv2d", (0, 8, 8, 4), (3, 3, 4, 8))
    assert (found.flops, found.multiplications, found.threads) == (0, 0, 1)
    assert str(found)


@pytest.mark.parametrize("size", [(18, 3), (5, 5), (56, 56)])
@pytest.mark.parametrize("channels", [24, 347])
@pytest.mark.parametrize("direction", ["", "_input_grad"])
def test_depthwise_convolution_is_direct(size: tuple[int, int], channels: int, direction: str) -> None:
    """A transform for each of its channels would cost more than all its products."""
    case = ConvCase("depthwise", size, (channels, channels), (3, 3), groups=channels)
    assert explained(case, direction).algorithm == "direct"
