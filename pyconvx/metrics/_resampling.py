"""Confidence intervals of rates by resampling people: pairs that share a person are not independent.

A person drawn w times puts w copies into the sample: an impostor pair of i and j is there w_i w_j times, a genuine pair
of i w_i times; copies of one person make no impostor pair. (The vertex bootstrap of Snijders and Borgatti, 1999.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pyconvx.metrics.pairs import Pairs

Interval = tuple[float, float]
# Two tables of people times people in float32: at most 128 MiB. More people are drawn in so many bundles.
_MAX_UNITS = 4096
_AT_ONCE = 256


def intervals(
    pairs: Pairs, threshold: float, confidence: float, resamples: int, seed: int
) -> tuple[Interval, Interval] | None:
    """Intervals of the false- and of the true-accept rate at a threshold; None if nobody says who is on the pairs."""
    if pairs.people is None:
        return None
    rng = np.random.default_rng(seed)
    units, count = _units(pairs.people, rng)
    accepted = pairs.distances <= threshold
    impostor = _table(units[~pairs.same], count), _table(units[~pairs.same & accepted], count)
    genuine = tuple(
        np.bincount(units[chosen, 0], minlength=count).astype(np.float64)
        for chosen in (pairs.same, pairs.same & accepted)
    )
    far, tar = [], []
    for start in range(0, resamples, _AT_ONCE):
        draws = rng.multinomial(count, np.full(count, 1 / count), size=min(_AT_ONCE, resamples - start))
        weights = draws.astype(np.float32)
        far.append(_rate(*(np.einsum("bi,bi->b", weights @ table, weights, dtype=np.float64) for table in impostor)))
        tar.append(_rate(*(draws @ table for table in genuine)))
    return _interval(np.concatenate(far), confidence), _interval(np.concatenate(tar), confidence)


def _units(people: NDArray[np.int64], rng: np.random.Generator) -> tuple[NDArray[np.int64], int]:
    """What is drawn, for each side of each pair: a person, or a bundle of people where there are very many."""
    known, numbers = np.unique(people, return_inverse=True)
    if len(known) <= _MAX_UNITS:
        return numbers.reshape(people.shape), len(known)
    bundles = rng.permutation(len(known)) % _MAX_UNITS
    return bundles[numbers].reshape(people.shape), _MAX_UNITS


def _table(units: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """How many pairs there are of each two units."""
    table = np.bincount(units[:, 0] * count + units[:, 1], minlength=count * count)
    return table.reshape(count, count).astype(np.float32)


def _rate(all_of_them: NDArray[np.float64], accepted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rates of the draws that hold any pair."""
    some = all_of_them > 0
    return accepted[some] / all_of_them[some]


def _interval(found: NDArray[np.float64], confidence: float) -> Interval:
    if not len(found):
        return 0.0, 1.0
    low, high = np.quantile(found, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)
