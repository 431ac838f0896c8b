"""NumPy with its BLAS: what one writes by hand where there is no library."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.arrays import Array
from bench.harness import Results, Side
from bench.peers import Unsupported


def gram(direction: str, x: Array, dg: Array, threads: int) -> list[Side]:
    """NumPy sees that both factors are one array, and computes one triangle."""
    flat = x.reshape(-1, x.shape[-1])
    if direction == "forward":
        return [Side("numpy", lambda: flat.T @ flat, lambda g: (g[None],))]
    return [Side("numpy", lambda: flat @ (dg[0] + dg[0].T), lambda dx: (dx.reshape(x.shape),))]


def distances(metric: str, queries: Array, gallery: Array, threads: int) -> list[Side]:
    if metric == "sqeuclidean":

        def call() -> Array:
            squares = np.einsum("ij,ij->i", queries, queries)[:, None] + np.einsum("ij,ij->i", gallery, gallery)
            result: Array = squares - 2 * (queries @ gallery.T)
            return result

        return [Side("numpy", call, lambda d: (d,))]
    if metric == "cosine":

        def call() -> Array:
            left = queries / np.linalg.norm(queries, axis=1, keepdims=True)
            right = gallery / np.linalg.norm(gallery, axis=1, keepdims=True)
            result: Array = 1 - left @ right.T
            return result

        return [Side("numpy", call, lambda d: (d,))]
    raise Unsupported(f"{metric} needs an array of queries x gallery x dimension")


def nearest(queries: Array, gallery: Array, read: Callable[[Any], Results], threads: int) -> list[Side]:
    """The squares of the gallery are summed beforehand, as one would keep them."""
    squares = np.einsum("ij,ij->i", gallery, gallery)

    def call() -> tuple[Array, Array]:
        partial = squares - 2 * (queries @ gallery.T)
        index = partial.argmin(axis=1)
        rest = np.einsum("ij,ij->i", queries, queries)
        return np.take_along_axis(partial, index[:, None], 1)[:, 0] + rest, index

    return [Side("numpy", call, read)]
