"""Thresholds from the people of a gallery."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pyconvx import metrics
from pyconvx.errors import GalleryError
from pyconvx.metrics import Calibration, Pairs

if TYPE_CHECKING:
    from pyconvx.faces.gallery import Gallery


def pairs(gallery: Gallery, *, max_rows: int = 4096, seed: int = 0) -> Pairs:
    """All pairs of encodings, with their distances and whose they are: what `metrics` works on.

    Parameters
    ----------
    gallery : Gallery
    max_rows : int
        With more encodings, people are drawn at random, each with all encodings.
    seed : int
        Of that choice.

    Returns
    -------
    Pairs

    Raises
    ------
    ShapeError
        If there are fewer than two encodings.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from pyconvx import faces
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with faces.Gallery(pathlib.Path(folder, "crew.gallery"), encoder="mine") as gallery:
    ...         for name in ("Ann", "Bob"):
    ...             _ = gallery.enrol(name, encodings=np.eye(2, 128))
    ...         found = gallery.pairs()
    >>> len(found.genuine), len(found.impostor)
    (2, 4)
    """
    rows = gallery._rows.now()
    return metrics.all_pairs(rows.encodings, rows.people, max_rows=max_rows, seed=seed)


def calibrate(
    gallery: Gallery, far: float = 1e-3, *, gallery_size: int | None = None, save: bool = True, **options: Any
) -> Calibration:
    """Choose the gallery's threshold from the people in it: several pictures of each are needed.

    Parameters
    ----------
    gallery : Gallery
    far : float
        How often a stranger may be taken for somebody, at most.
    gallery_size : int, optional
        Among how many encodings; as many as there are by default, 1 for verification. (Pictures of one person resemble
        each other, so that the true rate is a little lower.)
    save : bool
        Whether `identify` shall use it from now on.
    **options
        `confidence`, `resamples` and `seed`, as for `metrics.calibrate`.

    Returns
    -------
    Calibration

    Raises
    ------
    OptionError
        If the people are too few to support that rate.
    ShapeError
        If nobody has two encodings, or there is one person only.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from pyconvx import faces
    >>> rng = np.random.default_rng(0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with faces.Gallery(pathlib.Path(folder, "crew.gallery"), encoder="mine") as gallery:
    ...         for number in range(30):
    ...             person = rng.normal(size=128)
    ...             _ = gallery.enrol(f"person {number}", encodings=person + 0.3 * rng.normal(size=(4, 128)))
    ...         found = gallery.calibrate(0.1)
    ...         gallery.calibration == found, found.gallery_size, found.tar
    (True, 120, 1.0)
    """
    found_pairs = pairs(gallery, seed=int(options.get("seed", 0)))
    size = len(gallery._rows.now().people) if gallery_size is None else gallery_size
    found = metrics.calibrate(found_pairs, far, gallery_size=size, **options)
    if save:
        gallery.calibration = found
    return found


def read_calibration(stored: str, path: str) -> Calibration:
    """A calibration as the file holds it."""
    try:
        return Calibration.from_dict(json.loads(stored))
    except (ValueError, RecursionError) as error:
        raise GalleryError(f"{path}: the calibration in it is damaged: {error}; calibrate anew") from error
