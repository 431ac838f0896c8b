"""A layer's kernel in the forms that the core reads."""

from __future__ import annotations

from typing import Any

from pyconvx.functional._packing import PackedWeights
from pyconvx.nn._arrays import Array
from pyconvx.nn.parameter import Parameter


class Packed:
    """The forms of the version that a kernel has now.

    `PackedWeights` keeps one form for each instruction set, direction and way of padding. A new value starts anew; a
    pullback that holds the old one keeps it. Copies and pickles of a layer leave the forms behind.

    The array itself tells whether the forms are still its own, as it never changes in place. A number would not do:
    two threads that assign at once can bring back one that was there before.
    """

    def __init__(self, weight: Parameter, shape: tuple[int, ...]) -> None:
        self._weight = weight
        self._shape = shape
        self._made: tuple[Array, PackedWeights] | None = None

    def present(self) -> PackedWeights:
        made, value = self._made, self._weight.value
        if made is None or made[0] is not value:
            made = self._made = (value, PackedWeights(value.reshape(self._shape)))
        return made[1]

    def __getstate__(self) -> dict[str, Any]:
        return {"_weight": self._weight, "_shape": self._shape, "_made": None}
