"""A threshold for a wanted false-accept rate, from pictures of one's own people: the door to `metrics.calibrate`."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx import metrics
from pyconvx.errors import OptionError, ShapeError
from pyconvx.faces._folder import PersonPicture, scan
from pyconvx.faces._models import FaceModels
from pyconvx.faces.gallery import Gallery
from pyconvx.faces.gallery_enrolment import one_face
from pyconvx.faces.selection import Policy
from pyconvx.faces.streaming import stream
from pyconvx.metrics import Calibration, Pairs
from pyconvx.metrics.calibration import check_impostors, check_options


def calibrate(
    source: str | os.PathLike[str] | Gallery | Pairs | tuple[Any, ...],
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
    """Choose a threshold from pictures of people: a folder with a sub-folder for each person, a gallery, or pairs.

    Parameters
    ----------
    source : path, Gallery or pairs
        A folder as `Gallery.sync` takes it; a gallery, open or its file, which then keeps the calibration (see
        `Gallery.calibrate`); or what `metrics.calibrate` takes, to which it is passed on.
    far : float
        How often a stranger may be taken for somebody, at most.
    gallery_size : int
        Among how many encodings. Default: 1 for a folder or pairs, which is verification; all there are for a gallery.
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
        If `source` is nothing of these, or the people are too few to support that rate.
    GalleryError
        If a file is no gallery, or cannot keep the calibration.
    ShapeError
        If nobody has two pictures, or there is one person only.

    Examples
    --------
    >>> from pyconvx import faces
    >>> faces.calibrate("no-such-folder")
    Traceback (most recent call last):
    ...
    pyconvx.errors.OptionError: no-such-folder: does not exist; wanted a folder of people, or a gallery
    """
    certainty: dict[str, Any] = {"confidence": confidence, "resamples": resamples, "seed": seed}
    size = 1 if gallery_size is None else gallery_size
    if isinstance(source, (str, os.PathLike)) and Path(source).is_dir():
        check_options(far, size, confidence, resamples)
        found, problems = scan(source)
        _check_people(os.fspath(source), found, far, size)
        tell = problem or (lambda line: warnings.warn(line, stacklevel=4))
        for line in problems:
            tell(line)
        rows, people = _encoded(Path(source), found, tell, progress, policy=policy, models=models, **options)
        return metrics.calibrate(metrics.all_pairs(rows, people, seed=seed), far, gallery_size=size, **certainty)
    if options or models is not None or policy != "error":
        raise OptionError(
            "only pictures of a folder are encoded here: a gallery is calibrated from the encodings in it, pairs from "
            "their distances; leave out how to encode"
        )
    if isinstance(source, (str, os.PathLike)):
        if not Path(source).exists():
            raise OptionError(f"{os.fspath(source)}: does not exist; wanted a folder of people, or a gallery")
        with Gallery(source, create=False) as gallery:
            return gallery.calibrate(far, gallery_size=gallery_size, **certainty)
    if isinstance(source, Gallery):
        return source.calibrate(far, gallery_size=gallery_size, **certainty)
    return metrics.calibrate(source, far, gallery_size=size, **certainty)


def _check_people(folder: str, found: Sequence[PersonPicture], far: float, gallery_size: int) -> None:
    """Refuse, before they are encoded, pictures that would not be enough even if all could be used."""
    counts = Counter(picture.person for picture in found).values()
    genuine = sum(count * (count - 1) // 2 for count in counts)
    strangers = len(found) * (len(found) - 1) // 2 - genuine
    if not found:
        raise OptionError(f"{folder}: no pictures in it; wanted a sub-folder of them for each person")
    if not genuine or not strangers:
        raise ShapeError(
            f"{folder}: {len(found)} pictures of {len(counts)} people: {genuine} genuine and {strangers} impostor "
            "pairs; wanted several people, and of some of them two pictures or more"
        )
    check_impostors(strangers, far, gallery_size)


def _encoded(
    folder: Path,
    found: Sequence[PersonPicture],
    tell: Callable[[str], None],
    progress: Callable[[int, int], None] | None,
    *,
    policy: Policy,
    **how: Any,
) -> tuple[NDArray[np.float32], list[str]]:
    """The encodings of a folder's pictures, and whose they are."""
    rows, people = [], []
    outcomes = stream([str(folder / picture.path) for picture in found], policy=one_face(policy), **how)
    for done, (picture, outcome) in enumerate(zip(found, outcomes, strict=True), 1):
        if outcome.error is not None:
            tell(str(outcome.error))
        elif outcome.faces[0].encoding is not None:
            rows.append(outcome.faces[0].encoding)
            people.append(picture.person)
        if progress is not None:
            progress(done, len(found))
    if not rows:
        raise OptionError(f"{folder}: no picture of it can be used")
    return np.stack(rows), people
