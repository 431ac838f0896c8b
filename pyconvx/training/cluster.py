"""Encoding a large folder on many workers by Dask: each part is read and encoded where there is room."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pyconvx._progress import Report, reporter
from pyconvx.errors import MissingExtraError
from pyconvx.functional._arguments import integer
from pyconvx.training.embedding import Encoded, embed
from pyconvx.training.folders import Entry, Problem
from pyconvx.training.saved import SavedEncoder, load_encoder

Compute = Callable[[Sequence[Any]], Sequence[Any]]


def embed_with_dask(
    encoder: str | os.PathLike[str],
    entries: Sequence[Entry],
    *,
    part_size: int = 512,
    parts_at_once: int = 64,
    batch_size: int = 64,
    compute: Compute | None = None,
    problem: Problem | None = None,
    progress: bool | Report = False,
) -> Iterator[Encoded]:
    """Yield the encodings of files in their order, as `embed` does and with the same bits, computed by Dask's workers.

    Parameters
    ----------
    encoder : path
        File of a saved encoder; like the files, at a place where every worker finds it.
    entries : sequence of Entry
        As `scan_files` finds them.
    part_size : int
        Files of a task.
    parts_at_once : int
        Tasks handed out together; take several times the number of workers. Memory here holds their encodings.
    batch_size : int
        Files encoded together on a worker.
    compute : callable, optional
        Takes delayed objects, returns their values in order: `lambda parts: client.gather(client.compute(parts))` for a
        `client` of `distributed`. `dask.compute` with its present scheduler if not given.
    problem : callable, optional
        Takes a line about each file that cannot be used.
    progress : bool or callable
        Whether to show a bar on a terminal, or a function (done, total, info).

    Yields
    ------
    Encoded

    Raises
    ------
    MissingExtraError
        Without Dask.
    WeightsError, OSError
        If the encoder cannot be read here; nothing has been handed out then.
    """
    try:
        import dask
    except ImportError:
        raise MissingExtraError("embed_with_dask", "dask", "dask") from None
    size, several = integer("part_size", part_size, 1), integer("parts_at_once", parts_at_once, 1)
    path = os.path.realpath(encoder)
    load_encoder(path)  # to refuse early
    tell = problem or (lambda line: None)
    run: Compute = compute or (lambda parts: dask.compute(*parts))
    starts = range(0, len(entries), size)
    with reporter(progress, unit="files", step=size * several) as report:
        for first in range(0, len(starts), several):
            cuts = [tuple(entries[start : start + size]) for start in starts[first : first + several]]
            found = run([dask.delayed(_part, pure=False)(path, cut, batch_size) for cut in cuts])
            for encoded, lines in found:
                for line in lines:
                    tell(line)
                if encoded is not None:
                    yield encoded
            report(min(len(entries), size * (first + len(cuts))), len(entries), {})


def compute_on(address: str) -> Compute:
    """What `embed_with_dask` takes as `compute`, for the scheduler at an address such as "tcp://host:8786".

    Raises
    ------
    MissingExtraError
        Without `distributed`.
    """
    try:
        from distributed import Client
    except ImportError:
        raise MissingExtraError("a Dask cluster", "dask", "distributed") from None
    client: Any = Client(address)
    return lambda parts: client.gather(client.compute(list(parts)))


def _part(path: str, entries: tuple[Entry, ...], batch_size: int) -> tuple[Encoded | None, list[str]]:
    """One task: the encodings of some files, and lines about those that cannot be used."""
    lines: list[str] = []
    found = list(
        embed(_loaded(path, Path(path).stat().st_mtime_ns), entries, batch_size=batch_size, problem=lines.append)
    )
    if not found:
        return None, lines
    kept = tuple(entry for part in found for entry in part.entries)
    return Encoded(kept, np.concatenate([part.encodings for part in found])), lines


@lru_cache(maxsize=2)
def _loaded(path: str, changed: int) -> SavedEncoder:
    """The encoder, read once by each worker as long as its file does not change."""
    return load_encoder(path)
