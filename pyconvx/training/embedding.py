"""Encodings of many files with a saved encoder, a batch at a time: memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyconvx._progress import Report, reporter
from pyconvx.functional._arguments import integer
from pyconvx.training._npy import printable
from pyconvx.training.encoding import encode
from pyconvx.training.folders import Entry, Problem
from pyconvx.training.loading import read_all
from pyconvx.training.saved import SavedEncoder


class Encoded(NamedTuple):
    """Files that could be read, and their encodings (files, depth)."""

    entries: tuple[Entry, ...]
    encodings: NDArray[Any]


def embed(
    encoder: SavedEncoder,
    entries: Sequence[Entry],
    *,
    batch_size: int = 64,
    workers: int = 2,
    problem: Problem | None = None,
    progress: bool | Report = False,
) -> Iterator[Encoded]:
    """Yield the encodings of files in their order, a batch at a time.

    Parameters
    ----------
    encoder : SavedEncoder
        As `load_encoder` returns it.
    entries : sequence of Entry
        As `scan_files` or `scan_classes` find them.
    batch_size : int
        Files encoded together; no bit of an encoding depends on it.
    workers : int
        Threads that read files, a few ahead.
    problem : callable, optional
        Takes a line about each file that cannot be used; the others go on.
    progress : bool or callable
        Whether to show a bar on a terminal, or a function (done, total, info).

    Yields
    ------
    Encoded
    """
    size = integer("batch_size", batch_size, 1)
    tell = problem or (lambda line: None)
    with reporter(progress, unit="files") as report:
        for batch in _batches(_told(entries, encoder, workers, tell, report), size):
            kept, x = zip(*batch, strict=True)
            yield Encoded(kept, encode(encoder.net, np.stack(x), batch_size=size))


def _told(
    entries: Sequence[Entry], encoder: SavedEncoder, workers: int, tell: Problem, report: Report
) -> Iterator[tuple[Entry, NDArray[Any]]]:
    """Files that can be read, with their inputs; the others are told of."""
    for done, (entry, found) in enumerate(read_all(entries, encoder.format, workers=workers), 1):
        if isinstance(found, np.ndarray):
            yield entry, found
        else:
            tell(printable(str(found)))
        report(done, len(entries), {})


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    batch: list[Any] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
