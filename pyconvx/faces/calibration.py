"""A threshold for a wanted false-accept rate, from pictures of one's own people."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pyconvx import metrics
from pyconvx.errors import OptionError
from pyconvx.faces._folder import scan
from pyconvx.faces._models import FaceModels
from pyconvx.faces.gallery import Gallery
from pyconvx.faces.gallery_enrolment import one_face
from pyconvx.faces.selection import Policy
from pyconvx.faces.streaming import stream
from pyconvx.metrics import Calibration


def calibrate(
    source: str | os.PathLike[str] | Gallery,
    far: float = 1e-3,
    *,
    gallery_size: int | None = None,
    policy: Policy = "error",
    models: FaceModels | None = None,
    problem: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
    confidence: float = 0.95,
    resamples: int = 1000,
    seed: int = 0,
    **options: Any,
) -> Calibration:
    """Choose a threshold from pictures of people: a folder with a sub-folder for each person, or a gallery.

    Parameters
    ----------
    source : path or Gallery
        A folder as `Gallery.sync` takes it; or a gallery, which then keeps the calibration (see `Gallery.calibrate`).
    far : float
        How often a stranger may be taken for somebody, at most.
    gallery_size : int
        Among how many encodings. Default: 1 for a folder, which is verification; all there are for a gallery.
    policy : {"error", "largest", "center", "best"}
        Which face of a picture is meant; this and what follows is for folders only.
    models : FaceModels, optional
        Other models than the package's.
    problem : function of str, optional
        Called with a line about each picture that cannot be used; by default a warning is issued.
    progress : function (done, total), optional
        Called after each picture.
    confidence, resamples, seed
        As for `metrics.calibrate`.
    **options
        `min_face_size`, `upsample`, `jitter` and the like, as for `faces.encode`.

    Returns
    -------
    Calibration
        For `verify` and `Gallery.identify`.

    Raises
    ------
    OptionError
        If `source` is no folder, or the people are too few to support that rate.
    ShapeError
        If nobody has two pictures, or there is one person only.

    Examples
    --------
    >>> from pyconvx import faces
    >>> faces.calibrate("no-such-folder")
    Traceback (most recent call last):
    ...
    pyconvx.errors.OptionError: no-such-folder: not a folder; wanted one with a sub-folder of pictures for each person
    """
    certainty: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": seed}
    if isinstance(source, Gallery):
        if options or models is not None or policy != "error":
            raise OptionError("a gallery is calibrated from the encodings in it; leave out how to encode pictures")
        return source.calibrate(far, gallery_size=gallery_size, **certainty)
    tell = problem or (lambda line: warnings.warn(line, stacklevel=2))
    found, problems = scan(source)
    for line in problems:
        tell(line)
    rows, people = [], []
    outcomes = stream(
        [str(Path(source, picture.path)) for picture in found], policy=one_face(policy), models=models, **options
    )
    for done, (picture, outcome) in enumerate(zip(found, outcomes, strict=True), 1):
        if outcome.error is not None:
            tell(str(outcome.error))
        elif outcome.faces[0].encoding is not None:
            rows.append(outcome.faces[0].encoding)
            people.append(picture.person)
        if progress is not None:
            progress(done, len(found))
    if not rows:
        raise OptionError(f"{os.fspath(source)}: no picture of it can be used")
    pairs = metrics.all_pairs(np.stack(rows), people, seed=seed)
    return metrics.calibrate(pairs, far, gallery_size=1 if gallery_size is None else gallery_size, **certainty)
