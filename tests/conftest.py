"""Fixtures for all rooms."""

from __future__ import annotations

from collections.abc import Iterator

import check
import pytest

import pyconvx


@pytest.fixture(params=pyconvx.available_isas())
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set of this machine in turn, forced and seen to be active."""
    with check.forced_isa(request.param) as name:
        yield name
