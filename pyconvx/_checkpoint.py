"""Files that stopped work goes on from: arrays and what JSON can hold, in one safetensors file, written atomically.

Tensors: the arrays. Metadata: `format` (whose checkpoint it is), `identity` (what the work was asked for, so that no
other work goes on from it) and `state` (the rest, with names of tensors where arrays were), both JSON; `seal`, the
SHA-256 of all that, since work that went on from one changed bit would end elsewhere and not say so.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import OptionError, WeightsError
from pyconvx.nn import safetensors

Array = NDArray[Any]
PathLike = str | os.PathLike[str]
State = TypeVar("State")

_TENSOR = "tensor:"


class Difference(NamedTuple):
    """One thing that was asked for otherwise: its name, and both answers."""

    name: str
    there: Any
    now: Any

    def __str__(self) -> str:
        return f"{self.name}: {_short(self.there)} there, {_short(self.now)} now"


def digest(*arrays: Array) -> str:
    """Return the SHA-256 of arrays: their types, shapes and bytes."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype.str}{array.shape}".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()


def _seal(tensors: dict[str, Array], metadata: dict[str, str]) -> str:
    sha = hashlib.sha256()
    for text in (metadata["format"], metadata["identity"], metadata["state"]):
        sha.update(text.encode())
    for name in sorted(tensors):
        sha.update(name.encode())
        sha.update(digest(tensors[name]).encode())
    return sha.hexdigest()


def save(path: PathLike, kind: str, state: dict[str, Any], identity: dict[str, Any]) -> None:
    """Write the file, whole or not at all; an array that comes several times is written once."""
    tensors = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    written = {id(array): name for name, array in tensors.items()}
    described = {
        name: _take_arrays(value, name, tensors, written) for name, value in state.items() if name not in tensors
    }
    metadata = {"format": kind, "identity": json.dumps(identity, sort_keys=True), "state": json.dumps(described)}
    metadata["seal"] = _seal(tensors, metadata)
    safetensors.save_file(tensors, path, metadata=metadata)


def load(
    path: PathLike, kind: str, work: str, build: Callable[[dict[str, Any]], State], identity: dict[str, Any]
) -> tuple[State, list[Difference]]:
    """Read the file; `work` is what it should be a checkpoint of, in words, `build` makes the state of what was saved.

    Returns
    -------
    state
        What `build` made.
    differences : list of Difference
        Between the identity that was saved and the one now.

    Raises
    ------
    WeightsError
        If the file is damaged, is no checkpoint, or is one of other work.
    """
    metadata = safetensors.load_metadata(path)
    if metadata.get("format") != kind:
        raise WeightsError(f"{os.fspath(path)} is not a checkpoint of {work} of this version of the format")
    try:
        saved, described = _flat(json.loads(metadata["identity"])), json.loads(metadata["state"])
        tensors = safetensors.load_file(path)
        if metadata.get("seal", (sealed := _seal(tensors, metadata))) != sealed:  # the first versions wrote none
            raise ValueError("it is not as it was written")
        whole = {name: array for name, array in tensors.items() if "." not in name}  # those inside others have dots
        state = build(whole | {name: _put_arrays(value, tensors) for name, value in described.items()})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{os.fspath(path)}: the checkpoint is damaged ({error!r})") from error
    # Through JSON, so that tuples and lists compare as they were stored.
    wanted = _flat(json.loads(json.dumps(identity)))
    names = sorted({*saved, *wanted})
    differences = [Difference(name, saved.get(name), wanted.get(name)) for name in names]
    return state, [difference for difference in differences if difference.there != difference.now]


def is_there(path: PathLike) -> bool:
    """Return whether a checkpoint has been written."""
    return Path(path).exists()


def check_target(path: PathLike | None, every: Any, resume: bool) -> None:
    """Refuse, before the work, a file that could not be written or would be overwritten by accident."""
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise OptionError(f"checkpoint_every must be a whole number from 1: got {every!r}")
    if path is None:
        if resume:
            raise OptionError("resume needs checkpoint: the file to go on from")
        return
    if not Path(path).resolve().parent.is_dir():
        raise OptionError(f"checkpoint: the folder {Path(path).parent} does not exist")
    if Path(path).is_dir() or not os.access(Path(path).resolve().parent, os.W_OK):
        raise OptionError(f"checkpoint: {os.fspath(path)} is a folder, or its folder may not be written to")
    if is_there(path) and not resume:
        raise OptionError(f"checkpoint: {os.fspath(path)} is there already; resume it, or remove it to start anew")


def _flat(identity: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the identity without nesting, so that a difference has a short name."""
    flat: dict[str, Any] = {}
    for name, value in identity.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return flat


def _take_arrays(value: Any, name: str, tensors: dict[str, Array], written: dict[int, str]) -> Any:
    """Move the arrays inside `value` to `tensors`, and leave their names."""
    if isinstance(value, np.ndarray):
        known = written.setdefault(id(value), name)
        tensors[known] = value
        return _TENSOR + known
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, dict):
        return {key: _take_arrays(item, f"{name}.{key}", tensors, written) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_take_arrays(item, f"{name}.{index}", tensors, written) for index, item in enumerate(value)]
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
