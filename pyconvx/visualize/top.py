"""`top_patches` and `survey`: one pass over pictures that finds what excites the units of one layer, or of several."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx._progress import Report, reporter
from pyconvx._version import __version__
from pyconvx.errors import Interrupted, OptionError
from pyconvx.runtime import active_isa
from pyconvx.visualize._network import network_of, weights_digest
from pyconvx.visualize._pass import Pass, batches
from pyconvx.visualize._ranking import RankBy
from pyconvx.visualize._start import begin, part_of
from pyconvx.visualize.patches import TopPatches
from pyconvx.visualize.sources import Source, preparation
from pyconvx.visualize.surveys import Survey

Array = NDArray[Any]
Units = Sequence[int] | NDArray[np.int64] | None

# A batch's activations are some 100 MB in the widest layers of a VGG-16 at 224 pixels; larger batches are no faster.
BATCH = 8
SAVE_EVERY = 512


def top_patches(net: Any, layer: str, units: Units, data: Any, k: int = 9, **options: Any) -> TopPatches:
    """Find, for each unit of a layer, the patches of pictures that excite it most.

    Parameters
    ----------
    net : nn.Sequential, nn.Residual, nn.Graph or models.Network
        A `models.Network` takes pictures in every form that `image.load` reads, and prepares them.
    layer : str
        Its name, as `net.features` takes it.
    units : sequence of int or None
        Numbers of channels; None for all.
    data : folder, array, sequence or iterable
        See `survey`.
    k : int
        Patches of a unit.
    **options
        Those of `survey`.

    Returns
    -------
    TopPatches
        Values, pictures and positions; `patches(unit, data, net)` cuts them out.

    Raises
    ------
    OptionError, ShapeError, DTypeError, ImageError
        As `survey` does.

    References
    ----------
    Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, 2014, figure 2; the lecture's "pick a unit,
    find the nine image patches that maximise the unit's activation".

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import nn, visualize
    >>> net = nn.Sequential({"conv": nn.Conv2d(1, 4, 3, random_state=0), "relu": nn.ReLU()})
    >>> pictures = np.random.default_rng(0).random((20, 8, 8, 1), np.float32)
    >>> found = visualize.top_patches(net, "relu", [1, 2], pictures, k=9)
    >>> found.values.shape
    (2, 9)
    >>> found.patches(2, pictures, net)[0].x.shape
    (3, 3, 1)
    """
    return survey(net, {layer: units}, data, k, **options)[layer]


def survey(
    net: Any,
    layers: Mapping[str, Units] | Sequence[str],
    data: Any,
    k: int = 9,
    *,
    one_per_picture: bool = True,
    rank_by: RankBy = "activation",
    inside: bool = False,
    preprocess: Callable[[Any], Any] | None = None,
    size: int | tuple[int, int] | None = None,
    labels: Sequence[str] | None = None,
    keep_patches: bool | None = None,
    shard: tuple[int, int] = (0, 1),
    state: str | os.PathLike[str] | None = None,
    resume: bool = False,
    save_every: int = SAVE_EVERY,
    batch_size: int = BATCH,
    workers: int = 2,
    skip_unreadable: bool = False,
    progress: bool | Report = False,
) -> Survey:
    """Find the best patches of several layers in one pass; memory does not grow with the number of pictures.

    Parameters
    ----------
    net : nn.Sequential, nn.Residual, nn.Graph or models.Network
        A `models.Network` takes pictures; give its `.net` for inputs that are prepared already.
    layers : mapping of str to sequence of int or None, or sequence of str
        Units of each layer; None, or only the names, for all of them.
    data : folder, array, sequence or iterable
        A folder of pictures and .npy arrays, with those in folders inside it, whose names are then the classes (what is
        hidden is left out); an array `(pictures, *spatial, channels)`, which may be a memory map; a sequence, or an
        iterator of any length, of inputs `(*spatial, channels)` or pictures.
    k : int
        Patches of a unit.
    one_per_picture : bool
        Whether a picture has at most one patch of a unit, its best.
    rank_by : {"activation", "selectivity"}
        Selectivity is a unit's part in what all units of its layer say at a position: `y / (|y+| + 0.1 r)`, where |y+|
        is the length of the vector of all channels above zero and r its root mean square over the picture. It finds
        what sets a unit apart (an eye, a letter), where activations find the pictures of the highest contrast.
    inside : bool
        Whether patches may not leave their picture, as far as it is large enough for that.
    preprocess : callable, optional
        From an element of the data (or a file's path) to the network's input; by default `net.preprocess` of a picture,
        if there is one.
    size : int or (int, int), optional
        Pictures are resized to this longest side, or to (height, width).
    labels : sequence of str, optional
        The class of each picture.
    keep_patches : bool, optional
        Whether patches are kept as they are found, for data that cannot be read again; by default for iterators only.
    shard : (int, int)
        (i, n): look at the i-th of n parts of the pictures only; `merge` joins them. Not for iterators.
    state : str or path-like, optional
        A file to save to every `save_every` pictures and at the end; a killed process loses no more than those.
    resume : bool
        Go on from the file, if it is there. An iterator must give the same elements from its start again; of other data
        only number and names are compared.
    save_every : int
        Pictures.
    batch_size : int
        Inputs of one shape that are computed together.
    workers : int
        Threads that read ahead; with 0 everything is read where it is computed.
    skip_unreadable : bool
        Go on after a picture that cannot be read; `skipped` has its name.
    progress : bool or callable
        A bar on standard error, or a function (done, total, info); total is 0 where it is not known.

    Returns
    -------
    Survey

    Raises
    ------
    OptionError
        If an option has a wrong value, or the file belongs to another survey.
    ShapeError, DTypeError, ImageError
        If an input does not fit or cannot be read; the message names it.
    DivergedError
        If an activation is not finite.
    Interrupted
        On Ctrl-C: `result` is the survey so far, which has been saved.

    Notes
    -----
    The result has the same bits for any batch size, number of threads and cut into shards: values are, and ties go to
    the earlier picture and then to the earlier position. Only other instruction sets round differently.
    """
    graph = network_of(net)
    named = [layers] if isinstance(layers, str) else layers
    chosen = dict(named) if isinstance(named, Mapping) else dict.fromkeys(named)
    _check_options(chosen, k, save_every, batch_size, workers, shard)
    source = Source(data, preparation(net, preprocess, size), labels)
    keep = source.length is None if keep_patches is None else keep_patches
    asked = {
        "layers": {name: None if units is None else [int(unit) for unit in units] for name, units in chosen.items()},
        "k": k,
        "one_per_picture": one_per_picture,
        "rank_by": rank_by,
        "inside": bool(inside),
        "keep_patches": keep,
        "size": list(size) if isinstance(size, tuple) else size,
        "preprocessing": _described(net, preprocess),
        "weights": weights_digest(graph),
        "data": source.describe(),
        "version": __version__,
        "isa": active_isa(),
    }
    start, stop = part_of(source, shard)
    result, first = begin(asked, state, resume, start, source)
    run = Pass(graph, result)
    with reporter(progress, unit="pictures", step=batch_size) as report, _saving(run, result, state):
        for batch in batches(source.items(first, stop, workers, skip_unreadable), batch_size, save_every):
            run.take(batch)
            last = batch[-1].number + 1
            if state is not None and last % save_every == 0:
                result.save(state)
            report(last - start, 0 if stop is None else stop - start, {"picture": batch[-1].name})
    return result


@contextlib.contextmanager
def _saving(run: Pass, result: Survey, state: str | os.PathLike[str] | None) -> Iterator[None]:
    """Save at the end, and when interrupted; give what there is to who caught the interruption."""
    try:
        yield
    except KeyboardInterrupt as stop:
        # An interruption in the few milliseconds in which a batch is taken over leaves the last saved state.
        if state is not None and run.whole:
            result.save(state)
        saved = " (the state file has what was found so far)" if state is not None else ""
        raise Interrupted(f"interrupted{saved}", result if run.whole else None) from stop
    result.prune()
    if state is not None:
        result.save(state)


def _described(net: Any, preprocess: Callable[[Any], Any] | None) -> str:
    if preprocess is not None:
        return getattr(preprocess, "__qualname__", type(preprocess).__qualname__)
    return str(getattr(net, "preprocessing", "none"))


def _check_options(
    layers: Mapping[str, Units], k: int, save_every: int, batch_size: int, workers: int, shard: tuple[int, int]
) -> None:
    if not layers:
        raise OptionError("layers is empty; name one or more")
    for name, value, least in (
        ("k", k, 1),
        ("save_every", save_every, 1),
        ("batch_size", batch_size, 1),
        ("workers", workers, 0),
    ):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise OptionError(f"{name} is {value!r}; wanted a whole number from {least}")
    if len(shard) != 2 or not 0 <= shard[0] < shard[1]:
        raise OptionError(f"shard is {shard!r}; wanted (i, n) with i from 0 to n - 1")
