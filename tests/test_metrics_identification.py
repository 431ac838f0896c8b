"""Recognition figures and the LFW protocol, against plain loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pyconvx import metrics
from pyconvx.errors import DTypeError, OptionError, ShapeError


def crowd(seed: int, strangers: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distances of 40 probes and some strangers from 30 entries of 10 people."""
    rng = np.random.default_rng(seed)
    gallery = np.array([f"p{number}" for number in rng.permutation(np.repeat(np.arange(10), 3))])
    probes = np.array([f"p{number}" for number in rng.integers(0, 10, 40)] + ["who"] * strangers)
    distances = rng.random((len(probes), len(gallery))) + 0.6 * (probes[:, None] != gallery)
    return distances, probes, gallery


def naive_rank(row: np.ndarray, person: str, gallery: np.ndarray) -> int:
    """1 + how many other people have an entry at least as near as the person's nearest."""
    own = min(d for d, owner in zip(row, gallery, strict=True) if owner == person)
    return 1 + len({owner for d, owner in zip(row, gallery, strict=True) if owner != person and d <= own})


@pytest.mark.parametrize("seed", range(4))
def test_cmc_counts_ranks(seed: int) -> None:
    distances, probes, gallery = crowd(seed)
    ranks = [naive_rank(row, person, gallery) for row, person in zip(distances, probes, strict=True)]
    curve = metrics.cmc(distances, probes, gallery)
    assert len(curve) == 10
    for k in range(1, 11):
        assert curve[k - 1] == np.mean([rank <= k for rank in ranks])
        assert metrics.rank_k(distances, probes, gallery, k) == curve[k - 1]


def test_scikit_learn_counts_the_same_ranks() -> None:
    learn = pytest.importorskip("sklearn.metrics")
    distances, probes, _ = crowd(1)
    people = np.array([f"p{number}" for number in range(10)])  # one entry each, in the order that sklearn wants
    for k in (1, 2, 5):
        wanted = learn.top_k_accuracy_score(probes, -distances[:, :10], k=k, labels=people)
        assert metrics.rank_k(distances[:, :10], probes, people, k) == pytest.approx(wanted)


def test_leaving_one_out_with_inf() -> None:
    people = ["a", "a", "b", "b", "c"]
    distances = np.abs(np.subtract.outer([0, 1, 10, 11, 30.0], [0, 1, 10, 11, 30.0]))
    np.fill_diagonal(distances, np.inf)
    assert metrics.rank_k(distances[:4], people[:4], people) == 1
    assert metrics.cmc(distances, people, people)[-1] == 0.8  # c has nothing else to be found by


def test_a_tie_counts_against_the_right_person() -> None:
    assert metrics.rank_k([[0.5, 0.5]], ["a"], ["a", "b"]) == 0


@pytest.mark.parametrize("rank", [1, 3])
def test_open_set_counts(rank: int) -> None:
    distances, probes, gallery = crowd(2, strangers=25)
    found = metrics.open_set(distances, probes, gallery, threshold=0.2, rank=rank)
    right = false = 0
    for row, person in zip(distances, probes, strict=True):
        if person == "who":
            false += row.min() <= 0.2
        else:
            own = row[gallery == person].min()
            right += own <= 0.2 and naive_rank(row, person, gallery) <= rank
    assert (found.identified, found.false_identifications) == (right, false)
    assert (found.enrolled, found.strangers) == (40, 25)
    assert found.identification_rate == right / 40
    assert found.false_identification_rate == false / 25


def test_open_set_at_a_wanted_rate() -> None:
    distances, probes, gallery = crowd(2, strangers=100)
    found = metrics.open_set(distances, probes, gallery, far=0.1)
    assert found.false_identifications == 10
    with pytest.raises(OptionError, match="cannot support"):
        metrics.open_set(distances, probes, gallery, far=0.01)


def test_what_is_no_gallery_is_refused() -> None:
    distances, probes, gallery = crowd(0, strangers=1)
    with pytest.raises(OptionError, match="1 probes are of people who are not in the gallery"):
        metrics.cmc(distances, probes, gallery)
    with pytest.raises(ShapeError):
        metrics.cmc(distances, probes[:3], gallery)
    with pytest.raises(OptionError, match="NaN"):
        metrics.cmc([[np.nan]], ["a"], ["a"])
    with pytest.raises(DTypeError):
        metrics.cmc([["x"]], ["a"], ["a"])
    with pytest.raises(OptionError, match="either threshold or far"):
        metrics.open_set(distances, probes, gallery)
    with pytest.raises(OptionError, match="some of both"):
        metrics.open_set(distances[:40], probes[:40], gallery, threshold=1)
    with pytest.raises(OptionError, match="from 1 to the 10 people"):
        metrics.rank_k(distances[:40], probes[:40], gallery, 11)


def pairs_file(folder: Path, folds: int = 10, each: int = 4) -> Path:
    lines = [f"{folds}\t{each}"]
    for fold in range(folds):
        lines += [f"Name_{fold}\t{n + 1}\t{n + 2}" for n in range(each)]
        lines += [f"Name_{fold}\t{n + 1}\tOther\t{n + 1}" for n in range(each)]
    file = folder / "pairs.txt"
    file.write_text("\n".join(lines) + "\n")
    return file


def test_the_pairs_file_of_lfw(tmp_path: Path) -> None:
    pairs = metrics.read_lfw_pairs(pairs_file(tmp_path))
    assert len(pairs) == 80
    assert pairs[0] == metrics.LfwPair("Name_0/Name_0_0001.jpg", "Name_0/Name_0_0002.jpg", True, 0)
    assert pairs[-1] == metrics.LfwPair("Name_9/Name_9_0004.jpg", "Other/Other_0004.jpg", False, 9)
    assert [sum(pair.fold == fold and pair.same for pair in pairs) for fold in range(10)] == [4] * 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1"),
        ("ten\t3\n", "line 1"),
        ("1\t1\nA\t1\t2\n", "1 pairs; line 1 promises"),
        ("1\t1\nA\t1\t2\nA\t1\tB\n", "line 3: wanted"),
        ("1\t1\nA\t1\t2\nA\t1\tB\tx\n", "line 3: wanted"),
        ("1\t1\n../A\t1\t2\nA\t1\tB\t1\n", "line 2: '../A' cannot be"),
        ("999999999\t999999999\n", "0 pairs"),
        ("\xff", "line 1"),
    ],
)
def test_no_pairs_file(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "pairs.txt"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(OptionError, match=message):
        metrics.read_lfw_pairs(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(OptionError, match="not a text file"):
        metrics.read_lfw_pairs(file)


def test_ten_folds_take_each_threshold_from_the_other_nine() -> None:
    rng = np.random.default_rng(5)
    folds = np.repeat(np.arange(10), 20)
    same = np.tile(np.arange(20) < 10, 10)
    distances = np.where(same, rng.normal(0.5, 0.15, 200), rng.normal(0.8, 0.15, 200))
    found = metrics.lfw_10fold(distances, same, folds)
    for fold in range(10):
        rest = folds != fold
        best = max(np.mean((distances[rest] <= level) == same[rest]) for level in distances[rest])
        threshold = found.thresholds[fold]
        assert np.mean((distances[rest] <= threshold) == same[rest]) == best
        assert found.accuracies[fold] == np.mean((distances[~rest] <= threshold) == same[~rest])
    assert found.accuracy == pytest.approx(np.mean(found.accuracies))
    assert found.standard_error == pytest.approx(np.std(found.accuracies, ddof=1) / np.sqrt(10))
    with pytest.raises(OptionError, match="one fold"):
        metrics.lfw_10fold(distances, same, np.zeros(200))
