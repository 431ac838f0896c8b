"""Cutting patches out of data that can be read again, or taking those that a survey kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from pyconvx.errors import OptionError
from pyconvx.nn.composite import Composite
from pyconvx.visualize._network import network_of, weights_digest
from pyconvx.visualize.fields import Box, ReceptiveField, receptive_field
from pyconvx.visualize.patches import Patch, TopPatches, crop
from pyconvx.visualize.sources import Source, preparation
from pyconvx.visualize.surveys import Survey

Array = NDArray[Any]


class PatchReader:
    """Cuts patches out of data that can be read again, or takes them from a survey that kept them.

    Takes the network, the data, and `preprocess` and `size` as the survey had them.
    """

    def __init__(
        self,
        net: Any,
        data: Any,
        *,
        preprocess: Callable[[Any], Any] | None = None,
        size: int | tuple[int, int] | None = None,
    ) -> None:
        self.net = network_of(net)
        self._source = None if data is None else Source(data, preparation(net, preprocess, size))
        self._fields = Fields(self.net)

    @property
    def is_empty(self) -> bool:
        """Whether there is no data, or it cannot be read again."""
        return self._source is None or self._source.length is None

    def check(self, survey: Survey) -> None:
        """Refuse another network, or other data, than the survey was made with.

        Raises
        ------
        OptionError
            If weights, number or names of the pictures differ.
        """
        if survey.asked["weights"] != weights_digest(self.net):
            raise OptionError("net: it has other weights than the network that the survey was made with")
        if self._source is None:
            return
        here, there = self._source.describe(), survey.asked["data"]
        for what in ("pictures", "names"):
            if None not in (here[what], there[what]) and here[what] != there[what]:
                raise OptionError(f"data: its {what} are not those that the survey looked at")

    def read(self, number: int) -> Array:
        """Return a picture as the network's input, without a batch axis."""
        if self._source is None:
            raise OptionError("data is None; give that which the patches were found in")
        return self._source.read(number)

    def patches(self, found: TopPatches, unit: int) -> list[Patch]:
        """Return a unit's patches, best first."""
        tally, place = found.survey.tallies[found.layer], found.place(unit)
        result = []
        for row, key in enumerate(tally.keys(place)):
            _, number, position = key
            kept = tally.kept.get(key)
            x = self.read(number) if kept is None else None
            if kept is None and x is not None:
                box = self._fields.of(found.layer, x.shape[:-1]).box(position)
                kept = crop(x, box)
            else:
                assert kept is not None
                box = self._kept_box(found.layer, position, kept)
            value = float(found.values[place, row])
            name = found.survey.names.get(number, str(number))
            result.append(Patch(value, number, name, position, box, kept))
        return result

    def _kept_box(self, layer: str, position: tuple[int, ...], patch: Array) -> Box:
        """A kept patch of a layer that reads everything is the whole picture."""
        if not position:
            return tuple((0, extent) for extent in patch.shape[:-1])
        return self._fields.of(layer, None).box(position)


class Fields:
    """Receptive fields by layer and size of the input, each worked out once."""

    def __init__(self, net: Composite) -> None:
        self._net = net
        self._found: dict[tuple[str, tuple[int, ...] | None], ReceptiveField] = {}

    def of(self, layer: str, size: tuple[int, ...] | None) -> ReceptiveField:
        """Return the receptive field of a layer."""
        if (layer, size) not in self._found:
            self._found[layer, size] = receptive_field(self._net, layer, input_size=size)
        return self._found[layer, size]
