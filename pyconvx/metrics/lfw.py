"""The protocol of Labeled Faces in the Wild: pairs in ten folds, the threshold for each from the other nine.

A pairs file has a first line "folds<tab>n" and for each fold n genuine lines "name i j" and n impostor lines "name i
name j"; picture i of a name is name/name_000i.jpg.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from pyconvx.errors import OptionError, ShapeError
from pyconvx.metrics._checked import pairs_of
from pyconvx.metrics.accuracy import best_threshold

_MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class LfwPair:
    """One line of a pairs file.

    Parameters
    ----------
    first, second : str
        Paths of the two pictures below the folder of the data set.
    same : bool
        Whether they show one person.
    fold : int
        From 0.
    """

    first: str
    second: str
    same: bool
    fold: int


@dataclass(frozen=True)
class LfwResult:
    """Accuracy by the protocol.

    Parameters
    ----------
    accuracy : float
        Mean over folds.
    standard_error : float
        Of that mean: the standard deviation over folds (divided by folds - 1) over the root of their number.
    accuracies, thresholds : tuple of float
        Of each fold.
    """

    accuracy: float
    standard_error: float
    accuracies: tuple[float, ...]
    thresholds: tuple[float, ...]


def read_lfw_pairs(path: str | os.PathLike[str], *, suffix: str = ".jpg") -> list[LfwPair]:
    """Read a pairs file.

    Parameters
    ----------
    path : str or path-like
        Such as pairs.txt of the data set.
    suffix : str
        Of the pictures' names.

    Returns
    -------
    list of LfwPair
        In the order of the file.

    Raises
    ------
    OptionError
        If the file is no pairs file; the message names the line.
    OSError
        If it cannot be read.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from pyconvx import metrics
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = pathlib.Path(folder, "pairs.txt")
    ...     _ = file.write_text("2\\t1\\nAnn\\t1\\t2\\nAnn\\t1\\tBob\\t3\\nBob\\t1\\t3\\nBob\\t2\\tAnn\\t2\\n")
    ...     pairs = metrics.read_lfw_pairs(file)
    >>> pairs[1]
    LfwPair(first='Ann/Ann_0001.jpg', second='Bob/Bob_0003.jpg', same=False, fold=0)
    """
    file = Path(path)
    if file.stat().st_size > _MAX_BYTES:
        raise OptionError(f"{file}: {file.stat().st_size} bytes are too many for a pairs file")
    try:
        lines = [line.split("\t") for line in file.read_text("utf-8").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise OptionError(f"{file}: not a text file") from None
    if not lines or len(lines[0]) > 2 or not all(_is_number(field) for field in lines[0]):
        raise OptionError(f"{file}: line 1: wanted the number of folds and of pairs of each kind in one")
    folds, each = (1, int(lines[0][0])) if len(lines[0]) == 1 else (int(lines[0][0]), int(lines[0][1]))
    if len(lines) - 1 != 2 * folds * each:
        raise OptionError(f"{file}: {len(lines) - 1} pairs; line 1 promises {folds} x 2 x {each}")
    return [
        _pair(fields, f"{file}: line {number}", (number - 2) // (2 * each), suffix)
        for number, fields in enumerate(lines[1:], 2)
    ]


def lfw_10fold(distances: ArrayLike, same: ArrayLike, folds: ArrayLike) -> LfwResult:
    """Accuracy on each fold with the best threshold of all others.

    Parameters
    ----------
    distances, same : array, (pairs,)
        Small means the same; which pairs are genuine.
    folds : int array, (pairs,)
        Which fold each pair is in: ten of them in the data set, from two here.

    Returns
    -------
    LfwResult

    Raises
    ------
    ShapeError, DTypeError, OptionError
        If lengths differ, there is one fold only, or the others of a fold lack one kind of pairs.

    Examples
    --------
    >>> from pyconvx import metrics
    >>> found = metrics.lfw_10fold([0.25, 0.75, 0.375, 1.0], [1, 0, 1, 0], [0, 0, 1, 1])
    >>> found.accuracy, found.thresholds
    (1.0, (0.6875, 0.5))
    """
    values, answers = pairs_of(distances, same)
    numbers = np.asarray(folds)
    if numbers.shape != values.shape:
        raise ShapeError(f"folds have shape {numbers.shape}; wanted {values.shape}, one for each pair")
    names = np.unique(numbers)
    if len(names) < 2:
        raise OptionError("all pairs are in one fold; wanted several, so that a threshold can come from the others")
    accuracies, thresholds = [], []
    for name in names:
        held = numbers == name
        threshold = best_threshold(values[~held], answers[~held], balanced=False).threshold
        accuracies.append(float(np.mean((values[held] <= threshold) == answers[held])))
        thresholds.append(threshold)
    error = float(np.std(accuracies, ddof=1) / np.sqrt(len(names)))
    return LfwResult(float(np.mean(accuracies)), error, tuple(accuracies), tuple(thresholds))


def _is_number(text: str) -> bool:
    return text.strip().isascii() and text.strip().isdigit() and len(text.strip()) < 10


def _pair(fields: list[str], where: str, fold: int, suffix: str) -> LfwPair:
    fields = [field.strip() for field in fields]
    if len(fields) == 3 and all(map(_is_number, fields[1:])):
        sides, same = [(fields[0], fields[1]), (fields[0], fields[2])], True
    elif len(fields) == 4 and _is_number(fields[1]) and _is_number(fields[3]):
        sides, same = [(fields[0], fields[1]), (fields[2], fields[3])], False
    else:
        raise OptionError(f"{where}: wanted 'name i j' or 'name i name j', separated by tabs")
    first, second = (_file(name, number, suffix, where) for name, number in sides)
    return LfwPair(first, second, same, fold)


def _file(name: str, number: str, suffix: str, where: str) -> str:
    if not name or name in (".", "..") or "/" in name or "\\" in name or "\0" in name:
        raise OptionError(f"{where}: {name!r} cannot be the name of a folder")
    return f"{name}/{name}_{int(number):04d}{suffix}"
