"""A training step on triplets in float64 from tests/reference.py: loss, gradients, moved parameters to compare with.

The encoder: 3x3 convolutions, each with a ReLU and a max pooling by two, the mean of each channel, a linear layer,
codes of length one. The first third of a batch are anchors, then come positives and negatives; the loss is the mean of
max(0, |a - p|^2 - |a - n|^2 + margin), and every parameter moves by rate times its gradient.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.arrays import Array, oracle
from bench.bench_pool import place_gradient

MARGIN, RATE = 0.2, 1e-3
CHANNELS, CODE = (3, 32, 64, 128, 256), 128
WHERE: Any = ((1, 1), [(1, 1)] * 2, (1, 1), 1)  # stride, padding, dilation, groups
TWO = (2, 2)

Layer = tuple[Array, Array]  # weight and bias


class Encoder(NamedTuple):
    """Weights (*kernel, in, out) of the convolutions and (in, out) of the linear layer."""

    convs: list[Layer]
    linear: Layer

    @property
    def parameters(self) -> list[Array]:
        """In the order of all results: weight, bias, weight, ..."""
        return [array for layer in (*self.convs, self.linear) for array in layer]


def random_encoder(rng: np.random.Generator) -> Encoder:
    def layer(*shape: int) -> Layer:
        scale = math.sqrt(2 / math.prod(shape[:-1]))
        small = 0.1 * rng.standard_normal(shape[-1])
        return (scale * rng.standard_normal(shape)).astype(np.float32), small.astype(np.float32)

    convs = [layer(3, 3, *pair) for pair in pairwise(CHANNELS)]
    return Encoder(convs, layer(CHANNELS[-1], CODE))


def flops(batch: int, size: int) -> float:
    """2 x products of the convolutions: forward, gradient of the weight, and of the input except the first one's."""
    forward = [
        2.0 * batch * (size >> index) ** 2 * 9 * pair[0] * pair[1] for index, pair in enumerate(pairwise(CHANNELS))
    ]
    return 3 * sum(forward) - forward[0]


def loss_and_gradient(codes: Array) -> tuple[float, Array]:
    """The loss, and its gradient with respect to the codes, in their type."""
    anchor, positive, negative = codes.reshape(3, -1, codes.shape[1])
    near, far = anchor - positive, anchor - negative
    each = np.square(near).sum(axis=1) - np.square(far).sum(axis=1) + codes.dtype.type(MARGIN)
    scale = (2 / len(each) * (each > 0)).astype(codes.dtype)[:, np.newaxis]
    gradient = np.concatenate([scale * (near - far), -scale * near, scale * far])
    return float(np.maximum(each, 0).mean()), gradient


def step(encoder: Encoder, x: Array) -> tuple[NDArray[np.float64], ...]:
    """(loss,), the gradient of each parameter, each parameter after the step."""
    reference, y, kept = oracle(), x.astype(np.float64), []
    for w, b in encoder.convs:
        active = np.maximum(reference.conv(y, w, b, *WHERE), 0)
        pooled, indices = reference.max_pool(active, TWO, TWO, [(0, 0)] * 2, (1, 1), False)
        kept.append((y, active > 0, indices))
        y = pooled
    means = y.mean(axis=(1, 2))
    w, b = (a.astype(np.float64) for a in encoder.linear)
    raw = means @ w + b
    norm = np.sqrt(np.square(raw).sum(axis=1, keepdims=True))
    codes = raw / norm
    loss, gradient = loss_and_gradient(codes)
    gradient = (gradient - codes * (codes * gradient).sum(axis=1, keepdims=True)) / norm
    gradients = [means.T @ gradient, gradient.sum(axis=0)]
    dy = np.broadcast_to((gradient @ w.T)[:, np.newaxis, np.newaxis] / math.prod(y.shape[1:3]), y.shape)
    for index, (source, passed, indices) in reversed(list(enumerate(kept))):
        dy = place_gradient(dy, indices, passed.shape) * passed
        gradients = [*reference.conv_weight_grad(source, dy, (3, 3), *WHERE), *gradients]
        if index:
            dy = reference.conv_input_grad(dy, encoder.convs[index][0], source.shape[1:3], *WHERE)
    moved = [p - RATE * g for p, g in zip(encoder.parameters, gradients, strict=True)]
    return np.array([loss]), *gradients, *moved
