"""Distances between rows, and the nearest rows of a gallery: how encodings are compared."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx import _core
from pyconvx.errors import OptionError, ShapeError
from pyconvx.functional._arguments import choice, integer
from pyconvx.functional._arrays import Array, as_float, empty

METRICS = ("sqeuclidean", "euclidean", "cosine", "manhattan", "chi2")


def pairwise_distances(a: ArrayLike, b: ArrayLike | None = None, *, metric: str = "sqeuclidean") -> Array:
    """Distance of every row of a from every row of b.

    Computed from the differences of the rows themselves: equal rows are at exactly 0, and close rows far from the
    origin keep their distance, which |a|^2 + |b|^2 - 2 ab would lose.

    Parameters
    ----------
    a : array, (rows, depth)
        float32 or float64.
    b : array, (columns, depth), optional
        Without it, a is compared with itself; the result is then symmetric to the last bit.
    metric : str
        "sqeuclidean": sum of (a - b)^2. "euclidean": its square root. "manhattan": sum of |a - b|.
        "chi2": sum of (a - b)^2 / (|a| + |b|), where 0 / 0 counts as 0.
        "cosine": 1 - cos(a, b), from 0 to 2. A row of zeros has no direction: it is at distance 1 from every other
        row (as in scikit-learn; SciPy says NaN), and at 0 from another row of zeros.

    Returns
    -------
    array, (rows, columns)
        In the element type of a. A row with NaN is at distance NaN from everything, also from itself; so is a row
        with Inf from itself.

    Raises
    ------
    ShapeError
        Not two axes, or rows of different depth.
    DTypeError
        Element types that are not taken, or differ.
    OptionError
        An unknown metric.

    Examples
    --------
    >>> import numpy as np
    >>> pairwise_distances(np.array([[0.0, 0.0], [3.0, 4.0]]), metric="euclidean")
    array([[0., 5.],
           [5., 0.]])
    """
    choice("metric", metric, METRICS)
    left = _rows("a", a)
    right = None if b is None else _rows("b", b, left)
    result = empty((len(left), len(left if right is None else right)), left.dtype)
    _core.pairwise_distances(metric, left, right, result)
    return result


def nearest(
    queries: ArrayLike, gallery: ArrayLike, k: int = 1, *, metric: str = "sqeuclidean"
) -> tuple[Array, NDArray[np.int64]]:
    """The k rows of a gallery that are nearest to each query.

    The matrix of distances is never held as a whole: memory stays small however large the gallery.

    Parameters
    ----------
    queries : array, (queries, depth)
        float32 or float64. One query may come as (depth,); its axis then stays missing in the result.
    gallery : array, (size, depth)
        At least k rows.
    k : int
        How many to find.
    metric : str
        As in `pairwise_distances`, with the same bits.

    Returns
    -------
    distances : array, (queries, k)
        Nearest first; NaN comes last.
    indices : int64 array, (queries, k)
        Which rows of the gallery these are; of equally near ones, the lower index comes first.

    Raises
    ------
    ShapeError
        An empty gallery, wrong axes, or rows of different depth.
    DTypeError
        Element types that are not taken, or differ.
    OptionError
        An unknown metric, or a k that is not between 1 and the size of the gallery.

    Examples
    --------
    >>> import numpy as np
    >>> distances, indices = nearest(np.array([1.0, 1.0]), np.array([[5.0, 5.0], [1.0, 2.0], [1.0, 1.0]]), k=2)
    >>> distances, indices
    (array([0., 1.]), array([2, 1]))
    """
    choice("metric", metric, METRICS)
    given = as_float("queries", queries)
    wanted = _rows("queries", given[np.newaxis] if given.ndim == 1 else given)
    rows = _rows("gallery", gallery, wanted, "queries")
    if len(rows) == 0:
        raise ShapeError(f"gallery has shape {rows.shape}; wanted at least one row to compare with")
    count = integer("k", k, 1)
    if count > len(rows):
        raise OptionError(f"k is {count}; the gallery has only {len(rows)} rows")
    shape = (len(wanted), count)
    distances, indices = empty(shape, wanted.dtype), np.empty(shape, np.int64)
    _core.nearest(metric, wanted, rows, distances, indices)
    return (distances[0], indices[0]) if given.ndim == 1 else (distances, indices)


def _rows(name: str, value: ArrayLike, like: Array | None = None, like_name: str = "a") -> Array:
    array = as_float(name, value, like)
    if array.ndim != 2:
        raise ShapeError(f"{name} has {array.ndim} axes, shape {array.shape}; wanted 2: (rows, depth)")
    if like is not None and array.shape[1] != like.shape[1]:
        raise ShapeError(
            f"rows of {name} have {array.shape[1]} entries, those of {like_name} have {like.shape[1]}; "
            "only rows of one depth can be compared"
        )
    return np.ascontiguousarray(array)
