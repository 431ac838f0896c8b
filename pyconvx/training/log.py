"""The history of a training as a file that can be read while it grows."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TextIO

from pyconvx.training.history import History, Record, log_line


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
