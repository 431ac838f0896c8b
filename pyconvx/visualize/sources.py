"""Where pictures come from: arrays, folders, sequences and iterators, as numbered inputs of a network.

Pictures are numbered from 0 in the order of the data; a folder's are in the order of their names. Nothing is read
before it is wanted, and nothing is kept.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyconvx import image as pictures
from pyconvx.errors import DataError, DTypeError, ImageError, OptionError, ShapeError
from pyconvx.visualize._network import dtype_of, input_channels, input_rank, network_of

Array = NDArray[Any]
Prepare = Callable[[Any], Array]

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm")
ARRAYS = (".npy",)


class Item(NamedTuple):
    """A numbered input of the network; `x` is None if it could not be read and that was allowed."""

    number: int
    name: str
    label: int
    x: Array | None


class Source:
    """Data in one of the forms that `top_patches` takes.

    Parameters
    ----------
    data : str, path, ndarray, sequence or iterable
        A folder of pictures and .npy arrays, with those in folders inside it, but for hidden ones; an array whose first
        axis counts; or whatever `prepare` takes, one after the other.
    prepare : callable
        From an element of the data to the network's input, without a batch axis.
    labels : sequence of str, optional
        The class of each picture. Of a folder with folders inside it, the names of those.
    """

    def __init__(self, data: Any, prepare: Prepare, labels: Sequence[str] | None = None) -> None:
        self.prepare = prepare
        self._data = data
        self._names: list[str] | None = None
        found: list[str] | None = None
        if isinstance(data, (str, os.PathLike)):
            folder = Path(data)
            if not folder.is_dir():
                raise ImageError(f"{folder}: not a folder; for one picture, give a list with its path")
            paths = sorted(
                path for path in folder.rglob("*") if _is_wanted(path.relative_to(folder)) and path.is_file()
            )
            relative = [path.relative_to(folder) for path in paths]
            if not paths:
                raise ImageError(f"{folder}: no pictures in it, whose names end in {', '.join((*PICTURES, *ARRAYS))}")
            self._data, self._names = paths, [path.as_posix() for path in relative]
            if all(len(path.parts) > 1 for path in relative):
                found = [path.parts[0] for path in relative]
        self.length: int | None = len(self._data) if _can_be_indexed(self._data) else None
        labels = found if labels is None else list(labels)
        if labels is not None and len(labels) != self.length:
            raise OptionError(f"labels: got {len(labels)}; wanted one for each of {self.length} pictures")
        self.classes = [] if labels is None else sorted(set(labels))
        places = {name: place for place, name in enumerate(self.classes)}
        self._labels = None if labels is None else [places[label] for label in labels]

    def describe(self) -> dict[str, Any]:
        """Return what tells this data from other data of its kind, for a state that is resumed."""
        labels = None if self._labels is None else _digest(map(str, self._labels))
        names = None if self._names is None else _digest(self._names)
        return {"pictures": self.length, "names": names, "classes": self.classes, "labels": labels}

    def name(self, number: int) -> str:
        """Return what to call a picture: its path inside the folder, or its number."""
        if self._names is not None:
            return self._names[number]
        element = self._data[number] if self.length is not None and isinstance(self._data, (list, tuple)) else None
        return os.fspath(element) if isinstance(element, (str, os.PathLike)) else str(number)

    def read(self, number: int) -> Array:
        """Return one input again.

        Raises
        ------
        OptionError
            If the data is an iterator, which gives its elements once.
        """
        if self.length is None:
            raise OptionError(
                "the data is an iterator, which cannot be read twice; keep_patches=True keeps what is needed"
            )
        return self.prepare(self._data[number])

    def items(self, start: int, stop: int | None, workers: int, skip_unreadable: bool) -> Iterator[Item]:
        """Yield inputs in order; up to `workers` threads read ahead, a few pictures each."""

        def work(pair: tuple[int, Any]) -> Item:
            number, element = pair
            label = -1 if self._labels is None else self._labels[number]
            try:
                return Item(number, self.name(number), label, self.prepare(element))
            except (ImageError, DataError, OSError):
                if not skip_unreadable:
                    raise
                return Item(number, self.name(number), label, None)
            except (ShapeError, DTypeError) as error:
                raise type(error)(f"{self.name(number)}: {error}") from error

        return _ahead(work, self._elements(start, stop), workers)

    def _elements(self, start: int, stop: int | None) -> Iterator[tuple[int, Any]]:
        if self.length is not None:
            for number in range(start, self.length if stop is None else stop):
                yield number, self._data[number]
            return
        for number, element in enumerate(self._data):
            if number >= start:
                yield number, element


def _digest(words: Iterable[str]) -> str:
    return hashlib.sha256("\0".join(words).encode(errors="surrogateescape")).hexdigest()


def _is_wanted(path: Path) -> bool:
    """Whether a path inside a folder may be an input; other systems leave hidden files beside pictures: `._1.jpg`."""
    return path.suffix.lower() in (*PICTURES, *ARRAYS) and not any(part.startswith(".") for part in path.parts)


def _can_be_indexed(data: Any) -> bool:
    return hasattr(data, "__len__") and hasattr(data, "__getitem__")


def _ahead(work: Callable[[Any], Item], elements: Iterator[Any], workers: int) -> Iterator[Item]:
    """Map in threads, in order, with a bounded number of results waiting."""
    if workers < 1:
        yield from map(work, elements)
        return
    waiting: deque[Future[Item]] = deque()
    with ThreadPoolExecutor(workers, "pyconvx-read") as pool:
        try:
            for element in elements:
                waiting.append(pool.submit(work, element))
                if len(waiting) > 4 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def preparation(net: Any, preprocess: Callable[[Any], Any] | None, size: Any) -> Prepare:
    """Return the function from an element of the data to the network's input.

    With `preprocess`, that is what it returns. A `models.Network` takes pictures in every form that `image.load` reads.
    Any other network takes its input as it is, arrays in .npy files, and pictures as levels over 255.
    """
    graph = network_of(net)
    rank, channels, dtype = input_rank(graph), input_channels(graph), dtype_of(graph)

    def prepare(element: Any) -> Array:
        if isinstance(element, (str, os.PathLike)) and Path(element).suffix.lower() in ARRAYS:
            element = _array_in(element)
        if preprocess is not None:
            return _checked(np.asarray(preprocess(element)), rank, dtype)
        if hasattr(net, "preprocess"):
            return _checked(net.preprocess(pictures.load(element, size=size)), rank, dtype)
        if isinstance(element, np.ndarray) or not _is_picture(element):
            return _checked(np.asarray(element), rank, dtype)
        levels = pictures.load(element, size=size, dtype=np.float32)
        return _checked(pictures.luminance(levels)[..., None] if channels == 1 else levels, rank, dtype)

    return prepare


def _array_in(path: str | os.PathLike[str]) -> Array:
    try:
        array: Array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ImageError(f"{os.fspath(path)}: no array, or a damaged one: {error}") from error
    if not isinstance(array, np.ndarray):
        raise ImageError(f"{os.fspath(path)}: no array, but an archive of several")
    return array


def _is_picture(element: Any) -> bool:
    """Whether an element is a picture still to be decoded: a path, bytes, an open file or one of Pillow's."""
    undecoded = isinstance(element, (str, os.PathLike, bytes, bytearray))
    return undecoded or hasattr(element, "read") or hasattr(element, "getbands")


def _checked(x: Array, rank: int, dtype: np.dtype[Any]) -> Array:
    if x.ndim == rank + 2 and len(x) == 1:
        x = x[0]
    if x.ndim != rank + 1:
        raise ShapeError(f"an input has shape {x.shape}; the network takes {rank} spatial axes and the channels, last")
    if x.dtype.kind != "f":
        raise DTypeError(
            f"an input has type {x.dtype}; the network takes floats: store them as such, or give preprocess, "
            "which makes them"
        )
    return x.astype(dtype, copy=False)
