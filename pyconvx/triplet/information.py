"""Losses that classify: which of the batch is the positive? InfoNCE, N-pairs, supervised contrastive."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pyconvx.errors import OptionError
from pyconvx.triplet.batch import Array, BatchLoss, Reduction, Terms
from pyconvx.triplet.similarity import SimilarityLoss, log_sum_exp


class NTXentLoss(SimilarityLoss):
    """`-log(exp(s_ip / t) / (exp(s_ip / t) + sum over negatives n of exp(s_in / t)))` of every positive pair (i, p).

    Also known as InfoNCE. `s` is the cosine, `t` the temperature.

    Parameters
    ----------
    temperature : float
        The smaller, the more the nearest negatives count.
    reduction : {"mean", "mean_nonzero", "sum", "none"}
        See `BatchLoss`. A term is a positive pair; both directions count.

    Notes
    -----
    Deviation from the paper: there a class is two views of one picture; here it may have any number of rows, and the
    other positives of a pair's anchor stay out of its denominator.

    References
    ----------
    Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, 2020, equation 1. Van den Oord,
    Li and Vinyals, Representation Learning with Contrastive Predictive Coding, 2018, equation 4.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    >>> round(NTXentLoss(temperature=1.0)(x, [0, 0, 1]), 4)  # log(1 + exp(0 - 1))
    0.3133
    """

    def __init__(self, temperature: float = 0.07, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.temperature = above_zero(temperature, "temperature")

    def _of_similarities(self, s: Array, positives: Array, negatives: Array) -> tuple[Array, Callable[[Array], Array]]:
        z = s / self.temperature
        rest, shares = log_sum_exp(z, negatives)
        anchor, positive = np.nonzero(positives)
        ahead = rest[anchor] - z[anchor, positive]
        each = np.logaddexp(0, ahead)
        missed = np.exp(ahead - each)  # 1 - the probability of the positive

        def slopes_of(weights: Array) -> Array:
            pulled = weights * missed / self.temperature
            slopes = shares * np.bincount(anchor, pulled, len(s))[:, np.newaxis]
            slopes[anchor, positive] = -pulled
            return slopes

        return each, slopes_of


class SupConLoss(SimilarityLoss):
    """`-mean over positives p of log(exp(s_ip / t) / sum over a != i of exp(s_ia / t))` of every anchor i that has one.

    The supervised contrastive loss. `s` is the cosine, `t` the temperature.

    Parameters
    ----------
    temperature : float
        The smaller, the more the nearest rows count.
    reduction : {"mean", "mean_nonzero", "sum", "none"}
        See `BatchLoss`. A term is an anchor that has a positive.

    Notes
    -----
    Deviation from the paper: the mean over anchors where it has the sum.

    References
    ----------
    Khosla et al., Supervised Contrastive Learning, 2020, equation 2.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    >>> round(SupConLoss(temperature=1.0)(x, [0, 0, 1]), 4)
    0.3133
    """

    def __init__(self, temperature: float = 0.1, *, reduction: Reduction = "mean") -> None:
        super().__init__(reduction)
        self.temperature = above_zero(temperature, "temperature")

    def _of_similarities(self, s: Array, positives: Array, negatives: Array) -> tuple[Array, Callable[[Array], Array]]:
        z = s / self.temperature
        total, shares = log_sum_exp(z, positives | negatives)
        anchors = np.flatnonzero(positives.any(axis=1))
        wanted = positives[anchors] / positives[anchors].sum(axis=1, keepdims=True)
        each = total[anchors] - (wanted * z[anchors]).sum(axis=1)

        def slopes_of(weights: Array) -> Array:
            slopes = np.zeros_like(s)
            slopes[anchors] = (shares[anchors] - wanted) * (weights / self.temperature)[:, np.newaxis]
            return slopes

        return each, slopes_of


class NPairsLoss(BatchLoss):
    """`-log(exp(a_i . p_i) / sum over j of exp(a_i . p_j))` of one pair (a_i, p_i) a class.

    Parameters
    ----------
    reduction : {"mean", "mean_nonzero", "sum", "none"}
        See `BatchLoss`. A term is a class.

    Notes
    -----
    Anchor and positive of a class are its first two rows; classes with one row, and further rows, take no part. The
    products are of the encodings as they come. Deviation from the paper: no penalty on the encodings' lengths.

    References
    ----------
    Sohn, Improved Deep Metric Learning with Multi-class N-pair Loss Objective, 2016, equation 11.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> round(NPairsLoss()(x, [0, 0, 1, 1]), 4)  # log(1 + exp(0 - 1))
    0.3133
    """

    def _terms(self, x: Array, classes: Array) -> Terms:
        order = np.argsort(classes, kind="stable")
        starts = np.flatnonzero(np.diff(classes[order], prepend=-1))
        starts = starts[np.diff(starts, append=len(x)) > 1]
        if len(starts) < 2:
            raise OptionError("only one class has two rows; N pairs need two classes that have: draw with PKSampler")
        first, second = order[starts], order[starts + 1]
        anchors, positives = x[first].astype(np.float64), x[second].astype(np.float64)
        z = anchors @ positives.T
        total, shares = log_sum_exp(z, np.ones_like(z, bool))

        def pull(weights: Array) -> tuple[Array, dict[str, Array]]:
            slopes = (shares - np.eye(len(z))) * weights[:, np.newaxis]
            gradient = np.zeros(x.shape)
            gradient[first], gradient[second] = slopes @ positives, slopes.T @ anchors
            return gradient, {}

        return Terms(total - np.diagonal(z), pull)


def above_zero(value: float, name: str) -> float:
    if not (np.isfinite(value) and value > 0):
        raise OptionError(f"{name} is {value!r}; it must be above 0")
    return float(value)
