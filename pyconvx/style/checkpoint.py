"""The file that a stopped run continues from, with the same bits as a run that was never stopped.

A safetensors file, written atomically. Tensors: `x` (the picture as the network takes it), `best` (the best so far) and
the arrays of the optimiser's state. Metadata: `identity` (what the run was asked for: options, digests of pictures and
weights, versions) and `state` (level, step, costs, trace, random state, the optimiser's numbers), both JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import OptionError, WeightsError
from pyconvx.nn import safetensors

Array = NDArray[Any]
PathLike = str | os.PathLike[str]

_FORMAT = "pyconvx.style 1"
_TENSOR = "tensor:"
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


def digest(*arrays: Array) -> str:
    """Return the SHA-256 of arrays: their types, shapes and bytes."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype.str}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()


def save(path: PathLike, state: State, identity: dict[str, Any]) -> None:
    """Write the file, whole or not at all."""
    tensors = {"x": state.x, "best": state.best}
    described = {
        name: _take_arrays(getattr(state, name), name, tensors)
        for name in ("level", "step", "best_cost", "optimizer", "random", "trace")
    }
    metadata = {"format": _FORMAT, "identity": json.dumps(identity, sort_keys=True), "state": json.dumps(described)}
    safetensors.save_file(tensors, path, metadata=metadata)


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
    metadata = safetensors.load_metadata(path)
    if metadata.get("format") != _FORMAT:
        raise WeightsError(f"{os.fspath(path)} is not a checkpoint of a style transfer of this version of the format")
    try:
        saved, described = json.loads(metadata["identity"]), json.loads(metadata["state"])
        tensors = safetensors.load_file(path)
        values = {name: _put_arrays(value, tensors) for name, value in described.items()}
        state = State(x=tensors["x"], best=tensors["best"], **values)
        saved = _flat(saved)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{os.fspath(path)}: the checkpoint is damaged ({error!r})") from error
    # Through JSON, so that tuples and lists compare as they were stored.
    wanted = _flat(json.loads(json.dumps(identity)))
    differing = sorted(name for name in {*saved, *wanted} if saved.get(name) != wanted.get(name))
    refused = [name for name in differing if name not in _ADVISORY]
    if refused:
        told = "; ".join(f"{name}: {_short(saved.get(name))} there, {_short(wanted.get(name))} now" for name in refused)
        raise OptionError(
            f"checkpoint: {os.fspath(path)} belongs to another run ({told}); give the same options and pictures, "
            "or start anew with another checkpoint file"
        )
    return state, [f"{name} was {saved.get(name)} and is {wanted.get(name)}" for name in differing]


def _flat(identity: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the identity without nesting, so that a difference has a short name."""
    flat: dict[str, Any] = {}
    for name, value in identity.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def is_there(path: PathLike) -> bool:
    """Return whether a checkpoint has been written."""
    return Path(path).exists()


def _take_arrays(value: Any, name: str, tensors: dict[str, Array]) -> Any:
    """Move the arrays inside `value` to `tensors`, and leave their names."""
    if isinstance(value, np.ndarray):
        tensors[name] = value
        return _TENSOR + name
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: _take_arrays(item, f"{name}.{key}", tensors) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_take_arrays(item, f"{name}.{index}", tensors) for index, item in enumerate(value)]
    return value


def _put_arrays(value: Any, tensors: dict[str, Array]) -> Any:
    if isinstance(value, str) and value.startswith(_TENSOR):
        return tensors[value[len(_TENSOR) :]]
    if isinstance(value, dict):
        return {key: _put_arrays(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [_put_arrays(item, tensors) for item in value]
    return value


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
