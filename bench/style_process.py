"""One side of the style benchmark in a process of its own: started by bench_style.py with its orders as JSON.

Memory: `baseline` is what is resident when the library is imported and network and pictures are there; `peak` is the
most that was resident while targets and iterations were computed.
"""

from __future__ import annotations

import ctypes
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.style_reference import ALPHA, BETA, CONTENT_LAYER, LAMBDA, STYLE_LAYERS, steps

Array = Any
Iteration = Callable[[], tuple[float, Array]]


class Orders(NamedTuple):
    side: str
    threads: int
    iterations: int
    input: str  # .npz with weights, x, content, style
    output: str


def main(orders: Orders) -> None:
    with np.load(orders.input) as file:
        given = dict(file)
    prepare = {"pyconvx": pyconvx_side, "torch channels-last": torch_side}[orders.side]
    begin = prepare(given, orders.threads)
    baseline = resident("VmRSS")
    iterate = begin()
    cost, gradient = iterate()
    seconds = []
    for _ in range(orders.iterations):
        start = time.perf_counter()
        iterate()
        seconds.append(time.perf_counter() - start)
    np.savez(orders.output, cost=cost, gradient=gradient, seconds=seconds, baseline=baseline, peak=resident("VmHWM"))


def resident(what: str) -> int:
    """Bytes by /proc/self/status (VmRSS now, VmHWM at most); 0 where there is none. Unused heap is given back first."""
    path = Path("/proc/self/status")
    if not path.exists():
        return 0
    ctypes.CDLL(None).malloc_trim(0)
    line = next(line for line in path.read_text().splitlines() if line.startswith(what))
    return int(line.split()[1]) * 1024


def pyconvx_side(given: dict[str, Array], threads: int) -> Callable[[], Iteration]:
    """What `pyconvx.style` computes in each of its iterations."""
    import pyconvx
    from pyconvx import models, style
    from pyconvx.style.objective import Objective, style_targets

    pyconvx.set_num_threads(threads)
    net = models.vgg16(pooling="avg").net
    options = style.StyleTransfer(
        normalization="lecture",
        content_weight=ALPHA,
        style_weight=BETA,
        style_layers=dict.fromkeys(STYLE_LAYERS, LAMBDA),
        content_layers=[CONTENT_LAYER],
    ).options
    pyconvx.trim_memory()

    def begin() -> Iteration:
        targets = style_targets(net, [given["style"]], [1.0], STYLE_LAYERS)
        objective = Objective(net, given["content"], targets, options)

        def iterate() -> tuple[float, Array]:
            terms, dx = objective(given["x"])
            return terms.cost, dx

        return iterate

    return begin


def torch_side(given: dict[str, Array], threads: int) -> Callable[[], Iteration]:
    import torch
    from torch.nn import functional

    torch.set_num_threads(threads)
    channels_last = torch.channels_last

    def picture(name: str) -> torch.Tensor:
        return torch.from_numpy(given[name]).permute(0, 3, 1, 2)  # channels-last as it is

    layers: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for kind, name in steps():
        if kind == "conv":
            w = torch.from_numpy(given.pop(f"conv{name}.weight")).permute(3, 2, 0, 1)
            bias = torch.from_numpy(given.pop(f"conv{name}.bias"))
            layers[name] = w.contiguous(memory_format=channels_last), bias

    def features(x: torch.Tensor) -> dict[str, torch.Tensor]:
        taps = {}
        for kind, name in steps():
            if kind == "pool":
                x = functional.avg_pool2d(x, 2)
            else:
                x = functional.conv2d(x, *layers[name], padding=1).relu_()
                if f"relu{name}" in (*STYLE_LAYERS, CONTENT_LAYER):
                    taps[f"relu{name}"] = x
        return taps

    def gram(a: torch.Tensor) -> torch.Tensor:
        flat = a.permute(0, 2, 3, 1).reshape(-1, a.shape[1])
        return flat.T @ flat / len(flat)

    def begin() -> Iteration:
        with torch.no_grad():
            goal = features(picture("content"))[CONTENT_LAYER]
            targets = {name: gram(a) for name, a in features(picture("style")).items() if name in STYLE_LAYERS}
        x = picture("x").requires_grad_()

        def iterate() -> tuple[float, Array]:
            taps = features(x)
            cost = ALPHA / 2 * (taps[CONTENT_LAYER] - goal).square().sum()
            for name in STYLE_LAYERS:
                off = gram(taps[name]) - targets[name]
                cost = cost + BETA * LAMBDA / (2 * len(off)) ** 2 * off.square().sum()
            (gradient,) = torch.autograd.grad(cost, x)
            return cost.item(), gradient.permute(0, 2, 3, 1).numpy()

        return iterate

    return begin


if __name__ == "__main__":
    main(Orders(**json.loads(sys.argv[1])))
