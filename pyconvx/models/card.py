"""What one should know of a network before using it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Card:
    """The passport of a network.

    Parameters
    ----------
    name : str
        The function of `pyconvx.models` that makes it.
    summary : str
        One line.
    licence : str
        Of the weights.
    sources : tuple of str
        Works and data that the weights come from, to be credited.
    notes : tuple of str
        What the weights are good for, and what not.
    preprocessing : str
        What becomes of a picture before the first layer.
    file, sha256 : str
        The packaged weight file, and what it must be.
    measured : dict of str to float, optional
        Figures by name; `notes` says what they are.
    """

    name: str
    summary: str
    licence: str
    sources: tuple[str, ...]
    notes: tuple[str, ...]
    preprocessing: str
    file: str = ""
    sha256: str = ""
    measured: dict[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the card as plain data, for JSON."""
        return asdict(self)
