"""Winograd's algorithm in every rank and direction, forced, against the oracle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import reference as ref
from cases import ConvCase, draw_normal
from check import assert_close, assert_same_bits, contract_tolerance, guarded_output

import pyconvx
from pyconvx import _core, nn
from pyconvx.functional._packing import PackedWeights

CASES = [
    ConvCase("one tile, exactly", (6, 6), (16, 32), (3, 3)),
    ConvCase("one position more than a tile", (7, 7), (16, 32), (3, 3)),
    ConvCase("one less", (5, 5), (16, 32), (3, 3)),
    ConvCase("a single position: F(2, 3)", (3, 3), (5, 7), (3, 3)),
    ConvCase("padding wider than a tile reaches", (4, 9), (3, 3), (3, 3), padding=2),
    ConvCase("channels on either side of a vector", (9, 11), (15, 17), (3, 3), padding=1),
    ConvCase("channels on either side of a chunk of 64", (8, 8), (65, 33), (3, 3), padding=1),
    ConvCase("three chunks, uneven", (6, 8), (129, 64), (3, 3), padding=1),
    ConvCase("more than one block of tiles", (45, 47), (32, 16), (3, 3), padding=1),
    ConvCase("1D", (50,), (20, 40), (3,), padding=1),
    ConvCase("1D, shorter than a tile", (3,), (20, 40), (3,)),
    ConvCase("an axis that is left as it is", (9, 10), (17, 16), (1, 3)),
    ConvCase("the other axis", (9, 10), (17, 16), (3, 1)),
    ConvCase("3D", (6, 7, 9), (9, 18), (3, 3, 3), padding=1),
    ConvCase("3D, one axis left", (4, 9, 5), (9, 18), (3, 1, 3), padding=1),
    ConvCase("kernel 2", (9, 10), (17, 16), (2, 2), padding=1),
    ConvCase("kernel 4", (11, 10), (17, 16), (4, 4), padding=2),
    ConvCase("kernel 5", (13, 12), (17, 35), (5, 5), padding=2),
    ConvCase("kernel 6 in two parts", (14, 13), (9, 16), (6, 6), padding=3),
    ConvCase("kernel 7 in two parts, one tap empty", (14, 15), (40, 16), (7, 7), padding=3),
    ConvCase("kernels 8 and 9", (19, 20), (9, 16), (8, 9), padding=4),
    ConvCase("1D, kernel 5", (61,), (20, 40), (5,), padding=2),
    ConvCase("1D, kernel 7", (61,), (48, 40), (7,), padding=3),
    ConvCase("1D, kernel 9 in three parts", (97,), (33, 40), (9,), padding=4),
    ConvCase("a wide kernel", (9, 33), (17, 16), (1, 7), padding=(0, 3)),
    ConvCase("a high kernel", (33, 9), (17, 16), (5, 1), padding=(2, 0)),
    ConvCase("another on each axis", (6, 12, 14), (9, 18), (2, 3, 5), padding=1),
    ConvCase("groups", (9, 9), (12, 20), (3, 3), padding=1, groups=2),
    ConvCase("depthwise", (9, 9), (6, 6), (3, 3), padding=1, groups=6),
    ConvCase("asymmetric padding", (10, 9), (8, 8), (3, 3), padding=((0, 2), (1, 0))),
    ConvCase("dilated: four dense pictures", (13, 14), (17, 16), (3, 3), padding=2, dilation=2),
    ConvCase(
        "dilated by another number on each axis", (19, 23), (9, 18), (3, 5), padding=((1, 3), (4, 0)), dilation=(3, 2)
    ),
    ConvCase("dilated by more than there are positions", (5, 9), (8, 8), (2, 3), padding=(4, 6), dilation=(7, 5)),
    ConvCase("1D, dilated by 8, ends uneven", (101,), (20, 40), (3,), padding=8, dilation=8),
    ConvCase("one row between two of padding", (1, 90), (20, 24), (3, 3), padding=1),
    ConvCase(
        "three rows, of which two give nothing to a row of the gradient", (3, 300), (64, 24), (3, 3), padding=(0, 1)
    ),
    ConvCase("taps that share a chunk, of which some read padding", (4, 700), (24, 16), (5, 3), padding=(2, 1)),
    ConvCase("two slices, most taps in padding", (2, 3, 200), (16, 20), (3, 3, 3), padding=1),
    ConvCase("rows that padding alone reaches", (2, 150), (16, 17), (3, 3), padding=((5, 3), (1, 1))),
    ConvCase("a column between two of padding", (150, 1), (16, 17), (3, 3), padding=1),
    ConvCase("rows of padding, dilated", (3, 150), (16, 17), (3, 3), padding=(4, 2), dilation=(4, 2)),
    ConvCase("3D, dilated on one axis", (5, 7, 12), (9, 18), (3, 3, 3), padding=(1, 1, 2), dilation=(1, 1, 2)),
    ConvCase("few output channels: sums over lanes", (22, 23), (70, 3), (3, 3), padding=1, batch=3),
    ConvCase("few input channels, whose gradient sums over lanes", (22, 23), (4, 300), (3, 3), padding=1),
    ConvCase("one output channel, parts of a kernel", (60,), (33, 1), (7,), padding=3),
    ConvCase("few channels on both sides, in groups", (9, 10, 11), (36, 4), (3, 3, 3), padding=1, groups=2),
]
# Forward, residues of x are summed as channels are; of the input gradient each has tiles of its own.
STRIDED = [
    ConvCase("residues of 2 taps and of 1", (23, 24), (17, 20), (3, 3), 2, 1),
    ConvCase("a stride on one axis", (12, 30), (9, 16), (3, 3), (1, 2), 1),
    ConvCase("residues of 3 taps and of 2", (19, 26), (16, 9), (5, 5), 2, 2, batch=2),
    ConvCase("stride 3, a residue with fewer taps", (31, 25), (16, 16), (7, 7), 3, 3),
    ConvCase("1D", (101,), (12, 40), (15,), 2, 7),
    ConvCase("a volume", (9, 11, 13), (5, 18), (3, 3, 3), 2, 1),
    ConvCase("strided and dilated", (23, 21), (9, 16), (5, 3), (2, 3), 2, (1, 2)),
    ConvCase("residues that no tap reaches", (30, 28), (8, 8), (3, 3), 2, 0, 2),
    ConvCase("groups", (14, 15), (12, 20), (4, 4), 2, 1, groups=2),
    ConvCase("a picture smaller than the stride", (1, 9), (8, 16), (3, 3), 2, 1),
    ConvCase("residues that share a chunk, three blocks", (75, 76), (24, 16), (3, 3), 2, 1),
    ConvCase("two residues in three chunks", (20, 21), (96, 33), (3, 3), (1, 2), 1),
    ConvCase("residues cut in parts, one of them empty", (40, 41), (10, 16), (9, 9), 2, 4),
    ConvCase("few channels", (33, 34), (3, 16), (5, 5), 2, 2),
    ConvCase("stride 4, kernel 5", (37, 38), (5, 16), (5, 5), 4, 2),
    ConvCase("as many taps as residues on one axis", (21, 22), (9, 16), (2, 3), 2, 1),
    ConvCase("asymmetric padding", (20, 19), (8, 8), (4, 4), 2, ((0, 3), (3, 0))),
    ConvCase("a first layer", (45, 46), (3, 40), (7, 7), 2, 3),
    ConvCase("residues joined, a picture of no whole number of them", (38, 37), (1, 65), (11, 5), (4, 2), 2, batch=2),
    ConvCase("residues joined on two axes of three", (5, 21, 23), (2, 33), (3, 7, 8), (1, 2, 3), (1, 6, 7)),
    ConvCase("residues joined in one row, and dilated across", (90, 20), (4, 24), (9, 3), (4, 1), (3, 2), (1, 2)),
    ConvCase("residues joined in two panels", (40, 41), (12, 32), (6, 6), 3, 2),
]


def function(rank: int, direction: str = "") -> Any:
    return getattr(pyconvx, f"conv{rank}d{direction}")


def drawn(case: ConvCase) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return (
        draw_normal(case.x_shape, "float32", 1),
        draw_normal(case.w_shape, "float32", 2),
        draw_normal(case.channels[1:], "float32", 3),
        draw_normal(case.y_shape, "float32", 4),
    )


@pytest.mark.parametrize("case", [*CASES, *STRIDED], ids=str)
def test_forward(case: ConvCase, isa: str) -> None:
    x, w, b, dy = drawn(case)
    expected = np.maximum(ref.conv(x, w, b, *case.geometry), 0)
    out, check = guarded_output(dy.shape, "float32")
    y = function(case.rank)(x, w, b, algorithm="winograd", activation="relu", out=out, **case.options)
    check()
    assert_close(y, expected, contract_tolerance(case.channels[0]), np.sqrt(case.sum_lengths[0]), "y")


@pytest.mark.parametrize("case", [*CASES, *STRIDED], ids=str)
def test_input_grad(case: ConvCase, isa: str) -> None:
    x, w, _, dy = drawn(case)
    expected = ref.conv_input_grad(dy, w, case.in_size, *case.geometry)
    dx = function(case.rank, "_input_grad")(dy, w, x.shape, algorithm="winograd", **case.options)
    assert_close(dx, expected, contract_tolerance(case.channels[1]), np.sqrt(case.sum_lengths[1]), "dx")


@pytest.mark.parametrize("case", [*CASES, *STRIDED], ids=str)
def test_weight_grad(case: ConvCase, isa: str) -> None:
    x, _, _, dy = drawn(case)
    expected = ref.conv_weight_grad(x, dy, case.kernel, *case.geometry)[0]
    dw, db = function(case.rank, "_weight_grad")(x, dy, case.kernel, algorithm="winograd", **case.options)
    assert_close(dw, expected, contract_tolerance(case.sum_lengths[2]), np.sqrt(case.sum_lengths[2]), "dw")
    assert_close(db, dy.sum(axis=tuple(range(dy.ndim - 1)), dtype=np.float64), 1e-5, np.sqrt(dy.size), "db")


@pytest.mark.parametrize("channels", [64, 512])
def test_many_channels_keep_the_contract(channels: int, isa: str) -> None:
    case = ConvCase("VGG", (12, 12), (channels, 32), (3, 3), padding=1)
    x, w, b, _ = drawn(case)
    y = pyconvx.conv2d(x, w, b, algorithm="winograd", padding=1)
    assert_close(y, ref.conv(x, w, b, *case.geometry), contract_tolerance(channels))


# With the tile on each axis that has the largest errors of those that precision="default" and "fast" choose.
PRECISE = [
    ((3, 3), 40, (4, 4), (6, 6)),
    ((5, 5), 30, (3, 4), (4, 4)),
    ((7, 7), 24, (3, 3), (3, 4)),
    ((3,), 480, (6,), (6,)),
    ((5,), 480, (4,), (4,)),
    ((7,), 480, (5,), (4,)),
    ((9,), 480, (6,), (4,)),
    ((3, 3, 3), 12, (2, 4, 4), (4, 4, 6)),
]


@pytest.mark.parametrize("channels", [64, 128, 512])
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(("kernel", "size", "tile", "fast_tile"), PRECISE)
def test_every_kernel_keeps_the_contract_of_its_precision(
    kernel: tuple[int, ...], size: int, tile: Any, fast_tile: Any, fast: bool, channels: int
) -> None:
    case = ConvCase("", (size,) * len(kernel), (channels, 16), kernel, padding=tuple(k // 2 for k in kernel))
    options = {**case.options, "algorithm": "winograd", "precision": "fast" if fast else "default"}
    found = pyconvx.explain(f"conv{case.rank}d", case.x_shape, case.w_shape, kept=True, **options)
    assert max(found.tile) > 1
    x, w, _, _ = drawn(case)
    wide = function(case.rank)(x.astype(float), w.astype(float), **case.options)  # checked against the oracle elsewhere
    tolerance = 1e-4 if fast else contract_tolerance(channels)
    assert_close(function(case.rank)(x, PackedWeights(w), **options), wide, tolerance)
    assert_close(with_tiles(case, fast_tile if fast else tile, x, w), wide, tolerance)


def with_tiles(case: ConvCase, tile: tuple[int, ...], x: Any, w: Any) -> Any:
    """The convolution of one picture by these tiles, whatever is chosen; the same padding at both ends."""
    one = (1,) * (3 - case.rank)
    pads = (0,) * (3 - case.rank) + tuple(k // 2 for k in case.kernel)
    sizes = (*one, *x.shape[1:-1]), (*one, *case.kernel), (*one, *case.strides), (1, 1, 1), pads, pads
    y = np.empty(case.y_shape, np.float32)
    _core.convolve(_core.ConvShape(1, *case.channels, 1, *sizes), "forward", (*one, *tile), x, w, None, False, y)
    return y


@pytest.mark.parametrize("channels", [64, 128, 512])
@pytest.mark.parametrize(("kernel", "size"), [((3, 3), 40), ((5, 5), 30), ((4, 4), 30), ((3,), 400), ((3, 3, 3), 12)])
def test_strided_input_gradients_keep_the_contract(kernel: tuple[int, ...], size: int, channels: int) -> None:
    case = ConvCase("", (size,) * len(kernel), (32, channels), kernel, 2, tuple(k // 2 for k in kernel))
    x, w, _, dy = drawn(case)
    gradient = function(case.rank, "_input_grad")
    dx = gradient(dy, w, x.shape, algorithm="winograd", **case.options)
    assert_close(dx, gradient(dy.astype(float), w.astype(float), x.shape, **case.options), contract_tolerance(channels))


# Of the tiles that any number of channels may get, those with the largest errors.
@pytest.mark.parametrize("channels", [64, 128, 512])
@pytest.mark.parametrize(
    ("kernel", "size", "stride", "tile"),
    [
        ((3, 3), 80, 2, (5, 5)),
        ((4, 4), 61, 2, (5, 5)),
        ((5, 5), 60, 2, (4, 4)),
        ((7, 7), 41, 2, (3, 3)),
        ((3,), 800, 2, (5,)),
        ((9,), 800, 2, (4,)),
        ((7, 7), 61, 3, (3, 6)),
        ((3, 3, 3), 21, 2, (3, 5, 5)),
    ],
)
def test_strided_convolutions_keep_the_contract(
    kernel: tuple[int, ...], size: int, stride: int, tile: tuple[int, ...], channels: int, isa: str
) -> None:
    case = ConvCase("", (size,) * len(kernel), (channels, 16), kernel, stride, tuple(k // 2 for k in kernel))
    x, w, _, _ = drawn(case)
    wide = function(case.rank)(x.astype(float), w.astype(float), **case.options)  # checked against the oracle elsewhere
    assert_close(with_tiles(case, tile, x, w), wide, contract_tolerance(channels))
    shapes = f"conv{case.rank}d", case.x_shape, case.w_shape
    chosen = pyconvx.explain(*shapes, kept=True, algorithm="winograd", **case.options)
    assert max(chosen.tile) > 1


def test_volumes_keep_the_contract(isa: str) -> None:
    case = ConvCase("CT", (12, 12, 12), (64, 32), (3, 3, 3), padding=1)
    x, w, b, _ = drawn(case)
    y = pyconvx.conv3d(x, w, b, algorithm="winograd", padding=1)
    assert_close(y, ref.conv(x, w, b, *case.geometry), contract_tolerance(64))


def test_same_bits_alone_in_a_batch_and_for_any_number_of_threads(isa: str) -> None:
    x, w = draw_normal((3, 40, 41, 48), "float32", 5), draw_normal((3, 3, 48, 70), "float32", 6)
    with pyconvx.num_threads(1):
        one = pyconvx.conv2d(x, w, padding=1, algorithm="winograd")
        alone = pyconvx.conv2d(x[1], w, padding=1, algorithm="winograd")
    with pyconvx.num_threads(3):
        three = pyconvx.conv2d(x, w, padding=1, algorithm="winograd")
    assert_same_bits(three, one)
    assert_same_bits(alone, one[1])


# Pictures of few tiles share blocks: one block in pieces, several of an uneven number, many; groups; parts in padding.
SHARED = [
    ConvCase("", (7, 7), (48, 70), (3, 3), padding=(1, 1), batch=5),
    ConvCase("", (9, 11), (48, 70), (3, 3), padding=(1, 1), batch=47),
    ConvCase("", (4, 4), (32, 32), (3, 3), padding=(1, 1), groups=16, batch=31),
    ConvCase("", (2, 30), (24, 40), (3, 3), padding=(1, 1), batch=7),
    ConvCase("", (5, 4, 6), (20, 24), (3, 3, 3), padding=(1, 1, 1), batch=19),
    ConvCase("", (23,), (33, 17), (5,), padding=(2,), batch=40),
]


@pytest.mark.parametrize("case", SHARED)
def test_pictures_that_share_a_block_do_not_feel_it(case: ConvCase, isa: str) -> None:
    x, w, b, _ = drawn(case)
    conv, options = function(case.rank), {**case.options, "algorithm": "winograd"}
    with pyconvx.num_threads(1):
        one = conv(x, w, b, **options)
        assert_same_bits(np.stack([conv(picture, w, b, **options) for picture in x]), one)
    with pyconvx.num_threads(3):
        assert_same_bits(conv(x, w, b, **options), one)
    assert_close(one, ref.conv(x, w, b, *case.geometry), contract_tolerance(case.channels[0]))
    x[2, ..., 5] = np.inf
    direct = conv(x[2], w, b, **{**options, "algorithm": "direct"})
    bad = conv(x, w, b, **options)
    assert_same_bits(bad[2], direct)
    assert_same_bits(np.delete(bad, 2, axis=0), np.delete(one, 2, axis=0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_a_picture_that_is_not_finite_comes_out_as_the_direct_algorithm_has_it(bad: float, isa: str) -> None:
    x, w = draw_normal((3, 20, 20, 32), "float32", 7), draw_normal((3, 3, 32, 40), "float32", 8)
    x[1, 3, 4, 5] = bad
    y = pyconvx.conv2d(x, w, padding=1, algorithm="winograd", activation="relu")
    direct = pyconvx.conv2d(x, w, padding=1, algorithm="direct", activation="relu")
    assert_same_bits(y[1], direct[1])
    assert np.isfinite(y[[0, 2]]).all()


def test_a_strided_picture_that_is_not_finite_comes_out_as_the_direct_algorithm_has_it(isa: str) -> None:
    x, w = draw_normal((3, 41, 40, 16), "float32", 7), draw_normal((5, 5, 16, 24), "float32", 8)
    x[1, 3, 4, 5] = np.inf
    options: dict[str, Any] = {"stride": 2, "padding": 2}
    y = pyconvx.conv2d(x, w, algorithm="winograd", **options)
    assert_same_bits(y[1], pyconvx.conv2d(x[1], w, algorithm="direct", **options))
    assert np.isfinite(y[[0, 2]]).all()


def test_a_strided_picture_has_the_same_bits_alone_and_for_any_number_of_threads(isa: str) -> None:
    x, w = draw_normal((3, 80, 81, 48), "float32", 5), draw_normal((5, 3, 48, 70), "float32", 6)
    options: dict[str, Any] = {"stride": 2, "padding": (2, 1), "algorithm": "winograd"}
    with pyconvx.num_threads(1):
        one, alone = pyconvx.conv2d(x, w, **options), pyconvx.conv2d(x[1], w, **options)
    with pyconvx.num_threads(3):
        three = pyconvx.conv2d(x, w, **options)
    assert_same_bits(three, one)
    assert_same_bits(alone, one[1])


def test_zeros_of_short_parts_are_not_multiplied() -> None:
    """A kernel of 5 with stride 2 is one of 3 and one of 2, by F(4, 3): 6 and 5 products an axis."""
    found = pyconvx.explain("conv2d", (1, 43, 43, 64), (5, 5, 64, 32), stride=2, algorithm="winograd")
    assert found.tile == (4, 4)
    assert found.multiplications == 5 * 5 * (6 + 5) ** 2 * 64 * 32


def test_taps_in_the_padding_are_not_multiplied() -> None:
    """A row of the gradient sees the one row of dy by one row of taps, F(6, 3) along it; few blocks lie in two rows."""
    found = pyconvx.explain("conv2d_input_grad", (1, 3, 4096, 64), (3, 3, 64, 64), padding=(0, 1), kept=True)
    assert (found.algorithm, found.tile) == ("winograd", (1, 6))
    products = 3 * 683 * 8 * 64 * 64
    assert products < found.multiplications < 1.1 * products


@pytest.mark.parametrize("size", [(3, 1152), (3, 9000)])  # few blocks, which are shared out in pieces, and many
def test_a_flat_picture_has_the_same_bits_alone_and_for_any_number_of_threads(size: tuple[int, int], isa: str) -> None:
    dy, w = draw_normal((2, 1, size[1], 48), "float32", 5), draw_normal((3, 3, 24, 48), "float32", 6)
    gradients = []
    for threads in (1, 3):
        with pyconvx.num_threads(threads):
            gradients.append(pyconvx.conv2d_input_grad(dy, w, (2, *size, 24), padding=(0, 1), algorithm="winograd"))
    alone = pyconvx.conv2d_input_grad(dy[1], w, (*size, 24), padding=(0, 1), algorithm="winograd")
    assert_same_bits(gradients[1], gradients[0])
    assert_same_bits(alone, gradients[0][1])


def test_a_strided_gradient_that_is_not_finite_is_computed_again_once(isa: str) -> None:
    dy, w = draw_normal((3, 10, 10, 32), "float32", 7), draw_normal((3, 3, 24, 32), "float32", 8)
    dy[1, 3, 4, 5] = np.inf  # in what several residues read
    options: dict[str, Any] = {"stride": 2, "padding": 1}
    dx = pyconvx.conv2d_input_grad(dy, w, (3, 20, 20, 24), algorithm="winograd", **options)
    assert_same_bits(dx[1], pyconvx.conv2d_input_grad(dy[1], w, (20, 20, 24), algorithm="direct", **options))
    assert np.isfinite(dx[[0, 2]]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, 3e38])
def test_a_weight_gradient_that_is_not_finite_comes_out_as_the_direct_algorithm_has_it(bad: float, isa: str) -> None:
    x, dy = draw_normal((2, 20, 20, 32), "float32", 7), draw_normal((2, 20, 20, 40), "float32", 8)
    x[1, 0, 4, 5] = bad  # no tap of the last row sees it
    dw, _ = pyconvx.conv2d_weight_grad(x, dy, 3, padding=1, algorithm="winograd")
    direct, _ = pyconvx.conv2d_weight_grad(x, dy, 3, padding=1, algorithm="direct")
    assert not np.isfinite(direct).all() or bad == 3e38
    assert np.isfinite(direct[2]).all()
    assert_same_bits(dw[:, :, 5], direct[:, :, 5])


def test_volumes_have_weight_gradients_within_the_contract(isa: str) -> None:
    x, dy = draw_normal((2, 12, 12, 12, 64), "float32", 1), draw_normal((2, 12, 12, 12, 32), "float32", 2)
    dw, _ = pyconvx.conv3d_weight_grad(x, dy, 3, padding=1, algorithm="winograd")
    exact, _ = pyconvx.conv3d_weight_grad(x.astype(float), dy.astype(float), 3, padding=1)
    assert_close(dw, exact, contract_tolerance(x[..., 0].size))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("kernel", "size"),
    [*(((k,), 400) for k in range(2, 10)), ((3, 3), 40), ((5, 5), 28), ((7, 7), 20), ((3, 5), 30), ((4, 4, 4), 12)],
)
def test_weight_gradients_of_every_kernel_keep_the_contract(
    kernel: tuple[int, ...], size: int, batch: int, isa: str
) -> None:
    case = ConvCase("", (size,) * len(kernel), (48, 40), kernel, padding=tuple(k // 2 for k in kernel), batch=batch)
    x, _, _, dy = drawn(case)
    gradient = function(case.rank, "_weight_grad")
    dw, _ = gradient(x, dy, kernel, algorithm="winograd", **case.options)
    wide = x.astype(float), dy.astype(float)  # checked against the oracle elsewhere
    exact, _ = gradient(*wide, kernel, **case.options)
    assert_close(dw, exact, contract_tolerance(case.sum_lengths[2]))


@pytest.mark.parametrize(
    ("kernel", "size", "stride", "dilation"),
    [
        *(((k,), 801, 2, 1) for k in range(3, 10)),
        ((3, 3), 81, 2, 1),
        ((4, 4), 60, 2, 1),
        ((5, 5), 61, 2, 1),
        ((7, 7), 60, 3, 1),
        ((3, 3), 44, 1, 2),
        ((5, 5), 44, 1, 3),
        ((3, 3, 3), 23, 2, 1),
    ],
)
def test_strided_and_dilated_weight_gradients_keep_the_contract(
    kernel: tuple[int, ...], size: int, stride: int, dilation: int, isa: str
) -> None:
    padding = tuple(k // 2 * dilation for k in kernel)
    case = ConvCase("", (size,) * len(kernel), (48, 40), kernel, stride, padding, dilation)
    x, _, _, dy = drawn(case)
    gradient = function(case.rank, "_weight_grad")
    dw, _ = gradient(x, dy, kernel, algorithm="winograd", **case.options)
    exact, _ = gradient(x.astype(float), dy.astype(float), kernel, **case.options)  # checked elsewhere
    assert_close(dw, exact, contract_tolerance(case.sum_lengths[2]))


def test_a_strided_weight_gradient_has_the_same_bits_for_any_number_of_threads(isa: str) -> None:
    x, dy = draw_normal((3, 80, 81, 48), "float32", 5), draw_normal((3, 40, 41, 100), "float32", 6)
    gradients = []
    for threads in (1, 2, 3):
        with pyconvx.num_threads(threads):
            gradients.append(pyconvx.conv2d_weight_grad(x, dy, 5, stride=2, padding=2, algorithm="winograd")[0])
    assert_same_bits(gradients[1], gradients[0])
    assert_same_bits(gradients[2], gradients[0])


def test_a_strided_weight_gradient_that_is_not_finite_comes_out_as_the_direct_algorithm_has_it(isa: str) -> None:
    x, dy = draw_normal((2, 40, 40, 32), "float32", 7), draw_normal((2, 20, 20, 40), "float32", 8)
    x[1, 0, 4, 5] = np.inf  # no tap of the last rows sees it
    options: dict[str, Any] = {"stride": 2, "padding": 2}
    dw, _ = pyconvx.conv2d_weight_grad(x, dy, 5, algorithm="winograd", **options)
    direct, _ = pyconvx.conv2d_weight_grad(x, dy, 5, algorithm="direct", **options)
    assert not np.isfinite(direct).all() and np.isfinite(direct[3:]).all()
    assert_same_bits(dw[:, :, 5], direct[:, :, 5])


def test_a_weight_gradient_has_the_same_bits_for_any_number_of_threads(isa: str) -> None:
    x, dy = draw_normal((3, 40, 41, 48), "float32", 5), draw_normal((3, 40, 41, 150), "float32", 6)
    gradients = []
    for threads in (1, 2, 3):
        with pyconvx.num_threads(threads):
            gradients.append(pyconvx.conv2d_weight_grad(x, dy, 3, padding=1, algorithm="winograd")[0])
    assert_same_bits(gradients[1], gradients[0])
    assert_same_bits(gradients[2], gradients[0])


def test_an_outlier_costs_its_neighbours_precision_in_proportion_to_itself(isa: str) -> None:
    x, w = draw_normal((1, 20, 20, 64), "float32", 9), draw_normal((3, 3, 64, 32), "float32", 10)
    x[0, 10, 10, 0] = 1e4
    y = pyconvx.conv2d(x, w, padding=1, algorithm="winograd")
    expected = ref.conv(x, w, None, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    rms = np.sqrt(64 * 9)
    assert_close(y, expected, contract_tolerance(64) * (1 + 1e4 / rms), rms)


def test_denormals_are_numbers_like_others(isa: str) -> None:
    """Their error is absolute: a transformed input is off by 0.6 of the least number as rms, which the
    sum over 9 * 48 products enlarges by the rms of that sum, the transforms by 4.8, and the worst of 13,000 by 4.5.
    """
    x, w = draw_normal((1, 20, 20, 48), "float32", 11), draw_normal((3, 3, 48, 32), "float32", 12)
    least = float(np.finfo(np.float32).smallest_subnormal)
    small = (x * np.float32(1e-40)).astype(np.float32)
    y = pyconvx.conv2d(small, w, padding=1, algorithm="winograd")
    expected = ref.conv(small, w, None, (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
    assert np.abs(y - expected).max() < 4.5 * 4.8 * 0.6 * np.sqrt(9 * 48) * least
    assert np.abs(expected).max() > 1e5 * least


def test_auto_is_a_function_of_the_shape() -> None:
    def tiles(size: int, channels: int, wide: bool = False, kept: bool = True) -> list[int]:
        axes = (1, size, size), (1, 3, 3), (1, 1, 1), (1, 1, 1), (0, 1, 1), (0, 1, 1)
        shape = _core.ConvShape(1, channels, channels, 1, *axes)
        return list(_core.conv_tiles(shape, "forward", "auto", wide, kept, False))

    assert tiles(56, 64) == [1, 4, 4]
    assert tiles(56, 64, wide=True) == [1, 1, 1]
    assert tiles(56, 4) == [1, 1, 1]
    assert tiles(28, 512) == [1, 4, 4]
    assert tiles(14, 512, kept=False) == [1, 2, 3]
    assert tiles(7, 256) != [1, 1, 1]
    assert tiles(7, 256, kept=False) == [1, 1, 1]
    assert tiles(7, 512, kept=False) == [1, 1, 1]


def test_auto_with_a_stride_counts_what_residues_cost() -> None:
    def tiles(size: int, kernel: int, channels: int) -> tuple[int, ...]:
        shapes = (1, size, size, channels), (kernel, kernel, channels, channels)
        return pyconvx.explain("conv2d", *shapes, stride=2, padding=kernel // 2, kept=True).tile

    assert tiles(112, 5, 32) == (4, 4)
    assert max(tiles(224, 3, 256)) > 1
    assert tiles(112, 3, 8) == (1, 1)
    assert tiles(7, 3, 512) == (1, 1)


def test_auto_for_a_weight_gradient_counts_the_batch_which_it_sums_over() -> None:
    def tiles(batch: int, size: int, channels: int, wide: bool = False) -> list[int]:
        axes = (1, size, size), (1, 3, 3), (1, 1, 1), (1, 1, 1), (0, 1, 1), (0, 1, 1)
        shape = _core.ConvShape(batch, channels, channels, 1, *axes)
        return list(_core.conv_tiles(shape, "weight_grad", "auto", wide, False, False))

    assert tiles(1, 56, 64) == [1, 4, 4]
    assert tiles(1, 56, 64, wide=True) == [1, 1, 1]
    assert tiles(1, 56, 8) == [1, 1, 1]
    assert tiles(1, 8, 64) == [1, 1, 1]
    assert tiles(4, 8, 64) == [1, 4, 4]


def test_what_it_cannot_do_is_refused() -> None:
    x, w = draw_normal((1, 20, 20, 4), "float32", 1), draw_normal((3, 3, 4, 4), "float32", 2)
    with pytest.raises(pyconvx.OptionError, match=r"'winograd'.*more than the stride"):
        pyconvx.conv2d(x, w, algorithm="winograd", stride=3)
    with pytest.raises(pyconvx.OptionError, match=r"'winograd'.*kernel sizes 1 to 9"):
        pyconvx.conv2d(x, np.ones((10, 1, 4, 4), np.float32), algorithm="winograd")
    with pytest.raises(pyconvx.OptionError, match=r"'winograd'.*float32"):
        pyconvx.conv2d(x.astype(float), w.astype(float), algorithm="winograd")
    with pytest.raises(pyconvx.OptionError, match=r"'winograd'.*more than the stride"):
        pyconvx.conv2d_weight_grad(x, pyconvx.conv2d(x, w, stride=3), 3, algorithm="winograd", stride=3)
    with pytest.raises(pyconvx.OptionError, match=r"'winograd'.*float32"):
        pyconvx.conv2d_weight_grad(x.astype(float), x.astype(float), 3, padding=1, algorithm="winograd")


def test_precision_reaches_the_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every function and every layer hands it down, in all three directions."""
    asked: list[tuple[str, bool]] = []
    choose = _core.conv_tiles

    def spy(shape: Any, direction: str, algorithm: str, wide: bool, kept: bool, fast: bool) -> list[int]:
        asked.append((direction, fast))
        return choose(shape, direction, algorithm, wide, kept, fast)

    monkeypatch.setattr(_core, "conv_tiles", spy)
    for i, precision in enumerate(["default", "fast"]):
        x = draw_normal((1, 97, 3), "float32", 1)  # sizes that no other test has: choices are remembered
        y, pullback = nn.Conv1d(3, 4, 5, precision=precision).vjp(x)
        pullback(y)
        y, pullback = nn.ConvTranspose2d(3, 4, 5, precision=precision).vjp(x[None].reshape(1, 97, 1, 3))
        pullback(y)
        size, w = (1, 9, 101, 3), draw_normal((5, 3, 3, 4), "float32", 2)
        y = pyconvx.conv2d(draw_normal(size, "float32", 3), w, precision=precision)
        pyconvx.conv2d_input_grad(y, w, size, precision=precision)
        pyconvx.conv2d_weight_grad(draw_normal(size, "float32", 3), y, (5, 3), precision=precision)
        directions = [direction for direction, fast in asked if fast == bool(i)]
        assert sorted(directions) == sorted(["forward", "input_grad", "weight_grad"] * 3)


def test_joined_residues_serve_pictures_of_other_sizes(isa: str) -> None:
    w, b = draw_normal((7, 7, 3, 48), "float32", 1), draw_normal((3,), "float32", 2)
    packed = PackedWeights(w)
    for size in [(43, 50), (50, 43), (8, 9)]:
        dy = draw_normal((2, *size, 48), "float32", 3)
        options: dict[str, Any] = {"stride": 2, "padding": 3, "output_padding": 1}
        y = pyconvx.conv_transpose2d(dy, packed, b, algorithm="winograd", activation="relu", **options)
        wide = [array.astype(float) for array in (dy, w, b)]
        assert_close(y, pyconvx.conv_transpose2d(*wide, activation="relu", **options), contract_tolerance(48))


def test_a_joined_gradient_that_is_not_finite_is_computed_again(isa: str) -> None:
    dy, w = draw_normal((3, 30, 31, 32), "float32", 7), draw_normal((4, 4, 3, 32), "float32", 8)
    dy[1, 3, 4, 5] = np.nan
    options: dict[str, Any] = {"stride": 2, "padding": 1}
    dx = pyconvx.conv2d_input_grad(dy, w, (3, 60, 62, 3), algorithm="winograd", **options)
    assert_same_bits(dx[1], pyconvx.conv2d_input_grad(dy[1], w, (60, 62, 3), algorithm="direct", **options))
    with pyconvx.num_threads(3):
        assert_same_bits(pyconvx.conv2d_input_grad(dy, w, (3, 60, 62, 3), algorithm="winograd", **options), dx)
    assert np.isfinite(dx[[0, 2]]).all()


def test_a_first_layer_has_its_residues_joined() -> None:
    """7x7 with stride 2 is 4x4 for each of 4 residues of 3 channels: F(3, 4) x F(4, 4), once for all of them."""
    found = pyconvx.explain("conv2d_input_grad", (1, 224, 224, 3), (7, 7, 3, 64), stride=2, padding=3, kept=True)
    assert (found.algorithm, found.tile) == ("winograd", (3, 4))
    assert found.multiplications == 38 * 29 * 6 * 7 * 64 * 12
