"""The levels of the pyramid: sizes that double, steps that halve, and what is refused."""

from __future__ import annotations

import pytest

from pyconvx.errors import OptionError
from pyconvx.style import Level, schedule


@pytest.mark.parametrize(
    ("long_edge", "levels"),
    [
        (100, 1),
        (383, 1),  # the last size painted at once
        (384, 2),  # 192, 384
        (512, 2),
        (767, 2),  # half of it twice is below 192
        (768, 3),
        (1536, 4),
    ],
)
def test_auto_keeps_the_coarsest_level_at_192_pixels(long_edge: int, levels: int) -> None:
    painted = schedule(long_edge // 2, long_edge, 64)
    assert len(painted) == levels
    assert levels == 1 or painted[0].width >= 192


def test_sizes_double_and_steps_halve() -> None:
    assert schedule(301, 1025, 100, 3) == [Level(75, 256, 100), Level(150, 512, 50), Level(301, 1025, 25)]


def test_every_level_gets_a_step() -> None:
    assert [level.steps for level in schedule(256, 256, 2, 4)] == [2, 1, 1, 1]


def test_off_and_one_are_one_level() -> None:
    assert schedule(900, 600, 10, "off") == schedule(900, 600, 10, 1) == [Level(900, 600, 10)]


def test_levels_that_are_too_small_are_refused() -> None:
    assert len(schedule(64, 64, 5, 3)) == 3
    with pytest.raises(OptionError, match=r"4 levels for 64x64 px make the coarsest 8x8, smaller than 16 px"):
        schedule(64, 64, 5, 4)


@pytest.mark.parametrize("pyramid", [0, -1, True, "some", 1.5])
def test_a_wrong_number_of_levels_is_named(pyramid: object) -> None:
    with pytest.raises(OptionError, match="pyramid must be 'auto', 'off' or a number of levels"):
        schedule(64, 64, 5, pyramid)  # type: ignore[arg-type]
