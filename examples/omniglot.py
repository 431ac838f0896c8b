"""Characters recognised from one example: an encoder learns on some alphabets and is judged on others.

    python examples/omniglot.py --train images_background_small1.zip --test images_background_small2.zip --minutes 30

Zips or folders, as Omniglot comes: alphabet/character/0001_01.png, where the drawer ends the name; or, to be judged on,
the runs of its evaluation, run01/class_labels.txt. A run has one drawer's examples of up to 20 characters of an
alphabet; another drawer's drawings of them go to the nearest one. Alphabets that were learned from do not count. The
encodings of several seeds are also judged together.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
from omniglot_changes import SMALL_CHANGES, changed
from omniglot_data import SIZE, Drawing, accuracy, drawings, drawn_runs, given_runs, read

from pyconvx import nn
from pyconvx.training import TrainingStep, encode, encoder2d
from pyconvx.triplet import NTXentLoss, TripletTrainer

BATCH = {"n_classes": 64, "n_per_class": 2}
TEMPERATURE, RATE = 0.07, 2e-3


class Budget:
    """A learning rate that falls along half a cosine with the time that is spent, to 0 at its end."""

    def __init__(self, minutes: float, clock: Callable[[], float]) -> None:
        self._seconds, self._clock, self._start = 60 * minutes, clock, clock()

    def share(self) -> float:
        """What is spent, of 1."""
        return min(1.0, (self._clock() - self._start) / self._seconds)

    def rate(self, step: int) -> float:
        return RATE * min(1, (step + 1) / 50) * (1 + np.cos(np.pi * self.share())) / 2


def classes(x: np.ndarray, names: list[Drawing]) -> tuple[np.ndarray, list[str]]:
    """Examples and labels. A character that is turned by 90 degrees or mirrored is one more character."""
    turned = [np.rot90(side, quarter, (1, 2)) for side in (x, x[:, :, ::-1]) for quarter in range(4)]
    return np.concatenate(turned), [f"{kind} {d.alphabet} {d.character}" for kind in range(8) for d in names]


def trained(x: np.ndarray, labels: list[str], seed: int, budget: Budget) -> tuple[nn.Layer, list[float]]:
    """An encoder that learned for as long as the budget allows, and the loss of every step."""
    trainer = TripletTrainer(
        encoder2d("medium", input_size=SIZE, seed=seed),
        loss=NTXentLoss(TEMPERATURE),
        steps=10**7,
        lr=budget.rate,
        optimizer=nn.AdamW,
        augment=changed,
        seed=seed,
        **BATCH,
    )

    def after(step: TrainingStep) -> bool:
        if step.done % 100 == 0:
            print(f"{budget.share():4.0%} of the time, loss {step.record['loss']:.3f}", file=sys.stderr)
        return budget.share() == 1

    result = trainer.fit(x, labels, callback=after)
    return trainer.encoder, [record["loss"] for record in result.history.steps]


def encodings(encoder: nn.Layer, x: np.ndarray, copies: int = 8) -> np.ndarray:
    """Of each drawing the mean over itself and slightly changed copies."""
    rng = np.random.default_rng(0)
    return sum((encode(encoder, SMALL_CHANGES(x, rng)) for _ in range(copies - 1)), encode(encoder, x)) / copies


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", nargs="+", required=True, metavar="FOLDER_OR_ZIP")
    parser.add_argument("--test", nargs="+", required=True, metavar="FOLDER_OR_ZIP")
    parser.add_argument("--minutes", type=float, default=30, help="of training, for each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--runs", type=int, default=400, help="how many are drawn, where the test brings none")
    parser.add_argument("--processor-time", action="store_true", help="minutes are the processor's, on a busy machine")
    options = parser.parse_args()
    clock = time.process_time if options.processor_time else time.monotonic

    x, names = drawings(options.train)
    files = read(options.test[0])
    if any(path.name == "class_labels.txt" for path in files):
        judged, runs = given_runs(files)
    else:
        judged, of = drawings(options.test)
        runs = drawn_runs(of, {name.alphabet for name in names}, options.runs)
    print(f"{len(x)} drawings to learn from; {len(runs)} runs with {sum(map(len, runs))} drawings to recognise")
    print(f"nearest neighbour on pixels: {accuracy(judged.reshape(len(judged), -1), runs)}", flush=True)
    together = []
    for seed in options.seeds:
        begun = time.process_time()
        encoder, losses = trained(*classes(x, names), seed, Budget(options.minutes, clock))
        spent = f"{len(losses)} steps, {(time.process_time() - begun) / 60:.1f} minutes of processor time"
        together.append(encodings(encoder, judged))
        print(
            f"seed {seed}: {accuracy(together[-1], runs)} after {spent}, loss {np.mean(losses[-50:]):.3f}", flush=True
        )
    if len(together) > 1:
        print(f"together: {accuracy(np.concatenate(together, axis=1), runs)}")


if __name__ == "__main__":
    main()
