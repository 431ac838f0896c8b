"""The style-transfer iteration in float64 from tests/reference.py: cost and gradient to compare both sides with.

VGG-16 to relu4_2 with average pooling; the lecture's cost without total variation, with the weights below:
J = alpha / 2 ||a_C - a_G||^2 + beta sum over l of lambda ||G_G / N - G_S / N_S||^2 / (2 n_C)^2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bench.arrays import Array, oracle

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
CONTENT_LAYER = "relu4_2"
ALPHA, BETA, LAMBDA = 10.0, 40.0, 0.25
BLOCKS = {1: 2, 2: 2, 3: 3, 4: 2}  # convolutions of each block, as deep as the content layer

Float64 = NDArray[np.float64]
Weights = dict[str, Array]  # conv1_1.weight (3, 3, in, out), conv1_1.bias, ...


def steps() -> list[tuple[str, str]]:
    """("conv", "1_1"), ("pool", "1"), ... in order; each convolution has its ReLU."""
    order: list[tuple[str, str]] = []
    for block, count in BLOCKS.items():
        order += [("conv", f"{block}_{index}") for index in range(1, count + 1)]
        order.append(("pool", str(block)))
    return order[:-1]


def flops(size: int) -> float:
    """2 x (forward + gradient of the input) over all convolutions."""
    channels, inputs, total = {1: 64, 2: 128, 3: 256, 4: 512}, 3, 0.0
    for block, count in BLOCKS.items():
        for _ in range(count):
            total += 2.0 * (size >> (block - 1)) ** 2 * 9 * inputs * channels[block]
            inputs = channels[block]
    return 2 * total


def features(weights: Weights, x: Array) -> list[Float64]:
    """The result of each step."""
    reference, results = oracle(), []
    current = x.astype(np.float64)
    for kind, name in steps():
        if kind == "pool":
            current = reference.avg_pool(current, (2, 2), (2, 2), [(0, 0)] * 2, False, True)
        else:
            w, b = weights[f"conv{name}.weight"], weights[f"conv{name}.bias"]
            current = np.maximum(reference.conv(current, w, b, (1, 1), [(1, 1)] * 2, (1, 1), 1), 0)
        results.append(current)
    return results


def cost_and_gradient(weights: Weights, x: Array, content: Array, style: Array) -> tuple[float, Float64]:
    reference, order = oracle(), steps()
    mine, theirs, goal = features(weights, x), features(weights, style), features(weights, content)
    cost = 0.0
    gradient = np.zeros_like(mine[-1])
    for place in reversed(range(len(order))):
        kind, name = order[place]
        a = mine[place]
        if f"relu{name}" == CONTENT_LAYER:
            off = a - goal[place]
            cost += ALPHA / 2 * float(np.sum(off**2))
            gradient = gradient + ALPHA * off
        if kind == "conv" and f"relu{name}" in STYLE_LAYERS:
            positions, wanted = a[0, ..., 0].size, theirs[place][0, ..., 0].size
            off = reference.gram(a, False) / positions - reference.gram(theirs[place], False) / wanted
            scale = BETA * LAMBDA / (2 * a.shape[-1]) ** 2
            cost += scale * float(np.sum(off**2))
            gradient = gradient + reference.gram_grad(a, 2 * scale / positions * off, False)
        below = mine[place - 1].shape if place else x.shape
        if kind == "pool":
            gradient = reference.avg_pool_grad(gradient, below[1:3], (2, 2), (2, 2), [(0, 0)] * 2, True)
        else:
            w = weights[f"conv{name}.weight"]
            gradient = reference.conv_input_grad(gradient * (a > 0), w, below[1:3], (1, 1), [(1, 1)] * 2, (1, 1), 1)
    return cost, gradient
