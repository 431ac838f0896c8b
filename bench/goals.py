"""The classes that are judged, and what is asked of each.

A class is a group of problems in one direction. Its bars are ratios: a peer's time over pyconvx's, as geometric mean
over the problems or, where `worst`, on each of them. Where no more is asked, no problem may be slower than 0.9 times
the best accurate peer.
"""

from __future__ import annotations

from dataclasses import dataclass

from bench.problems.networks import NETWORKS

BEST = ""  # the peer that is fastest and accurate, problem by problem


@dataclass(frozen=True)
class Bar:
    """`peer` is how the names of its sides begin; the fastest accurate one of them counts."""

    ratio: float
    peer: str = BEST
    worst: bool = False

    def __str__(self) -> str:
        return f"{self.ratio:g}x {self.peer or 'the best'}{' everywhere' if self.worst else ''}"


@dataclass(frozen=True)
class Goal:
    """`call_s`: what a call may take at most, weights packed in it; `memory`: what share of a peer's peak memory, on
    the largest problem."""

    name: str
    groups: tuple[str, ...]
    direction: str
    bars: tuple[Bar, ...] = (Bar(0.9, worst=True),)
    call_s: float | None = None
    memory: float | None = None


THREE = ("3x3", "3x3 small maps")
FORWARD, INPUT, WEIGHT = "forward", "input_grad", "weight_grad"
SPELLED = {FORWARD: "forward", INPUT: "input gradient", WEIGHT: "weight gradient"}


def directions(name: str, *ratios: float | tuple[Bar, ...]) -> list[Goal]:
    """Goals of a group, forward and for the two gradients: a mean ratio to the best, or bars."""
    return [
        Goal(f"{name}, {SPELLED[direction]}", (name,), direction, ask if isinstance(ask, tuple) else (Bar(ask),))
        for direction, ask in zip(SPELLED, ratios, strict=True)
    ]


ANYTHING = (Bar(0.9, worst=True),)
NO_SLOWER = (Bar(1.0, worst=True),)
SMALL = (Bar(1.3, "onnxruntime"), Bar(3.0, "torch"))

GOALS = [
    Goal("3x3, forward", THREE, FORWARD, (Bar(1.4, "ncnn"), Bar(3.2, "torch"), Bar(1.1, "ncnn", worst=True))),
    Goal("3x3, input gradient", THREE, INPUT, (Bar(2.8),)),
    Goal("3x3, weight gradient", THREE[:1], WEIGHT, (Bar(2.3),)),
    Goal("3x3, weight gradient, small maps", THREE[1:], WEIGHT, (Bar(1.15),)),
    *directions("3x3x3", 4.0, 4.0, 3.0),
    *directions("first 3D layer", 1.15, 1.8, 3.0),
    *directions("first 2D layer", ANYTHING, 1.8, ANYTHING),
    *directions("5x5", 1.7, 1.7, 1.7),
    *directions("1D, kernels 3 to 9", 1.7, 1.7, 1.7),
    *directions("raw audio", 1.25, 1.7, 2.3),
    *directions("lecture-size layers", SMALL, SMALL, SMALL[1:]),
    *(
        Goal(f"one element, {SPELLED[direction]}", ("one element",), direction, ANYTHING, call_s=3e-6)
        for direction in SPELLED
    ),
    *directions("3x3 stride 2", 1.0, 1.6, ANYTHING),
    *directions("1x1", NO_SLOWER, NO_SLOWER, NO_SLOWER),
    *directions("1x1, few channels", ANYTHING, ANYTHING, ANYTHING),
    *directions("depthwise", 2.3, 2.3, 3.0),
    *directions("depthwise, few channels", ANYTHING, ANYTHING, ANYTHING),
    *directions("grouped", ANYTHING, ANYTHING, ANYTHING),
    *directions("dilated", ANYTHING, ANYTHING, ANYTHING),
    *directions("long 1D kernels", ANYTHING, ANYTHING, ANYTHING),
    *directions("filters 1D", ANYTHING, ANYTHING, ANYTHING),
    *directions("filters 2D", ANYTHING, ANYTHING, ANYTHING),
    Goal("filters 3D, forward", ("filters 3D",), FORWARD),
    *directions("tiny maps", ANYTHING, ANYTHING, ANYTHING),
    *directions("big batches of small images", ANYTHING, ANYTHING, ANYTHING),
    *directions("wide and flat maps", ANYTHING, ANYTHING, ANYTHING),
    *directions("other layers", ANYTHING, ANYTHING, ANYTHING),
    Goal("Gram, up to 128 channels", ("Gram, up to 128 channels",), FORWARD, (Bar(2.0, "torch"), Bar(1.5, "numpy"))),
    Goal("Gram, more channels", ("Gram",), FORWARD, (Bar(2.0, "torch"), Bar(1.15, "numpy"))),
    Goal("Gram, gradient", ("Gram", "Gram, up to 128 channels"), INPUT),
    Goal("pooling 2x2, max", ("pooling 2x2",), "max", (Bar(1.5, "torch channels-last"),)),
    Goal(
        "pooling 2x2, max and gradient", ("pooling 2x2",), "max, then its gradient", (Bar(2.5, "torch channels-last"),)
    ),
    Goal("pooling 2x2, average", ("pooling 2x2",), "average", (Bar(1.5, "torch channels-last"),)),
    Goal("pooling 2x2, average's gradient", ("pooling 2x2",), "average, its gradient"),
    *(
        Goal(f"pooling, 1D and 3D, {direction}", ("pooling, 1D and 3D",), direction)
        for direction in ("max", "max, then its gradient", "average", "average, its gradient")
    ),
    Goal("nearest of 100", ("nearest of 100",), "nearest", (Bar(1.0, "faiss"),)),
    Goal("nearest of 10 000", ("nearest of 10 000",), "nearest", (Bar(1.0, "faiss"),)),
    Goal("nearest of a million", ("nearest of a million",), "nearest", (Bar(1.3, "faiss"),)),
    Goal("64 queries", ("64 queries",), "nearest", (Bar(5.0, "faiss"),)),
    *(
        Goal(f"all distances, {metric}", ("all distances",), metric)
        for metric in ("sqeuclidean", "cosine", "manhattan", "chi2")
    ),
    Goal("VGG-16 trunk", ("VGG-16 trunk",), FORWARD, (Bar(1.25, "ncnn"),)),
    Goal("style iteration", ("style iteration",), "iteration", (Bar(2.5, "torch"),), memory=0.6),
    Goal("encode one face", ("encode 1",), "encode", (Bar(17.0, "dlib"), Bar(2.3, "torch"))),
    Goal("encode 16 faces", ("encode 16",), "encode", (Bar(17.0, "dlib"), Bar(2.3, "torch"))),
    Goal("detect faces, 512 px", ("detect 512",), "detect", (Bar(12.0, "dlib"),)),
    Goal("detect faces, 1024 px", ("detect 1024",), "detect", (Bar(12.0, "dlib"),)),
    Goal("face detector, network", ("detect 512", "detect 1024"), "network alone"),
    *(
        Goal(f"identify among {spelled}", (f"identify among {count}",), "nearest", (Bar(1.0, "faiss"),))
        for count, spelled in ((100, "100"), (10_000, "10 000"), (1_000_000, "a million"))
    ),
    Goal("folder of pictures, encoded", ("folder of pictures",), "pipeline", (Bar(10.0, "dlib"),)),
    Goal("triplet training step", ("triplet training step",), "step", (Bar(2.2, "torch"),)),
    Goal("BatchNorm training step", ("BatchNorm training step",), "step"),
    *(
        Goal(f"mining triplets, {mining}", ("mining triplets",), mining, (Bar(3.0, "pytorch-metric-learning"),))
        for mining in ("batch_hard", "semihard")
    ),
    *(goal for name in NETWORKS for goal in directions(name, ANYTHING, ANYTHING, ANYTHING)),
]
