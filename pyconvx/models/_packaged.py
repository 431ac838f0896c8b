"""Reading weights that travel with the package: nothing is decoded before its SHA-256 is right."""

from __future__ import annotations

import hashlib
import io
import os
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import WeightsError
from pyconvx.models.card import Card

FOLDER_VARIABLE = "PYCONVX_WEIGHTS_DIR"


def weights_folder() -> Path:
    """Return where packaged weights are read: the folder in PYCONVX_WEIGHTS_DIR if set, else the package's own."""
    chosen = os.environ.get(FOLDER_VARIABLE)
    return Path(chosen) if chosen else Path(str(resources.files("pyconvx") / "weights"))


def read_packaged(card: Card) -> dict[str, NDArray[Any]]:
    """Return the arrays of a card's .npz file; raises as `check_packaged` does."""
    with np.load(io.BytesIO(check_packaged(card)), allow_pickle=False) as archive:
        return dict(archive)


def check_packaged(card: Card) -> bytes:
    """Return the bytes of a card's file.

    Raises
    ------
    WeightsError
        If the file is missing, or is not byte for byte the one that this version knows.
    """
    path = weights_folder() / card.file
    remedy = f"unset {FOLDER_VARIABLE} or copy the file" if os.environ.get(FOLDER_VARIABLE) else "install pyconvx anew"
    try:
        data = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}; {remedy}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != card.sha256:
        raise WeightsError(f"{path}: damaged or of another version: SHA-256 {found}, wanted {card.sha256}; {remedy}")
    return data
