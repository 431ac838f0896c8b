"""A training step of a small network with BatchNorm: forward, the gradient of every parameter, a step of descent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from bench.arrays import Array, normal
from bench.bench_triplet import FORMULA
from bench.harness import Case, Prepared, Side, Work
from bench.norm import CHANNELS, EPS, RATE, Block, flops, random_blocks, step
from bench.peers import Peers
from pyconvx import nn

BATCH, SIZE = 128, 32
# In rms. Rounding moves pre-activations by some 1e-6 of their deviation, so of a layer's elements such a share lies on
# the other side of its ReLU, or loses its window to a neighbour, and gives a random gradient in place of another: an
# error of sqrt(1e-6) for each layer, on every side alike.
GATE = 3e-3


def cases(peers: Peers, quick: bool, at_most: float | None = None) -> Iterator[Case]:
    """The step; smaller in a quick run or with `at_most`."""
    batch, size = (8, 16) if at_most else (32, 32) if quick else (BATCH, SIZE)
    yield Case(
        "norm",
        f"{batch} pictures of {size}x{size}",
        "few-shot encoders: four times 3x3 with 64 channels, BatchNorm, ReLU, pooling",
        "step",
        Work(flops(batch, size), "GFLOP/s", FORMULA),
        GATE,
        partial(prepare, batch, size, peers),
        group="BatchNorm training step",
        rms=True,
    )


def prepare(batch: int, size: int, peers: Peers) -> Prepared:
    rng = np.random.default_rng(0)
    blocks, x = random_blocks(rng), normal(rng, batch, size, size, CHANNELS[0])
    slope = normal(rng, batch, size // 16, size // 16, CHANNELS[-1])
    theirs, skipped = peers.sides("norm_step", blocks, x, slope)
    return Prepared(
        step(blocks, x, slope), [Side("pyconvx", ours(blocks, x, slope), tuple, ours=True), *theirs], skipped
    )


def ours(blocks: list[Block], x: Array, slope: Array) -> Callable[[], Any]:
    """Each call goes on from the parameters that the last one left."""
    layers: dict[str, nn.Layer] = {}
    state: dict[str, Array] = {}
    for index, (w, scale, shift) in enumerate(blocks):
        layers[f"conv{index}"] = nn.Conv2d(*w.shape[-2:], 3, padding=1, bias=False)
        layers[f"norm{index}"] = nn.BatchNorm(w.shape[-1], EPS)
        layers |= {f"relu{index}": nn.ReLU(), f"pool{index}": nn.MaxPool2d(2)}
        state |= {f"conv{index}.weight": w, f"norm{index}.weight": scale, f"norm{index}.bias": shift}
    net = nn.Sequential(layers)
    net.load_state_dict(net.state_dict() | state)
    net.train()
    parameters = net.named_parameters()
    descent = nn.SGD(parameters, RATE)

    def call() -> list[Array]:
        y, pullback = net.vjp(x, wrt="parameters", once=True)
        _, gradients = pullback(slope)
        descent.step(gradients)
        return [y, *(gradients[name] for name in parameters), *(p.value for p in parameters.values())]

    return call
