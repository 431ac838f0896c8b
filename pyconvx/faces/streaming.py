"""Many pictures, one after the other to the caller, several at a time on the processors."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from pyconvx.errors import ImageError, OptionError, PyconvxError
from pyconvx.faces._budget import Budget
from pyconvx.faces._models import PACKAGED, FaceModels
from pyconvx.faces._picture import Picture, name_of, read
from pyconvx.faces.detection import Search, find
from pyconvx.faces.encoding import Jitter, encoded
from pyconvx.faces.face import Face
from pyconvx.faces.selection import Policy
from pyconvx.runtime import get_num_threads, num_threads

# Pixels that detectors are shown at a time, in all threads: at about 85 bytes each, 1 GB.
MOST_PIXELS = 12_000_000
TASKS = ("detect", "encode")


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of one picture.

    Parameters
    ----------
    source : object
        The picture, as it was given.
    name : str
        What errors call it: its path, if it has one.
    faces : list of Face
        Empty if there was a problem.
    error : PyconvxError, optional
        ImageError for a picture that cannot be read; NoFaceError or MultipleFacesError, as the policy says.
    """

    source: Any
    name: str
    faces: list[Face]
    error: PyconvxError | None = None


def stream(
    sources: Iterable[Any],
    task: str = "encode",
    *,
    min_face_size: int | None = None,
    upsample: int = 0,
    least_score: float = 0.0,
    policy: Policy = "all",
    jitter: int = 0,
    seed: int = 0,
    models: FaceModels | None = None,
) -> Iterator[Outcome]:
    """Detect or encode the faces of many pictures, with all threads that the caller may use.

    Each thread works on a picture of its own, so that reading files, too, is shared; results are those of `detect` and
    `encode`, to the bit. Few pictures are in memory at a time, however many there are, and few are taken from `sources`
    ahead of what the caller has consumed. A picture with a problem does not stop the others.

    Parameters
    ----------
    sources : iterable
        Paths, bytes, PIL images or arrays, in any mixture; a generator will do.
    task : {"encode", "detect"}
        Whether landmarks and encodings are wanted, or boxes only.
    min_face_size, upsample, least_score, policy, jitter, seed, models
        As for `encode`.

    Yields
    ------
    Outcome
        One for each source, in their order.

    Raises
    ------
    OptionError
        If an option has a wrong value; at once, not at the first picture.

    Examples
    --------
    >>> from pyconvx import faces, image
    >>> pictures = [image.packaged("astronaut"), b"not a picture", image.packaged("chelsea")]
    >>> [(len(outcome.faces), type(outcome.error).__name__) for outcome in faces.stream(pictures, "detect")]
    [(1, 'NoneType'), (0, 'ImageError'), (0, 'NoneType')]
    """
    if isinstance(sources, (str, bytes, os.PathLike)):
        raise OptionError("sources: got one picture; wanted several: put it in a list")
    if task not in TASKS:
        raise OptionError(f"task: got {task!r}; one of {', '.join(TASKS)}")
    job = _Job(
        Search(min_face_size, upsample, least_score, policy),
        Jitter(jitter, seed) if task == "encode" else None,
        models or PACKAGED,
        Budget(MOST_PIXELS),
        get_num_threads(),
    )
    return _in_order(sources, job)


@dataclass(frozen=True)
class _Job:
    """What is done to every picture."""

    search: Search
    jitter: Jitter | None
    models: FaceModels
    budget: Budget
    threads: int

    def __call__(self, source: Any) -> Outcome:
        name = name_of(source)
        try:
            return Outcome(source, name, self._faces(read(source)))
        except PyconvxError as error:
            return Outcome(source, name, [], error)
        except MemoryError:
            return Outcome(source, name, [], ImageError(f"{name}: too large for the memory that is left"))

    def _faces(self, picture: Picture) -> list[Face]:
        size = self.search.working_size(picture.pixels.shape, self.models.detector.window)
        with self.budget.hold(size[0] * size[1]) as alone, num_threads(self.threads if alone else 1):
            faces = find(picture, self.search, self.models)
        with num_threads(1):
            return faces if self.jitter is None else encoded(picture, faces, self.jitter, self.models)


def _in_order(sources: Iterable[Any], job: _Job) -> Iterator[Outcome]:
    pool = ThreadPoolExecutor(job.threads, thread_name_prefix="pyconvx-faces")
    waiting: deque[Future[Outcome]] = deque()
    try:
        for source in sources:
            waiting.append(pool.submit(job, source))
            if len(waiting) > job.threads:  # one more than there are threads, so that none waits for the caller
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
