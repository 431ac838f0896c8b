"""One survey on many workers of Dask: a part of the pictures each, then merged."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from pyconvx.errors import MissingExtraError, OptionError
from pyconvx.visualize.surveys import Survey, merge


def survey_with_dask(
    make_net: Callable[[], Any],
    layers: Any,
    data: Any,
    k: int = 9,
    *,
    shards: int = 8,
    compute: Callable[..., Any] | None = None,
    **options: Any,
) -> Survey:
    """Find what `survey` finds, with the same bits, on Dask's workers.

    Parameters
    ----------
    make_net : callable
        Returns the network; called once for each part, on its worker: `models.vgg16`, or a function of yours. Weights
        are not sent.
    layers, data, k
        As `survey` takes them; the data must be indexed and be there on every worker, as a folder on a shared disk is.
    shards : int
        Parts that the pictures are cut into.
    compute : callable, optional
        What computes a list of delayed parts: `lambda parts: client.gather(client.compute(parts))` for a cluster's
        `client`. `dask.compute` with its present scheduler if not given.
    **options
        Those of `survey`, but `state`, `resume`, `shard` and `progress`: Dask repeats a part that was lost.

    Returns
    -------
    Survey

    Raises
    ------
    MissingExtraError
        If Dask is not installed.
    OptionError
        If an option is not allowed, or a part fails with one.

    Notes
    -----
    The recipe without Dask: run `survey(..., shard=(i, n), state=f"part{i}")` n times, anywhere, and
    `merge(Survey.load(f"part{i}") for i in range(n))`.
    """
    try:
        dask: Any = import_module("dask")  # it says nothing of its types
    except ImportError:
        raise MissingExtraError("survey_with_dask", "dask", "dask") from None
    refused = sorted({"state", "resume", "shard", "progress"} & set(options))
    if refused:
        raise OptionError(f"{', '.join(refused)}: not for parts that Dask runs")
    if isinstance(shards, bool) or not isinstance(shards, int) or shards < 1:
        raise OptionError(f"shards is {shards!r}; wanted a whole number from 1")
    parts = [
        dask.delayed(_part, pure=False)(make_net, layers, data, k, (index, shards), options) for index in range(shards)
    ]
    found = list(dask.compute(*parts)) if compute is None else list(compute(parts))
    result: Survey = merge(found)
    return result


def _part(
    make_net: Callable[[], Any], layers: Any, data: Any, k: int, shard: tuple[int, int], options: dict[str, Any]
) -> Survey:
    from pyconvx.visualize.top import survey

    return survey(make_net(), layers, data, k, shard=shard, **options)
