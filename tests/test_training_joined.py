"""Training on several processes, played by threads that wait for each other: the same as one with the joined batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from processes import Board, Member, together
from similar_shapes import encoder, examples

from pyconvx import siamese, training, triplet
from pyconvx.errors import OptionError
from pyconvx.training.parallel import own_rows
from pyconvx.triplet import TripletTrainer

Array = NDArray[Any]


def noisy(batch: Array, rng: np.random.Generator) -> Array:
    return batch + batch.dtype.type(0.05) * rng.standard_normal(batch.shape).astype(batch.dtype)


LOSSES: dict[str, Any] = {
    "semihard": lambda: "semihard",
    "drawn": lambda: "distance_weighted",
    "proxies": lambda: triplet.ProxyAnchorLoss(20, 16, dtype=np.float64, random_state=0),
}


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("name", LOSSES)
def test_several_processes_train_as_one(size: int, name: str) -> None:
    x, labels = examples(classes=20, noise=1.0, dtype=np.float64)

    def train(communicator: Any) -> Any:
        net = encoder(dtype=np.float64)
        trainer = TripletTrainer(
            net, loss=LOSSES[name](), n_classes=5, n_per_class=2, steps=8, augment=noisy, communicator=communicator
        )
        result = trainer.fit(x, labels, validation=(x[60:], labels[60:]), validate_every=3)
        return result, communicator

    wanted, _ = train(None)
    for found, member in together(size, train):
        rows = {shape[0] for shape in member.gathered if shape[1:] == (16,)}  # of encodings
        assert rows <= {10 // size, 10 // size + 1}
        assert found.best_step == wanted.best_step
        for key, value in wanted.best.items():
            np.testing.assert_allclose(found.best[key], value, rtol=1e-9, atol=1e-11)
        for own, other in zip(found.history.steps, wanted.history.steps, strict=True):
            assert own["loss"] == pytest.approx(other["loss"], rel=1e-9)
            assert own["active" if name != "proxies" else "step"] == other["active" if name != "proxies" else "step"]


def test_siamese_networks_too() -> None:
    x, labels = examples(classes=20, noise=1.0, dtype=np.float64)

    def train(communicator: Any) -> Any:
        network = siamese.SiameseNetwork(encoder(dtype=np.float64))
        network.fit(x, labels, n_classes=5, n_per_class=2, steps=6, communicator=communicator)
        assert network.head is not None
        return network.head.weight.value

    for found in together(2, train):
        np.testing.assert_allclose(found, train(None), rtol=1e-9)


def test_each_process_changes_only_its_own_rows() -> None:
    class Counting(training.Augment):
        def part(self, rows: Any, rng: np.random.Generator, first: int, count: int) -> Array:
            seen.append((first, len(rows), count))
            return super().part(rows, rng, first, count)

    x, labels = examples(classes=20, noise=1.0, dtype=np.float64)
    seen: list[tuple[int, int, int]] = []

    def train(communicator: Any) -> Any:
        augment = Counting(shift=1, rotate=10, elastic=0.3, noise=0.1)
        trainer = TripletTrainer(
            encoder(dtype=np.float64), n_classes=5, n_per_class=2, steps=4, augment=augment, communicator=communicator
        )
        return trainer.fit(x, labels).best

    wanted = train(None)
    assert seen == [(0, 10, 10)] * 4
    seen.clear()
    for found in together(3, train):
        for key, value in wanted.items():
            np.testing.assert_allclose(found[key], value, rtol=1e-9, atol=1e-11)
    assert sorted(seen) == [(0, 4, 10)] * 4 + [(4, 3, 10)] * 4 + [(7, 3, 10)] * 4


def test_only_the_first_one_writes(tmp_path: Any) -> None:
    x, labels = examples()

    def train(communicator: Any) -> None:
        TripletTrainer(encoder(), n_per_class=3, steps=3, communicator=communicator).fit(
            x, labels, log=tmp_path / f"{communicator.rank}.jsonl", checkpoint=tmp_path / f"{communicator.rank}.ckpt"
        )

    together(2, train)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.ckpt", "0.jsonl"]


def test_rows_are_cut_in_equal_parts() -> None:
    for size, rows in ((1, 5), (2, 10), (3, 10), (4, 6), (7, 7)):
        parts = [own_rows(Member(Board(size), rank), rows) for rank in range(size)]
        assert [i for part in parts for i in range(part.start, part.stop)] == list(range(rows))
        lengths = [part.stop - part.start for part in parts]
        assert max(lengths) - min(lengths) <= 1 <= min(lengths)


def test_more_processes_than_rows_are_refused() -> None:
    x, labels = examples()
    with pytest.raises(OptionError, match="7 processes cannot share a batch of 6"):
        TripletTrainer(encoder(), n_classes=3, n_per_class=2, communicator=Member(Board(7), 0)).fit(x, labels)
