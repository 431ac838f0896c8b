"""Many Python threads at once: `python tests/stress.py [ROUNDS [THREADS]]` prints how many results were compared.

Threads start together in a fresh process, each with an order of its own, on weights and layers that all share; they ask
for other numbers of threads, assign weights, give memory back and make mistakes meanwhile. What they compute must have
the bits that one thread computes afterwards: so that what happens once in a process happens to many threads at once.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

import pyconvx
from pyconvx import nn

Problem = Callable[[], Any]


def normal(*shape: int, dtype: str = "float32") -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def convolutions() -> list[Problem]:
    """Every direction, rank, type and algorithm, with sizes that change while the weights stay."""
    problems: list[Problem] = []
    for rank, channels, options in (
        (1, (8, 24), {"padding": "same", "dilation": 2}),
        (2, (32, 32), {"padding": 1}),  # by Winograd's algorithm
        (2, (12, 20), {"stride": 2, "groups": 4}),
        (2, (16, 16), {"padding": 1, "groups": 16}),  # depthwise
        (3, (4, 8), {"padding": (1, 0, 1)}),
    ):
        conv, input_grad, weight_grad = (
            getattr(pyconvx, f"conv{rank}d{direction}") for direction in ("", "_input_grad", "_weight_grad")
        )
        for dtype in ("float32", "float64"):
            w = normal(*[3] * rank, channels[0] // options.get("groups", 1), channels[1], dtype=dtype)
            b = normal(channels[1], dtype=dtype)
            for size in (6, 7, 13, 16):
                x = normal(2, *[size] * rank, channels[0], dtype=dtype)

                def there(x: Any = x, w: Any = w, b: Any = b, o: Any = options, conv: Any = conv) -> Any:
                    return conv(x, w, b, activation="relu", **o)

                def back(
                    x: Any = x,
                    w: Any = w,
                    o: Any = options,
                    conv: Any = conv,
                    dx: Any = input_grad,
                    dw: Any = weight_grad,
                ) -> Any:
                    y = conv(x, w, **o)
                    return dx(y, w, x.shape, **o), *dw(x, y, 3, **o)

                problems += [there, back]
    return problems


def others() -> list[Problem]:
    x, rows = normal(2, 19, 18, 24), normal(70, 40)
    w = normal(4, 4, 10, 24)

    def pooled() -> Any:
        y, indices = pyconvx.max_pool2d(x, 3, stride=2, return_indices=True)
        return y, indices, pyconvx.max_pool2d_grad(y, indices, x.shape, 3, stride=2), pyconvx.avg_pool2d(x, 2)

    def wrong() -> Any:
        try:
            return pyconvx.conv2d(x, w)
        except pyconvx.ShapeError as error:
            return np.array(str(error))

    return [
        pooled,
        wrong,
        lambda: pyconvx.conv_transpose2d(x, w, stride=2),
        lambda: pyconvx.conv2d(x, normal(3, 3, 24, 5), data_format="channels_last", padding=1),
        lambda: pyconvx.gram_grad(x, pyconvx.gram(x, normalize=True)),
        lambda: pyconvx.pairwise_distances(rows, metric="chi2"),
        lambda: pyconvx.nearest(rows[:9], rows, 3),
        lambda: np.array(pyconvx.explain("conv2d", x.shape, (3, 3, 24, 24), padding=1).tile),
    ]


def layers() -> list[Problem]:
    """Layers that nobody has used before: several threads pack their weights at once."""
    net = nn.Sequential(
        {
            "conv1": nn.Conv2d(8, 32, 3, padding=1, random_state=1),
            "relu1": nn.ReLU(),
            "conv2": nn.Conv2d(32, 32, 3, padding=1, random_state=2),
            "norm2": nn.BatchNorm(32),
            "relu2": nn.ReLU(),
            "pool2": nn.MaxPool2d(2),
            "up3": nn.ConvTranspose2d(32, 4, 2, stride=2, random_state=3),
        }
    )
    conv = net["conv2"]
    assert isinstance(conv, nn.Conv2d)
    pictures = [normal(1, 8 + size, 14, 8) for size in (0, 2, 6)]

    def there_and_back(x: np.ndarray) -> Any:
        y, pullback = net.vjp(x)
        dx, grads = pullback(y)
        return y, dx, *grads.values()

    def assign() -> Any:
        conv.weight.assign(conv.weight.value)
        return conv.weight.value

    problems: list[Problem] = [assign]
    for x in pictures:
        problems += [lambda x=x: net(x), lambda x=x: there_and_back(x)]
        problems += [lambda x=x: net.features(x, ["relu1", "pool2"])["pool2"]]
    return problems


def bits(result: Any) -> bytes:
    return b"".join(part.tobytes() for part in (result if isinstance(result, tuple) else (result,)))


def work(problems: list[Problem], order: random.Random, gate: threading.Barrier, results: list[bytes]) -> None:
    """One thread: every problem in an order of its own; `results` are in that of the problems."""
    numbers = order.sample(range(len(problems)), len(problems))
    found: dict[int, bytes] = {}
    gate.wait()
    for number in numbers:
        event = order.random()
        if event < 0.1:
            pyconvx.set_num_threads(order.choice([1, 2, 3]))
        elif event < 0.13:
            pyconvx.trim_memory()
        found[number] = bits(problems[number]())
    results += [found[number] for number in range(len(problems))]


def run_round(seed: int, count: int) -> int:
    """Let `count` threads and then this one solve the same problems; return the number of results compared."""
    problems = convolutions() + others() + layers()
    gate = threading.Barrier(count)
    results: list[list[bytes]] = [[] for _ in range(count)]
    threads = [
        threading.Thread(target=work, args=(problems, random.Random(f"{seed} {number}"), gate, into))
        for number, into in enumerate(results)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = [bits(problem()) for problem in problems]
    for number, found in enumerate(results):
        assert len(found) == len(expected), f"thread {number} of round {seed} did not end"
        differ = [i for i, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b]
        assert not differ, f"thread {number} of round {seed} has other bits in problems {differ}"
    return len(expected) * count


def main(rounds: int = 2, threads: int = 6) -> None:
    sys.setswitchinterval(1e-5)  # where there is a global lock, it changes hands often
    compared = sum(run_round(seed, threads) for seed in range(rounds))
    locked = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"{compared} results have the same bits; global lock: {locked}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
