"""Nearest neighbours where they are hard: ties, NaN, merged parts, large k, rows of zeros, wrong arguments."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import draw_integers, draw_normal
from check import assert_same_bits

import pyconvx
from pyconvx import DTypeError, OptionError, ShapeError, _core

METRICS = ("sqeuclidean", "euclidean", "cosine", "manhattan", "chi2")
every_metric = pytest.mark.parametrize("metric", METRICS)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
LARGE = (3, 40_000, 70)  # queries, gallery, depth: enough to cut the gallery into eight parts, on several threads


def sorted_whole(queries: np.ndarray, gallery: np.ndarray, k: int, metric: str) -> tuple[np.ndarray, np.ndarray]:
    """What nearest promises, from the whole matrix; NumPy's stable sort puts NaN last."""
    distances = pyconvx.pairwise_distances(queries, gallery, metric=metric)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, order, axis=1), order


def assert_nearest(queries: np.ndarray, gallery: np.ndarray, k: int, metric: str = "sqeuclidean") -> None:
    distances, indices = pyconvx.nearest(queries, gallery, k, metric=metric)
    expected, order = sorted_whole(queries, gallery, k, metric)
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(indices, order)
    np.testing.assert_array_equal(np.isnan(distances), np.isnan(expected))
    assert_same_bits(np.nan_to_num(distances, nan=-1), np.nan_to_num(expected, nan=-1))


@every_metric
@every_dtype
@pytest.mark.parametrize("k", [1, 5, 300])
def test_parts_of_a_gallery_merge_to_what_the_whole_gives(metric: str, dtype: str, k: int, isa: str) -> None:
    count, size, depth = LARGE
    gallery = draw_normal((size, depth), dtype, 2)
    if k == 5:  # every row is there 400 times: ties within parts and across them
        gallery = np.tile(gallery[:100], (400, 1))
    assert_nearest(draw_normal((count, depth), dtype, 1), gallery, k, metric)


@pytest.mark.parametrize(
    "sizes",
    [
        (1, 1, 1),
        (1, 17, 3),
        (2, 15, 16),
        (63, 129, 5),  # around a block of 64 queries
        (64, 511, 5),  # and around a piece of 512 rows
        (65, 512, 5),
        (130, 513, 7),
        (1, 2050, 5),  # a single query has larger pieces
        (1, 6007, 19),
        (5, 40, 9000),  # rows so deep that a piece has its least number of them
        (2, 30, 0),  # no depth: all distances are 0
    ],
    ids=str,
)
@every_metric
def test_sizes_around_every_block(sizes: tuple[int, int, int], metric: str, isa: str) -> None:
    count, size, depth = sizes
    queries, gallery = draw_normal((count, depth), "float32", 3), draw_normal((size, depth), "float32", 4)
    for k in {1, min(3, size), size}:
        assert_nearest(queries, gallery, k, metric)


def test_every_row_of_a_large_gallery_can_be_asked_for() -> None:
    queries, gallery = draw_normal((2, 4), "float32", 5), draw_normal((30_000, 4), "float32", 6)
    assert_nearest(queries, gallery, 30_000)


@every_metric
def test_threads_do_not_change_a_bit(metric: str, isa: str) -> None:
    count, size, depth = LARGE
    queries, gallery = draw_normal((count, depth), "float32", 1), draw_normal((size, depth), "float32", 2)
    gallery[-30:] = gallery[:30] = queries[0]  # ties between the first part and the last
    rows = gallery[:700]
    with pyconvx.num_threads(1):
        alone = (*pyconvx.nearest(queries, gallery, 20, metric=metric), pyconvx.pairwise_distances(rows, metric=metric))
    for threads in (2, 3, 4):
        with pyconvx.num_threads(threads):
            distances, indices = pyconvx.nearest(queries, gallery, 20, metric=metric)
            assert_same_bits(distances, alone[0])
            assert_same_bits(indices, alone[1])
            assert_same_bits(pyconvx.pairwise_distances(rows, metric=metric), alone[2])


@every_metric
def test_a_query_has_the_same_neighbours_alone_and_among_others(metric: str, isa: str) -> None:
    queries, gallery = draw_normal((70, 21), "float32", 1), draw_normal((900, 21), "float32", 2)
    distances, indices = pyconvx.nearest(queries, gallery, 4, metric=metric)
    for row in (0, 3, 68, 69):
        alone, numbers = pyconvx.nearest(queries[row], gallery, 4, metric=metric)
        assert alone.shape == numbers.shape == (4,)
        assert_same_bits(alone, distances[row])
        assert_same_bits(numbers, indices[row])


@every_metric
@every_dtype
def test_nan_comes_last_and_in_order(metric: str, dtype: str, isa: str) -> None:
    queries, gallery = draw_normal((6, 5), dtype, 1), draw_normal((90, 5), dtype, 2)
    gallery[::3, 2] = np.nan
    queries[4, 0] = np.nan  # everything is NaN: the first k rows, in order
    assert_nearest(queries, gallery, 75, metric)
    assert_nearest(queries, gallery, 1, metric)
    distances, indices = pyconvx.nearest(queries[4], gallery, 7, metric=metric)
    assert np.isnan(distances).all()
    np.testing.assert_array_equal(indices, np.arange(7))
    assert not np.isnan(pyconvx.nearest(queries[0], gallery, 60, metric=metric)[0]).any()


def test_infinite_distances_come_before_nan(isa: str) -> None:
    gallery = np.array([[np.nan], [1e30], [np.inf], [2.0], [np.inf], [np.nan]], np.float32)
    distances, indices = pyconvx.nearest(np.zeros(1, np.float32), gallery, 6)
    np.testing.assert_array_equal(indices, [3, 1, 2, 4, 0, 5])
    np.testing.assert_array_equal(distances, np.array([4, np.inf, np.inf, np.inf, np.nan, np.nan], np.float32))


def test_memory_stays_small_however_large_the_gallery(isa: str) -> None:
    queries, gallery = draw_normal((40, 2), "float32", 1), draw_normal((200_000, 2), "float32", 2)
    before = pyconvx.memory()["in_use"]
    _core.reset_memory_peak()
    with pyconvx.num_threads(2):
        pyconvx.nearest(queries, gallery, 10)
    whole = len(queries) * gallery.shape[0] * 4
    assert pyconvx.memory()["peak"] - before < whole / 16


# Cosine


@every_dtype
def test_a_row_of_zeros_is_at_distance_one_from_every_direction(dtype: str, isa: str) -> None:
    a = draw_normal((9, 21), dtype, 1)
    a[2] = a[7] = 0
    a[5, 3] = np.nan
    for d in (
        pyconvx.pairwise_distances(a, metric="cosine"),
        pyconvx.pairwise_distances(a, a.copy(), metric="cosine"),
        np.stack([_in_order(*pyconvx.nearest(row, a, len(a), metric="cosine")) for row in a]),
    ):
        zero, nan = np.isin(np.arange(9), (2, 7)), np.arange(9) == 5
        assert (d[np.ix_(zero, ~zero & ~nan)] == 1).all()
        assert (d[np.ix_(~zero & ~nan, zero)] == 1).all()
        assert (d[np.ix_(zero, zero)] == 0).all()
        assert np.isnan(d[nan]).all()
        assert np.isnan(d[:, nan]).all()
        assert (np.diag(d)[~nan] == 0).all()


def _in_order(distances: np.ndarray, indices: np.ndarray) -> np.ndarray:
    row = np.empty_like(distances)
    row[indices] = distances
    return row


@every_dtype
def test_cosine_of_rows_whose_squares_leave_the_range(dtype: str, isa: str) -> None:
    a = draw_normal((5, 19), dtype, 1)
    info = np.finfo(dtype)
    plain = pyconvx.pairwise_distances(a, metric="cosine")
    for factor in (2.0 ** (info.maxexp - 8), 2.0 ** (info.minexp + 8)):
        scaled = a * np.dtype(dtype).type(factor)
        d = pyconvx.pairwise_distances(a, scaled, metric="cosine")
        np.testing.assert_allclose(d, plain, rtol=0, atol=20 * float(info.eps))
    tiny = np.zeros((1, 3), dtype)
    tiny[0, 1] = info.smallest_subnormal
    unit = np.eye(3, dtype=dtype)
    np.testing.assert_array_equal(pyconvx.pairwise_distances(tiny, unit, metric="cosine"), [[1, 0, 1]])


@every_metric
def test_equal_rows_are_at_zero_wherever_they_stand(metric: str, isa: str) -> None:
    a = 1e3 + draw_normal((37, 45), "float32", 8)
    b = np.concatenate([draw_normal((5, 45), "float32", 9), a[::-1]])
    distances, indices = pyconvx.nearest(a, b, metric=metric)
    np.testing.assert_array_equal(distances, 0)
    np.testing.assert_array_equal(indices[:, 0], 5 + np.arange(37)[::-1])


def test_chi2_of_values_whose_squares_leave_the_range(isa: str) -> None:
    a = np.array([[1e-30, 3e-30, 0]], np.float32)
    b = np.array([[3e-30, 1e-30, 1e-38], [1e30, 1e30, 1e-30]], np.float32)
    np.testing.assert_allclose(pyconvx.pairwise_distances(a, b, metric="chi2"), [[2e-30, 2e30]], rtol=1e-6)


# Arguments


F = np.float32
ROWS = np.ones((4, 3), F)
WRONG: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: pyconvx.pairwise_distances(ROWS[0]), ShapeError, "a has 1 axes"),
    (lambda: pyconvx.pairwise_distances(ROWS, ROWS[None]), ShapeError, "b has 3 axes"),
    (lambda: pyconvx.pairwise_distances(ROWS, ROWS[:, :2]), ShapeError, "rows of b have 2 entries, those of a have 3"),
    (lambda: pyconvx.pairwise_distances(ROWS, ROWS.astype(float)), DTypeError, "b is float64"),
    (lambda: pyconvx.pairwise_distances(ROWS.astype(int)), DTypeError, "a is int64"),
    (lambda: pyconvx.pairwise_distances(ROWS, metric="euclid"), OptionError, "metric is 'euclid'"),
    (lambda: pyconvx.nearest(ROWS, ROWS, metric=3), OptionError, "metric is 3"),  # type: ignore[arg-type]
    (lambda: pyconvx.nearest(ROWS[None], ROWS), ShapeError, "queries has 3 axes"),
    (lambda: pyconvx.nearest(F(1), ROWS), ShapeError, "queries has 0 axes"),
    (lambda: pyconvx.nearest(ROWS, ROWS[0]), ShapeError, "gallery has 1 axes"),
    (lambda: pyconvx.nearest(ROWS, ROWS[:, 1:]), ShapeError, "rows of gallery have 2 entries, those of queries have 3"),
    (lambda: pyconvx.nearest(ROWS, ROWS[:0]), ShapeError, "gallery has shape (0, 3)"),
    (lambda: pyconvx.nearest(ROWS, ROWS, 5), OptionError, "k is 5; the gallery has only 4 rows"),
    (lambda: pyconvx.nearest(ROWS, ROWS, 0), OptionError, "k is 0"),
    (lambda: pyconvx.nearest(ROWS, ROWS, 1.5), OptionError, "k is 1.5"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "error", "text"), WRONG, ids=[text for _, _, text in WRONG])
def test_wrong_arguments_are_named(call: Callable[[], Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=re.escape(text)):
        call()


def test_no_query_gives_no_neighbour() -> None:
    distances, indices = pyconvx.nearest(ROWS[:0], ROWS, 2)
    assert distances.shape == indices.shape == (0, 2)


def test_float16_is_read_as_float32() -> None:
    rows = draw_integers((5, 3), np.float16, 1)
    assert pyconvx.pairwise_distances(rows).dtype == np.float32
    assert pyconvx.nearest(rows[0], rows)[0].dtype == np.float32
