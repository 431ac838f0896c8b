"""An encoder in one file, with how its inputs are read: what `pyconvx train` writes and every use of it needs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pyconvx.errors import OptionError, PyconvxError, WeightsError
from pyconvx.nn import Layer, load_network, safetensors, save_network
from pyconvx.training.inputs import InputFormat

_INPUT, _NOTES = "input", "training"


@dataclass(frozen=True)
class SavedEncoder:
    """An encoder with all that one needs to use it.

    Parameters
    ----------
    net : nn.Layer
        Takes `(batch, *format.shape)`, gives `(batch, dimensions)`.
    format : InputFormat
        How files become its inputs, the shape among it.
    notes : dict
        What is known of its training, as JSON can hold it: "steps", "measures", "threshold" (the squared distance at
        the equal error rate of the validation, or None), "classes", ...
    """

    net: Layer
    format: InputFormat
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def threshold(self) -> float | None:
        """The squared distance at the equal error rate of its validation, if there was one."""
        found = self.notes.get("threshold")
        return float(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else None


def save_encoder(
    path: str | os.PathLike[str], net: Layer, format: InputFormat, notes: Mapping[str, Any] | None = None
) -> None:
    """Write an encoder to a safetensors file, whole or not at all.

    Raises
    ------
    OptionError
        If `format` names no shape, or a layer is of a class of the caller's own.
    """
    if format.shape is None:
        raise OptionError("format has no shape; give the one of the examples: format.fitted(x.shape[1:])")
    save_network(net, path, metadata={_INPUT: format.to_json(), _NOTES: json.dumps(dict(notes or {}))})


def load_encoder(path: str | os.PathLike[str]) -> SavedEncoder:
    """Read what `save_encoder` wrote, and see that it takes the inputs that it promises to take.

    Raises
    ------
    WeightsError
        If the file is damaged, or holds something else.
    OSError
        If it cannot be opened or read.
    """
    source = os.fspath(path)
    metadata = safetensors.load_metadata(path)
    if _INPUT not in metadata:
        raise WeightsError(f"{source}: is no saved encoder: it does not say how its inputs are read; see pyconvx train")
    try:
        format = InputFormat.from_json(metadata[_INPUT])
        notes = json.loads(metadata.get(_NOTES, "{}"))
    except (OptionError, ValueError, RecursionError) as error:
        raise WeightsError(f"{source}: what it says of its inputs or its training is damaged: {error}") from None
    if format.shape is None or not isinstance(notes, dict):
        raise WeightsError(f"{source}: what it says of its inputs or its training is damaged")
    net = load_network(path)
    try:
        found = net(np.zeros((1, *format.shape), np.float32)).shape
    except (PyconvxError, MemoryError) as error:
        raise WeightsError(f"{source}: its network does not take inputs of shape {format.shape}: {error}") from error
    if len(found) != 2:
        raise WeightsError(f"{source}: its network gives shape {found} for one input; wanted an encoding")
    return SavedEncoder(net, format, notes)
