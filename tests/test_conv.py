"""Convolution and both its gradients, against the oracle: every shape, type and instruction set."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import reference as ref
from cases import CONV_CASES, ConvCase, draw_integers, draw_normal, random_conv_cases
from check import (
    SPLIT_SUM_TOLERANCE,
    assert_close,
    assert_same_bits,
    contract_tolerance,
    guarded_output,
    tolerance,
)

import pyconvx
from pyconvx.functional._packing import PackedWeights

CASES = [*CONV_CASES, *random_conv_cases(60, seed=20)]
DTYPES = ["float32", "float64"]

every_case = pytest.mark.parametrize("case", CASES, ids=str)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
VARIANTS = [("float32", "auto"), ("float32", "direct"), ("float64", "auto")]  # in float64 all is direct
every_variant = pytest.mark.parametrize(("dtype", "algorithm"), VARIANTS)


def function(rank: int, direction: str = "") -> Any:
    return getattr(pyconvx, f"conv{rank}d{direction}")


@dataclass(frozen=True)
class Problem:
    """Inputs of a case and what the oracle makes of them; all read-only, since a function may not write its inputs."""

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
    x, w, dy = draw(case.x_shape, dtype, 1), draw(case.w_shape, dtype, 2), draw(case.y_shape, dtype, 3)
    b = draw(case.channels[1:], dtype, 4)
    y = ref.conv(x, w, b, *case.geometry)
    dx = ref.conv_input_grad(dy, w, case.in_size, *case.geometry)
    dw, db = ref.conv_weight_grad(x, dy, case.kernel, *case.geometry)
    arrays = (x, w, b, dy, y, dx, dw, db)
    for a in arrays:
        a.flags.writeable = False
    return Problem(*arrays)


def close(
    actual: np.ndarray, expected: np.ndarray, length: int, dtype: Any, what: str, algorithm: str = "auto"
) -> None:
    assert actual.dtype == dtype
    assert_close(actual, expected, tolerance(length, dtype, algorithm), length**0.5, what)


def check_forward(p: Problem, case: ConvCase, dtype: str, algorithm: str) -> None:
    y = function(case.rank)(p.x, p.w, p.b, algorithm=algorithm, **case.options)
    close(y, p.y, case.sum_lengths[0], dtype, "y", algorithm)


def check_input_grad(p: Problem, case: ConvCase, dtype: str, algorithm: str) -> None:
    dx = function(case.rank, "_input_grad")(p.dy, p.w, case.x_shape, algorithm=algorithm, **case.options)
    close(dx, p.dx, case.sum_lengths[1], dtype, "dx", algorithm)


def check_weight_grad(p: Problem, case: ConvCase, dtype: str, algorithm: str) -> None:
    dw, db = function(case.rank, "_weight_grad")(p.x, p.dy, case.kernel, algorithm=algorithm, **case.options)
    close(dw, p.dw, case.sum_lengths[2], dtype, "dw", algorithm)
    close(db, p.db, case.sum_lengths[2], dtype, "db", "direct")


@pytest.mark.parametrize("check", [check_forward, check_input_grad, check_weight_grad])
@every_case
@every_variant
def test_convolution(case: ConvCase, dtype: str, algorithm: str, check: Any, isa: str) -> None:
    check(problem(case, dtype), case, dtype, algorithm)


@pytest.mark.parametrize("seed", range(10))
@every_variant
def test_two_thousand_random_shapes(seed: int, dtype: str, algorithm: str, isa: str) -> None:
    """Combinations that nobody thought of: groups, leftovers of panels, strides and dilations at once."""
    for case in random_conv_cases(200, seed):
        print(case)
        p = problem.__wrapped__(case, dtype)
        check_forward(p, case, dtype, algorithm)
        check_input_grad(p, case, dtype, algorithm)
        check_weight_grad(p, case, dtype, algorithm)


@every_case
def test_small_integers_are_exact_in_float64(case: ConvCase, isa: str) -> None:
    p = problem(case, "float64", draw_integers)
    np.testing.assert_array_equal(function(case.rank)(p.x, p.w, p.b, **case.options), p.y)
    dx = function(case.rank, "_input_grad")(p.dy, p.w, case.x_shape, **case.options)
    np.testing.assert_array_equal(dx, p.dx)
    dw, db = function(case.rank, "_weight_grad")(p.x, p.dy, case.kernel, **case.options)
    np.testing.assert_array_equal(dw, p.dw)
    np.testing.assert_array_equal(db, p.db)


@every_case
def test_fused_relu_and_no_bias(case: ConvCase, isa: str) -> None:
    p = problem(case, "float32")
    length = case.sum_lengths[0]
    y = function(case.rank)(p.x, p.w, p.b, activation="relu", **case.options)
    close(y, np.maximum(p.y, 0), length, "float32", "relu(y + b)")
    bare = function(case.rank)(p.x, p.w, **case.options)
    close(bare, p.y - p.b.astype(np.float64), length, "float32", "y without b")


@every_case
def test_weights_that_are_kept_packed(case: ConvCase, isa: str) -> None:
    p = problem(case, "float32")
    w = PackedWeights(p.w)
    y, dx = np.empty(0), np.empty(0)
    for call in range(2):  # the second takes the packed form that the first left
        before = y, dx
        y = function(case.rank)(p.x, w, p.b, **case.options)
        dx = function(case.rank, "_input_grad")(p.dy, w, case.x_shape, **case.options)
        if call:
            assert_same_bits(y, before[0])
            assert_same_bits(dx, before[1])
    close(y, p.y, case.sum_lengths[0], "float32", "y")
    close(dx, p.dx, case.sum_lengths[1], "float32", "dx")


@pytest.mark.parametrize("groups", [1, 2, 8])
@pytest.mark.parametrize("stride", [1, 3])
def test_one_weight_serves_sizes_that_meet_other_taps(groups: int, stride: int, isa: str) -> None:
    """Of a large kernel a small picture meets few taps; the others are left out of what is packed for it."""
    kept: dict[tuple[int, ...], PackedWeights] = {}
    sizes = [(1, 9), (9, 1), (2, 3), (1, 1), (12, 11), (3, 9)]
    for size in [*sizes, *sizes[::-1], *sizes]:
        case = ConvCase("a large kernel", size, (16, 8), (5, 7), padding=(2, 3), stride=stride, groups=groups, batch=2)
        x, w, dy = (draw_normal(s, "float32", 3) for s in (case.x_shape, case.w_shape, case.y_shape))
        packed = kept.setdefault(w.shape, PackedWeights(w))
        for algorithm in ("auto", "direct"):
            options = {**case.options, "algorithm": algorithm}
            y = function(2)(x, packed, **options)
            close(y, ref.conv(x, w, None, *case.geometry), case.sum_lengths[0], "float32", "y", algorithm)
            dx = function(2, "_input_grad")(dy, packed, case.x_shape, **options)
            want = ref.conv_input_grad(dy, w, size, *case.geometry)
            close(dx, want, case.sum_lengths[1], "float32", "dx", algorithm)


@every_case
def test_out_is_written_whole_and_nothing_else_is(case: ConvCase, isa: str) -> None:
    p = problem(case, "float32")
    out, assert_guards = guarded_output(case.y_shape, "float32")
    assert function(case.rank)(p.x, p.w, p.b, out=out, **case.options) is out
    assert_guards()
    close(out, p.y, case.sum_lengths[0], "float32", "out")


# Layouts


def first(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(a, -1, 1))


def weights_first(w: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(w, (-1, -2), (0, 1)))


@every_case
def test_channels_first_is_the_same_transposed(case: ConvCase) -> None:
    p = problem(case, "float32")
    options = {"data_format": "channels_first", **case.options}
    x, w, dy = first(p.x), weights_first(p.w), first(p.dy)
    y = function(case.rank)(x, w, p.b, **options)
    close(y, first(p.y), case.sum_lengths[0], "float32", "y")
    dx = function(case.rank, "_input_grad")(dy, w, x.shape, **options)
    close(dx, first(p.dx), case.sum_lengths[1], "float32", "dx")
    dw, db = function(case.rank, "_weight_grad")(x, dy, case.kernel, **options)
    close(dw, weights_first(p.dw), case.sum_lengths[2], "float32", "dw")
    close(db, p.db, case.sum_lengths[2], "float32", "db")


PLAIN = [  # one case a rank, for what does not depend on the shape
    ConvCase("1D", (19,), (5, 18), (3,), stride=2, padding=(2, 1), batch=2),
    ConvCase("2D", (9, 10), (4, 18), (3, 2), padding=((1, 1), (0, 1)), batch=2),
    ConvCase("3D", (5, 6, 7), (4, 18), (2, 3, 3), padding=1, groups=2, batch=2),
]
each_rank = pytest.mark.parametrize("case", PLAIN, ids=str)
each_format = pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])


def in_format(p: Problem, data_format: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (p.x, p.w, p.dy) if data_format == "channels_last" else (first(p.x), weights_first(p.w), first(p.dy))


@each_rank
@each_format
def test_a_missing_batch_axis_stays_missing(case: ConvCase, data_format: str) -> None:
    x, w, dy = in_format(problem(case, "float32"), data_format)
    b = problem(case, "float32").b
    options = {"data_format": data_format, **case.options}
    forward, input_grad, weight_grad = (function(case.rank, d) for d in ("", "_input_grad", "_weight_grad"))
    assert_same_bits(forward(x[1], w, b, **options), forward(x[1:], w, b, **options)[0])
    out = np.full(dy[1].shape, np.nan, np.float32)
    assert forward(x[1], w, b, out=out, **options) is out
    assert_same_bits(out, forward(x[1:], w, b, **options)[0])
    dx = input_grad(dy[1], w, x[1].shape, **options)
    assert_same_bits(dx, input_grad(dy[1:], w, x[1:].shape, **options)[0])
    alone, with_batch = (
        weight_grad(x[1], dy[1], case.kernel, **options),
        weight_grad(x[1:], dy[1:], case.kernel, **options),
    )
    for a, b in zip(alone, with_batch, strict=True):
        assert_same_bits(a, b)


def views(a: np.ndarray) -> list[np.ndarray]:
    """The same numbers in memory orders that are not C-contiguous: spread, backwards, Fortran, unaligned."""
    spread = np.full([2 * n for n in a.shape], np.nan, a.dtype)[tuple(slice(None, None, 2) for _ in a.shape)]
    backwards = np.empty_like(a)[..., ::-1]
    fortran = np.empty(a.shape, a.dtype, order="F")
    offset = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)  # unaligned
    for view in (spread, backwards, fortran, offset):
        view[...] = a
    return [spread, backwards, fortran, offset]


@each_rank
@each_format
def test_strided_views_are_read_as_their_values(case: ConvCase, data_format: str) -> None:
    p = problem(case, "float32")
    x, w, dy = in_format(p, data_format)
    options = {"data_format": data_format, **case.options}
    y = function(case.rank)(x, w, p.b, **options)
    dx = function(case.rank, "_input_grad")(dy, w, x.shape, **options)
    dw, db = function(case.rank, "_weight_grad")(x, dy, case.kernel, **options)
    for x_view, w_view, dy_view, b_view in zip(views(x), views(w), views(dy), views(p.b), strict=True):
        assert_same_bits(function(case.rank)(x_view, w_view, b_view, **options), y)
        assert_same_bits(function(case.rank, "_input_grad")(dy_view, w_view, x.shape, **options), dx)
        dw_view, db_view = function(case.rank, "_weight_grad")(x_view, dy_view, case.kernel, **options)
        assert_same_bits(dw_view, dw)
        assert_same_bits(db_view, db)


@each_rank
def test_other_byte_order_and_float16_are_read_as_their_values(case: ConvCase) -> None:
    p = problem(case, "float32")
    swapped = function(case.rank)(p.x.astype(">f4"), p.w, p.b, **case.options)
    assert_same_bits(swapped, function(case.rank)(p.x, p.w, p.b, **case.options))
    half, weight = p.x.astype(np.float16), p.w.astype(np.float16)
    y = function(case.rank)(half, weight, p.b.astype(np.float16), **case.options)
    expected = function(case.rank)(*(a.astype(np.float16).astype(np.float32) for a in (p.x, p.w, p.b)), **case.options)
    assert_same_bits(y, expected)


def test_lists_and_numpy_integers_are_options_too() -> None:
    case = PLAIN[1]
    p = problem(case, "float32")
    y = pyconvx.conv2d(p.x, p.w, p.b, **case.options)
    two = np.int64(1)
    same = pyconvx.conv2d(p.x, p.w, p.b, stride=[1, two], padding=[[1, 1], [0, two]], dilation=(two, 1), groups=two)
    assert_same_bits(same, y)


# Values


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@each_rank
def test_nan_and_inf_land_exactly_where_a_window_reads_them(case: ConvCase, bad: float, isa: str) -> None:
    p = problem(case, "float32")
    x = p.x.copy()
    x[(0, *(n // 2 for n in case.in_size), 1)] = bad
    with np.errstate(invalid="ignore"):
        expected = ref.conv(x, p.w, p.b, *case.geometry)
    assert 0 < np.isfinite(expected).sum() < expected.size
    close(function(case.rank)(x, p.w, p.b, **case.options), expected, case.sum_lengths[0], "float32", "y")


@pytest.mark.parametrize("size", [(2, 9), (3, 40), (3, 3), (2, 2)])
def test_a_weight_of_inf_does_the_same_in_every_call(size: tuple[int, int], isa: str) -> None:
    """Alone or in a batch, packed beforehand or not: what is left out in the padding follows from the picture alone."""
    x, w = draw_normal((9, *size, 40), "float32", 0), draw_normal((5, 3, 40, 64), "float32", 1)
    w[1, 0, 0, 0] = np.inf
    y = pyconvx.conv2d(x, w, padding=(2, 1), algorithm="direct")
    packed = pyconvx.conv2d(x, PackedWeights(w), padding=(2, 1), algorithm="direct")  # type: ignore[arg-type]
    alone = [pyconvx.conv2d(x[i : i + 1], w, padding=(2, 1), algorithm="direct") for i in range(len(x))]
    np.testing.assert_array_equal(packed, y)
    np.testing.assert_array_equal(np.concatenate(alone), y)


@pytest.mark.parametrize("channels", [(3, 1, 3), (1, 9, 1), (32, 1, 32), (24, 40, 1)])
def test_axes_of_one_place_do_not_matter(channels: tuple[int, int, int], isa: str) -> None:
    """A signal of shape (n, 1), (1, n) or (1, n, 1) has the bits of one of (n,)."""
    inner, out, groups = channels
    x, w = draw_normal((2, 50, inner), "float32", 1), draw_normal((5, inner // groups, out * groups), "float32", 2)
    dy = draw_normal((2, 25, out * groups), "float32", 3)
    y = pyconvx.conv1d(x, w, stride=2, padding=2, groups=groups)
    dx = pyconvx.conv1d_input_grad(dy, w, x.shape, stride=2, padding=2, groups=groups)
    dw, db = pyconvx.conv1d_weight_grad(x, dy, 5, stride=2, padding=2, groups=groups)
    for place, rank in ((0, 2), (1, 2), (0, 3), (1, 3), (2, 3)):
        convolution, input_grad, weight_grad = (
            getattr(pyconvx, f"conv{rank}d{direction}") for direction in ("", "_input_grad", "_weight_grad")
        )
        units = [axis for axis in range(rank) if axis != place]
        options = {"stride": (1,) * place + (2,) + (1,) * (rank - 1 - place), "groups": groups}
        options["padding"] = (0,) * place + (2,) + (0,) * (rank - 1 - place)
        wide = [np.expand_dims(a, [axis + 1 for axis in units]) for a in (x, dy)]
        kernel = np.expand_dims(w, units)
        assert_same_bits(convolution(wide[0], kernel, **options).reshape(y.shape), y)
        assert_same_bits(input_grad(wide[1], kernel, wide[0].shape, **options).reshape(dx.shape), dx)
        same_dw, same_db = weight_grad(*wide, kernel.shape[:rank], **options)
        assert_same_bits(same_dw.reshape(dw.shape), dw)
        assert_same_bits(same_db, db)


def test_explain_tells_tiles_of_the_axes_as_they_are_given() -> None:
    flat = pyconvx.explain("conv1d", (1, 4000, 64), (3, 64, 64), padding=1, algorithm="winograd").tile
    assert pyconvx.explain("conv2d", (1, 4000, 1, 64), (3, 1, 64, 64), padding=(1, 0), algorithm="winograd").tile == (
        *flat,
        1,
    )


def test_fused_relu_keeps_nan(isa: str) -> None:
    x = np.array([np.nan, -1.0, 1.0, -np.inf, np.inf], np.float32).reshape(1, 5, 1)
    y = pyconvx.conv1d(x, np.ones((1, 1, 17), np.float32), activation="relu")
    np.testing.assert_array_equal(y[0, :, 0], np.array([np.nan, 0, 1, 0, np.inf], np.float32))
    np.testing.assert_array_equal(y, np.broadcast_to(y[..., :1], y.shape))


@every_dtype
def test_denormals_are_numbers(dtype: str, isa: str) -> None:
    tiny = np.finfo(dtype).smallest_subnormal
    x = (np.arange(1, 8) * tiny).astype(dtype).reshape(1, 7, 1)
    np.testing.assert_array_equal(pyconvx.conv1d(x, np.ones((1, 1, 3), dtype))[..., 2], x[..., 0])


@pytest.mark.parametrize("algorithm", ["auto", "direct"])
def test_sums_over_512_channels_keep_the_contract(algorithm: str, isa: str) -> None:
    case = ConvCase("VGG's conv4", (14, 14), (512, 32), (3, 3), padding=1)
    p = problem(case, "float32")
    y = pyconvx.conv2d(p.x, p.w, p.b, algorithm=algorithm, **case.options)
    assert_close(y, p.y, contract_tolerance(9 * 512) if algorithm == "auto" else SPLIT_SUM_TOLERANCE)
    back = ConvCase("its mirror image, for the input gradient", (14, 14), (32, 512), (3, 3), padding=1)
    p = problem(back, "float32")
    dx = pyconvx.conv2d_input_grad(p.dy, p.w, back.x_shape, algorithm=algorithm, **back.options)
    assert_close(dx, p.dx, contract_tolerance(9 * 512) if algorithm == "auto" else SPLIT_SUM_TOLERANCE)


def test_results_without_products_keep_the_contract(isa: str) -> None:
    """Three of four planes of dx are zeros, so that the rms of the whole is half of that of the others."""
    case = ConvCase("stride beyond the kernel", (17, 49, 17), (64, 128), (3, 1, 3), padding=(1, 0, 1), stride=(2, 4, 2))
    p = problem(case, "float32")
    dx = pyconvx.conv3d_input_grad(p.dy, p.w, case.x_shape, **case.options)
    assert_close(dx, p.dx, contract_tolerance(9 * 128))


def test_strided_layers_over_large_pictures_keep_the_contract(isa: str) -> None:
    """The worst of many results: those at the ends of long tiles."""
    case = ConvCase("stride 2", (96, 96), (16, 64), (3, 3), padding=1, stride=2)
    p, tolerance = problem(case, "float32"), contract_tolerance(9 * 64)
    w = PackedWeights(p.w)
    assert_close(pyconvx.conv2d(p.x, w, p.b, **case.options), p.y, tolerance)
    assert_close(pyconvx.conv2d_input_grad(p.dy, w, case.x_shape, **case.options), p.dx, tolerance)


def test_long_weight_gradients_keep_the_contract(isa: str) -> None:
    case = ConvCase("VGG's conv1: a sum over 25,600 pixels", (160, 160), (3, 16), (3, 3), padding=1)
    p = problem(case, "float32")
    dw, db = pyconvx.conv2d_weight_grad(p.x, p.dy, case.kernel, **case.options)
    assert_close(dw, p.dw, contract_tolerance(9 * 512), what="dw")
    assert_close(db, p.db, contract_tolerance(9 * 512), 160.0, "db")


def test_pictures_that_leave_the_caches(isa: str) -> None:
    """1x1 is one matrix product, in groups several; what is read ahead of it in memory ends with the picture."""
    x = draw_integers((1, 100, 130, 330), "float32", 1)  # 17 MB
    dy, w = draw_integers((1, 100, 130, 4), "float32", 2), draw_integers((1, 1, 110, 6), "float32", 3)
    pixels = x.reshape(-1, 330).astype("float64")
    dw, db = pyconvx.conv2d_weight_grad(x, dy, 1)
    np.testing.assert_array_equal(dw.reshape(330, 4), pixels.T @ dy.reshape(-1, 4))
    np.testing.assert_array_equal(db, dy.sum((0, 1, 2)))
    expected = [pixels[:, 110 * g : 110 * g + 110] @ w[0, 0, :, 2 * g : 2 * g + 2] for g in range(3)]
    np.testing.assert_array_equal(pyconvx.conv2d(x, w, groups=3).reshape(-1, 6), np.hstack(expected))
