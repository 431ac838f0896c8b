"""Losses that see the cosines of a batch: the chain from them to the encodings, and sums of exponentials."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pyconvx.triplet.batch import Array, BatchLoss, Terms
from pyconvx.triplet.distances import Directions


class SimilarityLoss(BatchLoss):
    """Base of losses over s(i, j) = cos(x_i, x_j), computed in float64 from rows of any length.

    A row of zeros has no direction: its cosines are 0, and it has no gradient.
    """

    def _terms(self, x: Array, classes: Array) -> Terms:
        directions = Directions(x)
        same = classes[:, np.newaxis] == classes
        positives, negatives = same & ~np.eye(len(x), dtype=bool), ~same
        each, slopes_of = self._of_similarities(directions.rows @ directions.rows.T, positives, negatives)

        def pull(weights: Array) -> tuple[Array, dict[str, Array]]:
            slopes = slopes_of(weights)
            return directions.pull((slopes + slopes.T) @ directions.rows), {}

        return Terms(each, pull)

    def _of_similarities(self, s: Array, positives: Array, negatives: Array) -> tuple[Array, Callable[[Array], Array]]:
        """The terms, and from a weight of each the gradient with respect to all similarities.

        `positives` and `negatives` are the masks of pairs (i, j), both directions, without the diagonal.
        """
        raise NotImplementedError


def log_sum_exp(z: Array, mask: Array, axis: int = 1) -> tuple[Array, Array]:
    """log(sum of exp(z)) over the mask, along an axis, and each one's share of the sum; of nothing -inf and 0."""
    kept = np.where(mask, z, -np.inf)
    top = kept.max(axis=axis, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    shares = np.exp(kept - top)
    total = shares.sum(axis=axis, keepdims=True)
    shares /= np.where(total > 0, total, 1)
    with np.errstate(divide="ignore"):
        return (np.log(total) + top).squeeze(axis), shares
