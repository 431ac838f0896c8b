"""Clusters of unknown faces: separable people, what dlib says, the seed, edges at the threshold."""

from __future__ import annotations

import numpy as np
import pytest

from pyconvx import faces
from pyconvx.errors import DTypeError, OptionError, ShapeError


def crowd(people: int, each: int, seed: int, spread: float = 0.015) -> tuple[np.ndarray, np.ndarray]:
    """Encodings of people about 1.4 apart, in mixed order, with the distances within a person of real ones."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(people, 128)) / np.sqrt(128)
    numbers = rng.permutation(np.repeat(np.arange(people), each))
    return (centres[numbers] + spread * rng.normal(size=(len(numbers), 128))).astype(np.float32), numbers


def partition(labels: np.ndarray) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(np.asarray(labels).tolist())}


@pytest.mark.parametrize("seed", range(3))
def test_people_who_can_be_told_apart(seed: int) -> None:
    encodings, people = crowd(20, 7, seed)
    labels = faces.cluster(encodings, seed=seed)
    assert partition(labels) == partition(people)
    assert list(dict.fromkeys(labels.tolist())) == list(range(20))


def test_dlib_says_the_same() -> None:
    dlib = pytest.importorskip("dlib")
    for seed, people, each, spread in ((0, 15, 5, 0.015), (1, 40, 3, 0.02), (2, 3, 60, 0.02), (3, 30, 1, 0.0)):
        encodings, _ = crowd(people, each, seed, spread)
        theirs = dlib.chinese_whispers_clustering([dlib.vector(row.astype(float).tolist()) for row in encodings], 0.5)
        assert partition(faces.cluster(encodings, 0.5)) == partition(np.array(theirs))


def test_a_seed_decides_where_it_is_not_clear() -> None:
    rng = np.random.default_rng(0)
    encodings = rng.normal(size=(300, 8)).astype(np.float32)
    results = [faces.cluster(encodings, 1.6, seed=seed) for seed in (0, 0, 1, 2)]
    np.testing.assert_array_equal(results[0], results[1])
    assert len({tuple(result) for result in results}) > 1


def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    encodings, _ = crowd(10, 5, 0, 0.05)
    whole = faces.cluster(encodings)
    from pyconvx.faces import clustering

    monkeypatch.setattr(clustering, "_DISTANCES_AT_ONCE", 200)
    np.testing.assert_array_equal(faces.cluster(encodings), whole)


def test_the_threshold_itself_is_near() -> None:
    encodings = np.array([[0.0], [0.5], [2.0]])
    assert faces.cluster(encodings, 0.5).tolist() == [0, 0, 1]
    assert faces.cluster(encodings, 0.49).tolist() == [0, 1, 2]
    assert faces.cluster(encodings, 0).tolist() == [0, 1, 2]
    assert faces.cluster(encodings[:1]).tolist() == [0]
    assert faces.cluster(np.empty((0, 128))).shape == (0,)
    assert faces.cluster(np.zeros((3, 128))).tolist() == [0, 0, 0]


def test_what_cannot_be_clustered_is_refused() -> None:
    with pytest.raises(ShapeError, match=r"\(n, depth\)"):
        faces.cluster(np.zeros(128))
    with pytest.raises(DTypeError):
        faces.cluster(np.zeros((2, 128), int))
    for wrong in ({"threshold": -1}, {"threshold": float("nan")}, {"seed": -1}, {"seed": 0.5}, {"max_sweeps": 0}):
        with pytest.raises(OptionError):
            faces.cluster(np.zeros((2, 128)), **wrong)
