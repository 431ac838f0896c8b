"""Choosing a threshold for a wanted false-accept rate, with how sure one may be of it."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Protocol

import numpy as np

from pyconvx.errors import OptionError
from pyconvx.metrics._checked import rate, split
from pyconvx.metrics._resampling import intervals
from pyconvx.metrics.operating import TRIALS, least_impostors, operating_point, rounded_up
from pyconvx.metrics.pairs import Pairs
from pyconvx.metrics.search import pair_rate, search_rate


class HasPairs(Protocol):
    """What can be calibrated besides pairs: a gallery, say."""

    def pairs(self) -> Pairs:
        """Return distances of pairs, whether they are genuine, and who is on them."""
        ...


@dataclass(frozen=True)
class Calibration:
    """A threshold and what it stands for.

    Parameters
    ----------
    threshold : float
        Accept where d <= threshold.
    far : float
        The false-accept rate that was wanted, of a search among `gallery_size` entries.
    gallery_size : int
        K; 1 for verification.
    pair_far : float
        The rate that was achieved, of one comparison: false_accepts / impostor.
    interval : (float, float) or None
        Confidence interval of `pair_far`, by resampling people; None where the pairs do not say who is on them.
    tar : float
        Rate of accepted genuine pairs.
    tar_interval : (float, float) or None
        Its confidence interval.
    false_accepts, impostor : int
        Accepted impostor pairs, and all.
    true_accepts, genuine : int
        Accepted genuine pairs, and all.
    people : int or None
        How many people are on the pairs.
    confidence : float
        Of the intervals.
    resamples, seed : int
        How they were made.
    """

    threshold: float
    far: float
    gallery_size: int
    pair_far: float
    interval: tuple[float, float] | None
    tar: float
    tar_interval: tuple[float, float] | None
    false_accepts: int
    impostor: int
    true_accepts: int
    genuine: int
    people: int | None
    confidence: float
    resamples: int
    seed: int

    def search_far(self, gallery_size: int | None = None) -> float:
        """How often a stranger is taken for somebody among K entries, from `pair_far`.

        Examples
        --------
        >>> import numpy as np
        >>> from pyconvx import metrics
        >>> found = metrics.calibrate(metrics.Pairs(np.arange(400.0), np.arange(400) < 100), far=0.01)
        >>> found.pair_far, round(found.search_far(100), 3)
        (0.01, 0.634)
        """
        return search_rate(self.pair_far, self.gallery_size if gallery_size is None else gallery_size)

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Calibration:
        """Make one of what `as_dict` returned, after JSON too.

        Raises
        ------
        OptionError
            If a field is missing, unknown or of another type.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(data, Mapping) or set(data) != set(names):
            raise OptionError(f"calibration: wanted the fields {', '.join(names)}")
        values = {name: _field(name, data[name]) for name in names}
        return cls(**values)


def calibrate(
    pairs: Pairs | HasPairs | tuple[Any, ...],
    far: float = 1e-3,
    *,
    gallery_size: int = 1,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
) -> Calibration:
    """Choose the threshold that keeps a false-accept rate, on pairs whose truth is known.

    The interval comes from resampling people, not pairs (a vertex bootstrap): a person who resembles many is on many
    pairs, and these are not independent.

    Parameters
    ----------
    pairs : Pairs, (distances, same), or an object with a method `pairs()`
        The latter such as a `faces.Gallery`: it is measured for one comparison unless `gallery_size` says otherwise,
        and does not keep the result; its own method `calibrate` counts its entries, and does. `all_pairs` makes pairs
        of encodings, which say who is on them: without that there is no interval. A path is refused, for metrics know
        nothing of faces and pictures: `pyconvx.faces.calibrate` takes all of these, and the path of a folder of
        pictures or of a gallery.
    far : float
        How often a stranger may be accepted, at most: in one comparison, or in a search of `gallery_size` entries.
    gallery_size : int
        K, the entries that a probe is compared with; 1 for verification. One comparison may then do
        1 - (1 - far)^(1/K) only.
    confidence : float
        Of the interval.
    resamples : int
        How many sets of people are drawn, from 100.
    seed : int
        Of these draws.

    Returns
    -------
    Calibration

    Raises
    ------
    OptionError
        If there are fewer than 3 / far impostor pairs (with `far` of one comparison): they cannot support that rate.
        If `pairs` is none of these.
    ShapeError, DTypeError
        If there are no genuine or no impostor pairs.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import metrics
    >>> rng = np.random.default_rng(0)
    >>> people = np.repeat(np.arange(30), 4)
    >>> encodings = rng.normal(size=(30, 8))[people] + 0.1 * rng.normal(size=(120, 8))
    >>> found = metrics.calibrate(metrics.all_pairs(encodings, people), far=0.01)
    >>> found.pair_far <= 0.01, found.tar, found.interval[0] < found.pair_far < found.interval[1]
    (True, 1.0, True)
    """
    known = _pairs(pairs)
    wanted, level = check_options(far, gallery_size, confidence, resamples)
    genuine, impostor = split(known.distances, known.same)
    check_impostors(len(impostor), far, gallery_size)
    point = operating_point(genuine, impostor, wanted)
    around = intervals(known, point.threshold, level, resamples, seed)
    return Calibration(
        threshold=point.threshold,
        far=float(far),
        gallery_size=int(gallery_size),
        pair_far=point.far,
        interval=around and around[0],
        tar=point.tar,
        tar_interval=around and around[1],
        false_accepts=point.false_accepts,
        impostor=point.impostor,
        true_accepts=point.true_accepts,
        genuine=point.genuine,
        people=None if known.people is None else len(np.unique(known.people)),
        confidence=level,
        resamples=resamples,
        seed=seed,
    )


def check_options(far: float, gallery_size: int, confidence: float, resamples: int) -> tuple[float, float]:
    """The rate that one comparison may have, and the confidence; for those, too, who have yet to make the pairs.

    Raises
    ------
    OptionError
        If a value will not do.
    """
    if isinstance(resamples, bool) or not isinstance(resamples, int) or resamples < 100:
        raise OptionError(f"resamples is {resamples!r}; wanted a whole number from 100")
    return pair_rate(far, gallery_size), rate("confidence", confidence)


def check_impostors(count: int, far: float, gallery_size: int) -> None:
    """Refuse a rate that so many impostor pairs cannot show; raises OptionError."""
    wanted = pair_rate(far, gallery_size)
    if count >= least_impostors(wanted):
        return
    among = f" among {gallery_size} entries, so that one comparison may do {wanted:.2g}" if gallery_size > 1 else ""
    remedy = "Bring more people"
    least = search_rate(min(1.0, TRIALS / count), gallery_size) if count else 1.0
    if least < 1:
        remedy += f", or ask for {rounded_up(least):.2g} or more"
    raise OptionError(
        f"far is {far:.3g}{among}; {count} impostor pairs cannot support that: it takes {least_impostors(wanted)}, "
        f"3 / rate. {remedy}"
    )


def _pairs(source: Pairs | HasPairs | tuple[Any, ...]) -> Pairs:
    if isinstance(source, Pairs):
        return source
    if isinstance(source, tuple) and len(source) == 2:
        return Pairs(*source)
    if isinstance(source, (str, os.PathLike)):
        raise OptionError(
            f"pairs: got a path, {os.fspath(source)!r}, but metrics read no pictures; "
            f"pyconvx.faces.calibrate({os.fspath(source)!r}, ...) does: it takes a folder of people, or a gallery"
        )
    if isinstance(source, tuple) or not callable(getattr(source, "pairs", None)):
        raise OptionError(
            f"pairs: got {type(source).__name__}; wanted metrics.Pairs, (distances, same), or an object with a method "
            "pairs(), such as a pyconvx.faces.Gallery"
        )
    return source.pairs()


_WHOLE = ("gallery_size", "false_accepts", "impostor", "true_accepts", "genuine", "people", "resamples", "seed")


def _field(name: str, value: Any) -> Any:
    """One value of a stored calibration, checked: it may come from a file."""
    if name in ("interval", "tar_interval"):
        if value is None:
            return None
        if isinstance(value, (list, tuple)) and len(value) == 2:
            return _field("far", value[0]), _field("far", value[1])
    elif name in _WHOLE:
        if (name == "people" and value is None) or (isinstance(value, int) and not isinstance(value, bool)):
            return value
    elif isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise OptionError(f"calibration: {name} cannot be {value!r}")
