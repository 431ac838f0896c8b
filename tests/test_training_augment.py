"""Augmentation: warp against a plain loop over places, and what Augment draws."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pyconvx.errors import DTypeError, OptionError, ShapeError
from pyconvx.training import Augment, warp

Array = NDArray[Any]

SPATIAL = {1: (9,), 2: (6, 9), 3: (4, 6, 5)}
# float32: coordinates of some ten places are off by 1e-6, and samples here differ by about 1 from place to place.
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-12}


def samples(rank: int, dtype: Any = np.float64, channels: int = 2, count: int = 3) -> Array:
    return np.random.default_rng(rank).standard_normal((count, *SPATIAL[rank], channels)).astype(dtype)


def warped(x: Array, matrix: Array, shift: Array, displacement: Array, fill: float | str) -> Array:
    """The definition: place by place, the weighted values at the corners of the cell that is read."""
    spatial, rank = x.shape[1:-1], x.ndim - 2
    middle = (np.array(spatial) - 1) / 2
    y = np.zeros(x.shape)
    for i, p in itertools.product(range(len(x)), itertools.product(*map(range, spatial))):
        q = np.linalg.solve(matrix[i], np.array(p) - middle - shift[i]) + middle + displacement[(i, *p)]
        low = np.floor(q).astype(int)
        for corner in itertools.product((0, 1), repeat=rank):
            place = low + corner
            inside = all(0 <= a < n for a, n in zip(place, spatial, strict=True))
            if inside or fill == "edge":
                value = x[(i, *np.clip(place, 0, np.array(spatial) - 1))]
            else:
                value = np.full(x.shape[-1], fill)
            y[(i, *p)] += np.prod(1 - np.abs(q - place)) * value
    return y


@pytest.mark.parametrize("fill", [0.0, 0.75, "edge"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_warp_is_its_definition(rank: int, channels: int, dtype: Any, fill: float | str) -> None:
    x = samples(rank, dtype, channels)
    rng = np.random.default_rng(0)
    matrix = np.eye(rank) + rng.uniform(-0.4, 0.4, (3, rank, rank))
    shift = rng.uniform(-3, 3, (3, rank))
    bend = rng.normal(0, 1, (*x.shape[:-1], rank))
    y = warp(x, matrix, shift, displacement=bend, fill=fill)
    assert y.dtype == x.dtype
    worst = float(np.abs(y - warped(x.astype(np.float64), matrix, shift, bend, fill)).max())
    print(f"{rank}D {np.dtype(dtype)} fill {fill}: worst error {worst:.1e}")
    assert worst < TOLERANCE[dtype]


def test_the_comparison_can_fail() -> None:
    x, none = samples(2), np.zeros((3, *SPATIAL[2], 2))
    right = warped(x, np.tile(np.eye(2), (3, 1, 1)), np.full((3, 2), 0.5), none, 0.0)
    assert np.abs(warp(x, np.eye(2), -0.5) - right).max() > 0.1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_whole_places_are_exact(rank: int, dtype: Any) -> None:
    x = samples(rank, dtype)
    np.testing.assert_array_equal(warp(x, np.eye(rank)), x)
    moved = warp(x, np.eye(rank), [1, -2, 1][:rank], fill=7.0)
    expected = np.full_like(x, 7.0)
    to = (slice(None), *[slice(1, None), slice(None, -2), slice(1, None)][:rank])
    start = (slice(None), *[slice(None, -1), slice(2, None), slice(None, -1)][:rank])
    expected[to] = x[start]
    np.testing.assert_array_equal(moved, expected)
    far = warp(x, np.eye(rank), 1000.0)
    np.testing.assert_array_equal(far, np.zeros_like(x))
    edge = warp(x, np.eye(rank), 1000.0, fill="edge")
    np.testing.assert_array_equal(edge, np.broadcast_to(x[(slice(None), *(slice(0, 1),) * rank)], x.shape))


def test_many_samples_are_cut_into_parts_that_do_not_show() -> None:
    x = np.random.default_rng(0).standard_normal((40, 28, 28, 1)).astype(np.float32)
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    np.testing.assert_array_equal(warp(x, turn)[37:38], warp(x[37:38], turn))


def test_a_quarter_turn_of_a_picture_and_of_a_volume() -> None:
    for x, plane in ((samples(2)[:, :, :6], (1, 2)), (np.random.default_rng(3).random((2, 4, 5, 5, 1)), (2, 3))):
        rank = x.ndim - 2
        turn = np.eye(rank)
        turn[-2:, -2:] = [[0, -1], [1, 0]]
        np.testing.assert_allclose(warp(x, turn), np.rot90(x, 1, plane), atol=1e-12)


def test_warp_says_what_does_not_fit() -> None:
    x = samples(2)
    with pytest.raises(ShapeError, match="matrix has shape"):
        warp(x, np.eye(3))
    with pytest.raises(ShapeError, match="shift has shape"):
        warp(x, np.eye(2), np.zeros(3))
    with pytest.raises(ShapeError, match="displacement has shape"):
        warp(x, np.eye(2), displacement=np.zeros((3, 6, 9, 3)))
    with pytest.raises(ShapeError, match="x has shape"):
        warp(x[0, 0], np.eye(1))
    with pytest.raises(OptionError, match="no inverse"):
        warp(x, np.zeros((2, 2)))
    with pytest.raises(OptionError, match="shift has NaN"):
        warp(x, np.eye(2), np.nan)
    with pytest.raises(OptionError, match="fill is 'wrap'"):
        warp(x, np.eye(2), fill="wrap")
    with pytest.raises(DTypeError):
        warp(x.astype(np.int32), np.eye(2))


ALL = {1: {}, 2: {"rotate": 30}, 3: {"rotate": (10, 20, 30)}}


def everything(rank: int) -> Augment:
    options: dict[str, Any] = ALL[rank]
    return Augment(shift=1, scale=0.2, stretch=0.1, shear=0.1, flip=0, elastic=0.5, noise=0.1, **options)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_augment_keeps_shape_and_type_and_repeats_with_the_seed(rank: int, dtype: Any) -> None:
    x = samples(rank, dtype)
    before, augment = x.copy(), everything(rank)
    first, again, other = (augment(x, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert first.shape == x.shape
    assert first.dtype == x.dtype
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1
    np.testing.assert_array_equal(x, before)
    assert augment(x[:0], np.random.default_rng(0)).shape == (0, *x.shape[1:])


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_part_is_that_of_the_whole_batch(rank: int) -> None:
    x, augment = samples(rank, count=7), everything(rank)
    whole = augment(x, np.random.default_rng(4))
    for first, end in ((0, 7), (0, 3), (3, 4), (4, 7)):
        part = augment.part(x[first:end], np.random.default_rng(4), first, 7)
        np.testing.assert_array_equal(part, whole[first:end])
    assert not np.allclose(augment.part(x[:3], np.random.default_rng(4), 1, 7), whole[:3])
    with pytest.raises(OptionError, match="rows 5 to 8 are not of a batch of 7"):
        augment.part(x[:3], np.random.default_rng(4), 5, 7)


def test_noise_is_normal_and_every_row_has_its_own() -> None:
    noise = Augment(noise=0.5)(np.zeros((40, 50, 50, 1), np.float32), np.random.default_rng(0)).reshape(40, -1)
    assert abs(noise.mean()) < 0.01
    np.testing.assert_allclose(noise.std(axis=1), 0.5, rtol=0.06)
    assert np.abs(np.corrcoef(noise) - np.eye(40)).max() < 0.1


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_no_change_is_a_copy(rank: int) -> None:
    x = samples(rank)
    y = Augment()(x, np.random.default_rng(0))
    np.testing.assert_array_equal(y, x)
    assert not np.may_share_memory(x, y)


def test_flips_are_exact_and_half_of_the_samples() -> None:
    x = samples(2, np.float32, count=400)
    y = Augment(flip=1)(x, np.random.default_rng(0))
    same = (y == x).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(y[~same], x[~same, :, ::-1])
    assert 150 < same.sum() < 250
    both = Augment(flip=(0, 1))(x, np.random.default_rng(0))
    kinds = [x, x[:, ::-1], x[:, :, ::-1], x[:, ::-1, ::-1]]
    counts = [int((both == kind).all(axis=(1, 2, 3)).sum()) for kind in kinds]
    assert sum(counts) == 400
    assert min(counts) > 60


def spread_of_a_point(augment: Augment, count: int = 400, size: int = 41, at: tuple[int, int] = (20, 30)) -> Array:
    """Where a bright point comes to lie, (count, 2), from the middle."""
    x = np.zeros((count, size, size, 1))
    x[:, at[0] - 1 : at[0] + 2, at[1] - 1 : at[1] + 2] = 1
    y = augment(x, np.random.default_rng(0))[..., 0]
    grid = np.arange(size) - (size - 1) / 2
    total = y.sum(axis=(1, 2))
    return np.stack([(y.sum(axis=2) * grid).sum(axis=1), (y.sum(axis=1) * grid).sum(axis=1)], axis=1) / total[:, None]


def test_amounts_are_what_they_say() -> None:
    moved = spread_of_a_point(Augment(shift=(3, 1.5))) - [0, 10]
    assert np.abs(moved).max(axis=0) == pytest.approx([3, 1.5], abs=0.05)
    turned = spread_of_a_point(Augment(rotate=20))
    angles = np.degrees(np.arctan2(turned[:, 0], turned[:, 1]))
    assert np.abs(angles).max() == pytest.approx(20, abs=0.3)
    assert np.hypot(*turned.T) == pytest.approx(10, abs=0.05)
    scaled = spread_of_a_point(Augment(scale=0.5))[:, 1]
    assert (scaled.min(), scaled.max()) == pytest.approx((10 / 1.5, 15), abs=0.2)
    stretched = spread_of_a_point(Augment(stretch=0.5), at=(30, 30))
    assert abs(np.corrcoef(stretched.T)[0, 1]) < 0.15
    sheared = spread_of_a_point(Augment(shear=0.3))
    assert np.abs(sheared[:, 0]).max() == pytest.approx(3, abs=0.1)
    bent = spread_of_a_point(Augment(elastic=1.5), at=(20, 20))
    assert bent.std(axis=0) == pytest.approx([1.5, 1.5], rel=0.15)
    noisy = Augment(noise=0.5)(np.zeros((4, 30, 30, 1)), np.random.default_rng(0))
    assert noisy.std() == pytest.approx(0.5, rel=0.05)


def test_volumes_turn_about_the_axis_that_is_named() -> None:
    x = np.random.default_rng(0).random((4, 5, 7, 7, 1))
    for axis in range(3):
        limits = [0.0, 0.0, 0.0]
        limits[axis] = 40
        turn, other = Augment(rotate=limits), x.copy()
        slices = (slice(None),) * (axis + 1) + (2,)
        other[slices] = 0
        before, after = turn(x, np.random.default_rng(0)), turn(other, np.random.default_rng(0))
        # A turn about an axis leaves every slice along it by itself: the others do not see what became of one.
        changed = np.abs(before - after).max(axis=(0, *(a + 1 for a in range(3) if a != axis), 4))
        assert changed[2] > 0.1
        np.testing.assert_allclose(np.delete(changed, 2), 0, atol=1e-12)
        assert np.abs(before - x).max() > 0.1


def test_augment_says_what_is_wrong() -> None:
    rng = np.random.default_rng(0)
    for name in ("shift", "rotate", "scale", "stretch", "shear", "elastic", "noise"):
        with pytest.raises(OptionError, match=f"{name} is -1"):
            Augment(**{name: -1})
    with pytest.raises(OptionError, match="shift is nan"):
        Augment(shift=float("nan"))
    with pytest.raises(OptionError, match="rotate is 'much'"):
        Augment(rotate="much")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="flip is -1"):
        Augment(flip=-1)
    with pytest.raises(OptionError, match="elastic_points"):
        Augment(elastic_points=1)
    with pytest.raises(OptionError, match="fill is"):
        Augment(fill="zero")
    with pytest.raises(OptionError, match="cannot turn"):
        Augment(rotate=5)(samples(1), rng)
    with pytest.raises(OptionError, match="flip names axis 1"):
        Augment(flip=1)(samples(1), rng)
    with pytest.raises(OptionError, match="shift has 2 numbers"):
        Augment(shift=(1, 2))(samples(3), rng)
    with pytest.raises(ShapeError, match="batch has shape"):
        Augment(shift=1)(samples(2)[0, :, 0], rng)
    with pytest.raises(DTypeError):
        Augment(shift=1)(np.zeros((2, 4, 4, 1), np.uint8), rng)
