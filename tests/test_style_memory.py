"""Memory: sizes as people write them, and an early clear refusal."""

from __future__ import annotations

import pytest
from tiny_network import TinyNetwork

from pyconvx.errors import OptionError
from pyconvx.style import memory


@pytest.mark.parametrize(
    ("text", "size"), [("4G", 4 << 30), ("800m", 800 << 20), ("1.5 GiB", 3 << 29), ("64KB", 65536), ("12345", 12345)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert memory.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1G", "0", "many", "1X", "nan", "inf", "1e40T"])
def test_wrong_sizes_are_named(text: str) -> None:
    with pytest.raises(OptionError, match="memory limit must be a size such as 800M or 4G"):
        memory.parse_size(text)


def test_a_refusal_says_what_would_fit() -> None:
    memory.require(100, 100, width=10, height=10)
    with pytest.raises(
        OptionError, match=r"painting 2000x1000 px needs about 4.0 GiB .* 1.0 GiB is allowed by memory_limit; .* 950 px"
    ):
        memory.require(4 << 30, 1 << 30, width=2000, height=1000)


def test_without_a_limit_the_system_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "available", lambda: 1 << 20)
    with pytest.raises(OptionError, match="1 MiB is available"):
        memory.require(2 << 20, None, width=8, height=8)
    monkeypatch.setattr(memory, "available", lambda: None)
    memory.require(1 << 60, None, width=8, height=8)


def test_the_estimate_grows_with_the_picture_and_the_optimiser() -> None:
    net = TinyNetwork().net
    fixed, small, large, more = (
        memory.estimate(net, ["relu1", "relu2"], edge, edge, vectors=vectors)
        for edge, vectors in ((0, 5), (100, 5), (200, 5), (100, 25))
    )
    assert large - fixed == pytest.approx(4 * (small - fixed), rel=1e-6)
    assert more - small == 20 * 100 * 100 * 3 * 4
