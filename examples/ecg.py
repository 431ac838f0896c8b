"""Premature heartbeats among normal ones, from few examples: a 1D encoder learns on the first half of a recording.

    python examples/ecg.py mitdb_100

names record 100 of the MIT-BIH arrhythmia database (mitdb_100.hea, .dat, .atr): 2239 normal beats, 34 premature ones.
A beat is 0.8 s of both leads around its R peak, and in two more channels the intervals to its neighbours as shares of
the median of ten before it. Nothing after the split is learned from; every later beat goes to the class of the nearest
earlier one. The intervals alone tell premature beats of this record apart, so that the leads are tried without them,
too. With so few of them a share says little without its interval, which is Wilson's; the only ventricular one lies
after the split, so that its kind was never seen.
"""

from __future__ import annotations

import argparse
import math

import numpy as np
from mitdb import Record, read_record

from pyconvx import nn
from pyconvx.siamese import NearestEncodingClassifier
from pyconvx.training import Augment, cosine, encoder1d
from pyconvx.triplet import NTXentLoss, TripletTrainer

NORMAL, PREMATURE = 0, 1
LENGTH, STEP = 144, 2  # samples of a window, and of the recording between two of them: 180 Hz
BEFORE = 60  # of them before the R peak
HISTORY = 10  # intervals whose median an interval is compared with
CHANGES = Augment(shift=3, scale=0.05, noise=0.02, fill="edge")


def windows(record: Record) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows (beats, LENGTH, 4) with their classes and samples; beats without all neighbours are left out."""
    beats, signals = record.beats, record.signals
    places = (np.arange(LENGTH) - BEFORE) * STEP
    inside = np.flatnonzero((beats + places[0] >= 0) & (beats + places[-1] < len(signals)))
    inside = inside[(inside >= 2) & (inside < len(beats) - 1)]
    intervals = np.diff(beats)
    x = np.empty((len(inside), LENGTH, 4), np.float32)
    for row, beat in enumerate(inside):
        usual = np.median(intervals[max(0, beat - 1 - HISTORY) : beat - 1])
        x[row, :, :2] = signals[beats[beat] + places] - np.median(signals[beats[beat] + places], axis=0)
        x[row, :, 2:] = intervals[beat - 1 : beat + 1] / usual - 1
    return x, np.where(record.codes[inside] == "N", NORMAL, PREMATURE), beats[inside]


def interval(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95% interval of a share."""
    if not of:
        return 0.0, 1.0
    share, room = hits / of, z * z / of
    middle = (share + room / 2) / (1 + room)
    width = math.sqrt(share * (1 - share) * room + room * room / 4) / (1 + room)
    return max(0.0, middle - width), min(1.0, middle + width)


def told(name: str, found: np.ndarray, wanted: np.ndarray) -> None:
    """Print how many premature beats were found, how many of those found are, and how many normal ones were left."""
    hits = int(np.sum((found == PREMATURE) & (wanted == PREMATURE)))
    said, there = int(np.sum(found == PREMATURE)), int(np.sum(wanted == PREMATURE))
    normal, left = int(np.sum(wanted == NORMAL)), int(np.sum((wanted == NORMAL) & (found == NORMAL)))
    shares = []
    for what, part, of in (("found", hits, there), ("right", hits, said), ("normal kept", left, normal)):
        low, high = interval(part, of)
        shares.append(f"{what} {part}/{of} ({100 * low:.1f} to {100 * high:.1f}%)")
    print(f"{name}: {', '.join(shares)}", flush=True)


def trained(x: np.ndarray, y: np.ndarray, steps: int, seed: int) -> tuple[TripletTrainer, float]:
    """A trainer whose encoder has learned, and the seconds it took."""
    trainer = TripletTrainer(
        encoder1d("small", in_channels=x.shape[-1], dimensions=32, input_size=LENGTH, seed=seed),
        loss=NTXentLoss(0.1),
        n_classes=2,
        n_per_class=16,
        small="repeat",  # of fewer than 16 premature beats some come twice in a batch
        steps=steps,
        lr=cosine(1e-3, steps, warmup=min(10, steps - 1)),
        optimizer=nn.AdamW,
        augment=CHANGES,
        seed=seed,
    )
    result = trainer.fit(x, y)
    return trainer, sum(step["seconds"] for step in result.history.steps)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", help="the record's files without their extension")
    parser.add_argument("--split", type=float, default=0.5, help="share of the time that is learned from")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()

    record = read_record(options.record)
    print(f"recorded: {np.sum(record.codes == 'N')} normal beats, {np.sum(record.codes != 'N')} premature ones")
    x, y, at = windows(record)
    early = at < options.split * len(record.signals)
    late = at >= options.split * len(record.signals) + LENGTH * STEP  # no sample is in both parts
    for name, part in (("learned from", early), ("judged on", late)):
        print(f"{name}: {np.sum(y[part] == NORMAL)} normal beats, {np.sum(y[part] == PREMATURE)} premature ones")

    told("previous interval shorter by 15%", np.where(x[late, 0, 2] < -0.15, PREMATURE, NORMAL), y[late])
    for what, seen in (("leads alone", x[..., :2].copy()), ("with intervals", x)):
        flat = seen.reshape(len(x), -1)
        known = NearestEncodingClassifier().fit(flat[early], y[early])
        told(f"{what}, nearest window", known.predict(flat[late]), y[late])
        for seed in options.seeds:
            trainer, seconds = trained(seen[early], y[early], options.steps, seed)
            known = NearestEncodingClassifier().fit(trainer.encode(seen[early]), y[early])
            found = known.predict(trainer.encode(seen[late]))
            told(f"{what}, encoder, seed {seed} ({seconds:.0f} s)", found, y[late])


if __name__ == "__main__":
    main()
