"""Faces verified by an encoder that learned from 30 people, on 10 others; the packaged face encoder beside it.

    python examples/faces_orl.py faces_orl

names a folder with a sub-folder of pictures for each person, such as the AT&T (ORL) faces: 40 people, 10 pictures each.
People are cut into folds of ten in the order of their names; those of a fold are verified by an encoder that never saw
them: all pairs of their pictures, and the equal error rate. Ten people are few, and some folds are harder than others,
so that all four are done. The packaged encoder learned from millions of pictures, and gets each face found, turned and
cut out; ours learns from 300, and gets the whole picture as it is: encoded with its mirror image and slightly changed
copies, whose mean counts.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from pyconvx import faces, nn
from pyconvx.errors import OptionError
from pyconvx.metrics import all_pairs, auc, eer
from pyconvx.training import Augment, InputFormat, LabelledSet, cosine, encoder2d, load_classes
from pyconvx.triplet import NTXentLoss, TripletTrainer

SIZE = (56, 46)  # half of ORL's pictures
FOLD = 10  # people
CHANGES = Augment(shift=3, rotate=8, scale=0.1, stretch=0.05, flip=1, noise=0.02, fill="edge")


def people_of(data: LabelledSet, fold: int) -> np.ndarray:
    """Which examples are of the people of a fold, counted from the last one."""
    last = len(data.classes) - FOLD * fold
    return (data.labels >= last - FOLD) & (data.labels < last)


def trained(data: LabelledSet, learns: np.ndarray, steps: int, seed: int) -> TripletTrainer:
    """A trainer whose encoder has learned."""
    trainer = TripletTrainer(
        encoder2d("small", input_size=SIZE, seed=seed),
        loss=NTXentLoss(0.1),
        n_classes=15,
        n_per_class=4,
        steps=steps,
        lr=cosine(1e-3, steps, warmup=min(20, steps - 1)),
        optimizer=nn.AdamW,
        augment=CHANGES,
        seed=seed,
    )
    trainer.fit(data.x[learns], data.labels[learns], progress=True)
    return trainer


def encoded(trainer: TripletTrainer, x: np.ndarray) -> np.ndarray:
    """The mean encoding of each picture, its mirror image and six changed copies."""
    rng = np.random.default_rng(0)
    copies = [x, np.ascontiguousarray(x[:, :, ::-1]), *(CHANGES(x, rng) for _ in range(6))]
    return np.mean([trainer.encode(copy) for copy in copies], axis=0)


def packaged(paths: list[str]) -> tuple[np.ndarray, list[int]]:
    """Encodings of the widest face in each picture, and which pictures have one; small faces are searched twice."""
    found: dict[int, np.ndarray] = {}
    for upsample in (1, 2):
        left = [place for place in range(len(paths)) if place not in found]
        outcomes = faces.stream([paths[place] for place in left], "encode", upsample=upsample, policy="largest")
        found |= {
            place: outcome.faces[0].encoding
            for place, outcome in zip(left, outcomes, strict=True)
            if outcome.error is None and outcome.faces
        }
    return np.stack([found[place] for place in sorted(found)]), sorted(found)


def told(name: str, encodings: np.ndarray, labels: np.ndarray) -> float:
    """Print and return the equal error rate of all pairs."""
    pairs = all_pairs(encodings, labels)
    rate = eer(pairs.distances, pairs.same).rate
    area = auc(pairs.distances, pairs.same)
    counts = f"{np.sum(pairs.same)} pairs of one person, {np.sum(~pairs.same)} of two"
    print(f"{name}: equal error rate {100 * rate:.2f}%, area {area:.4f} ({counts})", flush=True)
    return rate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="one sub-folder of pictures for each person")
    parser.add_argument("--folds", type=int, default=4, help="how many times ten people are held out")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()

    data = load_classes(options.folder, InputFormat(size=SIZE, color=False, standardize=True), problem=print)
    if FOLD * options.folds > len(data.classes):
        raise OptionError(f"{len(data.classes)} people are too few for {options.folds} folds of {FOLD}")
    rates: dict[str, list[float]] = {"pixels": [], "encoder": [], "packaged encoder": []}
    for fold in range(options.folds):
        judged = people_of(data, fold)
        labels = data.labels[judged]
        print(f"fold {fold + 1}: {len(data.classes) - FOLD} people to learn from, {FOLD} to verify")
        rates["pixels"].append(told("  pixels", data.x[judged].reshape(len(labels), -1), labels))
        for seed in options.seeds:
            start = time.perf_counter()
            trainer = trained(data, ~judged, options.steps, seed)
            name = f"  encoder, seed {seed}, {time.perf_counter() - start:.0f} s"
            rates["encoder"].append(told(name, encoded(trainer, data.x[judged]), labels))
        encodings, seen = packaged([data.entries[place].path for place in np.flatnonzero(judged)])
        print(f"  packaged encoder: a face found in {len(seen)} of {len(labels)} pictures")
        rates["packaged encoder"].append(told("  packaged encoder", encodings, labels[seen]))
    for name, found in rates.items():
        print(f"{name}: mean equal error rate {100 * np.mean(found):.2f}%, from {100 * min(found):.2f}%"
              f" to {100 * max(found):.2f}%")  # fmt: skip


if __name__ == "__main__":
    main()
