"""One threshold, many groups: what it does to each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from pyconvx.errors import ShapeError
from pyconvx.metrics._checked import pairs_of


@dataclass(frozen=True)
class GroupRates:
    """What a threshold does to one group.

    Parameters
    ----------
    far, tar : float or None
        Rates of accepted impostor and genuine pairs; None where the group has no such pair.
    false_accepts, impostor : int
        Accepted impostor pairs, and all.
    true_accepts, genuine : int
        Accepted genuine pairs, and all.
    far_interval, tar_interval : (float, float) or None
        Wilson's 95% interval of each rate, as if pairs were independent: pairs that share people are not, so the truth
        is less certain still.
    """

    far: float | None
    tar: float | None
    false_accepts: int
    impostor: int
    true_accepts: int
    genuine: int
    far_interval: tuple[float, float] | None
    tar_interval: tuple[float, float] | None


def group_report(
    distances: ArrayLike, same: ArrayLike, groups: Sequence[Any] | ArrayLike, threshold: float
) -> dict[str, GroupRates]:
    """Error rates of each group at one threshold: whether it treats them alike.

    Parameters
    ----------
    distances, same : array, (pairs,)
        Small means the same; which pairs are genuine.
    groups : sequence of str, (pairs,)
        The group that both people of a pair belong to. Leave mixed pairs out, or give them a label of their own.
    threshold : float
        Pairs with d <= threshold are accepted.

    Returns
    -------
    dict of str to GroupRates
        Sorted by label.

    Raises
    ------
    ShapeError, DTypeError, OptionError
        If lengths differ, nothing came or a distance is NaN.

    Examples
    --------
    >>> from pyconvx import metrics
    >>> report = metrics.group_report([0.2, 0.5, 0.3, 0.9], [1, 0, 1, 0], ["old", "old", "young", "young"], 0.6)
    >>> {group: (rates.tar, rates.far) for group, rates in report.items()}
    {'old': (1.0, 1.0), 'young': (1.0, 0.0)}
    """
    values, answers = pairs_of(distances, same)
    labels = np.asarray([str(group) for group in np.asarray(groups).tolist()])
    if labels.shape != values.shape:
        raise ShapeError(f"groups have shape {labels.shape}; wanted one label for each of the {len(values)} pairs")
    accepted = values <= threshold
    return {str(label): _rates(accepted[labels == label], answers[labels == label]) for label in np.unique(labels)}


def _rates(accepted: Any, answers: Any) -> GroupRates:
    genuine, impostor = int(answers.sum()), int((~answers).sum())
    true_accepts, false_accepts = int((accepted & answers).sum()), int((accepted & ~answers).sum())
    return GroupRates(
        far=false_accepts / impostor if impostor else None,
        tar=true_accepts / genuine if genuine else None,
        false_accepts=false_accepts,
        impostor=impostor,
        true_accepts=true_accepts,
        genuine=genuine,
        far_interval=wilson(false_accepts, impostor) if impostor else None,
        tar_interval=wilson(true_accepts, genuine) if genuine else None,
    )


def wilson(hits: int, trials: int, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson's interval of a rate, 95% by default.

    Examples
    --------
    >>> low, high = wilson(0, 100)
    >>> low, round(high, 3)
    (0.0, 0.037)
    """
    share, spread = hits / trials, z * z / trials
    centre = share + spread / 2
    half = z * float(np.sqrt(share * (1 - share) / trials + spread / (4 * trials)))
    low, high = (centre - half) / (1 + spread), (centre + half) / (1 + spread)
    return (0.0 if hits == 0 else max(0.0, low), 1.0 if hits == trials else min(1.0, high))
