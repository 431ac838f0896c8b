"""The JSON of a run, small enough to be kept with the code: a line for each row, without what is empty."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

from bench.harness import Row

DIGITS = 5  # of a number; no timing has more
DEFAULTS = {f.name: f.default for f in fields(Row)}  # of what may be left out
SAID_ONCE = ("why", "formula")  # the same in all rows of a problem, of a benchmark's direction


def write_document(document: dict[str, Any], path: Path) -> None:
    runs = [compact(run) for run in document["runs"]]
    rest = {key: value for key, value in document.items() if key != "runs"}
    head = json.dumps({**rest, "runs": []}, indent=1).removesuffix("[]\n}")
    texts = []
    for run in runs:
        rows = ",\n".join(json.dumps(row) for row in run.pop("rows"))
        texts.append(f'{json.dumps(run)[:-1]}, "rows": [\n{rows}\n]}}')
    text = f"{head}[\n" + ",\n".join(texts) + "\n]}\n"
    path.write_text(text.replace(": Infinity", ": 1e999"))  # JSON has no word for it, but this reads as infinite


def read_document(path: Path) -> dict[str, Any]:
    """The document as it was before it was written, but for the digits."""
    document: dict[str, Any] = json.loads(path.read_text())
    for run in document["runs"]:
        said = {key: run.pop(f"{key}s") for key in SAID_ONCE}
        run["rows"] = [DEFAULTS | row | {key: said[key][name_of(key, row)] for key in SAID_ONCE} for row in run["rows"]]
    return document


def compact(run: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, dict[str, str]] = {f"{key}s": {} for key in SAID_ONCE}
    rows = []
    for row in run["rows"]:
        for key in SAID_ONCE:
            said[f"{key}s"][name_of(key, row)] = row[key]
        kept = {key: short(value) for key, value in row.items() if key not in SAID_ONCE}
        rows.append({key: value for key, value in kept.items() if key not in DEFAULTS or value != DEFAULTS[key]})
    return {**run, **said, "rows": rows}


def name_of(key: str, row: dict[str, Any]) -> str:
    """What `key` says something about."""
    return f"{row['benchmark']} {row['problem' if key == 'why' else 'direction']}"


def short(value: Any) -> Any:
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value
