"""faiss's exact index, filled beforehand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faiss

from bench.arrays import Array
from bench.harness import Results, Side


def nearest(queries: Array, gallery: Array, read: Callable[[Any], Results], threads: int) -> list[Side]:
    faiss.omp_set_num_threads(threads)
    index: Any = faiss.IndexFlatL2(gallery.shape[1])
    index.add(gallery)
    return [Side("faiss", lambda: index.search(queries, 1), read)]
