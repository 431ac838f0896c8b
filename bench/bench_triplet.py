"""A training step on triplets: forward, the gradient of every parameter, a step of gradient descent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from bench.arrays import Array, normal
from bench.harness import Case, Prepared, Results, Side, Work
from bench.peers import Peers
from bench.triplet import CHANNELS, CODE, RATE, Encoder, flops, loss_and_gradient, random_encoder, step
from pyconvx import nn

FORMULA = "2 x products of the convolutions: forward, weight gradient, input gradient but the first layer's"
BATCH, SIZE = 96, 96
# In rms, and wider than for one layer: where a pre-activation is nearly zero, or two of a window nearly equal, rounding
# decides which way a gradient goes. The same gate as for an iteration of style transfer.
GATE = 1e-3


def cases(peers: Peers, quick: bool, at_most: float | None = None) -> Iterator[Case]:
    """The step; smaller in a quick run or with `at_most`."""
    batch, size = (6, 16) if at_most else (24, 32) if quick else (BATCH, SIZE)
    yield Case(
        "triplet",
        f"{batch} images of {size}x{size}",
        "learning a similarity: 32-64-128-256 channels, codes of 128",
        "step",
        Work(flops(batch, size), "GFLOP/s", FORMULA),
        GATE,
        partial(prepare, batch, size, peers),
        group="triplet training step",
        rms=True,
    )


def prepare(batch: int, size: int, peers: Peers) -> Prepared:
    rng = np.random.default_rng(0)
    encoder = random_encoder(rng)
    # A colour for each image, or all codes would be the same and their differences rounding.
    x = normal(rng, batch, 1, 1, 3) + np.float32(0.5) * normal(rng, batch, size, size, 3)
    theirs, skipped = peers.sides("triplet_step", encoder, x)
    return Prepared(step(encoder, x), [Side("pyconvx", ours(encoder, x), read, ours=True), *theirs], skipped)


def ours(encoder: Encoder, x: Array) -> Callable[[], Any]:
    """Each call goes on from the parameters that the last one left."""
    layers: dict[str, nn.Layer] = {}
    state: dict[str, Array] = {}
    for index, (w, b) in enumerate(encoder.convs):
        layers[f"conv{index}"] = nn.Conv2d(w.shape[-2], w.shape[-1], 3, padding=1)
        layers |= {f"relu{index}": nn.ReLU(), f"pool{index}": nn.MaxPool2d(2)}
        state |= {f"conv{index}.weight": w, f"conv{index}.bias": b}
    layers |= {"mean": nn.GlobalAvgPool(), "linear": nn.Linear(CHANNELS[-1], CODE), "code": nn.L2Normalize()}
    net = nn.Sequential(layers)
    net.load_state_dict(state | {"linear.weight": encoder.linear[0], "linear.bias": encoder.linear[1]})
    parameters = net.named_parameters()
    descent = nn.SGD(parameters, RATE)

    def call() -> tuple[float, list[Array], list[Array]]:
        codes, pullback = net.vjp(x, wrt="parameters")
        loss, gradient = loss_and_gradient(codes)
        _, gradients = pullback(gradient)
        descent.step(gradients)
        return loss, [gradients[name] for name in parameters], [p.value for p in parameters.values()]

    return call


def read(result: tuple[float, list[Array], list[Array]]) -> Results:
    loss, gradients, moved = result
    return np.array([loss]), *gradients, *moved
