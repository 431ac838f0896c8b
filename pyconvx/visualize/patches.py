"""A layer's best patches, and how a patch is cut out of an input."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import OptionError
from pyconvx.visualize._exact_sum import ExactSum
from pyconvx.visualize.fields import Box

if TYPE_CHECKING:
    from pyconvx.visualize.surveys import Survey

Array = NDArray[Any]


def crop(x: Array, box: Box, fill: float = 0.0) -> Array:
    """Return the part of an input `(*spatial, channels)` that a box covers, `fill` where the box leaves it.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import visualize
    >>> visualize.crop(np.array([[1.0], [2.0], [3.0]]), ((-1, 2),))[:, 0]
    array([0., 1., 2.])
    """
    patch = np.full((*(stop - start for start, stop in box), x.shape[-1]), fill, x.dtype)
    source, target = [], []
    for (start, stop), extent in zip(box, x.shape, strict=False):
        first, last = max(start, 0), max(min(stop, extent), max(start, 0))
        source.append(slice(first, last))
        target.append(slice(first - start, last - start))
    patch[tuple(target)] = x[tuple(source)]
    return patch


@dataclass(frozen=True)
class Patch:
    """One patch.

    Attributes
    ----------
    value : float
        The unit's activation, or what else patches were ranked by.
    picture : int
        Number of the picture in the data.
    name : str
        Its path in the folder, or its number.
    position : tuple of int
        Where in the layer's output.
    box : tuple of (int, int)
        The receptive field in pixels of the input, (start, stop) for each axis; it may leave the picture.
    x : ndarray
        The input there, `(*spatial, channels)` as the network takes it; 0 where the box leaves the picture,
        which is what a first layer's padding reads.
    """

    value: float
    picture: int
    name: str
    position: tuple[int, ...]
    box: Box
    x: Array


@dataclass(frozen=True)
class Statistics:
    """What a layer's units did over all pictures; arrays have one element a unit, in the order of `units`.

    Attributes
    ----------
    mean : ndarray
        Of all activations.
    mean_maximum : ndarray
        Of each picture's largest, of what patches were ranked by and where they might lie.
    zeros : ndarray
        The share of activations that are not above zero: zeros after a ReLU.
    dead : ndarray of bool
        Whether the unit was never above zero.
    positions, pictures : int
        How many activations of a unit, and pictures, were looked at.
    """

    mean: Array
    mean_maximum: Array
    zeros: Array
    dead: NDArray[np.bool_]
    positions: int
    pictures: int


@dataclass(frozen=True)
class TopPatches:
    """The patches that most excite the units of one layer.

    Attributes
    ----------
    layer : str
    survey : Survey
        The pass that found them, of one layer or several.
    """

    layer: str
    survey: Survey

    @property
    def units(self) -> NDArray[np.int64]:
        """Numbers of the channels, in the order of all tables."""
        return self.survey.tallies[self.layer].units

    @property
    def values(self) -> Array:
        """What patches were ranked by `(units, k)`, largest first; -inf where there were fewer than k pictures."""
        return self.survey.tallies[self.layer].best.values

    @property
    def pictures(self) -> NDArray[np.int64]:
        """Numbers of the pictures `(units, k)`; -1 where there is none."""
        return self.survey.tallies[self.layer].best.pictures

    @property
    def positions(self) -> NDArray[np.int32]:
        """Positions in the layer's output `(units, k, axes)`."""
        return self.survey.tallies[self.layer].best.positions

    @property
    def statistics(self) -> Statistics:
        """Mean, share of zeros and dead units over all that was looked at."""
        tally, counts = self.survey.tallies[self.layer], self.survey.class_counts
        total = tally.maxima.limbs.sum(axis=0)
        return Statistics(
            mean=tally.sums.divided(tally.positions),
            mean_maximum=ExactSum((), total).divided(int(counts.sum())),
            zeros=1 - tally.positive / max(1, tally.positions),
            dead=tally.positive == 0,
            positions=tally.positions,
            pictures=int(counts.sum()),
        )

    def top_classes(self, unit: int, count: int = 3) -> list[tuple[str, float]]:
        """Return the classes of labelled data whose pictures excite a unit most, with their mean of maxima."""
        classes, counts = self.survey.classes, self.survey.class_counts
        if not classes:
            return []
        tally = self.survey.tallies[self.layer]
        means = ExactSum((), tally.maxima.limbs[:, self.place(unit)]).divided(counts)
        order = sorted((place for place in range(len(classes)) if counts[place]), key=lambda p: (-means[p], classes[p]))
        return [(classes[place], float(means[place])) for place in order[:count]]

    def place(self, unit: int) -> int:
        """Return the row of a unit in the tables."""
        places = np.flatnonzero(self.units == unit)
        if not len(places):
            raise OptionError(f"unit {unit} of {self.layer!r} was not looked at; there are {_listed(self.units)}")
        return int(places[0])

    def patches(self, unit: int, data: Any, net: Any, **reading: Any) -> list[Patch]:
        """Return a unit's patches, best first.

        Parameters
        ----------
        unit : int
            Number of a channel.
        data, net
            Those that the patches were found with.
        **reading
            `preprocess` and `size`, as they were given there.

        Returns
        -------
        list of Patch

        Raises
        ------
        OptionError
            If the unit was not looked at, or the data is an iterator and patches were not kept.
        """
        from pyconvx.visualize.reader import PatchReader

        return PatchReader(net, data, **reading).patches(self, unit)

    def select(self, count: int) -> list[int]:
        """Return units worth a look: of those that live, the `count` whose best patches stand out most.

        How far its table lies above the mean of all pictures' maxima, over how far these lie above the mean of all
        activations (above 0, of selectivities); equal ones in their order.
        """
        statistics = self.statistics
        base = statistics.mean if self.survey.asked["rank_by"] == "activation" else 0.0
        values = np.where(np.isfinite(self.values), self.values, 0).astype(np.float64)
        score = values.mean(axis=1) - statistics.mean_maximum
        score /= np.maximum(statistics.mean_maximum - base, 1e-12)
        score[statistics.dead | (self.values[:, 0] <= 0)] = -np.inf
        order = np.argsort(-score, kind="stable")
        return [int(self.units[place]) for place in order[:count] if np.isfinite(score[place])]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the survey to a file; `load` reads it."""
        self.survey.save(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> TopPatches:
        """Read what `save` wrote, of a single layer."""
        from pyconvx.visualize.surveys import Survey

        survey = Survey.load(path)
        if len(survey.layers) != 1:
            raise OptionError(f"{os.fspath(path)} has {len(survey.layers)} layers: read it with Survey.load")
        return survey[survey.layers[0]]


def _listed(units: Sequence[int] | NDArray[np.int64]) -> str:
    words = [str(unit) for unit in units[:8]]
    return ", ".join(words) + (f" and {len(units) - 8} more" if len(units) > 8 else "")
