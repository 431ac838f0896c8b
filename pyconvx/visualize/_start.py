"""Where a pass begins: anew, or where the one in a state file stopped; of all pictures, or of a part of them."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from pyconvx.errors import OptionError
from pyconvx.visualize.sources import Source
from pyconvx.visualize.surveys import Survey, differences


def begin(
    asked: dict[str, Any], state: str | os.PathLike[str] | None, resume: bool, start: int, source: Source
) -> tuple[Survey, int]:
    """Return a survey that has seen nothing, or the one in the file, and the first picture still to be looked at."""
    if resume and state is None:
        raise OptionError("resume needs state: the file to go on from")
    if state is not None:
        path = Path(state)
        _check_state(path, resume)
        if path.exists():
            survey = Survey.load(path)
            wrong = differences(survey.asked, asked)
            if wrong:
                raise OptionError(f"state: {path} belongs to another survey ({', '.join(wrong)} differ)")
            return survey, _next(survey, start)
    return Survey(asked, {}, [], {}, np.zeros(max(1, len(source.classes)), np.int64)), start


def _check_state(path: Path, resume: bool) -> None:
    """Refuse now what could not be saved to later."""
    if not path.resolve().parent.is_dir():
        raise OptionError(f"state: the folder {path.parent} does not exist")
    if path.is_dir():
        raise OptionError(f"state: {path} is a folder; name a file in it")
    if path.exists() and not resume:
        raise OptionError(f"state: {path} is there already; resume it, or remove it to start anew")
    beside = path.resolve().with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        beside.touch(exist_ok=False)
        beside.unlink()
    except OSError as error:
        raise OptionError(f"state: {path} cannot be written: {error.strerror}") from error


def _next(survey: Survey, start: int) -> int:
    """Return the first picture of a part that is still to be looked at."""
    if len(survey.done) > 1 or (survey.done and survey.done[0][0] != start):
        raise OptionError(f"state: it has looked at pictures {survey.done}, which do not begin this part at {start}")
    return survey.done[0][1] if survey.done else start


def part_of(source: Source, shard: tuple[int, int]) -> tuple[int, int | None]:
    """Return the first picture of a shard, and the one behind its last; None where that is not known."""
    index, count = shard
    if source.length is None:
        if count != 1:
            raise OptionError("an iterator cannot be cut into shards; give a folder, an array or a list")
        return 0, None
    return source.length * index // count, source.length * (index + 1) // count
