"""True-accept rates at wanted false-accept rates, with what was really achieved and on how many pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import ArrayLike

from pyconvx.errors import OptionError
from pyconvx.metrics._checked import Distances, rate, split
from pyconvx.metrics.accuracy import Rates, rates_of

# "Rule of three": a rate f is below 3 / n with 95% confidence where n trials showed none; with fewer trials than 3 / f
# even the best result says nothing of f.
TRIALS = 3.0
_ROUNDING = 1e-9  # 1e-3 * 3000 is 3 and not a hair less


@dataclass(frozen=True)
class OperatingPoint(Rates):
    """What the threshold for a wanted false-accept rate does.

    Parameters
    ----------
    threshold, far, tar, false_accepts, impostor, true_accepts, genuine
        As in `Rates`; `far` is the rate that was achieved.
    wanted_far : float
        The rate that was asked for; `far` is at most that.
    """

    wanted_far: float


def least_impostors(far: float) -> int:
    """How many impostor pairs a false-accept rate needs to be measured at all: 3 / far.

    With fewer, even not one accepted pair would leave the rate unproven (the "rule of three", 95% confidence).

    Parameters
    ----------
    far : float
        Between 0 and 1.

    Returns
    -------
    int

    Raises
    ------
    OptionError
        If `far` is no such rate.

    Examples
    --------
    >>> from pyconvx import metrics
    >>> metrics.least_impostors(1e-3)
    3000
    """
    return math.ceil(TRIALS / rate("far", far) * (1 - _ROUNDING))


@overload
def tar_at_far(distances: ArrayLike, same: ArrayLike, far: float) -> OperatingPoint: ...
@overload
def tar_at_far(distances: ArrayLike, same: ArrayLike, far: Sequence[float]) -> list[OperatingPoint]: ...
def tar_at_far(
    distances: ArrayLike, same: ArrayLike, far: float | Sequence[float]
) -> OperatingPoint | list[OperatingPoint]:
    """True-accept rate at a wanted false-accept rate.

    Parameters
    ----------
    distances, same : array, (pairs,)
        Small means the same; which pairs are genuine.
    far : float or sequence of float
        The false-accept rate wanted, at most.

    Returns
    -------
    OperatingPoint or list of OperatingPoint
        The threshold is the largest distance that occurs and keeps the rate; equal distances are accepted together, so
        the achieved `far` may be lower than wanted.

    Raises
    ------
    OptionError
        If there are fewer than 3 / far impostor pairs: they cannot support that rate. The message says which they can.
    ShapeError, DTypeError
        If there are no genuine or no impostor pairs.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import metrics
    >>> distances, same = np.arange(40) / 40, np.arange(40) < 10
    >>> point = metrics.tar_at_far(distances, same, 0.1)
    >>> point.tar, point.far, point.false_accepts, point.impostor, point.threshold
    (1.0, 0.1, 3, 30, 0.3)
    """
    genuine, impostor = split(distances, same)
    if isinstance(far, (Sequence, np.ndarray)):
        return [operating_point(genuine, impostor, one) for one in far]
    return operating_point(genuine, impostor, far)


def operating_point(genuine: Distances, impostor: Distances, far: float) -> OperatingPoint:
    """`tar_at_far` of sorted distances."""
    check_support(len(impostor), far)
    allowed = math.floor(far * len(impostor) * (1 + _ROUNDING))
    # The first impostor pair that must stay out; all distances below its own may be accepted.
    limit = impostor[allowed] if allowed < len(impostor) else np.inf
    inside = [ordered[np.searchsorted(ordered, limit) - 1] for ordered in (genuine, impostor) if ordered[0] < limit]
    threshold = max(inside) if inside else np.nextafter(limit, -np.inf)
    return OperatingPoint(**vars(rates_of(genuine, impostor, float(threshold))), wanted_far=float(far))


def check_support(impostor: int, far: float) -> None:
    """Refuse a rate that so many impostor pairs cannot show."""
    needed = least_impostors(far)
    if impostor < needed:
        raise OptionError(
            f"far is {far:.3g}; {impostor} impostor pairs cannot support it: that takes {needed}, 3 / far. Bring more "
            + (f"people, or ask for {rounded_up(TRIALS / impostor):.2g} or more" if impostor > TRIALS else "people")
        )


def rounded_up(value: float) -> float:
    """A number above 0 with two digits, not below it.

    Examples
    --------
    >>> rounded_up(0.0151), rounded_up(0.003), rounded_up(0.99)
    (0.016, 0.003, 0.99)
    """
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / step * (1 - _ROUNDING)) * step:.2g}")
