"""The figure of active triplets: random ones satisfy the margin almost at once, and one can see it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from similar_shapes import encoder, examples

from pyconvx import image, training, triplet
from pyconvx.errors import ImageError, OptionError
from pyconvx.training import History, figure
from pyconvx.training.figure import _BOTTOM, _LEFT, _LINES, _RIGHT, _SIZE, _TOP
from pyconvx.triplet import TripletTrainer

RANDOM, SEMIHARD = 0, 1  # places of the colours


def heights(picture: NDArray[np.uint8], line: int, columns: slice) -> Any:
    """The share at which a line of this colour runs, its mean over some columns of pixels."""
    near = np.abs(picture.astype(int) - np.array(_LINES[line])).max(axis=2) < 30
    rows, _ = np.nonzero(near[_TOP - 3 : _SIZE[1] - _BOTTOM + 3, columns])
    assert len(rows), "the line is not there"
    return 1 - (rows.mean() - 3) / (_SIZE[1] - _TOP - _BOTTOM)


def test_lines_run_where_the_shares_are() -> None:
    steps = list(range(1, 1001))
    curves = {"falls": (steps, [1 - step / 1000 for step in steps]), "stays": (steps, [0.75] * 1000)}
    picture = figure.line_plot(curves, title="title", x_label="step", y_label="share")
    assert picture.shape == (_SIZE[1], _SIZE[0], 3)
    assert picture.dtype == np.uint8
    width = _SIZE[0] - _LEFT - _RIGHT
    for share in (0.1, 0.5, 0.9):
        column = int(_LEFT + share * width)
        assert heights(picture, 0, slice(column - 2, column + 3)) == pytest.approx(1 - share, abs=0.02)
        assert heights(picture, 1, slice(column - 2, column + 3)) == pytest.approx(0.75, abs=0.02)


def test_short_and_many_curves_are_drawn() -> None:
    curves = {f"strategy {index}": ([1], [0.3]) for index in range(9)}
    picture = figure.line_plot(curves, title="title", x_label="step", y_label="share")
    names = picture[_TOP:, _SIZE[0] - _RIGHT + 8 :]
    inked = (names.astype(int).sum(axis=2) < 600).any(axis=1)
    bands = np.count_nonzero(np.diff(inked.astype(int)) == 1)
    assert bands >= 9, "each name has a line of its own"


def test_random_triplets_satisfy_the_margin_almost_at_once(tmp_path: Path) -> None:
    x, labels = examples(classes=40, noise=1.2)
    net = encoder()
    result = TripletTrainer(net, loss="semihard", steps=150).fit(
        x, labels, watch=["random", "semihard", "batch_hard"], watch_every=2
    )
    picture = result.history.figure(tmp_path / "active.png")
    np.testing.assert_array_equal(image.load(tmp_path / "active.png"), picture)
    width = _SIZE[0] - _LEFT - _RIGHT
    start, end = slice(_LEFT, _LEFT + width // 20), slice(_LEFT + width * 3 // 4, _LEFT + width)
    assert heights(picture, RANDOM, start) > 0.6
    assert heights(picture, RANDOM, end) < 0.3
    assert heights(picture, SEMIHARD, end) > 1.5 * heights(picture, RANDOM, end)


def test_several_trainings_in_one_picture(tmp_path: Path) -> None:
    x, labels = examples(classes=20, noise=1.0)
    histories = {
        name: TripletTrainer(encoder(), loss=name, steps=20).fit(x, labels, watch=()).history  # type: ignore[arg-type]
        for name in ("random", "semihard")
    }
    picture = training.compare(histories, tmp_path / "both.png")
    assert (tmp_path / "both.png").exists()
    for line in (RANDOM, SEMIHARD):
        heights(picture, line, slice(_LEFT, _SIZE[0] - _RIGHT))
    alone = histories["random"].figure()  # without watched strategies, the one that was trained on
    heights(alone, RANDOM, slice(_LEFT, _SIZE[0] - _RIGHT))


def test_shares_are_of_what_was_asked_for() -> None:
    x, labels = examples(classes=20, noise=1.0)
    trained = TripletTrainer(encoder(), loss="semihard", steps=5).fit(x, labels, watch=triplet.mining.STRATEGIES)
    record = trained.history.steps[0]
    pairs = 8 * 4 * 3
    assert record["share"] == record["active"] / pairs == record["watch"]["semihard"]
    assert record["watch"]["easy"] == 0
    assert set(record["watch"]) == set(triplet.mining.STRATEGIES)
    assert all(0 <= share <= 1 for share in record["watch"].values())
    assert [step for step in trained.history.steps if "watch" in step] == [record]
    assert trained.active_share == trained.history.steps[-1]["share"]


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    x, labels = examples()
    supcon = TripletTrainer(encoder(), loss=triplet.SupConLoss(), n_per_class=3, steps=2).fit(x, labels)
    for history in (supcon.history, History()):
        with pytest.raises(OptionError, match="no shares of active triplets"):
            history.figure()
    assert np.isnan(supcon.active_share)
    with pytest.raises(OptionError, match="no shares of active triplets"):
        training.compare({})
    random = TripletTrainer(encoder(), loss="random", n_per_class=3, steps=2).fit(x, labels)
    with pytest.raises(ImageError, match="no format is known"):
        random.history.figure(tmp_path / "figure.txt")
