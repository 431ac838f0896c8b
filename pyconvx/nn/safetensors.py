"""Reading and writing safetensors: names and arrays in one file, nothing that could run.

`load_file` trusts nothing: a hostile or damaged file is a `WeightsError`, found before memory for tensors is taken.
`save_file` writes beside the target and renames, so that a file is whole or not there. The format is that of
https://github.com/huggingface/safetensors.
"""

from __future__ import annotations

import io
import os
import secrets
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pyconvx.errors import DTypeError, OptionError, WeightsError
from pyconvx.nn import _safetensors_header as _header

__all__ = ["load", "load_file", "load_metadata", "save", "save_file"]

_Array = np.ndarray[Any, Any]


def load_file(path: str | os.PathLike[str]) -> dict[str, _Array]:
    """Read all tensors of a safetensors file.

    Parameters
    ----------
    path : str or path-like
        A regular file.

    Returns
    -------
    dict of str to ndarray
        In the order of the file. BF16 is widened to float32; every other type comes as it is stored.

    Raises
    ------
    WeightsError
        If the file is damaged, hostile or not a safetensors file.
    OSError
        If it cannot be opened or read.
    """
    with _open(path) as (stream, size, source):
        header = _read_header(stream, size, source)
        return {entry.name: _read_tensor(stream, entry, source) for entry in header.entries}


def load_metadata(path: str | os.PathLike[str]) -> dict[str, str]:
    """Read the `__metadata__` of a safetensors file, without its tensors; raises as `load_file` does."""
    with _open(path) as (stream, size, source):
        return _read_header(stream, size, source).metadata


def load(data: bytes | bytearray | memoryview) -> dict[str, _Array]:
    """Read all tensors of a safetensors file that is in memory; raises `WeightsError` as `load_file` does."""
    stream, source = io.BytesIO(data), "safetensors data"
    header = _read_header(stream, memoryview(data).nbytes, source)
    return {entry.name: _read_tensor(stream, entry, source) for entry in header.entries}


def save_file(
    tensors: Mapping[str, _Array], path: str | os.PathLike[str], *, metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays as a safetensors file, atomically: a crash leaves the old file or the new one.

    Parameters
    ----------
    tensors : mapping of str to ndarray
        Floats of 16, 32 or 64 bits, integers or booleans. The same mapping gives the same bytes.
    path : str or path-like
        The target; replaced if it exists. A symbolic link is followed.
    metadata : mapping of str to str, optional
        Stored beside the tensors, see `load_metadata`.

    Raises
    ------
    DTypeError, OptionError
        If a tensor has another type, or a name or the metadata are not strings.
    """
    arrays, head, order = _prepare(tensors, metadata)
    target = Path(os.path.realpath(path))
    beside = target.with_name(f".{target.name}.{secrets.token_hex(6)}.tmp")
    try:
        with beside.open("xb") as stream:
            stream.write(head)
            for name in order:
                stream.write(_as_bytes(arrays[name]))
            stream.flush()
            os.fsync(stream.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def save(tensors: Mapping[str, _Array], *, metadata: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes that `save_file` would write."""
    arrays, head, order = _prepare(tensors, metadata)
    return b"".join([head, *(_as_bytes(arrays[name]) for name in order)])


@contextmanager
def _open(path: str | os.PathLike[str]) -> Iterator[tuple[BinaryIO, int, str]]:
    """Open a regular file for reading, with its true size: a pipe or a device has none and could stall or never end."""
    source = os.fspath(path)
    if not stat.S_ISREG(Path(path).stat().st_mode):
        raise WeightsError(f"{source}: is not a regular file; give the path of one")
    with Path(path).open("rb", buffering=0) as stream:
        yield stream, os.fstat(stream.fileno()).st_size, source


def _read_header(stream: BinaryIO, size: int, source: str) -> _header.Header:
    if size < _header.LENGTH_BYTES:
        raise WeightsError(f"{source}: {size} bytes are too few for a safetensors file; it is {_header.DAMAGED}")
    length = int.from_bytes(stream.read(_header.LENGTH_BYTES), "little")
    _header.check_length(length, size, source)
    text = stream.read(length)
    if len(text) < length:
        raise WeightsError(f"{source}: the file ends inside its header; it changed while it was read, try again")
    return _header.parse(text, size - _header.LENGTH_BYTES - length, source)


def _read_tensor(stream: BinaryIO, entry: _header.Entry, source: str) -> _Array:
    """Read the next tensor; entries tile the file in order, so there is nothing to seek."""
    stored = np.empty(entry.shape, _header.NUMPY_TYPES[entry.dtype])
    if stored.nbytes:
        view = stored.reshape(-1).view(np.uint8).data
        filled = 0
        while filled < len(view):  # one read returns at most 2 GiB on some systems
            count = stream.readinto(view[filled:])  # type: ignore[attr-defined]
            if not count:
                raise WeightsError(
                    f"{source}: the file ends inside tensor {entry.name!r}; it changed while it was read, try again"
                )
            filled += count
    if entry.dtype == "BF16":
        high = np.empty((*entry.shape, 2), np.uint16)
        high[..., 0], high[..., 1] = (0, stored) if sys.byteorder == "little" else (stored, 0)
        return high.view(np.float32).reshape(entry.shape)
    if entry.dtype == "BOOL" and stored.size and stored.view(np.uint8).max() > 1:
        raise WeightsError(
            f"{source}: tensor {entry.name!r} is BOOL, but has bytes other than 0 and 1; the file is {_header.DAMAGED}"
        )
    return stored.astype(stored.dtype.newbyteorder("="), copy=False)


def _prepare(
    tensors: Mapping[str, _Array], metadata: Mapping[str, str] | None
) -> tuple[dict[str, _Array], bytes, list[str]]:
    metadata = {} if metadata is None else metadata
    for key, text in metadata.items():
        if not isinstance(key, str) or not isinstance(text, str):
            raise OptionError(f"metadata must map strings to strings, got {key!r}: {text!r}")
    arrays: dict[str, _Array] = {}
    for name, value in tensors.items():
        if not isinstance(name, str) or name == "__metadata__":
            raise OptionError(f"a tensor cannot be named {name!r}; give it a string other than '__metadata__'")
        array = np.asarray(value)
        if array.dtype.newbyteorder("<") not in _header.TYPE_NAMES:
            raise DTypeError(
                f"tensor {name!r} has type {array.dtype}; "
                "safetensors holds booleans, integers and floats of 16, 32 or 64 bits"
            )
        arrays[name] = array
    head, order = _header.build(arrays, metadata)
    if len(head) - _header.LENGTH_BYTES > _header.MAX_HEADER_BYTES:
        raise OptionError(
            f"names and metadata take {len(head)} bytes; at most {_header.MAX_HEADER_BYTES} can be read back. "
            "Shorten the metadata or split the file"
        )
    return arrays, head, order


def _as_bytes(array: _Array) -> memoryview | bytes:
    little = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    return little.reshape(-1).view(np.uint8).data if little.size else b""
