"""Normalisation: BatchNorm over batch and positions, L2Normalize over channels."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from pyconvx.errors import OptionError, ShapeError
from pyconvx.nn._arrays import Array, check_axes, check_channels, check_same_type, positive
from pyconvx.nn.layer import Backward, Gradients, Layer, Wants
from pyconvx.nn.parameter import Parameter


class BatchNorm(Layer):
    """`y = (x - mean) / sqrt(var + eps) * weight + bias`, a channel at a time; any number of axes before the last.

    In use, mean and variance are the running ones. In training (after `train()`) they are those of the batch, and the
    running ones move towards them by `momentum`: the only layer whose `layer(x)` and `vjp` change it.

    Parameters
    ----------
    num_features : int
        Channels.
    eps : float
        Added to the variance.
    momentum : float
        The weight of the newest batch in the running statistics.
    affine : bool
        Whether there are a learned `weight` and `bias`.
    dtype : float32 or float64
        Type of the parameters, and of `x`.

    Notes
    -----
    As in PyTorch, the running variance is the unbiased one, and the batch is divided by the biased one.

    References
    ----------
    Ioffe and Szegedy, Batch Normalization, 2015, algorithms 1 and 2.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        *,
        dtype: DTypeLike = np.float32,
    ) -> None:
        super().__init__()
        self.num_features = positive(num_features, "num_features")
        if eps <= 0 or not 0 <= momentum <= 1:
            raise OptionError(f"eps is {eps!r} and momentum {momentum!r}; eps must be above 0, momentum from 0 to 1")
        self.eps, self.momentum = float(eps), float(momentum)
        self.weight: Parameter | None = None
        self.bias: Parameter | None = None
        if affine:
            self.weight = self._parameters["weight"] = Parameter(np.ones(num_features), dtype)
            self.bias = self._parameters["bias"] = Parameter(np.zeros(num_features), dtype)
        self.running_mean = self._buffers["running_mean"] = Parameter(np.zeros(num_features), dtype)
        self.running_var = self._buffers["running_var"] = Parameter(np.ones(num_features), dtype)

    def _forward(self, x: Array) -> Array:
        mean, inverse = self._statistics(x)
        return self._apply(x, mean, inverse)

    def _vjp(self, x: Array, wants: Wants) -> tuple[Array, Backward]:
        mean, inverse = self._statistics(x)
        weight = 1.0 if self.weight is None else self.weight.value.astype(np.float64)
        # With the batch's own statistics the gradient runs through them too, and needs the normalised x again.
        through_statistics = self.training
        kept = x if through_statistics or (wants.parameters and self.weight is not None) else None

        def backward(dy: Array, overwrite: bool) -> tuple[Array | None, Gradients]:
            scale = np.asarray(weight * inverse).astype(dy.dtype)
            if kept is None:
                return (dy * scale if wants.input else None), {}
            axes = tuple(range(dy.ndim - 1))
            normal = (kept - mean.astype(dy.dtype)) * inverse.astype(dy.dtype)
            total = dy.sum(axis=axes, dtype=np.float64)
            along = (dy * normal).sum(axis=axes, dtype=np.float64)
            grads: Gradients = {}
            if wants.parameters and self.weight is not None:
                grads = {"weight": along.astype(dy.dtype), "bias": total.astype(dy.dtype)}
            if not wants.input:
                return None, grads
            if not through_statistics:
                return dy * scale, grads
            count = dy.size // self.num_features
            dx = dy - (total / count).astype(dy.dtype)
            dx -= normal * (along / count).astype(dy.dtype)
            dx *= scale
            return dx, grads

        return self._apply(x, mean, inverse), backward

    def _statistics(self, x: Array) -> tuple[Array, Array]:
        """Return mean and 1 / sqrt(var + eps) in float64: the batch's in training, noting them; else the running."""
        check_same_type(x, self.running_mean.dtype, "BatchNorm")
        check_axes(x, 2, "BatchNorm", "(batch, ..., channels)")
        check_channels(x, self.num_features, "BatchNorm")
        if not self.training:
            mean, var = self.running_mean.value.astype(np.float64), self.running_var.value.astype(np.float64)
            return mean, 1 / np.sqrt(var + self.eps)
        count = x.size // self.num_features
        if count < 2:
            raise ShapeError(f"x has shape {x.shape}; a BatchNorm in training needs two values or more a channel")
        axes = tuple(range(x.ndim - 1))
        mean = x.mean(axis=axes, dtype=np.float64)
        var = np.square(x - mean.astype(x.dtype)).mean(axis=axes, dtype=np.float64)
        keep = 1 - self.momentum
        self.running_mean.assign(keep * self.running_mean.value + self.momentum * mean)
        self.running_var.assign(keep * self.running_var.value + self.momentum * var * count / (count - 1))
        return mean, 1 / np.sqrt(var + self.eps)

    def _apply(self, x: Array, mean: Array, inverse: Array) -> Array:
        scale = inverse if self.weight is None else inverse * self.weight.value
        shift = -mean * scale if self.bias is None else self.bias.value - mean * scale
        y: Array = x * scale.astype(x.dtype)
        y += shift.astype(x.dtype)
        return y


class L2Normalize(Layer):
    """`y = x / max(||x||, eps)` over the last axis, so that encodings lie on the unit sphere.

    Parameters
    ----------
    eps : float
        Below this norm the vector is only scaled, and a vector of zeros stays one.
    """

    def __init__(self, eps: float = 1e-12) -> None:
        super().__init__()
        if eps <= 0:
            raise OptionError(f"eps is {eps!r}; it must be above 0")
        self.eps = float(eps)

    def _forward(self, x: Array) -> Array:
        return self._vjp(x, Wants(False, False))[0]

    def _vjp(self, x: Array, wants: Wants) -> tuple[Array, Backward]:
        check_axes(x, 1, "L2Normalize", "(..., channels)")
        norm = np.sqrt(np.square(x, dtype=np.float64).sum(axis=-1, keepdims=True))
        inverse = (1 / np.maximum(norm, self.eps)).astype(x.dtype)
        floored = norm <= self.eps
        y = x * inverse

        def backward(dy: Array, overwrite: bool) -> tuple[Array, Gradients]:
            along = (y * dy).sum(axis=-1, keepdims=True, dtype=np.float64).astype(dy.dtype)
            return (dy - y * np.where(floored, 0, along).astype(dy.dtype)) * inverse, {}

        return y, backward
