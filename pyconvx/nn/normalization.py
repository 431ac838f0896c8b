"""Normalisation: BatchNorm over batch and positions, L2Normalize over channels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike

from pyconvx.errors import OptionError, ShapeError
from pyconvx.functional._channels import (
    ChannelMap,
    Wide,
    channel_grad,
    channel_grad_sums,
    channel_map,
    channel_moments,
)
from pyconvx.functional._elementwise import Bits, keep_passed, passed_bits
from pyconvx.nn._arrays import Array, check_axes, check_channels, check_same_type, positive
from pyconvx.nn.layer import Backward, FusesReLU, Gradients, Layer, Wants
from pyconvx.nn.parameter import Parameter


class BatchNorm(FusesReLU):
    """`y = (x - mean) / sqrt(var + eps) * weight + bias`, a channel at a time; any number of axes before the last.

    In use, mean and variance are the running ones. In training (after `train()`) they are those of the batch, and the
    running ones move towards them by `momentum`: the only layer whose `layer(x)` and `vjp` change it.
    A ReLU directly after it in a `Sequential` or `Graph` is computed together with it.

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

    Attributes
    ----------
    gather : callable or None
        For a batch that lies on several processes: takes an array `(1, ...)` and returns those of all processes,
        `(processes, ...)`. In training, statistics are then those of the whole batch, and so is the gradient of `x`;
        gradients of parameters are this process's share, to be summed.

    Notes
    -----
    As in PyTorch, the running variance is the unbiased one, and the batch is divided by the biased one.

    References
    ----------
    Ioffe and Szegedy, Batch Normalization, 2015, algorithms 1 and 2.
    """

    _makes_new = True

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
        self.gather: Callable[[Array], Array] | None = None
        self.weight: Parameter | None = None
        self.bias: Parameter | None = None
        if affine:
            self.weight = self._parameters["weight"] = Parameter(np.ones(num_features), dtype)
            self.bias = self._parameters["bias"] = Parameter(np.zeros(num_features), dtype)
        self.running_mean = self._buffers["running_mean"] = Parameter(np.zeros(num_features), dtype)
        self.running_var = self._buffers["running_var"] = Parameter(np.ones(num_features), dtype)

    def _forward(self, x: Array, relu: bool = False) -> Array:
        return channel_map(x, self._map(x, relu)[0])

    def _vjp(self, x: Array, wants: Wants, relu: bool = False, mask: bool = False) -> tuple[Array, Backward]:
        how, inverse = self._map(x, relu)
        y = channel_map(x, how)
        if self.training:
            return y, self._backward_in_training(x, wants, how._replace(relu=mask), inverse)
        return y, self._backward_in_use(x, wants, how, inverse, passed_bits(y) if mask else None)

    def _backward_in_training(self, x: Array, wants: Wants, how: ChannelMap, inverse: Wide) -> Backward:
        """The gradient runs through the statistics too; where the ReLU let through is told by `x`."""

        def backward(dy: Array, overwrite: bool) -> tuple[Array | None, Gradients]:
            total, along = channel_grad_sums(x, dy, how)
            grads = self._gradients(wants, total, along * inverse)
            if not wants.input:
                return None, grads
            count = dy.size / self.num_features
            if self.gather is not None:
                parts = self.gather(np.stack([np.full_like(total, count), total, along])[np.newaxis])
                count, total, along = float(parts[:, 0, 0].sum()), parts[:, 1].sum(axis=0), parts[:, 2].sum(axis=0)
            share = -1 / count * how.scale.astype(np.float64)
            slope = (share * np.square(inverse) * along).astype(dy.dtype)
            return channel_grad(x, dy, how, slope, (share * total).astype(dy.dtype), overwrite), grads

        return backward

    def _backward_in_use(self, x: Array, wants: Wants, how: ChannelMap, inverse: Wide, bits: Bits | None) -> Backward:
        kept = x if wants.parameters and self.weight is not None else None
        plain = how._replace(shift=np.zeros_like(how.shift), relu=False)

        def backward(dy: Array, overwrite: bool) -> tuple[Array | None, Gradients]:
            if bits is not None:
                dy = keep_passed(dy, bits, overwrite)
            grads: Gradients = {}
            if kept is not None:
                total, along = channel_grad_sums(kept, dy, plain)
                grads = self._gradients(wants, total, along * inverse)
            return (channel_map(dy, plain) if wants.input else None), grads

        return backward

    def _gradients(self, wants: Wants, total: Wide, along: Wide) -> Gradients:
        if not wants.parameters or self.weight is None:
            return {}
        dtype = self.weight.dtype
        return {"weight": along.astype(dtype), "bias": total.astype(dtype)}

    def _map(self, x: Array, relu: bool) -> tuple[ChannelMap, Wide]:
        """Return what to do with each channel, and 1 / sqrt(var + eps)."""
        mean, variance = self._statistics(x)
        inverse = 1 / np.sqrt(variance + self.eps)
        scale = inverse if self.weight is None else inverse * self.weight.value
        shift = -mean * scale if self.bias is None else self.bias.value - mean * scale
        return ChannelMap(mean.astype(x.dtype), scale.astype(x.dtype), shift.astype(x.dtype), relu), inverse

    def _statistics(self, x: Array) -> tuple[Wide, Wide]:
        """Return mean and variance: the batch's in training, noting them; else the running ones."""
        check_same_type(x, self.running_mean.dtype, "BatchNorm")
        check_axes(x, 2, "BatchNorm", "(batch, ..., channels)")
        check_channels(x, self.num_features, "BatchNorm")
        if not self.training:
            return self.running_mean.value.astype(np.float64), self.running_var.value.astype(np.float64)
        count, mean, variance = self._moments(x)
        if count < 2:
            raise ShapeError(f"x has shape {x.shape}; a BatchNorm in training needs two values or more a channel")
        keep = 1 - self.momentum
        self.running_mean.assign(keep * self.running_mean.value + self.momentum * mean)
        self.running_var.assign(keep * self.running_var.value + self.momentum * variance * count / (count - 1))
        return mean, variance

    def _moments(self, x: Array) -> tuple[int, Wide, Wide]:
        """Return how many values a channel has, their mean and biased variance: of the batch on all processes."""
        count = x.size // self.num_features
        mean, variance = channel_moments(x)
        if self.gather is None:
            return count, mean, variance
        parts = self.gather(np.stack([np.full_like(mean, count), mean, variance])[np.newaxis])
        counts, total = parts[:, 0], int(parts[:, 0, 0].sum())
        whole = (counts * parts[:, 1]).sum(axis=0) / total
        return total, whole, (counts * (parts[:, 2] + np.square(parts[:, 1] - whole))).sum(axis=0) / total


class L2Normalize(Layer):
    """`y = x / max(||x||, eps)` over the last axis, so that encodings lie on the unit sphere.

    Parameters
    ----------
    eps : float
        Below this norm the vector is only scaled, and a vector of zeros stays one.
    """

    _makes_new = True

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
