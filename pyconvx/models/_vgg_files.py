"""A user's own VGG: a file with torchvision's names to our names, checked. Nothing is unpickled here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import MissingExtraError, WeightsError
from pyconvx.models._foreign import ANEW, open_regular, refuse_foreign
from pyconvx.models._vgg_layers import DEPTHS, conv_names
from pyconvx.nn import safetensors

_HEAD = 64  # bytes that tell what a file is

Arrays = dict[str, NDArray[Any]]


def read_vgg(path: str | os.PathLike[str], depth: int) -> Arrays:
    """Return "conv1_1.weight" ... as (out, in, kh, kw), and biases, from a safetensors or PyTorch file.

    Raises
    ------
    WeightsError
        If the file is neither, is damaged, or does not hold a VGG of this depth.
    MissingExtraError
        If it is a PyTorch file and torch is not installed.
    OSError
        If it cannot be read.
    """
    with open_regular(path) as stream:
        head = stream.read(_HEAD)
    refuse_foreign(head, os.fspath(path))
    if head[8:9] == b"{" or Path(path).suffix == ".safetensors":
        arrays = {name: array for name, array in safetensors.load_file(path).items() if _is_feature(name)}
    elif head.startswith((b"PK\x03\x04", b"\x80\x02")):  # PyTorch's zip archive, or its format before 1.6
        arrays = _read_pytorch(path)
    else:
        raise WeightsError(
            f"{os.fspath(path)}: neither a safetensors file nor a PyTorch state dict, or a damaged one: {ANEW}"
        )
    try:
        return _rename(arrays, depth)
    except WeightsError as error:
        raise WeightsError(f"{os.fspath(path)}: {error}") from None


def feature_indices(depth: int) -> dict[str, int]:
    """Return conv name -> its index in torchvision's `features`, where ReLUs and poolings count too."""
    indices: dict[str, int] = {}
    index = 0
    for block in DEPTHS[depth]:
        for name in conv_names(depth):
            if name.startswith(f"conv{block}_"):
                indices[name] = index
                index += 2  # the convolution and its ReLU
        index += 1  # the pooling
    return indices


def _is_feature(name: str) -> bool:
    return name.startswith("features.")


def _read_pytorch(path: str | os.PathLike[str]) -> Arrays:
    try:
        import torch
    except ImportError:
        raise MissingExtraError("reading a PyTorch file", "torch", "torch") from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises RuntimeError, UnpicklingError, EOFError, ... for damaged or unsafe files
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise WeightsError(
            f"{os.fspath(path)}: torch's safe loader refuses it: {reason}; {ANEW}, or save its state dict "
            "(tensors alone) anew"
        ) from error
    if not isinstance(state, Mapping):
        raise WeightsError(
            f"{os.fspath(path)}: holds a {type(state).__name__}, not a state dict; give one with net.state_dict()"
        )
    arrays: Arrays = {}
    for name, tensor in state.items():
        if isinstance(name, str) and _is_feature(name):
            if not isinstance(tensor, torch.Tensor) or not tensor.is_floating_point():
                raise WeightsError(f"{os.fspath(path)}: {name} is not a tensor of floating-point numbers; {ANEW}")
            arrays[name] = tensor.detach().to(torch.float32).numpy()
    return arrays


def _rename(arrays: Arrays, depth: int) -> Arrays:
    """torchvision's names to ours; every name that starts with "features." must be one of this network."""
    if any(name.endswith("running_mean") for name in arrays):
        raise WeightsError("this VGG has batch normalisation, which is not read; take the plain network")
    names = {
        f"features.{index}.{kind}": f"{name}.{kind}"
        for name, index in feature_indices(depth).items()
        for kind in ("weight", "bias")
    }
    for other in DEPTHS:
        others = {
            f"features.{index}.{kind}" for index in feature_indices(other).values() for kind in ("weight", "bias")
        }
        if other != depth and set(arrays) == others:
            raise WeightsError(f"this is a VGG-{other}; pass depth={other}")
    missing = [theirs for theirs in names if theirs not in arrays]
    if missing:
        raise WeightsError(
            f"not a VGG-{depth} with torchvision's names: {len(missing)} of {len(names)} tensors are missing, "
            f"the first is {missing[0]}; give the state dict of torchvision's vgg{depth}, or one with its names"
        )
    unknown = sorted(set(arrays) - set(names))
    if unknown:
        raise WeightsError(f"not a VGG-{depth}: it has no {unknown[0]}; give the state dict of the network itself")
    for theirs in names:
        if not np.isfinite(arrays[theirs]).all():
            raise WeightsError(f"{theirs} holds NaN or infinity; the file is damaged: {ANEW}")
    return {ours: arrays[theirs] for theirs, ours in names.items()}
