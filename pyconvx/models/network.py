"""A network with all that one needs to use it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.models.card import Card
from pyconvx.models.preprocessing import Preprocessing

if TYPE_CHECKING:
    from pyconvx.nn import Sequential


@dataclass(frozen=True)
class Network:
    """A network, its preprocessing and its card.

    Parameters
    ----------
    net : nn.Sequential
        With weights; activations by name through `net.features(x, ["relu4_2"])`.
    preprocessing : Preprocessing
        What becomes of a picture before the first layer.
    card : Card
        Licence, sources, notes.
    """

    net: Sequential
    preprocessing: Preprocessing
    card: Card

    def preprocess(self, image: NDArray[Any]) -> NDArray[np.float32]:
        """Return the network's input (1, H, W, 3) of an RGB picture (H, W, 3); see `Preprocessing.apply`."""
        return self.preprocessing.apply(image)

    def deprocess(self, x: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the RGB picture of a network's input, clipped and rounded; see `Preprocessing.undo`."""
        return self.preprocessing.undo(x)
