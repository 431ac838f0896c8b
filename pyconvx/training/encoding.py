"""Many inputs to their encodings, a part at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import DivergedError, OptionError, ShapeError
from pyconvx.functional._arguments import integer
from pyconvx.nn import Layer
from pyconvx.nn._arrays import as_float
from pyconvx.training.examples import as_inputs, first_not_finite

Array = NDArray[Any]

UNIT = 1e-3  # by how much the length of an encoding of length 1 may differ from it


def encode(encoder: Layer, x: ArrayLike, *, batch_size: int = 64) -> Array:
    """Compute f(x) for every row of `x`, as in use and not as in training.

    Parameters
    ----------
    encoder : nn.Layer
        Takes `(batch, *spatial, channels)`, gives `(batch, depth)`.
    x : array_like, (examples, *spatial, channels)
        float32, float64 or float16; a memory map is read a part at a time.
    batch_size : int
        How many are computed together: a question of memory and speed, not of the result.

    Returns
    -------
    ndarray, (examples, depth)

    Raises
    ------
    ShapeError, DTypeError
        If the encoder does not take `x`, or gives something else.
    OptionError, DivergedError
        If an example has NaN or infinity in it, or the encoder makes one of it.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import nn
    >>> encode(nn.L2Normalize(), np.array([[3.0, 4.0], [0.0, 2.0]]), batch_size=1)
    array([[0.6, 0.8],
           [0. , 1. ]])
    """
    size = integer("batch_size", batch_size, 1)
    inputs = as_inputs(x)
    if inputs.ndim < 2 or not len(inputs):
        raise ShapeError(f"x has shape {inputs.shape}; wanted (examples, *spatial, channels), not empty")
    training = encoder.training
    encoder.eval()
    try:
        parts = (encoder(as_float(inputs[start : start + size], "x")) for start in range(0, len(inputs), size))
        first = check_rank(next(parts), min(size, len(inputs)))
        result = np.empty((len(inputs), first.shape[1]), first.dtype)
        result[: len(first)] = first
        for start, part in zip(range(size, len(inputs), size), parts, strict=True):
            result[start : start + size] = part
    finally:
        encoder.train(training)
    _check_finite(result, inputs)
    return result


def _check_finite(encodings: Array, x: Array) -> None:
    bad = first_not_finite(encodings)
    if bad is None:
        return
    if first_not_finite(x[bad : bad + 1]) is not None:
        raise OptionError(f"example {bad} of x has NaN or infinity in it; mend it, or leave it out")
    raise DivergedError(
        f"the encoder gives NaN or infinity for example {bad}; its weights are wrong, or it is too large"
    )


def check_encoder(encoder: Layer, x: Array, normalized: bool) -> Array:
    """Encode two examples to see whether the encoder takes them, and return their encodings.

    Raises
    ------
    OptionError
        If it is no layer, or its encodings should have length 1 and have not.
    ShapeError, DTypeError, DivergedError
        If it does not take the examples, or gives something else than finite encodings.
    """
    if not isinstance(encoder, Layer):
        raise OptionError(f"encoder is {encoder!r}; it must be a layer or a network of pyconvx.nn")
    encodings = encode(encoder, x[:2])
    lengths = np.sqrt(np.square(encodings, dtype=np.float64).sum(axis=1))
    if normalized and (np.abs(lengths - 1) > UNIT)[lengths > 0].any():  # nothing has a direction in a blank example
        raise OptionError(
            "the encoder's encodings have not length 1; end it with nn.L2Normalize(), or say normalized=False and "
            "choose a margin that fits their length"
        )
    return encodings


def check_rank(encodings: Array, rows: int) -> Array:
    """Refuses what is not one encoding a row."""
    if encodings.ndim != 2 or len(encodings) != rows:
        raise ShapeError(
            f"the encoder gives shape {encodings.shape} for {rows} examples; wanted ({rows}, depth): end it with "
            "nn.GlobalAvgPool() or nn.Flatten(), nn.Linear(...) and nn.L2Normalize()"
        )
    return encodings
