"""Moving digits told apart from one example each: a 3D encoder learns on clips of some digits and is judged on others.

    python examples/clips.py            # needs scikit-learn, whose handwritten digits move through the clips

A clip is 12 frames of 20x20 pixels in which a digit moves in one way out of eight: to one of four sides, in one of two
circles, or growing or shrinking. A class is a digit and a way: the encoder learns on seven digits and is judged on the
other three, 24 classes that it has never seen. No single frame tells the way; to show it, the same network is also
judged with the frames of each clip in disorder.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from sklearn.datasets import load_digits

from pyconvx import nn
from pyconvx.image import resize
from pyconvx.training import cosine, encoder3d, one_shot_accuracy
from pyconvx.triplet import NTXentLoss, TripletTrainer

FRAMES, SIZE = 12, 20
WAYS = ("left", "right", "up", "down", "circle", "circle back", "grow", "shrink")
HELD_OUT = (2, 5, 8)  # digits


def digits() -> tuple[np.ndarray, np.ndarray]:
    """Handwritten digits (1797, 8, 8) with values from 0 to 1, and what they are."""
    data = load_digits()
    return (data.images / 16).astype(np.float32), data.target


def path(way: str, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Centres (FRAMES, 2) in pixels from the middle of the frame, and sizes (FRAMES,) of the digit."""
    t = np.linspace(-1, 1, FRAMES)
    reach, still = rng.uniform(4, 6), np.zeros(FRAMES)
    sizes = np.full(FRAMES, rng.uniform(8, 11))
    angle = rng.uniform(0, 2 * np.pi) + np.pi * t * (-1 if way == "circle back" else 1)
    centre = {
        "left": (still, -reach * t),
        "right": (still, reach * t),
        "up": (-reach * t, still),
        "down": (reach * t, still),
        "circle": (reach * np.sin(angle), reach * np.cos(angle)),
        "circle back": (reach * np.sin(angle), reach * np.cos(angle)),
    }.get(way, (still, still))
    if way in ("grow", "shrink"):
        sizes = 10 + 4 * t * (1 if way == "grow" else -1)
    return np.stack(centre, axis=1) + rng.uniform(-1.5, 1.5, 2), sizes


def clip(digit: np.ndarray, way: str, rng: np.random.Generator) -> np.ndarray:
    """One clip, (FRAMES, SIZE, SIZE, 1), with some noise."""
    frames = rng.normal(0, 0.05, (FRAMES, SIZE, SIZE, 1)).astype(np.float32)
    for frame, centre, size in zip(frames, *path(way, rng), strict=True):
        extent = max(4, round(size))
        drawn = resize(digit, (extent, extent), resample="bilinear")
        top, left = np.clip(np.rint(centre + (SIZE - extent) / 2), 0, SIZE - extent).astype(int)
        frame[top : top + extent, left : left + extent, 0] += drawn
    return frames


def clips(which: np.ndarray, each: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`each` clips of all ways of these digits, no drawing twice in a class, and their classes."""
    images, names = digits()
    x, labels = [], []
    for digit in which:
        for place, way in enumerate(WAYS):
            for drawing in rng.choice(np.flatnonzero(names == digit), each, replace=False):
                x.append(clip(images[drawing], way, rng))
                labels.append(digit * len(WAYS) + place)
    return np.stack(x), np.array(labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--each", type=int, default=20, help="clips of a class")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    x, labels = clips(np.setdiff1d(np.arange(10), HELD_OUT), options.each, rng)
    judged, wanted = clips(np.array(HELD_OUT), options.each, rng)
    way = len(HELD_OUT) * len(WAYS)
    print(
        f"{len(x)} clips of {len(np.unique(labels))} classes to learn from, {len(judged)} of {way} others to judge on"
    )

    def told(name: str, encodings: np.ndarray) -> None:
        found = one_shot_accuracy(encodings, wanted, way=way, trials=50).accuracy
        ways = one_shot_accuracy(encodings, wanted, way=len(WAYS), trials=60, groups=wanted // len(WAYS)).accuracy
        digits = one_shot_accuracy(encodings, wanted, way=len(HELD_OUT), trials=80, groups=wanted % len(WAYS)).accuracy
        print(f"{name}: {100 * found:.1f}% right among {way} from one example, {100 * ways:.1f}% among the {len(WAYS)} "
              f"ways of a digit, {100 * digits:.1f}% among {len(HELD_OUT)} digits on one way", flush=True)  # fmt: skip

    told("nearest neighbour on pixels", judged.reshape(len(judged), -1))
    for seed in options.seeds:
        trainer = TripletTrainer(
            encoder3d("small", dimensions=64, seed=seed),
            loss=NTXentLoss(0.1),
            n_classes=28,
            n_per_class=2,
            steps=options.steps,
            lr=cosine(1e-3, options.steps, warmup=min(20, options.steps - 1)),
            optimizer=nn.AdamW,
            seed=seed,
        )
        start = time.perf_counter()
        trainer.fit(x, labels, progress=True)
        told(f"encoder, seed {seed}, {time.perf_counter() - start:.0f} s", trainer.encode(judged))
        told("  its frames in disorder", trainer.encode(np.stack([rng.permutation(frames) for frames in judged])))


if __name__ == "__main__":
    main()
