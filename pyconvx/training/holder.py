"""What a trainer has for its encoder: the one that it was given, or a name until there are examples to make one for."""

from __future__ import annotations

from typing import Any, get_args

from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import OptionError
from pyconvx.nn import Layer
from pyconvx.training.encoders import Size
from pyconvx.training.encoding import encode

Array = NDArray[Any]


class EncoderHolder:
    """Holds an encoder, or the size of one that is yet to be made."""

    def __init__(self, encoder: Layer | Size) -> None:
        if not isinstance(encoder, Layer) and encoder not in get_args(Size):
            raise OptionError(
                f"encoder is {encoder!r}; it must be a layer, a network of pyconvx.nn, 'small' or 'medium'"
            )
        self._encoder = encoder

    @property
    def encoder(self) -> Layer:
        """The encoder; one that is made to fit the examples is there once `fit` has begun."""
        if not isinstance(self._encoder, Layer):
            raise OptionError(f"the {self._encoder!r} encoder is made to fit the examples; call fit first")
        return self._encoder

    def encode(self, x: ArrayLike, *, batch_size: int = 64) -> Array:
        """Return the encodings of inputs, (examples, depth); see `pyconvx.training.encode`."""
        return encode(self.encoder, x, batch_size=batch_size)
