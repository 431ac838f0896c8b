"""The face encoder: from an aligned face to 128 numbers, near to each other for one person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import DTypeError, ShapeError
from pyconvx.models._face_input import normalize
from pyconvx.models._packaged import read_packaged
from pyconvx.models._three_bytes import join
from pyconvx.models.card import Card
from pyconvx.models.catalogue import CARDS

if TYPE_CHECKING:
    from pyconvx.nn import Graph

CHIP = 150
ENCODING = 128
_TOGETHER = 16  # chips in one call of the network: more is not faster, and memory stays bounded


@dataclass(frozen=True)
class FaceEncoder:
    """A network from chips to encodings.

    Two encodings are compared by their Euclidean distance; they are not of length 1.

    Parameters
    ----------
    net : nn.Graph
        From (n, 150, 150, 3), normalised, to (n, 128).
    card : Card
        Licence, sources, notes.
    identity : str
        Name and hash of the weights: encodings with different identities are not comparable.
    """

    net: Graph
    card: Card
    identity: str

    def encode(self, chips: NDArray[Any]) -> NDArray[np.float32]:
        """Return the encodings of aligned faces.

        Parameters
        ----------
        chips : ndarray of uint8, shape (n, 150, 150, 3)
            RGB, as `faces.align` makes them.

        Returns
        -------
        ndarray of float32, shape (n, 128)
            The same bits for a chip alone and among others.

        Raises
        ------
        ShapeError, DTypeError
            If the chips have another shape or type.
        """
        chips = np.asarray(chips)
        if chips.ndim != 4 or chips.shape[1:] != (CHIP, CHIP, 3):
            raise ShapeError(f"chips: got shape {chips.shape}; wanted (n, {CHIP}, {CHIP}, 3), RGB")
        if chips.dtype != np.uint8:
            raise DTypeError(f"chips: got {chips.dtype}; wanted uint8 levels")
        encodings = np.empty((len(chips), ENCODING), np.float32)
        for start in range(0, len(chips), _TOGETHER):
            part = slice(start, start + _TOGETHER)
            encodings[part] = self.net(normalize(chips[part]))
        return encodings


def face_encoder() -> FaceEncoder:
    """Return dlib's face encoder, a ResNet with 29 convolutions, with its packaged weights.

    The kernels are stored in 24 bits and computed with in float32; `card` says what they are good for.

    Raises
    ------
    WeightsError
        If the weight file is missing or damaged.

    References
    ----------
    D. E. King, "Dlib-ml: A Machine Learning Toolkit", 2009; dlib_face_recognition_resnet_model_v1, 2017.
    K. He et al., "Deep Residual Learning for Image Recognition", 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import models
    >>> encoder = models.face_encoder()
    >>> encoder.encode(np.zeros((2, 150, 150, 3), np.uint8)).shape
    (2, 128)
    """
    card = CARDS["face_encoder"]
    state = {name: join(array) if array.dtype == np.uint8 else array for name, array in read_packaged(card).items()}
    return make_encoder(state, card, card.sha256)


def make_encoder(state: dict[str, NDArray[np.float32]], card: Card, sha256: str) -> FaceEncoder:
    """Return an encoder with these weights, which came from a file with this hash."""
    from pyconvx.models._face_layers import build_encoder

    net = build_encoder()
    net.load_state_dict(state)
    return FaceEncoder(net, card, f"{card.name}-{sha256[:16]}")
