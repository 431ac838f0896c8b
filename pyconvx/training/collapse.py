"""Whether all encodings are becoming the same, which satisfies no margin and teaches nothing.

The spread of a batch of encodings f is sqrt(mean |f - mean f|^2 / mean |f|^2): about 1 where they point everywhere, 0
where all are one. A network that has not learned yet may begin with little spread; that of a healthy training grows.
"""

from __future__ import annotations

import warnings
from collections import deque

import numpy as np
from numpy.typing import NDArray

_WINDOW = 60  # steps in a row
_POINT = 0.01  # spread below which there is one point
_NARROW = 0.1  # spread that is suspicious with a loss at its margin
_AT_MARGIN = 0.03  # share by which such a loss may be off
_GROWTH = 1.03  # a spread that grows by so much within the window is on its way out
_SHRUNK = 3  # times narrower than the widest that was seen
_LONG = 5 * _WINDOW  # steps after which encodings that began as one should lie apart

ADVICE = (
    "Lower the learning rate, learn from semihard triplets before hard ones, or begin with a warm-up; if that does "
    "not help, see whether the encoder's features differ at all between two examples"
)


def spread_of(encodings: NDArray[np.floating]) -> float:
    """The spread of a batch; 0 if all are zero."""
    rows = encodings.astype(np.float64)
    size = float(np.square(rows).sum())
    rows -= rows.mean(axis=0)
    return float(np.sqrt(np.square(rows).sum() / size)) if size > 0 else 0.0


class CollapseDetector:
    """Watches loss and spread, and warns once.

    Parameters
    ----------
    plateau : float, optional
        The loss of encodings that are all the same: the margin, for a triplet loss.
    """

    def __init__(self, plateau: float | None = None) -> None:
        self._plateau = plateau
        self._seen: deque[tuple[float, float]] = deque(maxlen=_WINDOW)
        self._rate = self._widest = 0.0
        self._steps = 0
        self.found = False

    def observe(self, loss: float, spread: float, lr: float) -> str | None:
        """Take note of a step; return what is wrong, the first time that it is seen."""
        if lr > self._rate:  # warming up: too early to tell
            self._seen.clear()
        self._rate = lr
        self._seen.append((loss, spread))
        self._steps += 1
        self._widest = max(self._widest, spread)
        if self.found or len(self._seen) < _WINDOW:
            return None
        losses, spreads = np.array(self._seen).T
        part = _WINDOW // 4
        if spreads[-part:].mean() > _GROWTH * spreads[:part].mean():
            return None
        complaint = self._complaint(losses, float(spreads.max()))
        self.found = complaint is not None
        return complaint

    def _complaint(self, losses: NDArray[np.float64], spread: float) -> str | None:
        margin = np.nan if self._plateau is None else self._plateau
        at_margin = bool((np.abs(losses - margin) <= _AT_MARGIN * abs(margin)).all())
        if spread < _POINT and (at_margin or spread * _SHRUNK < self._widest or self._steps > _LONG):
            return f"all encodings have become one, their spread has been below {_POINT} for {_WINDOW} steps"
        if spread < _NARROW and at_margin:
            return (
                f"the loss has stayed at its margin, {margin:g}, for {_WINDOW} steps, and the encodings lie "
                f"close together (spread {spread:.3f})"
            )
        return None


def warn_of(complaint: str | None, stacklevel: int) -> None:
    """Say it, with the cure."""
    if complaint is not None:
        warnings.warn(f"the training collapses: {complaint}. {ADVICE}", RuntimeWarning, stacklevel=stacklevel + 1)
