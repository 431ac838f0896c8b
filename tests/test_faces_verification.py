"""1:1: distance, threshold, and the rate of false accepts."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from face_pictures import PIXELS, group

from pyconvx import DTypeError, MultipleFacesError, NoFaceError, OptionError, ShapeError, image
from pyconvx.faces import Face, detect, encode, verify
from pyconvx.faces._false_accepts import COUNTS, PAIRS, false_accept_rate

(FACE,) = encode(PIXELS)


def encoding_at(distance: float) -> np.ndarray:
    shifted = FACE.encoding.copy()
    shifted[7] += distance
    return shifted


def test_the_same_picture_is_the_same_person() -> None:
    answer = verify(PIXELS, image.packaged("astronaut"))
    assert answer
    assert answer.same
    assert answer.distance == 0
    assert answer.threshold == 0.6
    assert answer.false_accept_rate == pytest.approx(0.01765, abs=1e-5)


@pytest.mark.parametrize(("distance", "same"), [(0.25, True), (0.5, True), (0.625, False)])
def test_the_threshold_is_inclusive(distance: float, same: bool) -> None:
    base = np.zeros(128, np.float32)
    other = base.copy()
    other[3] = distance
    answer = verify(base, other, threshold=0.5)
    assert (answer.same, answer.distance, bool(answer)) == (same, distance, same)


def test_subjects_of_every_kind() -> None:
    for subject in (FACE, FACE.encoding, FACE.encoding.astype(np.float64), PIXELS, image.packaged("astronaut")):
        assert verify(subject, encoding_at(0.1)).distance == pytest.approx(0.1, abs=1e-6)
        assert verify(encoding_at(0.1), subject).distance == pytest.approx(0.1, abs=1e-6)


def test_a_calibration_says_threshold_and_rate() -> None:
    answer = verify(FACE, encoding_at(0.3), threshold=SimpleNamespace(threshold=0.25, pair_far=1e-3))
    assert (answer.same, answer.threshold, answer.false_accept_rate) == (False, 0.25, 1e-3)


def test_with_jitter_the_rate_is_not_known_without_a_calibration() -> None:
    assert math.isnan(verify(PIXELS, PIXELS, jitter=2).false_accept_rate)
    calibration = SimpleNamespace(threshold=0.5, pair_far=1e-3)
    assert verify(PIXELS, PIXELS, jitter=2, threshold=calibration).false_accept_rate == 1e-3


def test_the_rate_grows_with_the_threshold() -> None:
    rates = [false_accept_rate(threshold) for threshold in np.arange(0, 1.2, 0.005)]
    assert all(a <= b for a, b in itertools.pairwise(rates))
    assert false_accept_rate(0.3) == 0
    assert false_accept_rate(0.47) == pytest.approx(5 / PAIRS)
    assert false_accept_rate(1.0) == false_accept_rate(9.0) == COUNTS[-1] / PAIRS


def test_by_default_a_picture_has_one_face(tmp_path: Any) -> None:
    with pytest.raises(MultipleFacesError, match="4 faces"):
        verify(PIXELS, group())
    assert verify(PIXELS, group(), policy="largest").same
    with pytest.raises(NoFaceError):
        verify(PIXELS, np.zeros((99, 99), np.uint8))


@pytest.mark.parametrize("threshold", [-0.1, float("nan"), "0.6", True, None])
def test_wrong_thresholds(threshold: Any) -> None:
    with pytest.raises(OptionError, match="threshold"):
        verify(FACE, FACE, threshold=threshold)


def test_wrong_subjects() -> None:
    with pytest.raises(OptionError, match="policy"):
        verify(FACE, FACE, policy="all")
    with pytest.raises(OptionError, match="no encoding"):
        verify(FACE, detect(PIXELS)[0])
    with pytest.raises(ShapeError, match="128"):
        verify(FACE, np.zeros(64, np.float32))
    with pytest.raises(DTypeError, match="int"):
        verify(FACE, np.zeros(128, int))
    assert isinstance(FACE, Face)
