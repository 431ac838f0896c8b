"""The trunk of VGG-16 forward, convolutions to relu5_1 with max pooling between, weights packed beforehand."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import numpy as np

from bench.arrays import Array, normal, oracle
from bench.harness import Case, Prepared, Side, Work
from bench.peers import Peers
from bench.shapes import Trunk
from pyconvx import models, nn

FORMULA = "2 x positions x 9 x in channels x out channels, over all convolutions"
GATE = 5e-5  # a layer's gate times the root of eleven layers
SIZE, QUICK, SMALL = 256, 64, 32


def cases(peers: Peers, quick: bool, at_most: float | None = None) -> Iterator[Case]:
    """One picture; smaller in a quick run or with `at_most`."""
    size = SMALL if at_most else QUICK if quick else SIZE
    net = models.vgg16().net
    steps = random_steps(net)
    yield Case(
        "trunk",
        f"{size} px",
        "VGG-16 to relu5_1, as style transfer and retrieval use it",
        "forward",
        Work(flops(steps, size), "GFLOP/s", FORMULA),
        GATE,
        partial(prepare, net, steps, size, peers),
        group="VGG-16 trunk",
    )


def random_steps(net: nn.Sequential) -> Trunk:
    """The network's layers, filled with weights that keep the variance (He et al., 2015)."""
    rng, state, steps = np.random.default_rng(0), {}, Trunk()
    for name, value in net.state_dict().items():
        if name.endswith(".weight"):
            scale = np.float32(math.sqrt(2 / math.prod(value.shape[:-1])))
            state[name] = scale * normal(rng, *value.shape)
        else:
            state[name] = np.float32(0.1) * normal(rng, *value.shape)
    net.load_state_dict(state)
    block = "1"
    for name in (name.removesuffix(".weight") for name in state if name.endswith(".weight")):
        if name[len("conv")] != block:
            steps.append(None)
            block = name[len("conv")]
        steps.append((state[f"{name}.weight"], state[f"{name}.bias"]))
    return steps


def flops(steps: Trunk, size: int) -> float:
    total = 0.0
    for step in steps:
        if step is None:
            size //= 2
        else:
            total += 2.0 * size**2 * step[0].size
    return total


def prepare(net: nn.Sequential, steps: Trunk, size: int, peers: Peers) -> Prepared:
    x = normal(np.random.default_rng(1), 1, size, size, 3)
    expected = exact(steps, x)
    theirs, skipped = peers.sides("trunk", steps, x, expected.shape)
    return Prepared((expected,), [Side("pyconvx", partial(net, x), lambda y: (y,), ours=True), *theirs], skipped)


def exact(steps: Trunk, x: Array) -> Array:
    reference, y = oracle(), x.astype(np.float64)
    for step in steps:
        if step is None:
            y = reference.max_pool(y, (2, 2), (2, 2), [(0, 0)] * 2, (1, 1), False)[0]
        else:
            y = np.maximum(reference.conv(y, *step, (1, 1), [(1, 1)] * 2, (1, 1), 1), 0)
    return y
