"""The oracle itself: tiny numbers worked by hand, and PyTorch where it is installed."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import reference as ref

rng = np.random.default_rng


def exact(actual: np.ndarray, expected: Any) -> None:
    np.testing.assert_array_equal(actual, np.asarray(expected, np.float64))


# By hand. One image and one channel unless said; a column of numbers is a signal.


def column(*values: float) -> np.ndarray:
    return np.array(values, np.float64).reshape(1, -1, 1)


def kernel(*values: float) -> np.ndarray:
    return np.array(values, np.float64).reshape(-1, 1, 1)


def test_conv_is_a_cross_correlation() -> None:
    y = ref.conv(column(1, 2, 3, 4), kernel(1, 10, 100), np.array([0.5]), (1,), [(0, 0)], (1,), 1)
    exact(y, column(321.5, 432.5))


def test_conv_stride_dilation_and_uneven_padding() -> None:
    # Padded: 0 1 2 3 4 5 0 0; outputs start at 0 and 3 and read elements 0, 2, 4 places on.
    y = ref.conv(column(1, 2, 3, 4, 5), kernel(1, 10, 100), None, (3,), [(1, 2)], (2,), 1)
    exact(y, column(0 + 20 + 400, 3 + 50 + 0))


def test_conv_groups_keep_to_their_channels() -> None:
    x = np.array([1, 2, 3, 4], np.float64).reshape(1, 1, 4)
    w = np.array([[1, 10], [100, 1000]], np.float64).reshape(1, 2, 2)  # two inputs a group, one output a group
    exact(ref.conv(x, w, None, (1,), [(0, 0)], (1,), 2), [[[1 * 1 + 2 * 100, 3 * 10 + 4 * 1000]]])


def test_conv_gradients_by_hand() -> None:
    geometry = ((2,), [(1, 0)], (1,), 1)
    dy = column(1, 10)  # output 0 reads (pad, x0), output 1 reads (x1, x2)
    exact(ref.conv_input_grad(dy, kernel(3, 5), (3,), *geometry), column(1 * 5, 10 * 3, 10 * 5))
    dw, db = ref.conv_weight_grad(column(1, 2, 4), dy, (2,), *geometry)
    exact(dw, kernel(10 * 2, 1 * 1 + 10 * 4))
    exact(db, [11])


def test_conv_transpose_stamps_the_kernel() -> None:
    y = ref.conv_transpose(column(1, 10), kernel(1, 2, 3), np.array([100.0]), (2,), [(0, 0)], (0,), (1,), 1)
    exact(y, column(101, 102, 113, 120, 130))
    cut = ref.conv_transpose(column(1, 10), kernel(1, 2, 3), None, (2,), [(1, 1)], (1,), (1,), 1)
    exact(cut, column(2, 13, 20, 30))


def test_max_pool_by_hand() -> None:
    y, indices = ref.max_pool(column(1, 5, 5, 2), (2,), (2,), [(1, 1)], (1,), False)
    exact(y, column(1, 5, 2))
    exact(indices, column(1, 0, 0))  # the first window's position 0 is padding, the second holds two fives
    exact(ref.max_pool_grad(column(1, 10, 100), indices, (4,), (2,), (2,), [(1, 1)], (1,)), column(1, 10, 0, 100))


def test_max_pool_shares_an_element_between_windows() -> None:
    _, indices = ref.max_pool(column(1, 9, 2), (2,), (1,), [(0, 0)], (1,), False)
    exact(indices, column(1, 0))
    exact(ref.max_pool_grad(column(1, 10), indices, (3,), (2,), (1,), [(0, 0)], (1,)), column(0, 11, 0))


def test_max_pool_with_a_dilation() -> None:
    y, indices = ref.max_pool(column(9, 1, 2, 8, 3), (2,), (1,), [(0, 0)], (2,), False)
    exact(y, column(9, 8, 3))
    exact(indices, column(0, 1, 1))
    exact(ref.max_pool_grad(column(1, 10, 100), indices, (5,), (2,), (1,), [(0, 0)], (2,)), column(1, 0, 0, 10, 100))


def test_max_pool_nan_wins_and_padding_never_does() -> None:
    y, indices = ref.max_pool(column(9, np.nan, 9, -np.inf, np.nan, np.nan), (2,), (2,), [(0, 0)], (1,), False)
    exact(y, column(np.nan, 9, np.nan))
    exact(indices, column(1, 0, 0))
    y, indices = ref.max_pool(column(-np.inf), (2,), (1,), [(1, 0)], (1,), False)
    exact(y, column(-np.inf))
    exact(indices, column(1))


def test_ceil_mode_adds_a_partial_window_only_where_input_is_left() -> None:
    assert ref.pooled_size((5,), (2,), (2,), [(0, 0)], (1,), False) == (2,)
    assert ref.pooled_size((5,), (2,), (2,), [(0, 0)], (1,), True) == (3,)
    assert ref.pooled_size((3,), (2,), (3,), [(1, 1)], (1,), True) == (2,)  # a third would start in the padding
    exact(ref.max_pool(column(1, 2, 3, 4, 5), (2,), (2,), [(0, 0)], (1,), True)[0], column(2, 4, 5))


def test_avg_pool_by_hand() -> None:
    x = column(2, 4, 6, 8, 10)
    exact(ref.avg_pool(x, (2,), (2,), [(1, 0)], False, True), column(1, 5, 9))
    exact(ref.avg_pool(x, (2,), (2,), [(1, 0)], False, False), column(2, 5, 9))
    exact(ref.avg_pool(x, (2,), (2,), [(0, 0)], True, True), column(3, 7, 10))  # past the end never counts
    dx = ref.avg_pool_grad(column(2, 20, 200), (5,), (2,), (2,), [(1, 0)], True)
    exact(dx, column(1, 10, 10, 100, 100))


def test_gram_by_hand() -> None:
    x = np.array([[1, 2], [3, 4]], np.float64)[np.newaxis]
    exact(ref.gram(x, False), [[[10, 14], [14, 20]]])
    exact(ref.gram(x, True), [[[2.5, 3.5], [3.5, 5]]])
    dg = np.array([[[1, 2], [0, 0]]], np.float64)  # dg + dg' is [[2, 2], [2, 0]]
    exact(ref.gram_grad(x, dg, False), [[[2 * 1 + 2 * 2, 2 * 1], [2 * 3 + 2 * 4, 2 * 3]]])


@pytest.mark.parametrize(
    ("metric", "expected"),
    [("sqeuclidean", 25), ("euclidean", 5), ("manhattan", 7), ("chi2", 9 / 3 + 16 / 4), ("cosine", 1)],
)
def test_distances_by_hand(metric: ref.Metric, expected: float) -> None:
    a, b = np.array([[3.0, 0.0, 0.0]]), np.array([[0.0, 4.0, 0.0]])  # the third pair is 0/0 for chi2
    exact(ref.pairwise_distances(a, b, metric), [[expected]])


def test_nearest_sorts_and_gives_ties_to_the_lower_index() -> None:
    distances, indices = ref.nearest(np.array([[0.0]]), np.array([[3.0], [-1.0], [1.0], [2.0]]), 3, "sqeuclidean")
    exact(distances, [[1, 1, 4]])
    exact(indices, [[1, 2, 3]])
    _, indices = ref.nearest(np.zeros((1, 1)), np.tile([[1.0], [0.0]], (200, 1)), 400, "manhattan")
    exact(indices, [[*range(1, 400, 2), *range(0, 400, 2)]])


def test_every_form_of_padding() -> None:
    assert ref.resolve_padding("valid", (9, 9), (3, 3), (1, 1), (1, 1)) == [(0, 0), (0, 0)]
    assert ref.resolve_padding("same", (9, 8), (4, 3), (1, 2), (1, 1)) == [(1, 2), (0, 1)]
    assert ref.resolve_padding("same", (9,), (1,), (4,), (1,)) == [(0, 0)]
    assert ref.resolve_padding("causal", (9,), (3,), (1,), (2,)) == [(4, 0)]
    assert ref.resolve_padding(2, (9, 9), (3, 3), (1, 1), (1, 1)) == [(2, 2), (2, 2)]
    assert ref.resolve_padding((1, 2), (9, 9), (3, 3), (1, 1), (1, 1)) == [(1, 1), (2, 2)]
    assert ref.resolve_padding((1, 2), (9,), (3,), (1,), (1,)) == [(1, 2)]
    assert ref.resolve_padding(((1, 2), (3, 4)), (9, 9), (3, 3), (1, 1), (1, 1)) == [(1, 2), (3, 4)]


# Against PyTorch, in float64. Its arrays are channels-first.


def first(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(a, -1, 1))


def weights_first(w: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(w, (-1, -2), (0, 1)))


def agree(ours: np.ndarray, theirs: Any) -> None:
    np.testing.assert_allclose(ours, theirs.detach().numpy(), rtol=1e-12, atol=1e-12)


CONV_CASES = [  # rank, stride, padding, dilation, groups
    (1, 1, 0, 1, 1),
    (1, 3, 2, 2, 2),
    (2, 1, 1, 1, 1),
    (2, 2, 1, 2, 3),
    (2, 1, 1, 1, 6),  # depthwise
    (3, 1, 1, 1, 1),
    (3, 2, 1, 1, 2),
]


@pytest.mark.torch
@pytest.mark.parametrize(("rank", "stride", "padding", "dilation", "groups"), CONV_CASES)
def test_conv_agrees_with_torch(rank: int, stride: int, padding: int, dilation: int, groups: int) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    draw = rng(rank * 100 + stride * 10 + groups)
    in_size, k = (9, 8, 7)[:rank], (3, 2, 3)[:rank]
    geometry = ((stride,) * rank, [(padding, padding)] * rank, (dilation,) * rank)
    x = draw.standard_normal((2, *in_size, 6))
    w = draw.standard_normal((*k, 6 // groups, 12))
    b = draw.standard_normal(12)
    tx, tw, tb = (torch.tensor(a, requires_grad=True) for a in (first(x), weights_first(w), b))
    ty = getattr(torch.nn.functional, f"conv{rank}d")(tx, tw, tb, stride, padding, dilation, groups)
    y = ref.conv(x, w, b, *geometry, groups)
    agree(first(y), ty)

    dy = draw.standard_normal(y.shape)
    ty.backward(torch.tensor(first(dy)))
    agree(first(ref.conv_input_grad(dy, w, in_size, *geometry, groups)), tx.grad)
    dw, db = ref.conv_weight_grad(x, dy, k, *geometry, groups)
    agree(weights_first(dw), tw.grad)
    agree(db, tb.grad)


@pytest.mark.torch
@pytest.mark.parametrize(("rank", "stride", "padding", "dilation", "groups"), CONV_CASES)
def test_conv_transpose_agrees_with_torch(rank: int, stride: int, padding: int, dilation: int, groups: int) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    draw = rng(rank * 100 + stride * 10 + groups)
    in_size, k = (5, 4, 3)[:rank], (3, 2, 4)[:rank]
    extra = max(stride, dilation) - 1
    strides, pads, dilations = (stride,) * rank, [(padding, padding)] * rank, (dilation,) * rank
    x = draw.standard_normal((2, *in_size, 6))
    w = draw.standard_normal((*k, 12 // groups, 6))
    b = draw.standard_normal(12)
    tx, tw, tb = (torch.tensor(a, requires_grad=True) for a in (first(x), weights_first(w), b))
    call = getattr(torch.nn.functional, f"conv_transpose{rank}d")
    ty = call(tx, tw, tb, stride, padding, extra, groups, dilation)
    y = ref.conv_transpose(x, w, b, strides, pads, (extra,) * rank, dilations, groups)
    agree(first(y), ty)

    dy = draw.standard_normal(y.shape)
    ty.backward(torch.tensor(first(dy)))
    agree(first(ref.conv_transpose_input_grad(dy, w, in_size, strides, pads, dilations, groups)), tx.grad)
    dw, db = ref.conv_transpose_weight_grad(x, dy, k, strides, pads, dilations, groups)
    agree(weights_first(dw), tw.grad)
    agree(db, tb.grad)


POOL_CASES = list(itertools.product((1, 2, 3), (2, 3), (1, 2, 3), (0, 1), (False, True)))  # in the order of arguments


@pytest.mark.torch
@pytest.mark.parametrize(("rank", "k", "stride", "padding", "ceil_mode"), POOL_CASES)
def test_pooling_agrees_with_torch(rank: int, k: int, stride: int, padding: int, ceil_mode: bool) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    draw = rng(rank)
    in_size = (8, 7, 5)[:rank]
    kernels, strides, pads = (k,) * rank, (stride,) * rank, [(padding, padding)] * rank
    x = draw.standard_normal((2, *in_size, 2))
    tx = torch.tensor(first(x), requires_grad=True)

    for dilation in (1, 2):
        tx.grad = None
        dilations = (dilation,) * rank
        ty = getattr(torch.nn.functional, f"max_pool{rank}d")(tx, k, stride, padding, dilation, ceil_mode)
        y, indices = ref.max_pool(x, kernels, strides, pads, dilations, ceil_mode)
        agree(first(y), ty)
        dy = draw.standard_normal(y.shape)
        ty.backward(torch.tensor(first(dy)))
        agree(first(ref.max_pool_grad(dy, indices, in_size, kernels, strides, pads, dilations)), tx.grad)

    for count_include_pad in (False, True):
        tx.grad = None
        call = getattr(torch.nn.functional, f"avg_pool{rank}d")
        ty = call(tx, k, stride, padding, ceil_mode=ceil_mode, count_include_pad=count_include_pad)
        dy = draw.standard_normal((2, *ty.shape[2:], 2))
        agree(first(ref.avg_pool(x, kernels, strides, pads, ceil_mode, count_include_pad)), ty)
        ty.backward(torch.tensor(first(dy)))
        agree(first(ref.avg_pool_grad(dy, in_size, kernels, strides, pads, count_include_pad)), tx.grad)


@pytest.mark.torch
def test_gram_and_distances_agree_with_torch() -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    draw = rng(7)
    x, dg = draw.standard_normal((2, 5, 4, 3)), draw.standard_normal((2, 3, 3))
    tx = torch.tensor(x, requires_grad=True)
    tg = torch.einsum("bhwc,bhwd->bcd", tx, tx) / (5 * 4 * 3)
    agree(ref.gram(x, True), tg)
    tg.backward(torch.tensor(dg))
    agree(ref.gram_grad(x, dg, True), tx.grad)

    a, b = draw.standard_normal((4, 6)), draw.standard_normal((5, 6))
    ta, tb = torch.tensor(a), torch.tensor(b)
    agree(ref.pairwise_distances(a, b, "euclidean"), torch.cdist(ta, tb))
    agree(ref.pairwise_distances(a, b, "manhattan"), torch.cdist(ta, tb, p=1.0))
    agree(ref.pairwise_distances(a, b, "cosine"), 1 - torch.nn.functional.cosine_similarity(ta[:, None], tb[None], -1))
    ours, indices = ref.nearest(a, b, 3, "euclidean")
    theirs = torch.cdist(ta, tb).topk(3, largest=False)
    agree(ours, theirs.values)
    np.testing.assert_array_equal(indices, theirs.indices.numpy())
