"""The triplet loss over a batch: triplets are chosen, then max(d(a, p) - d(a, n) + margin, 0) of each."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from pyconvx import _mining
from pyconvx.errors import OptionError, ShapeError
from pyconvx.triplet.batch import Array, BatchLoss, BatchPullback, Gradients, Reduction, Terms, Value
from pyconvx.triplet.distances import Distances
from pyconvx.triplet.mining import Strategy, band, check_strategy, choose

Miner = Callable[[Array, Array], tuple[ArrayLike, ArrayLike, ArrayLike]]


class TripletLoss(BatchLoss):
    """`max(d(a, p) - d(a, n) + margin, 0)` of triplets (a, p, n) chosen in the batch.

    Parameters
    ----------
    margin : float
        By how much the negative must be farther than the positive, in the metric's unit.
    mining : str or callable
        How triplets are chosen, as in `pyconvx.triplet.mine`: "all" is the batch-all loss, "batch_hard" the batch-hard
        loss, "semihard" FaceNet's. Or a function `(encodings, classes) -> (anchors, positives, negatives)`.
    soft : bool
        `log(1 + exp(d(a, p) - d(a, n) + margin))` instead, which never rests; margin=0 is the soft margin of Hermans et
        al.
    metric : {"sqeuclidean", "euclidean", "cosine"}
        The distance d.
    every : bool
        As in `mine`.
    reduction : {"mean", "mean_nonzero", "sum", "none"}
        See `BatchLoss`. "mean_nonzero" is the batch-all loss of Hermans et al. and the default elsewhere; it does not
        fall while ever fewer triplets are active, so watch `active` beside it.
    random_state : int, numpy.random.Generator or None
        For strategies that draw. An integer starts one sequence of draws, it does not repeat the first.

    Attributes
    ----------
    active, chosen : int
        Of the last batch: how many triplets cost something, and how many there were.

    Notes
    -----
    Where nothing is chosen (no pair has a semihard negative), the loss is 0 and so is the gradient. The choice counts
    as constant in the gradient. A distance of 0 has no derivative in "euclidean"; it counts as 0.

    References
    ----------
    Schroff, Kalenichenko and Philbin, FaceNet, 2015, equation 3. Hermans, Beyer and Leibe, In Defense of the Triplet
    Loss, 2017, equations 5 and 7.

    Examples
    --------
    >>> import numpy as np
    >>> x, labels = np.array([[0.0], [1.0], [1.5], [3.0]]), [7, 7, 8, 8]
    >>> loss = TripletLoss(margin=2.0, mining="batch_hard")
    >>> value, pullback = loss.vjp(x, labels)
    >>> value, loss.active, loss.chosen  # anchors cost 1 - 2.25 + 2, 1 - 0.25 + 2, 2.25 - 0.25 + 2 and 2.25 - 4 + 2
    (1.9375, 4, 4)
    >>> dx, _ = pullback()
    >>> dx.ravel()
    array([-0.25,  2.5 , -2.75,  0.5 ])
    """

    def __init__(
        self,
        margin: float = 0.2,
        *,
        mining: Strategy | Miner = "semihard",
        soft: bool = False,
        metric: str = "sqeuclidean",
        every: bool = False,
        reduction: Reduction = "mean",
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        super().__init__(reduction)
        check_strategy("all" if callable(mining) and not every else str(mining), margin, every)
        Distances(np.zeros((1, 1)), metric)  # refuses one that has no gradient here
        self.margin, self.mining, self.soft = float(margin), mining, bool(soft)
        self.metric, self.every = metric, bool(every)
        self.active = self.chosen = 0
        self._rng = np.random.default_rng(random_state)

    def vjp(self, encodings: ArrayLike, labels: ArrayLike) -> tuple[Value, BatchPullback]:
        """Return the loss, and `pullback(dvalue=1.0)` -> `(dencodings, {})`."""
        if self.reduction == "none" or not (self.mining == "all" or self.every):
            return super().vjp(encodings, labels)
        return self._vjp_of_all(*self._read(encodings, labels))

    def _vjp_of_all(self, x: Array, classes: Array) -> tuple[float, BatchPullback]:
        """All triplets of a kind, whose number grows with the third power of the batch: summed without a list."""
        distances = Distances(x, self.metric)
        low, high = band(str(self.mining), self.margin)
        slopes = np.empty(distances.matrix.shape)
        total, self.active, self.chosen = _mining.sum_in_band(
            distances.matrix, classes, low, high, self.margin, self.soft, slopes
        )
        count = {"sum": 1, "mean": self.chosen, "mean_nonzero": self.active}[self.reduction]
        factor = 1 / max(count, 1)

        def pullback(dvalue: ArrayLike = 1.0) -> tuple[Array, Gradients]:
            weight = np.asarray(dvalue, np.float64)
            if weight.ndim:
                raise ShapeError(f"dvalue has shape {weight.shape}; the loss is one number")
            return distances.pull_matrix(slopes * (weight * factor)).astype(x.dtype, copy=False), {}

        return total * factor, pullback

    def _terms(self, x: Array, classes: Array) -> Terms:
        distances = Distances(x, self.metric)
        triplets = self._triplets(x, classes, distances.matrix)
        anchor, positive, negative = triplets.T
        near = distances.matrix[anchor, positive].astype(np.float64)
        violation = near - distances.matrix[anchor, negative] + self.margin
        if self.soft:
            each = np.logaddexp(0, violation)
            slope = np.exp(violation - each)
        else:
            each, slope = np.maximum(violation, 0), (violation > 0).astype(np.float64)
        self.active, self.chosen = int(np.count_nonzero(each)), len(triplets)
        return Terms(each, lambda weights: (distances.pull_triplets(triplets, weights * slope), {}))

    def _triplets(self, x: Array, classes: Array, matrix: Array) -> Array:
        if not callable(self.mining):
            return choose(x, classes, matrix, self.mining, self.margin, self.every, self._rng)
        found = [np.asarray(part) for part in self.mining(x, classes)]
        if len(found) != 3 or any(part.dtype.kind not in "iu" or part.shape != found[0].shape for part in found):
            raise ShapeError("mining returned no three arrays of indices of one length: anchors, positives, negatives")
        triplets = np.stack(found, axis=-1).astype(np.int64).reshape(-1, 3)
        if triplets.size and not (triplets.min() >= 0 and triplets.max() < len(x)):
            raise OptionError(f"mining returned indices from {triplets.min()} to {triplets.max()} of {len(x)} rows")
        return triplets
