# The Cython extension. `python -m mypy.stubtest pyconvx._mining` compares this file with what was built.
from typing import Any

import numpy as np
from numpy.typing import NDArray

def hardest(
    distances: NDArray[Any], labels: NDArray[np.int32], positives: NDArray[np.int64], negatives: NDArray[np.int64]
) -> None: ...
def nearest_in_band(
    distances: NDArray[Any], labels: NDArray[np.int32], low: float, high: float, triplets: NDArray[np.int64]
) -> int: ...
def every_in_band(
    distances: NDArray[Any], labels: NDArray[np.int32], low: float, high: float, triplets: NDArray[np.int64]
) -> int: ...
def sum_in_band(
    distances: NDArray[Any],
    labels: NDArray[np.int32],
    low: float,
    high: float,
    margin: float,
    soft: bool,
    slopes: NDArray[np.float64],
) -> tuple[float, int, int]: ...
def draw(
    weights: NDArray[np.float64], rows: NDArray[np.int64], uniform: NDArray[np.float64], drawn: NDArray[np.int64]
) -> None: ...
def pull_triplets(
    points: NDArray[Any],
    triplets: NDArray[np.int64],
    to_positive: NDArray[np.float64],
    to_negative: NDArray[np.float64],
    gradient: NDArray[np.float64],
) -> None: ...
