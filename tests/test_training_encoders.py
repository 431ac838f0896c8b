"""Ready encoders: shapes, unit length, seeds, gradients, and what they refuse."""

from __future__ import annotations

from typing import Any

import gradients
import numpy as np
import pytest

from pyconvx.errors import OptionError, ShapeError
from pyconvx.training import encoder1d, encoder2d, encoder3d

ENCODERS = {1: encoder1d, 2: encoder2d, 3: encoder3d}
INPUT = {1: (19,), 2: (9, 12), 3: (8, 9, 10)}


@pytest.mark.parametrize("places", [False, True])
@pytest.mark.parametrize("size", ["small", "medium"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_encodings_have_length_one(rank: int, size: Any, places: bool) -> None:
    net = ENCODERS[rank](size, 2, 24, input_size=INPUT[rank] if places else None, seed=0)
    x = np.random.default_rng(0).standard_normal((3, *INPUT[rank], 2)).astype(np.float32)
    y = net(x)
    assert y.shape == (3, 24)
    np.testing.assert_allclose(np.linalg.norm(y, axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal(net(x[1:2])[0], y[1])


def test_the_seed_decides() -> None:
    with pytest.raises(OptionError, match="seed is -1; wanted at least 0"):
        encoder2d(seed=-1)
    first, same, other = (encoder2d(seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], same[name]) for name in first)
    assert not np.array_equal(first["conv1.weight"], other["conv1.weight"])
    shapes = {tuple(array.shape) for name, array in first.items() if name.startswith("conv")}
    assert len(shapes) == 3, "no two convolutions of one shape, which would hide that they share a seed"
    medium = encoder2d("medium", seed=1).state_dict()
    assert not np.array_equal(medium["conv2.weight"][:, :, :, :32], medium["conv3.weight"][:, :, :32, :32])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_gradients_of_the_whole_chain(rank: int, training: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    net = ENCODERS[rank]("small", 1, 8, dtype=np.float64, seed=0)
    net.train(training)
    x = np.random.default_rng(1).standard_normal((3, *[5] * rank, 1))
    # Among thousands of units some ReLU or maximum changes sides within the usual step of 1e-5.
    monkeypatch.setattr(gradients, "STEP", 1e-8)
    worst = gradients.worst_error(net, x)
    print(f"{rank}D: worst error {worst:.1e}")
    assert worst < 1e-6  # rounding, 1e-16 / 1e-8, times the size of sums


def test_any_size_without_places_and_one_size_with() -> None:
    free, bound = encoder2d(seed=0), encoder2d(input_size=(28, 20), seed=0)
    for extent in (4, 5, 28):
        assert free(np.ones((1, extent, extent, 1), np.float32)).shape == (1, 128)
    assert bound(np.ones((1, 28, 20, 1), np.float32)).shape == (1, 128)
    with pytest.raises(ShapeError):
        bound(np.ones((1, 40, 40, 1), np.float32))


def test_what_is_refused() -> None:
    with pytest.raises(OptionError, match="size is 'large'"):
        encoder2d("large")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="in_channels"):
        encoder1d(in_channels=0)
    with pytest.raises(OptionError, match="dimensions"):
        encoder3d(dimensions=0)
    with pytest.raises(OptionError, match="at least 8"):
        encoder2d("medium", input_size=7)
    with pytest.raises(OptionError, match="2 of them"):
        encoder2d(input_size=(8, 8, 8))
