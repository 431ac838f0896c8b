"""`python -m bench.triplet_memory`: peak memory of a training step on triplets, `TripletTrainer`'s beside PyTorch's.

96 images of 96x96x3, the encoder of bench/triplet.py. Each side runs in a process of its own, with malloc as it comes;
the baseline (libraries, network, images, an encoding of two of them) is subtracted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

import pyconvx
from bench import environment
from bench.arrays import Array, normal
from bench.style_process import resident
from bench.triplet import CHANNELS, CODE, MARGIN, RATE

BATCH, SIZE, STEPS, EACH = 96, 96, 2, 4
SIDES = ["pyconvx", "torch channels-last", "torch channels-first"]


class Orders(NamedTuple):
    side: str
    threads: int
    batch: int
    size: int


def images(orders: Orders) -> Array:
    """A colour for each, as in the benchmark of time."""
    rng = np.random.default_rng(0)
    return normal(rng, orders.batch, 1, 1, 3) + np.float32(0.5) * normal(rng, orders.batch, orders.size, orders.size, 3)


def pyconvx_side(orders: Orders) -> Callable[[], Any]:
    """A trainer's steps; all images are one batch."""
    from pyconvx import nn, triplet

    pyconvx.set_num_threads(orders.threads)
    layers: dict[str, nn.Layer] = {}
    for index, pair in enumerate(pairwise(CHANNELS)):
        layers |= {f"conv{index}": nn.Conv2d(*pair, 3, padding=1, random_state=index), f"relu{index}": nn.ReLU()}
        layers[f"pool{index}"] = nn.MaxPool2d(2)
    layers |= {"mean": nn.GlobalAvgPool(), "linear": nn.Linear(CHANNELS[-1], CODE), "code": nn.L2Normalize()}
    classes = orders.batch // EACH
    trainer = triplet.TripletTrainer(
        nn.Sequential(layers),
        loss="semihard",
        margin=MARGIN,
        n_classes=classes,
        n_per_class=EACH,
        steps=STEPS,
        lr=RATE,
        optimizer=nn.SGD,
    )
    x, labels = images(orders), np.repeat(np.arange(classes), EACH)
    trainer.encode(x[:2])
    pyconvx.trim_memory()
    return partial(trainer.fit, x, labels)


def torch_side(channels_last: bool, orders: Orders) -> Callable[[], Any]:
    """Gradients by autograd, ReLUs in place; a third each of anchors, positives and negatives."""
    import torch
    from torch.nn import functional

    torch.set_num_threads(orders.threads)
    order = torch.channels_last if channels_last else torch.contiguous_format
    parts: list[Any] = []
    for pair in pairwise(CHANNELS):
        parts += [torch.nn.Conv2d(*pair, 3, padding=1), torch.nn.ReLU(inplace=True), torch.nn.MaxPool2d(2)]
    trunk: Any = torch.nn.Sequential(*parts).to(memory_format=order)  # type: ignore[call-overload]
    linear = torch.nn.Linear(CHANNELS[-1], CODE)
    descent = torch.optim.SGD([*trunk.parameters(), *linear.parameters()], RATE)
    x = torch.from_numpy(np.ascontiguousarray(np.moveaxis(images(orders), -1, 1))).contiguous(memory_format=order)
    with torch.no_grad():
        trunk(x[:2])

    def run() -> None:
        for _ in range(STEPS):
            codes = functional.normalize(linear(trunk(x).mean((2, 3))))
            anchor, positive, negative = codes.reshape(3, -1, CODE)
            near, far = (anchor - positive).square().sum(1), (anchor - negative).square().sum(1)
            loss = (near - far + MARGIN).relu().mean()
            descent.zero_grad()
            loss.backward()
            descent.step()

    return run


def measure(orders: Orders) -> float:
    """MiB above the baseline, in this process."""
    makers: dict[str, Callable[[Orders], Callable[[], Any]]] = {
        "pyconvx": pyconvx_side,
        "torch channels-last": partial(torch_side, True),
        "torch channels-first": partial(torch_side, False),
    }
    run = makers[orders.side](orders)
    baseline = resident("VmRSS")
    run()
    return (resident("VmHWM") - baseline) / 2**20


def in_a_process(orders: Orders) -> float:
    """The same in a fresh one."""
    command = [sys.executable, "-m", "bench.triplet_memory", "--orders", json.dumps(orders)]
    settings = environment.settings(pyconvx.active_isa(), orders.threads, False)
    done = subprocess.run(command, env=settings, cwd=environment.ROOT, check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.triplet_memory", description="Peak memory of a step.")
    parser.add_argument("--threads", default="1,2", help="numbers of threads (1,2)")
    parser.add_argument("--orders", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.orders:
        print(measure(Orders(*json.loads(chosen.orders))))
        return
    for threads in map(int, chosen.threads.split(",")):
        found = {side: in_a_process(Orders(side, threads, BATCH, SIZE)) for side in SIDES}
        best = min(value for side, value in found.items() if side != "pyconvx")
        for side, value in found.items():
            print(f"{threads} threads, {side}: {value:.0f} MiB, {100 * value / best:.0f}% of PyTorch's best")


if __name__ == "__main__":
    main()
