"""From a layer's parameters to names and arrays, and back: all checked before the first one is changed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from pyconvx.errors import OptionError, WeightsError
from pyconvx.nn._arrays import Array
from pyconvx.nn.parameter import Parameter, from_pytorch, to_pytorch

Layout = Literal["channels_last", "pytorch"]

# The counters of batches in PyTorch's BatchNorm: nothing that we compute depends on them.
_COUNTER = "num_batches_tracked"


class Mismatch(NamedTuple):
    """What `load_state_dict(strict=False)` left alone."""

    missing: list[str]
    unexpected: list[str]


def export_state(parameters: Mapping[str, Parameter], layout: Layout) -> dict[str, Array]:
    """Return the present arrays by name: read-only, and not changed by later training."""
    check_layout(layout)
    if layout == "channels_last":
        return {name: parameter.value for name, parameter in parameters.items()}
    return {name: to_pytorch(parameter.value, parameter.is_kernel) for name, parameter in parameters.items()}


def import_state(
    parameters: Mapping[str, Parameter], state: Mapping[str, Any], strict: bool, layout: Layout
) -> Mismatch:
    """Assign every array of `state` to the parameter of its name, or raise and change nothing."""
    check_layout(layout)
    missing = [name for name in parameters if name not in state]
    unexpected = [
        name
        for name in state
        if name not in parameters and not (layout == "pytorch" and name.rpartition(".")[2] == _COUNTER)
    ]
    complaints = []
    if strict and missing:
        complaints.append(f"missing: {_listed(missing)}")
    if strict and unexpected:
        complaints.append(f"not of this network: {_listed(unexpected)}")
    wanted = {name: np.asarray(state[name]) for name in parameters if name in state}
    complaints += _unfit(parameters, wanted, layout)
    if complaints:
        raise WeightsError("the weights do not fit; " + "; ".join(complaints))
    for name, array in wanted.items():
        parameter = parameters[name]
        parameter.assign(from_pytorch(array, parameter.is_kernel) if layout == "pytorch" else array)
    return Mismatch(missing, unexpected)


def check_layout(layout: str) -> None:
    if layout not in ("channels_last", "pytorch"):
        raise OptionError(f"layout is {layout!r}; it must be 'channels_last' or 'pytorch'")


def _unfit(parameters: Mapping[str, Parameter], arrays: Mapping[str, Array], layout: Layout) -> list[str]:
    """Say which arrays have another shape or type, and whether the other layout would fit them all."""
    shapes, types = [], []
    other_fits = True
    for name, array in arrays.items():
        parameter = parameters[name]
        other = from_pytorch(array, parameter.is_kernel).shape
        fitting, otherwise = (other, array.shape) if layout == "pytorch" else (array.shape, other)
        if fitting != parameter.shape:
            expected = to_pytorch(parameter.value, parameter.is_kernel) if layout == "pytorch" else parameter.value
            shapes.append(f"{name} is {array.shape}, expected {expected.shape}")
            other_fits &= otherwise == parameter.shape
        if array.dtype.kind != "f":
            types.append(f"{name} is {array.dtype}")
    complaints = []
    if shapes:
        hint = "channels_last" if layout == "pytorch" else "pytorch"
        advice = f" (they fit layout={hint!r})" if other_fits else ""
        complaints.append(f"shapes: {_listed(shapes)}{advice}")
    if types:
        complaints.append(f"types, where floating point is wanted: {_listed(types)}")
    return complaints


def _listed(names: list[str], most: int = 6) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"
