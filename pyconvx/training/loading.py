"""From files to examples: one after the other, or a folder of classes to arrays and labels.

A file that cannot be used is one line among the problems, and ends nothing. The order is that of the paths.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyconvx._memory import available, format_size
from pyconvx._progress import Report, reporter
from pyconvx.errors import DataError, OptionError
from pyconvx.training._npy import printable
from pyconvx.training.folders import Entry, Problem, scan_classes
from pyconvx.training.inputs import ARRAYS, UNREADABLE, Array, InputFormat


class LabelledSet(NamedTuple):
    """The examples of a folder of classes.

    Attributes
    ----------
    x : ndarray of float32, (examples, *spatial, channels)
    labels : ndarray of int64, (examples,)
        Places in `classes`.
    classes : tuple of str
        Names of the sub-folders with examples, sorted.
    entries : tuple of Entry
        The file of each example.
    format : InputFormat
        How they were read, and their shape.
    """

    x: Array
    labels: NDArray[np.int64]
    classes: tuple[str, ...]
    entries: tuple[Entry, ...]
    format: InputFormat


def load_classes(
    folder: str | os.PathLike[str],
    format: InputFormat | None = None,
    *,
    nested: bool = False,
    problem: Problem | None = None,
    progress: bool | Report = False,
) -> LabelledSet:
    """Read a folder with one sub-folder per class.

    Parameters
    ----------
    folder : str or path
        `folder/Ann/*.png` and below are of the class Ann.
    format : InputFormat, optional
        Size, colour and so on. All examples must come out in one shape.
    nested : bool
        Whether each folder that holds files is a class of its own, named by its whole path, as in Omniglot's alphabets
        of characters.
    problem : callable, optional
        Takes a line about each file that cannot be used.
    progress : bool or callable
        Whether to show a bar on a terminal, or a function (done, total, info).

    Raises
    ------
    DataError
        If the folder cannot be used, nothing in it can, or most of it has another shape than the rest; or if there is
        not enough memory for all of it.
    OptionError
        If pictures have different sizes and `format` gives none.
    """
    tell = problem or (lambda line: None)
    entries, problems = scan_classes(folder, nested=nested)
    for line in problems:
        tell(line)
    reading = format or InputFormat()
    kept: list[Entry] = []
    x: Array | None = None
    unfit = 0
    with reporter(progress, unit="files") as report:
        for done, (entry, found) in enumerate(read_all(entries, reading), 1):
            report(done, len(entries), {})
            if not isinstance(found, np.ndarray):
                tell(printable(str(found)))
                continue
            if x is None:
                _require_memory(folder, len(entries), found.shape)
                x = np.empty((len(entries), *found.shape), np.float32)
            if found.shape != x.shape[1:]:
                unfit += 1
                tell(_other_shape(entry, found.shape, kept[0], x.shape[1:], reading))
                continue
            x[len(kept)] = found
            kept.append(entry)
    if x is None:
        what = "nothing in it can be used" if entries else "no pictures or .npy arrays in sub-folders of it"
        raise DataError(f"{printable(str(folder))}: {what}; wanted one sub-folder for each class")
    if unfit > len(kept):
        raise DataError(
            f"{printable(str(folder))}: {len(kept)} examples have shape {x.shape[1:]} and {unfit} have others; wanted "
            "one shape"
        )
    classes = tuple(sorted({entry.label for entry in kept}))
    for name in sorted({entry.label for entry in entries} - set(classes)):
        tell(f"{printable(str(Path(folder, name)))}: no example of this class can be used")
    places = {name: place for place, name in enumerate(classes)}
    labels = np.array([places[entry.label] for entry in kept], np.int64)
    return LabelledSet(x[: len(kept)], labels, classes, tuple(kept), reading.fitted(x.shape[1:]))


def read_all(
    entries: Iterable[Entry], format: InputFormat, *, workers: int = 2
) -> Iterator[tuple[Entry, Array | Exception]]:
    """Read files in order, each to an example or to why it cannot be one; threads read a few ahead, and no more."""
    waiting: deque[tuple[Entry, Future[Array | Exception]]] = deque()

    def work(entry: Entry) -> Array | Exception:
        try:
            return format.read(entry.path)
        except UNREADABLE as error:
            return error

    with ThreadPoolExecutor(workers, "pyconvx-read") as pool:
        try:
            for entry in entries:
                waiting.append((entry, pool.submit(work, entry)))
                if len(waiting) > 4 * workers:
                    first, future = waiting.popleft()
                    yield first, future.result()
            while waiting:
                first, future = waiting.popleft()
                yield first, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def _require_memory(folder: str | os.PathLike[str], count: int, shape: tuple[int, ...]) -> None:
    """Refuse, when the first example is known, what would drive the machine into swapping."""
    needed = count * math.prod(shape) * np.dtype(np.float32).itemsize
    there = available()
    if there is not None and needed > there:
        raise DataError(
            f"{printable(str(folder))}: {count} examples of {'x'.join(map(str, shape))} numbers take "
            f"{format_size(needed)} of memory, and {format_size(there)} is available: bring pictures to a smaller "
            "size, or take grey levels or fewer files"
        )


def _other_shape(
    entry: Entry, shape: tuple[int, ...], first: Entry, wanted: tuple[int, ...], format: InputFormat
) -> str:
    line = f"{printable(entry.path)}: has shape {shape}, and {printable(first.path)} {wanted}"
    if format.size is None and Path(entry.path).suffix.lower() not in ARRAYS and len(wanted) == 3:
        raise OptionError(f"{line}; say to which size all pictures should be brought")
    return line
