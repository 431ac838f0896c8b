"""Small networks learn: signals, pictures and volumes, with every kind of layer on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pyconvx import nn

Array = NDArray[Any]

CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
POOL = {1: nn.MaxPool1d, 2: nn.AvgPool2d, 3: nn.MaxPool3d}


def network(rank: int) -> nn.Sequential:
    conv = CONV[rank]
    body = nn.Sequential(conv(8, 8, 3, padding=1, bias=False, random_state=2), nn.BatchNorm(8), nn.PReLU(8))
    return nn.Sequential(
        {
            "conv": conv(1, 8, 3, padding=1, random_state=1),
            "relu": nn.ReLU(),
            "pool": POOL[rank](2),
            "block": nn.Residual(body),
            "mean": nn.GlobalAvgPool(),
            "drop": nn.Dropout(0.1, random_state=3),
            "head": nn.Linear(8, 2, random_state=4),
        }
    )


def waves(rank: int, count: int, seed: int) -> tuple[Array, Array]:
    """Noise with a wave along the first axis in it: a slow one, class 0, or a fast one, class 1; any phase."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    places = np.arange(8)
    phases = rng.uniform(0, 2 * np.pi, (count, 1))
    wave = np.sin(places * np.where(labels, 2.2, 0.8)[:, None] + phases)
    x = rng.normal(0, 0.3, (count, *[8] * rank, 1)) + wave.reshape(count, 8, *[1] * rank)
    return x.astype(np.float32), labels


def trained(rank: int, steps: int = 60) -> nn.Sequential:
    net, loss = network(rank), nn.CrossEntropyLoss()
    opt = nn.AdamW(net.named_parameters(), lr=0.02)
    net.train()
    for step in range(steps):
        x, labels = waves(rank, 32, seed=step)
        y, pullback = net.vjp(x, "parameters")
        _, back = loss.vjp(y, labels)
        opt.step(pullback(back()[0])[1])
    net.eval()
    return net


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_small_network_learns(rank: int) -> None:
    net = trained(rank)
    x, labels = waves(rank, 200, seed=1000)
    accuracy = float((net(x).argmax(axis=1) == labels).mean())
    print(f"{rank}D: accuracy {accuracy:.3f} on waves never seen")
    assert accuracy > 0.95
    np.testing.assert_array_equal(net(x[3:4])[0], net(x)[3])


def test_training_twice_gives_the_same_bits() -> None:
    first, second = trained(1, 10).state_dict(), trained(1, 10).state_dict()
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])
