"""Fixtures for all rooms."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import check
import pytest
from bar_pictures import draw_all

import pyconvx
from pyconvx import _core


def pytest_collection_finish() -> None:
    """Thousands of collected tests are no garbage: gc.collect() in one of them need not look through all the others."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def poisoned_memory() -> Iterator[None]:
    """Scratch and results begin with garbage in them, so that nobody relies on what a fresh page holds."""
    _core.set_memory_poison(True)
    yield
    _core.set_memory_poison(False)


# PYCONVX_TEST_ISAS=1 leaves all but the fastest out: CI asks for that where only Python is another one.
ISAS = pyconvx.available_isas()[: int(os.environ.get("PYCONVX_TEST_ISAS", "9"))]


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each instruction set of this machine in turn, forced and seen to be active."""
    with check.forced_isa(request.param) as name:
        yield name


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with classes of pictures under `things`."""
    monkeypatch.chdir(tmp_path)
    draw_all()
    return tmp_path
