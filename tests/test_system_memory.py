"""Available memory: the smaller of what system and control group say."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyconvx import _memory


@pytest.mark.parametrize(
    ("system", "group", "wanted"), [(10, None, 10), (10, 3, 3), (3, 10, 3), (None, 7, 7), (None, None, None)]
)
def test_the_smaller_of_system_and_control_group(
    monkeypatch: pytest.MonkeyPatch, system: int | None, group: int | None, wanted: int | None
) -> None:
    monkeypatch.setattr(_memory, "_system", lambda: system)
    monkeypatch.setattr(_memory, "_control_group", lambda: group)
    assert _memory.available() == wanted


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"memory.max": "1000\n", "memory.current": "400\n"}, 600),
        ({"memory.max": "max\n", "memory.current": "400\n"}, None),
        ({"memory.max": "300\n", "memory.current": "400\n"}, 0),
        ({"memory/memory.limit_in_bytes": "900", "memory/memory.usage_in_bytes": "100"}, 800),
        ({"memory/memory.limit_in_bytes": str(2**63 - 4096), "memory/memory.usage_in_bytes": "100"}, None),
        ({}, None),
    ],
    ids=["v2", "v2 without limit", "v2 exceeded", "v1", "v1 without limit", "no control groups"],
)
def test_control_groups(tmp_path: Path, files: dict[str, str], wanted: int | None) -> None:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    assert _memory._control_group(tmp_path) == wanted
