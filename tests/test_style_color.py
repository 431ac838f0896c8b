"""Colours: hand-worked luma, statistics that match, and what luminance transfer must leave alone."""

from __future__ import annotations

import numpy as np
import pytest

from pyconvx.errors import ShapeError
from pyconvx.image import luminance
from pyconvx.style.color import color_statistics, keep_luminance, match_colors, random_with_colors

RNG = np.random.default_rng(7)


def test_kept_luminance_is_the_paintings_and_the_colour_is_the_contents() -> None:
    # Far from black and white, so that nothing is clipped.
    painting = RNG.integers(100, 140, (6, 7, 3), dtype=np.uint8)
    content = RNG.integers(100, 140, (6, 7, 3), dtype=np.uint8)
    kept = keep_luminance(painting, content)
    assert kept.dtype == np.uint8
    assert np.abs(luminance(kept) - luminance(painting)).max() <= 0.501  # rounding of three channels alike
    differences = kept.astype(int) - content.astype(int)
    assert (differences == differences[..., :1]).all()  # R, G and B moved together: Cb and Cr stay


def test_kept_luminance_of_the_content_itself_is_the_content() -> None:
    content = RNG.integers(0, 256, (5, 4, 3), dtype=np.uint8)
    np.testing.assert_array_equal(keep_luminance(content, content), content)


def test_kept_luminance_clips() -> None:
    white, red = np.full((1, 1, 3), 255, np.uint8), np.array([[[255, 0, 0]]], np.uint8)
    np.testing.assert_array_equal(keep_luminance(white, red), [[[255, 179, 179]]])


def test_matched_colours_have_the_targets_mean_and_covariance() -> None:
    source = RNG.normal(120, 20, (64, 64, 3)).clip(0, 255).astype(np.uint8)
    mixing = np.array([[8.0, 3.0, 0.0], [0.0, 6.0, 2.0], [1.0, 0.0, 9.0]])
    target = (RNG.standard_normal((50, 40, 3)) @ mixing + [110, 140, 90]).clip(0, 255).astype(np.uint8)
    mean, covariance = color_statistics(match_colors(source, target))
    wanted_mean, wanted_covariance = color_statistics(target)
    np.testing.assert_allclose(mean, wanted_mean, atol=0.1)
    # Rounding to whole grey levels adds 1/12 to each variance.
    np.testing.assert_allclose(covariance, wanted_covariance, atol=0.3)


def test_matching_a_picture_to_itself_changes_nothing() -> None:
    picture = RNG.integers(30, 220, (20, 20, 3), dtype=np.uint8)
    np.testing.assert_array_equal(match_colors(picture, picture), picture)


def test_matching_pictures_of_one_colour_is_finite() -> None:
    grey, blue = np.full((4, 4, 3), 90, np.uint8), np.full((3, 3, 3), (10, 20, 200), np.uint8)
    np.testing.assert_array_equal(match_colors(grey, blue), np.broadcast_to(blue[0, 0], (4, 4, 3)))


def test_noise_has_the_pictures_colours_and_follows_its_seed() -> None:
    picture = RNG.integers(60, 180, (30, 30, 3), dtype=np.uint8)
    noise = random_with_colors((200, 200), picture, np.random.default_rng(3))
    mean, covariance = color_statistics(noise)
    wanted_mean, wanted_covariance = color_statistics(picture)
    np.testing.assert_allclose(mean, wanted_mean, atol=1.5)
    np.testing.assert_allclose(covariance, wanted_covariance, atol=0.05 * wanted_covariance.max())
    np.testing.assert_array_equal(noise, random_with_colors((200, 200), picture, np.random.default_rng(3)))


def test_what_is_not_a_picture_is_named() -> None:
    with pytest.raises(ShapeError, match=r"picture must be a picture \(height, width, 3\): got shape \(4, 4\)"):
        color_statistics(np.zeros((4, 4)))
    with pytest.raises(ShapeError, match="same size"):
        keep_luminance(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8))
