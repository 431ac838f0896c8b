"""Losses that learn a direction for each class and compare encodings with these: ArcFace, proxy-anchor."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from pyconvx.errors import DTypeError, OptionError, ShapeError
from pyconvx.nn import Layer, Parameter
from pyconvx.nn._arrays import positive
from pyconvx.training.examples import read_labels
from pyconvx.triplet.batch import Array, BatchLoss, Reduction, Terms, read_encodings
from pyconvx.triplet.distances import Directions
from pyconvx.triplet.information import above_zero
from pyconvx.triplet.similarity import log_sum_exp


class ProxyLoss(BatchLoss):
    """Base of losses over the cosines between encodings and one learned proxy a class.

    Labels are classes 0 to `num_classes - 1`, as in a classifier. `vjp`'s pullback gives the gradient of the proxies,
    `{"weight": ...}`; `named_parameters()` goes into an optimiser together with the encoder's.
    """

    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        reduction: Reduction,
        dtype: DTypeLike,
        random_state: int | np.random.Generator | None,
    ) -> None:
        super().__init__(reduction)
        self.num_classes, self.embedding_size = positive(num_classes, "num_classes"), positive(embedding_size, "size")
        rng = np.random.default_rng(random_state)
        # Lengths do not matter, only directions; of normal numbers all are equally likely. A step of gradient descent
        # turns them by the inverse square of the length, which is 1 on average.
        start = rng.standard_normal((self.num_classes, self.embedding_size)) / math.sqrt(self.embedding_size)
        self.weight = Parameter(start, dtype)
        self._layer = Layer()
        self._layer._parameters["weight"] = self.weight

    def named_parameters(self) -> dict[str, Parameter]:
        """The proxies: `{"weight": (num_classes, embedding_size)}`."""
        return self._layer.named_parameters()

    def state_dict(self) -> dict[str, Array]:
        """Return the proxies, as layers return their parameters."""
        return self._layer.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take the proxies of `state_dict`; a `WeightsError` if they do not fit."""
        self._layer.load_state_dict(state)

    def _read(self, encodings: ArrayLike, labels: ArrayLike) -> tuple[Array, Array]:
        x = read_encodings(encodings)
        if x.shape[1] != self.embedding_size:
            raise ShapeError(f"encodings have shape {x.shape}; the proxies have {self.embedding_size} entries")
        if x.dtype != self.weight.dtype:
            raise DTypeError(f"encodings are {x.dtype}, the proxies {self.weight.dtype}; build the loss with dtype=")
        given = read_labels(labels, len(x))
        if given.dtype.kind not in "iu":
            raise DTypeError(f"labels have type {given.dtype}; {type(self).__name__} takes classes 0, 1, ...")
        if not len(x):
            raise ShapeError(f"encodings have shape {x.shape}; there must be one row or more")
        if not (given.min() >= 0 and given.max() < self.num_classes):
            raise OptionError(f"labels go from {given.min()} to {given.max()}; expected 0 to {self.num_classes - 1}")
        return x, given.astype(np.int64)

    def _terms(self, x: Array, classes: Array) -> Terms:
        rows, proxies = Directions(x), Directions(self.weight.value)
        each, sizes, slopes_of = self._of_cosines(rows.rows @ proxies.rows.T, classes)
        dtype = self.weight.dtype

        def pull(weights: Array) -> tuple[Array, dict[str, Array]]:
            slopes = slopes_of(weights)
            dweight = proxies.pull(slopes.T @ rows.rows)
            return rows.pull(slopes @ proxies.rows), {"weight": dweight.astype(dtype)}

        return Terms(each, pull, sizes)

    def _of_cosines(self, cosines: Array, classes: Array) -> tuple[Array, tuple[int, ...] | None, Any]:
        """The terms, the sizes of their parts, and from a weight of each the slopes on the cosines (rows, classes)."""
        raise NotImplementedError


class ArcFaceLoss(ProxyLoss):
    """`-log(exp(z_y) / sum_c exp(z_c))` with `z_y = scale cos(angle_y + margin)` and else `z_c = scale cos(angle_c)`.

    angle_c is between an encoding and the proxy of class c, y the encoding's class.

    Parameters
    ----------
    num_classes, embedding_size : int
        How many proxies, of how many entries.
    margin : float
        The additive angle in radians; 0.5 is 28.6 degrees.
    scale : float
        The logits' scale: the radius of the sphere.
    reduction : {"mean", "mean_nonzero", "sum", "none"}
        See `BatchLoss`. A term is an encoding.
    dtype : float32 or float64
        Of the proxies, and of the encodings.
    random_state : int, numpy.random.Generator or None
        For the first proxies.

    Notes
    -----
    Beyond angle_y = pi - margin the cosine would rise again; there z_y is `scale (cos(angle_y) - margin sin(margin))`,
    as the authors' code has it. The angle's derivative is infinite where encoding and proxy coincide; there the sine
    counts as at least 1e-6, which leaves the gradient of the encoding right and finite. The proxies are rows,
    `(classes, entries)`; pytorch-metric-learning has them as columns, and the margin in degrees.

    References
    ----------
    Deng, Guo, Xue and Zafeiriou, ArcFace: Additive Angular Margin Loss for Deep Face Recognition, 2019, equation 3.

    Examples
    --------
    >>> import numpy as np
    >>> loss = ArcFaceLoss(2, 2, margin=0.5, scale=1.0, dtype=np.float64)
    >>> loss.load_state_dict({"weight": np.array([[1.0, 0.0], [0.0, 1.0]])})
    >>> round(loss(np.array([[3.0, 0.0]]), [0]), 4)  # log(1 + exp(0 - cos(0.5)))
    0.3477
    """

    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        margin: float = 0.5,
        scale: float = 64.0,
        *,
        reduction: Reduction = "mean",
        dtype: DTypeLike = np.float32,
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        super().__init__(num_classes, embedding_size, reduction, dtype, random_state)
        if not 0 <= margin < math.pi:
            raise OptionError(f"margin is {margin!r}; it is an angle in radians, from 0 to below pi")
        self.margin, self.scale = float(margin), above_zero(scale, "scale")

    def _of_cosines(self, cosines: Array, classes: Array) -> tuple[Array, None, Any]:
        rows = np.arange(len(classes))
        own = np.clip(cosines[rows, classes], -1, 1)
        sine = np.sqrt(np.maximum(1 - np.square(own), 0))
        cos_m, sin_m = math.cos(self.margin), math.sin(self.margin)
        rising = own < -cos_m
        z = self.scale * cosines
        z[rows, classes] = self.scale * np.where(rising, own - self.margin * sin_m, own * cos_m - sine * sin_m)
        turned = np.where(rising, 1, cos_m + own * sin_m / np.maximum(sine, 1e-6))
        total, shares = log_sum_exp(z, np.ones_like(z, bool))

        def slopes_of(weights: Array) -> Array:
            slopes = shares * (self.scale * weights)[:, np.newaxis]
            slopes[rows, classes] = (shares[rows, classes] - 1) * turned * self.scale * weights
            return slopes

        return total - z[rows, classes], None, slopes_of


class ProxyAnchorLoss(ProxyLoss):
    """`log(1 + sum exp(-alpha (s - margin)))` over a class, plus `log(1 + sum exp(alpha (s + margin)))` over the rest.

    `s` is the cosine of the class's proxy and an encoding. The first is averaged over the proxies whose class is in the
    batch, the second over all, and both are added.

    Parameters
    ----------
    num_classes, embedding_size : int
        How many proxies, of how many entries.
    margin : float
        By how much cosines should be above and below 0.
    alpha : float
        How much the worst of a proxy's encodings count.
    reduction : {"mean", "mean_nonzero", "sum", "none"}
        See `BatchLoss`; "none" returns the terms of the proxies in the batch, then those of all.
    dtype : float32 or float64
        Of the proxies, and of the encodings.
    random_state : int, numpy.random.Generator or None
        For the first proxies.

    References
    ----------
    Kim, Kim, Cho and Kwak, Proxy Anchor Loss for Deep Metric Learning, 2020, equation 4.

    Examples
    --------
    >>> import numpy as np
    >>> loss = ProxyAnchorLoss(2, 2, margin=0.0, alpha=1.0, dtype=np.float64)
    >>> loss.load_state_dict({"weight": np.array([[1.0, 0.0], [0.0, 1.0]])})
    >>> round(loss(np.array([[1.0, 0.0]]), [0]), 4)  # log(1 + exp(-1)), and the mean of log(1) and log(1 + exp(0))
    0.6598
    """

    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        margin: float = 0.1,
        alpha: float = 32.0,
        *,
        reduction: Reduction = "mean",
        dtype: DTypeLike = np.float32,
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        super().__init__(num_classes, embedding_size, reduction, dtype, random_state)
        self.margin, self.alpha = float(margin), above_zero(alpha, "alpha")

    def _of_cosines(self, cosines: Array, classes: Array) -> tuple[Array, tuple[int, ...], Any]:
        own = classes[:, np.newaxis] == np.arange(self.num_classes)
        present = np.flatnonzero(own.any(axis=0))
        near, near_shares = log_sum_exp(-self.alpha * (cosines - self.margin), own, axis=0)
        far, far_shares = log_sum_exp(self.alpha * (cosines + self.margin), ~own, axis=0)
        pulled, pushed = np.logaddexp(0, near), np.logaddexp(0, far)
        pull, push = near_shares * np.exp(near - pulled), far_shares * np.exp(far - pushed)

        def slopes_of(weights: Array) -> Array:
            slopes: Array = self.alpha * push * weights[len(present) :]
            slopes[:, present] -= self.alpha * pull[:, present] * weights[: len(present)]
            return slopes

        return np.concatenate([pulled[present], pushed]), (len(present), self.num_classes), slopes_of
