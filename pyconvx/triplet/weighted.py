"""Losses over the cosines of a batch that weigh each pair by how far it is from where it should be."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pyconvx.errors import OptionError
from pyconvx.triplet.batch import Array, Reduction
from pyconvx.triplet.information import above_zero
from pyconvx.triplet.similarity import SimilarityLoss, log_sum_exp


class MultiSimilarityLoss(SimilarityLoss):
    """`log(1 + sum_p exp(-alpha (s_ip - base))) / alpha + log(1 + sum_n exp(beta (s_in - base))) / beta` of each row i.

    p are its positives, n its negatives, `s` the cosine.

    Parameters
    ----------
    alpha, beta : float
        How much the worst of the positives and of the negatives count.
    base : float
        The cosine about which pairs are weighed.
    epsilon : float or None
        Mining: of a row's positives only those with s < (largest s of its negatives) + epsilon take part, of its
        negatives those with s > (smallest s of its positives) - epsilon. The paper has 0.1; None takes all pairs.
    reduction : {"mean", "mean_nonzero", "sum", "none"}
        See `BatchLoss`. A term is a row.

    References
    ----------
    Wang et al., Multi-Similarity Loss with General Pair Weighting for Deep Metric Learning, 2019, equations 11 to 15.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    >>> MultiSimilarityLoss(2.0, 2.0, 0.5, reduction="none")(x, [0, 0, 1]).round(4)
    array([0.3133, 0.3133, 0.2757])
    """

    def __init__(
        self,
        alpha: float = 2.0,
        beta: float = 50.0,
        base: float = 0.5,
        *,
        epsilon: float | None = None,
        reduction: Reduction = "mean",
    ) -> None:
        super().__init__(reduction)
        self.alpha, self.beta = above_zero(alpha, "alpha"), above_zero(beta, "beta")
        self.base, self.epsilon = float(base), None if epsilon is None else float(epsilon)

    def _of_similarities(self, s: Array, positives: Array, negatives: Array) -> tuple[Array, Callable[[Array], Array]]:
        if self.epsilon is not None:
            most = np.where(negatives, s, -np.inf).max(axis=1, keepdims=True)
            least = np.where(positives, s, np.inf).min(axis=1, keepdims=True)
            positives, negatives = (
                positives & (s - self.epsilon < most),
                negatives & (s + self.epsilon > least),
            )
        near, near_shares = log_sum_exp(-self.alpha * (s - self.base), positives)
        far, far_shares = log_sum_exp(self.beta * (s - self.base), negatives)
        pulled, pushed = np.logaddexp(0, near), np.logaddexp(0, far)
        # d log(1 + e^z) = e^z / (1 + e^z), shared out among the pairs; alpha and beta cancel.
        slopes = far_shares * np.exp(far - pushed)[:, np.newaxis] - near_shares * np.exp(near - pulled)[:, np.newaxis]
        return pulled / self.alpha + pushed / self.beta, lambda weights: slopes * weights[:, np.newaxis]


class CircleLoss(SimilarityLoss):
    """`log(1 + sum_n exp(gamma a_n (s_in - m)) sum_p exp(-gamma a_p (s_ip - 1 + m)))` of every row i that has both.

    `a_n = max(s_in + m, 0)` and `a_p = max(1 + m - s_ip, 0)`; p are its positives, n its negatives, `s` the cosine.

    Parameters
    ----------
    m : float
        The relaxation: positives should have s > 1 - m, negatives s < m.
    gamma : float
        The scale.
    reduction : {"mean", "mean_nonzero", "sum", "none"}
        See `BatchLoss`. A term is a row that has positives and negatives.

    Notes
    -----
    a_n and a_p are weights, not part of what is derived: as in the paper, the gradient takes them as constants.

    References
    ----------
    Sun et al., Circle Loss: A Unified Perspective of Pair Similarity Optimization, 2020, equations 6 to 9.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    >>> round(CircleLoss(m=0.25, gamma=4.0)(x, [0, 0, 1]), 4)  # log(1 + exp(-0.25) exp(-0.25)) for two rows
    0.4741
    """

    def __init__(self, m: float = 0.4, gamma: float = 80.0, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        if not np.isfinite(m):
            raise OptionError(f"m is {m!r}; it must be a number")
        self.m, self.gamma = float(m), above_zero(gamma, "gamma")

    def _of_similarities(self, s: Array, positives: Array, negatives: Array) -> tuple[Array, Callable[[Array], Array]]:
        rows = np.flatnonzero(positives.any(axis=1) & negatives.any(axis=1))
        s_rows, positives, negatives = s[rows], positives[rows], negatives[rows]
        weight_p = np.maximum(1 + self.m - s_rows, 0) * self.gamma
        weight_n = np.maximum(s_rows + self.m, 0) * self.gamma
        near, near_shares = log_sum_exp(-weight_p * (s_rows - 1 + self.m), positives)
        far, far_shares = log_sum_exp(weight_n * (s_rows - self.m), negatives)
        each = np.logaddexp(0, near + far)
        slopes = np.zeros_like(s)
        slopes[rows] = (far_shares * weight_n - near_shares * weight_p) * np.exp(near + far - each)[:, np.newaxis]

        def slopes_of(weights: Array) -> Array:
            spread = np.zeros(len(s))
            spread[rows] = weights
            return slopes * spread[:, np.newaxis]

        return each, slopes_of
