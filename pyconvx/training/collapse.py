"""Whether all encodings are becoming the same, which satisfies no margin and teaches nothing.

The spread of a batch of encodings f is sqrt(sum |f - mean f|^2 / sum |f|^2): about 1 where they point everywhere, 0
where all are one. A network that has not learned yet may begin with little of it, and lose some more for a while; one
that learns gains. Hard triplets may do both: on Omniglot the spread of a network with BatchNorm fell from 0.75 to 0.12,
the loss at its margin, and then rose to 0.74. The bounds below leave such trainings in peace.

A slow slide shows long before its end. The last 400 steps are cut in four, and of each quarter the mean spread s_q and
the mean loss J_q are taken. It is one if each s_q is 1% or more below the one before, s_4 is half of the widest spread
that was seen or less, and the loss goes where that of equal encodings is, the margin m: |J_4 - m| < |J_1 - m|, and
|J_4 - m| < m / 4. Of a loss without a margin: if s_4 < 0.1, and J_4 is not below J_1 by 5% or more. A training that
learns looks otherwise: a loss that leaves its margin behind moves away from it, and what has passed its dip gains
spread.
"""

from __future__ import annotations

import warnings
from collections import deque

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

# Steps in a row after which shrunk encodings, such as were never apart, and a slow slide are told of.
_SHORT, _LONG, _SLIDE = 100, 300, 400
_NARROW, _POINT, _NOTHING = 0.1, 0.01, 1e-4  # spreads: suspicious, that of one point, that of a dead network
_SHRUNK, _SLID = 2.5, 2.0  # times narrower than the widest that was seen: in a collapse, on a slide
_AT_MARGIN, _NEAR_MARGIN = 0.05, 0.25  # shares by which a loss at its margin, or on its way there, may be off
_FALL = 0.99  # of a quarter's mean spread: what the next one's is on a slide, or less
_PROGRESS = 0.05  # share by which the loss falls over a slide's steps if something is learned
_GROWTH = 1.03  # between the first and the last quarter of the steps: on the way out

CURE = (
    "Lower the learning rate, or begin with a warm-up; learn from all or semihard triplets before the hard ones; "
    "see that examples of one class are alike in what the labels name"
)
STUCK = (
    "Try learning rates ten times higher and lower; subtract the mean of the inputs; put a BatchNorm after each "
    "convolution; learn from all or semihard triplets before the hard ones"
)


def spread_of(encodings: NDArray[np.floating]) -> float:
    """The spread of a batch; 0 if all are zero."""
    rows = encodings.astype(np.float64)
    size = float(np.square(rows).sum())
    rows -= rows.mean(axis=0)
    return float(np.sqrt(np.square(rows).sum() / size)) if size > 0 else 0.0


class CollapseDetector:
    """Watches loss and spread, and finds something once.

    Parameters
    ----------
    plateau : float, optional
        The loss of encodings that are all the same: the margin, for a triplet loss.
    """

    def __init__(self, plateau: float | None = None) -> None:
        self._plateau = plateau
        self._seen: deque[tuple[float, float]] = deque(maxlen=_SLIDE)
        self._rate = self._widest = 0.0
        self.found = False

    def observe(self, loss: float, spread: float, lr: float) -> str | None:
        """Take note of a step; return what is wrong and the cure, the first time that it is seen."""
        if lr > self._rate:  # warming up: too early to tell
            self._seen.clear()
        self._rate = lr
        self._widest = max(self._widest, spread)
        self._seen.append((loss, spread))
        if self.found or len(self._seen) < _SHORT or (spread >= _NARROW and _SLID * spread > self._widest):
            return None
        complaint = self._collapsed() or self._stuck() or self._slides()
        self.found = complaint is not None
        return complaint

    def _collapsed(self) -> str | None:
        losses, spreads = np.array(self._seen)[-_SHORT:].T
        widest = float(spreads.max())
        shrunk = _SHRUNK * widest < self._widest and (widest < _POINT or self._at_margin(losses))
        if _grows(spreads) or not ((shrunk and widest < _NARROW) or widest < _NOTHING):
            return None
        return f"the training collapses: the encodings of a batch {self._told(losses, widest, _SHORT)}. {CURE}"

    def _stuck(self) -> str | None:
        losses, spreads = np.array(self._seen)[-_LONG:].T
        widest = float(spreads.max())
        still = self._at_margin(losses) if self._plateau is not None else widest < _POINT
        if len(losses) < _LONG or _grows(spreads) or not (widest < _NARROW and still):
            return None
        return f"nothing is learned: the encodings of a batch {self._told(losses, widest, _LONG)}. {STUCK}"

    def _slides(self) -> str | None:
        """The statistic at the top of this file."""
        if len(self._seen) < _SLIDE:
            return None
        costs, spreads = np.array(self._seen).reshape(4, -1, 2).mean(axis=1).T
        if (spreads[1:] > _FALL * spreads[:-1]).any() or _SLID * spreads[-1] > self._widest:
            return None
        if self._plateau is None:
            if spreads[-1] >= _NARROW or costs[0] - costs[-1] >= _PROGRESS * abs(costs[0]):
                return None
            loss = "the loss does not fall"
        else:
            gaps = np.abs(costs - self._plateau)
            if gaps[-1] >= gaps[0] or gaps[-1] >= _NEAR_MARGIN * abs(self._plateau):
                return None
            loss = f"the loss nears its margin, {self._plateau:g} ({costs[0]:.3g} to {costs[-1]:.3g})"
        return (
            f"the training slides into a collapse: for {_SLIDE} steps the encodings of a batch have become ever more "
            f"alike (spread {spreads[0]:.2g} to {spreads[-1]:.2g}), and {loss}. {CURE}"
        )

    def _at_margin(self, losses: Array) -> bool:
        margin = np.nan if self._plateau is None else self._plateau
        return bool((np.abs(losses - margin) <= _AT_MARGIN * abs(margin)).all())

    def _told(self, losses: Array, spread: float, steps: int) -> str:
        margin = f", and the loss has stayed at its margin, {self._plateau:g}" if self._at_margin(losses) else ""
        return f"have been almost the same for {steps} steps (spread {spread:.2g}){margin}"


def warn_of(complaint: str | None, stacklevel: int) -> None:
    """Say it."""
    if complaint is not None:
        warnings.warn(complaint, RuntimeWarning, stacklevel=stacklevel + 1)


def _grows(spreads: Array) -> bool:
    part = len(spreads) // 4
    return float(spreads[-part:].mean()) > _GROWTH * float(spreads[:part].mean())
