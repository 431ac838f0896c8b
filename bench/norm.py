"""A training step of a small network with BatchNorm in float64 from tests/reference.py, to compare with.

Four times: a 3x3 convolution to 64 channels, a BatchNorm over the batch, a ReLU, a max pooling by two. A slope at the
output is pulled back, and every parameter moves by rate times its gradient.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.arrays import Array, oracle
from bench.bench_pool import place_gradient

RATE, EPS = 1e-3, 1e-5
CHANNELS = (3, 64, 64, 64, 64)
WHERE: Any = ((1, 1), [(1, 1)] * 2, (1, 1), 1)  # stride, padding, dilation, groups
TWO = (2, 2)


class Block(NamedTuple):
    """Weights (3, 3, in, out) of a convolution; scale and shift of a BatchNorm."""

    w: Array
    scale: Array
    shift: Array


def random_blocks(rng: np.random.Generator) -> list[Block]:
    def block(given: int, made: int) -> Block:
        w = math.sqrt(2 / (9 * given)) * rng.standard_normal((3, 3, given, made))
        scale, shift = 1 + 0.2 * rng.standard_normal(made), 0.2 * rng.standard_normal(made)
        return Block(*(part.astype(np.float32) for part in (w, scale, shift)))

    return [block(*pair) for pair in pairwise(CHANNELS)]


def flops(batch: int, size: int) -> float:
    """2 x products of the convolutions: forward, gradient of the weight, and of the input except the first one's."""
    forward = [
        2.0 * batch * (size >> index) ** 2 * 9 * given * made for index, (given, made) in enumerate(pairwise(CHANNELS))
    ]
    return 3 * sum(forward) - forward[0]


def step(blocks: list[Block], x: Array, slope: Array) -> tuple[NDArray[np.float64], ...]:
    """The output, the gradient of each parameter, each parameter after the step."""
    reference, y, kept = oracle(), x.astype(np.float64), []
    for w, scale, shift in blocks:
        z = reference.conv(y, w, None, *WHERE)
        deviation = np.sqrt(z.var(axis=(0, 1, 2)) + EPS)
        normal = (z - z.mean(axis=(0, 1, 2))) / deviation
        active = np.maximum(normal * scale + shift, 0)
        pooled, indices = reference.max_pool(active, TWO, TWO, [(0, 0)] * 2, (1, 1), False)
        kept.append((y, normal, deviation, active > 0, indices))
        y = pooled
    dy, gradients = slope.astype(np.float64), []
    for index, (source, normal, deviation, passed, indices) in reversed(list(enumerate(kept))):
        d = place_gradient(dy, indices, passed.shape) * passed
        dscale, dshift = (d * normal).sum(axis=(0, 1, 2)), d.sum(axis=(0, 1, 2))
        count = math.prod(d.shape[:3])
        dz = blocks[index].scale / deviation * (d - (dshift + normal * dscale) / count)
        dw, _ = reference.conv_weight_grad(source, dz, (3, 3), *WHERE)
        gradients = [dw, dscale, dshift, *gradients]
        if index:
            dy = reference.conv_input_grad(dz, blocks[index].w, source.shape[1:3], *WHERE)
    parameters = [part for block in blocks for part in block]
    return y, *gradients, *(p - RATE * g for p, g in zip(parameters, gradients, strict=True))
