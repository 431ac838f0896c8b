"""The lecture's scale: 10 000 pictures of 1000 persons are read, learned from, encoded and searched.

    python -m bench.scale

A person is a random smooth texture, a picture of it a warped copy under other light, with noise. All pictures are
written to a folder with a sub-folder for each person and come back through `pyconvx.training.load_classes`. The encoder
learns from 900 persons; then every picture but one of each person is looked for among 1000 known ones, one of each
person, also those of the 100 persons that it has never seen. Prints the time of each part, the peak memory of the
process after it, and what is right.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pyconvx import image, nearest, nn, training
from pyconvx.runtime import get_num_threads
from pyconvx.triplet import NTXentLoss, TripletTrainer, mine_offline

SIZE = 48
POINTS = 7  # bends of a texture along each side
VIEWS = training.Augment(shift=3, rotate=12, scale=0.12, stretch=0.08, elastic=1.2, fill="edge")
CHANGES = training.Augment(shift=2, rotate=8, scale=0.08, noise=0.03, fill="edge")
Array = NDArray[np.float32]


def peak() -> float:
    """Most memory of this process so far, in MB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


@contextmanager
def part(name: str, count: int) -> Iterator[None]:
    """Print what a part took."""
    start = time.perf_counter()
    yield
    seconds = time.perf_counter() - start
    print(f"{name:34} {seconds:8.1f} s  {1e3 * seconds / count:8.2f} ms each  peak {peak():6.0f} MB", flush=True)


def person(rng: np.random.Generator) -> Array:
    """A texture (SIZE, SIZE) with values from 0 to 1."""
    coarse = rng.normal(size=(POINTS, POINTS)).astype(np.float32)
    texture = image.resize(coarse, (SIZE, SIZE), resample="bicubic")
    low, high = np.percentile(texture, (2, 98))
    return np.clip((texture - low) / (high - low), 0, 1).astype(np.float32)


def write(folder: Path, persons: int, each: int, rng: np.random.Generator) -> None:
    """Write all pictures as PNG."""
    for number in range(persons):
        own = folder / f"person{number:04}"
        own.mkdir()
        views = VIEWS(np.repeat(person(rng)[np.newaxis, ..., np.newaxis], each, axis=0), rng)
        contrast, light = rng.uniform(0.6, 1.0, (2, each, 1, 1, 1))
        lit = contrast * views + 0.3 * light - 0.15 + rng.normal(0, 0.04, views.shape)
        for place, picture in enumerate(np.clip(np.rint(255 * lit), 0, 255).astype(np.uint8)):
            image.save(own / f"{place}.png", np.repeat(picture, 3, axis=2))


def learned(data: training.LabelledSet, learns: NDArray[np.bool_], steps: int, seed: int) -> nn.Layer:
    """An encoder that has learned."""
    trainer = TripletTrainer(
        training.encoder2d("small", input_size=SIZE, seed=seed),
        loss=NTXentLoss(0.1),
        n_classes=32,
        n_per_class=4,
        steps=steps,
        lr=training.cosine(1e-3, steps, warmup=min(20, steps - 1)),
        optimizer=nn.AdamW,
        augment=CHANGES,
        seed=seed,
    )
    trainer.fit(data.x[learns], data.labels[learns], progress=True)
    return trainer.encoder


def search(encodings: Array, labels: NDArray[np.int64], held_out: NDArray[np.bool_]) -> str:
    """Look for every picture among the first one of each person."""
    known = np.unique(labels, return_index=True)[1]
    queries = np.setdiff1d(np.arange(len(labels)), known)
    _, places = nearest(encodings[queries], encodings[known])
    right = labels[known][places[:, 0]] == labels[queries]
    shares = [f"{100 * right[held_out[queries] == new].mean():.1f}% of {what}" for what, new in
              (("persons learned from", False), ("new persons", True))]  # fmt: skip
    return f"right among {len(known)}: {', '.join(shares)}"


def main() -> None:
    """Run all parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--persons", type=int, default=1000)
    parser.add_argument("--each", type=int, default=10, help="pictures of a person")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    count = options.persons * options.each
    print(f"{count} pictures of {options.persons} persons, {SIZE}x{SIZE}, {get_num_threads()} threads, {peak():.0f} MB")
    with tempfile.TemporaryDirectory() as folder:
        with part("make the pictures", count):
            write(Path(folder), options.persons, options.each, rng)
        with part("read the folder", count):
            data = training.load_classes(folder, training.InputFormat(color=False, standardize=True))
    held_out = data.labels >= 0.9 * options.persons
    pixels = data.x.reshape(len(data.x), -1)
    print(f"  pixels: {search(pixels, data.labels, held_out)}")
    with part("learn, for each step of 128", options.steps):
        encoder = learned(data, ~held_out, options.steps, options.seed)
    with part("encode all", count):
        encodings = training.encode(encoder, data.x)
    with part("search all", count):
        told = search(encodings, data.labels, held_out)
    print(f"  encoder: {told}")
    with part("nearest impostors of all", count):
        triplets = mine_offline(encodings, data.labels)
    print(f"  {len(triplets.anchor)} triplets chosen among all pictures")


if __name__ == "__main__":
    main()
