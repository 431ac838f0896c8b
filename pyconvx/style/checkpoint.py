"""The file that a stopped run continues from, with the same bits as a run that was never stopped.

Tensors: `x` (the picture as the network takes it), `best` (the best so far) and the arrays of the optimiser's state.
Identity: options, digests of pictures and weights, versions. State: level, step, costs, trace, random state, the
optimiser's numbers.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from typing import Any

from pyconvx import _checkpoint as files
from pyconvx._checkpoint import Array, PathLike, digest, is_there
from pyconvx.errors import OptionError

__all__ = ["State", "digest", "is_there", "load", "save"]

_FORMAT = "pyconvx.style 1"
# Same version and instruction set are needed for the same bits, not for going on.
_ADVISORY = ("version", "isa")


@dataclass
class State:
    """Where a run stands, between two steps."""

    x: Array
    best: Array
    best_cost: float
    level: int = 0
    step: int = 0
    optimizer: dict[str, Any] = field(default_factory=dict)
    random: dict[str, Any] = field(default_factory=dict)
    trace: list[dict[str, Any]] = field(default_factory=list)


def save(path: PathLike, state: State, identity: dict[str, Any]) -> None:
    """Write the file, whole or not at all."""
    files.save(path, _FORMAT, {own.name: getattr(state, own.name) for own in fields(state)}, identity)


def load(path: PathLike, identity: dict[str, Any]) -> tuple[State, list[str]]:
    """Read the file of a run that was asked for the same.

    Returns
    -------
    state : State
    warnings : list of str
        Why the result may differ in its last bits from that of an uninterrupted run; empty if it will not.

    Raises
    ------
    WeightsError
        If the file is damaged or is no checkpoint.
    OptionError
        If it belongs to a run with other options or pictures; the message names them.
    """
    state, differences = files.load(path, _FORMAT, "a style transfer", lambda values: State(**values), identity)
    refused = [difference for difference in differences if difference.name not in _ADVISORY]
    if refused:
        raise OptionError(
            f"checkpoint: {os.fspath(path)} belongs to another run ({'; '.join(map(str, refused))}); give the same "
            "options and pictures, or start anew with another checkpoint file"
        )
    return state, [f"{name} was {there} and is {now}" for name, there, now in differences]
