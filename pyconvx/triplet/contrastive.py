"""The contrastive loss: positive pairs together, negative pairs apart up to a margin."""

from __future__ import annotations

import numpy as np

from pyconvx.triplet.batch import Array, BatchLoss, Reduction, Terms
from pyconvx.triplet.distances import Distances


class ContrastiveLoss(BatchLoss):
    """`max(d - pos_margin, 0)` of positive pairs plus `max(neg_margin - d, 0)` of negative pairs.

    Parameters
    ----------
    pos_margin : float
        Positive pairs nearer than this cost nothing.
    neg_margin : float
        Negative pairs farther than this cost nothing.
    squared : bool
        The squares of both terms instead. With pos_margin=0 this is twice the loss of Hadsell et al.
    metric : {"euclidean", "sqeuclidean", "cosine"}
        The distance d.
    reduction : {"mean_nonzero", "mean", "sum", "none"}
        The mean of the positive pairs and that of the negative pairs are taken apart, then added. "none" returns
        positive pairs, then negative pairs.

    Notes
    -----
    A pair counts once, not in both directions. A distance of 0 has no derivative in "euclidean"; it counts as 0.
    Deviation from the paper: pairs of one batch instead of a list of pairs, and the parts are averaged apart, so that
    the many negative pairs do not outweigh the positive ones.

    References
    ----------
    Hadsell, Chopra and LeCun, Dimensionality Reduction by Learning an Invariant Mapping, 2006, equation 4.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[0.0], [0.5], [0.75]])
    >>> ContrastiveLoss()(x, ["a", "a", "b"])  # 0.5, and the mean of 1 - 0.75 and 1 - 0.25
    1.0
    """

    def __init__(
        self,
        pos_margin: float = 0.0,
        neg_margin: float = 1.0,
        *,
        squared: bool = False,
        metric: str = "euclidean",
        reduction: Reduction = "mean_nonzero",
    ) -> None:
        super().__init__(reduction)
        Distances(np.zeros((1, 1)), metric)
        self.pos_margin, self.neg_margin = float(pos_margin), float(neg_margin)
        self.squared, self.metric = bool(squared), metric

    def _terms(self, x: Array, classes: Array) -> Terms:
        distances = Distances(x, self.metric)
        first, second = np.triu_indices(len(x), 1)
        same = classes[first] == classes[second]
        order = np.argsort(~same, kind="stable")
        first, second, positives = first[order], second[order], int(same.sum())
        d = distances.matrix[first, second].astype(np.float64)
        sign = np.where(np.arange(len(d)) < positives, 1.0, -1.0)
        beyond = np.maximum(sign * (d - np.where(sign > 0, self.pos_margin, self.neg_margin)), 0)
        slope = sign * (2 * beyond if self.squared else beyond > 0)

        def pull(weights: Array) -> tuple[Array, dict[str, Array]]:
            slopes = np.zeros((len(x), len(x)))
            slopes[first, second] = weights * slope
            return distances.pull_matrix(slopes), {}

        return Terms(np.square(beyond) if self.squared else beyond, pull, (positives, len(d) - positives))
