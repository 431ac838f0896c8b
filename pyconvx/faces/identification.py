"""Recognition, one of many: the people whose encodings are nearest, or nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import OptionError
from pyconvx.faces._false_accepts import COUNTS, FIRST, PAIRS, STEP
from pyconvx.faces._gallery_rows import Rows
from pyconvx.faces.face import Face
from pyconvx.functional import nearest
from pyconvx.metrics import pair_rate

DEFAULT_FAR = 0.01
"""What a gallery without a calibration aims at: one stranger in a hundred is taken for somebody."""


class Candidate(NamedTuple):
    """Somebody in the gallery, and the distance of their nearest encoding."""

    name: str
    distance: float


@dataclass(frozen=True, eq=False)
class Identification:
    """Who a face is; true in a condition if it is somebody.

    Parameters
    ----------
    name : str or None
        The nearest person, if near enough; None means "not recognised".
    distance : float
        Euclidean, to the nearest encoding in the gallery; inf if there is none.
    threshold : float
        Somebody is recognised where distance <= threshold.
    candidates : tuple of Candidate
        The nearest people, each once, nearest first, near enough or not.
    face : Face or None
        Which face was looked for; None where an encoding was.

    Examples
    --------
    >>> from pyconvx.faces import Identification
    >>> bool(Identification(None, 0.8, 0.5, ()))
    False
    """

    name: str | None
    distance: float
    threshold: float
    candidates: tuple[Candidate, ...]
    face: Face | None = None

    def __bool__(self) -> bool:
        return self.name is not None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        return {
            "name": self.name,
            "distance": None if np.isinf(self.distance) else self.distance,
            "threshold": self.threshold,
            "candidates": [candidate._asdict() for candidate in self.candidates],
            "box": None if self.face is None else list(self.face.box),
        }


def search_threshold(entries: int, far: float = DEFAULT_FAR) -> float:
    """A threshold for searching so many encodings, for the packaged encoder, where nothing was calibrated.

    It is the distance at which a stranger is taken for somebody at the rate `far`, 1 - (1 - pair rate)^entries, by the
    78,000 pairs of strangers of the ORL faces: grey, frontal, European men for the most part. These pairs end at a rate
    of 4e-5 (entries = 260 at the default); beyond, the threshold hardly falls any more, and the rate is not kept.

    Parameters
    ----------
    entries : int
        Encodings in the gallery.
    far : float
        How often a stranger may be taken for somebody.

    Returns
    -------
    float

    Raises
    ------
    OptionError
        If a value is out of range.

    Examples
    --------
    >>> from pyconvx.faces import search_threshold
    >>> [round(search_threshold(entries), 2) for entries in (1, 10, 100)]
    [0.58, 0.52, 0.48]
    """
    rates = np.array(COUNTS) / PAIRS
    return float(np.interp(pair_rate(far, max(1, entries)), rates, FIRST + STEP * np.arange(len(rates))))


def search(rows: Rows, encodings: NDArray[np.float32], k: int) -> list[tuple[Candidate, ...]]:
    """The k nearest people of each encoding; fewer where there are fewer."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise OptionError(f"k is {k!r}; wanted how many people to return, from 1")
    count = len(rows.encodings)
    if not count or not len(encodings):
        return [()] * len(encodings)
    wanted = min(k, len(rows.names))
    width = min(count, 1 if wanted == 1 else 4 * wanted)
    while True:
        distances, indices = nearest(encodings, rows.encodings, width, metric="euclidean")
        found = [_once_each(rows, *row, wanted) for row in zip(distances, indices, strict=True)]
        if width == count or all(len(candidates) == wanted for candidates in found):
            return found
        width = min(count, 4 * width)  # somebody has so many encodings that they hide the others


def _once_each(
    rows: Rows, distances: NDArray[np.float32], indices: NDArray[np.int64], wanted: int
) -> tuple[Candidate, ...]:
    people = rows.people[indices]
    firsts = np.sort(np.unique(people, return_index=True)[1])[:wanted]
    return tuple(Candidate(rows.names[people[place]], float(distances[place])) for place in firsts)


def decide(candidates: tuple[Candidate, ...], threshold: float, face: Face | None) -> Identification:
    """Name the nearest person if near enough."""
    distance = candidates[0].distance if candidates else float("inf")
    name = candidates[0].name if distance <= threshold else None
    return Identification(name, distance, threshold, candidates, face)
