"""Pairwise distances and nearest neighbours, against the oracle."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
import reference as ref
from cases import draw_integers, draw_normal
from check import UNIT_ROUNDOFF, assert_close, assert_same_bits

import pyconvx

METRICS = get_args(ref.Metric)
every_metric = pytest.mark.parametrize("metric", METRICS)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
SIZES = [  # rows of a, rows of b, columns
    *((3, 4, n) for n in (1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 128, 131)),  # around the lanes of a vector
    *((n, 5, 19) for n in (1, 6, 7, 13, 14, 15)),  # around the rows of a tile
    *((5, n, 19) for n in (1, 15, 16, 17, 31, 32, 33, 63, 65, 257)),  # around its columns and past several
    (0, 4, 5),
    (4, 0, 5),
    (67, 71, 37),  # several blocks of everything
]
every_size = pytest.mark.parametrize("size", SIZES, ids=str)


def rows(size: tuple[int, int, int], dtype: Any, draw: Any = draw_normal) -> tuple[np.ndarray, np.ndarray]:
    return draw((size[0], size[2]), dtype, 1), draw((size[1], size[2]), dtype, 2)


def tolerance(metric: str, columns: int, dtype: Any) -> tuple[float, float]:
    """(tolerance, scale): squared distances of N(0, 1) rows are about 2 n, the others as below."""
    u = UNIT_ROUNDOFF[np.dtype(dtype)]
    scale = {"sqeuclidean": 2 * columns, "euclidean": (2 * columns) ** 0.5, "manhattan": columns, "chi2": columns}
    return u * (8 + 2 * columns**0.5), scale.get(metric, 1.0)


@every_metric
@every_size
@every_dtype
def test_distances(metric: ref.Metric, size: tuple[int, int, int], dtype: str, isa: str) -> None:
    a, b = rows(size, dtype)
    d = pyconvx.pairwise_distances(a, b, metric=metric)
    assert d.dtype == dtype
    bound, scale = tolerance(metric, size[2], dtype)
    assert_close(d, ref.pairwise_distances(a, b, metric), bound, scale, metric)


@every_metric
@every_dtype
@pytest.mark.parametrize("shape", [(37, 19), (50, 2500)], ids=["one block", "four blocks a side"])
def test_a_row_is_at_distance_zero_from_itself_and_order_does_not_matter(
    metric: ref.Metric, dtype: str, shape: tuple[int, int], isa: str
) -> None:
    a = draw_normal(shape, dtype, 3)
    d = pyconvx.pairwise_distances(a, metric=metric)
    bound, scale = tolerance(metric, shape[1], dtype)
    assert_close(d, ref.pairwise_distances(a, None, metric), bound, scale)
    assert (d >= 0).all()
    np.testing.assert_array_equal(np.diag(d), 0)
    assert_same_bits(d, np.ascontiguousarray(d.T))


@every_metric
def test_close_rows_far_from_the_origin_keep_their_distance(metric: ref.Metric, isa: str) -> None:
    # |a|^2 + |b|^2 - 2 ab loses everything here; float32 holds these differences exactly.
    a = np.full((1, 24), 1000.0, np.float32)
    b = a + draw_integers((18, 24), np.float32, 4) / 16
    expected = ref.pairwise_distances(a, b, metric)
    if metric == "cosine":
        assert_close(pyconvx.pairwise_distances(a, b, metric=metric), expected, 1e-6, 1.0)
    else:
        assert_close(pyconvx.pairwise_distances(a, b, metric=metric), expected, 1e-5)


@pytest.mark.parametrize("metric", ["sqeuclidean", "manhattan"])
@every_size
def test_small_integers_are_exact(metric: ref.Metric, size: tuple[int, int, int], isa: str) -> None:
    for dtype in ("float32", "float64"):
        a, b = rows(size, dtype, draw_integers)
        d = pyconvx.pairwise_distances(a, b, metric=metric)
        np.testing.assert_array_equal(d, ref.pairwise_distances(a, b, metric))


def test_chi2_of_nothing_and_nothing_is_zero(isa: str) -> None:
    a = np.zeros((2, 21), np.float32)
    a[1, ::2] = 3
    d = pyconvx.pairwise_distances(a, metric="chi2")
    np.testing.assert_array_equal(d, [[0, 33], [33, 0]])


@every_metric
def test_nearest_on_integers_breaks_ties_to_the_lower_index(metric: ref.Metric, isa: str) -> None:
    # Rows of {0, 1} plus one: few distinct rows, hence many exact ties.
    queries = draw_integers((7, 3), np.float64, 5) % 2 + 1
    gallery = draw_integers((53, 3), np.float64, 6) % 2 + 1
    distances = pyconvx.pairwise_distances(queries, gallery, metric=metric)
    order = np.argsort(distances, axis=1, kind="stable")
    for k in (1, 2, 7, 53):
        found, indices = pyconvx.nearest(queries, gallery, k, metric=metric)
        np.testing.assert_array_equal(indices, order[:, :k])
        assert_same_bits(found, np.take_along_axis(distances, order[:, :k], axis=1))


@every_metric
@every_dtype
def test_nearest(metric: ref.Metric, dtype: str, isa: str) -> None:
    queries, gallery = rows((9, 301, 17), dtype)
    found, indices = pyconvx.nearest(queries, gallery, 5, metric=metric)
    expected, order = ref.nearest(queries, gallery, 5, metric)
    bound, scale = tolerance(metric, 17, dtype)
    assert found.dtype == dtype
    assert np.issubdtype(indices.dtype, np.integer)
    assert_close(found, expected, bound, scale)
    np.testing.assert_array_equal(indices, order)


def test_nearest_takes_one_neighbour_by_default() -> None:
    queries, gallery = rows((3, 8, 5), np.float32)
    found, indices = pyconvx.nearest(queries, gallery)
    assert found.shape == indices.shape == (3, 1)


@every_metric
def test_strided_rows_are_read_as_their_values(metric: ref.Metric) -> None:
    a, b = rows((8, 10, 24), np.float32)
    view_a, view_b = a[::-2, ::3], np.asfortranarray(b)[:, ::3]
    d = pyconvx.pairwise_distances(view_a, view_b, metric=metric)
    assert_same_bits(d, pyconvx.pairwise_distances(view_a.copy(), view_b.copy(), metric=metric))
