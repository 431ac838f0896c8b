"""What a training went through: a record a step, a record a validation."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

Record = dict[str, Any]


@dataclass
class History:
    """Records of a training.

    Attributes
    ----------
    steps : list of dict
        For each step: "step" from 1, "loss", "lr", "spread" (how far the batch's encodings lie apart, see
        `pyconvx.training.collapse`), "moved" (False where nothing was to be learned), "seconds", and what the trainer
        adds: for triplets "active" and "chosen", and under "watch" the share of active triplets by strategy.
    validations : list of dict
        For each validation: "step", and the measures by name.
    """

    steps: list[Record] = field(default_factory=list)
    validations: list[Record] = field(default_factory=list)

    def lines(self) -> list[str]:
        """The records as lines of JSON, in order of time; each says under "kind" whether it is a step or validation."""
        merged = [("step", record) for record in self.steps] + [("validation", record) for record in self.validations]
        merged.sort(key=lambda item: (item[1]["step"], item[0]))
        return [log_line(kind, record) for kind, record in merged]


def log_line(kind: str, record: Record) -> str:
    """One record as a line of JSON."""
    return json.dumps({"kind": kind, **record})


class Log:
    """A file of JSON lines that can be read while it grows."""

    def __init__(self, path: str | os.PathLike[str] | None, history: History) -> None:
        """Begin the file with what is in the history already, in the place of one that is there."""
        self._stream: TextIO | None = None
        if path is not None:
            self._stream = Path(path).open("w", encoding="utf-8")  # noqa: SIM115 - open for as long as the training
            self._stream.writelines(line + "\n" for line in history.lines())
            self._stream.flush()

    def write(self, kind: str, record: Record) -> None:
        """Append a record."""
        if self._stream is not None:
            self._stream.write(log_line(kind, record) + "\n")
            self._stream.flush()

    def close(self) -> None:
        """Close the file."""
        if self._stream is not None:
            self._stream.close()
