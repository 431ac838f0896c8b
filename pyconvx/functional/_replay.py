"""Calls that were made before, one after the other, without Python in between."""

from __future__ import annotations

from pyconvx import _core
from pyconvx.functional._arrays import Array

# What `_core.recall` knows a call by. `...` stands for an array that an earlier call will leave.
Key = tuple[object, ...]
# Of a call: the places of the arrays that it takes, where its result goes, the places of which it is the last reader,
# and whether its result is wanted.
Flow = tuple[tuple[int, ...], int, tuple[int, ...], bool]


def replay(keys: list[Key | None], flows: list[Flow], values: dict[int, Array], first: int) -> int:
    """Make the calls from `first` on, with arrays from and to `values`; return how many have been made by then.

    It ends before one that is not remembered, or has no key, and behind one whose result is wanted.
    """
    return _core.replay(keys, flows, values, first)
