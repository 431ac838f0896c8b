"""The header of a safetensors file: written, and read with suspicion.

A file is: the header's length (8 bytes, little endian), the header (JSON), the bytes of all tensors. The header maps
each name to {"dtype", "shape", "data_offsets": [begin, end]}; the tensors must tile the bytes after it without hole or
overlap. Everything a header claims is checked against the true size of the file before memory for tensors is taken.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pyconvx.errors import OptionError, WeightsError

DAMAGED = "damaged: copy or save it anew"
LENGTH_BYTES = 8
# 4 MiB name some forty thousand tensors; Python's JSON objects may take ten times the text, so this also bounds memory.
MAX_HEADER_BYTES = 4 << 20
MAX_RANK = 32  # NumPy 1's limit
MAX_DIGITS = 19  # of a number in a header: 2**63 has 19; int() of a megabyte of digits would take minutes

# BF16 has no NumPy type: it is stored in 16 bits and read as float32.
NUMPY_TYPES: dict[str, np.dtype[Any]] = {
    "F64": np.dtype("<f8"),
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "BF16": np.dtype("<u2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "I8": np.dtype("i1"),
    "U64": np.dtype("<u8"),
    "U32": np.dtype("<u4"),
    "U16": np.dtype("<u2"),
    "U8": np.dtype("u1"),
    "BOOL": np.dtype("?"),
}
TYPE_NAMES = {dtype: name for name, dtype in NUMPY_TYPES.items() if name != "BF16"}


@dataclass(frozen=True)
class Entry:
    """One tensor of a file: bytes begin to end after the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@dataclass(frozen=True)
class Header:
    """What a file holds: its tensors in the order of their bytes, and its metadata."""

    entries: tuple[Entry, ...]
    metadata: dict[str, str]


def check_length(length: int, file_size: int, source: str) -> None:
    """Refuse a header length that the file cannot hold, before the header is read."""
    if length > MAX_HEADER_BYTES:
        raise WeightsError(
            f"{source}: the header claims {length} bytes; at most {MAX_HEADER_BYTES} are read. "
            f"This is not a safetensors file, or it is {DAMAGED}"
        )
    if length > file_size - LENGTH_BYTES:
        raise WeightsError(
            f"{source}: the header claims {length} bytes, but the file has {file_size}; it is truncated or {DAMAGED}"
        )


def parse(text: bytes, data_size: int, source: str) -> Header:
    """Read the header and check every claim against `data_size`, the number of bytes that follow it."""
    table = _load_json(text, source)
    metadata = _metadata(table.pop("__metadata__", {}), source)
    entries = sorted((_entry(name, fields, source) for name, fields in table.items()), key=lambda e: (e.begin, e.end))
    position = 0
    for entry in entries:
        if entry.begin != position:
            what = "overlaps the one before it" if entry.begin < position else "leaves a hole before it"
            raise WeightsError(
                f"{source}: tensor {_shorten(entry.name)} begins at byte {entry.begin}, expected {position}: "
                f"it {what}; the file is {DAMAGED}"
            )
        position = entry.end
    if position != data_size:
        raise WeightsError(
            f"{source}: the header describes {position} bytes of tensors, but {data_size} follow it; "
            f"the file is truncated or {DAMAGED}"
        )
    return Header(tuple(entries), metadata)


def build(tensors: Mapping[str, np.ndarray[Any, Any]], metadata: Mapping[str, str]) -> tuple[bytes, list[str]]:
    """Return the length and the header as bytes, and the names in the order in which their bytes must follow.

    Wide types come first and the header is padded to a multiple of 8 bytes, so every tensor is aligned to its element.
    """
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    table: dict[str, Any] = {}
    if metadata:
        table["__metadata__"] = dict(sorted(metadata.items()))
    position = 0
    for name in order:
        array = tensors[name]
        table[name] = {
            "dtype": TYPE_NAMES[array.dtype.newbyteorder("<")],
            "shape": list(array.shape),
            "data_offsets": [position, position + array.nbytes],
        }
        position += array.nbytes
    try:
        text = json.dumps(table, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:
        raise OptionError("a name or the metadata holds half a surrogate pair, which is not text") from None
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(LENGTH_BYTES, "little") + text, order


def _load_json(text: bytes, source: str) -> dict[str, Any]:
    if not text.startswith(b"{"):
        raise WeightsError(
            f"{source}: the header does not begin with '{{'; this is not a safetensors file, or it is {DAMAGED}"
        )
    try:
        table: dict[str, Any] = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_int=_short_int,
            parse_float=_no_fraction,
            parse_constant=_no_fraction,
        )
    except RecursionError:
        raise WeightsError(f"{source}: the header is nested too deeply; the file is {DAMAGED}") from None
    except ValueError as error:  # JSONDecodeError and UnicodeDecodeError are ValueErrors, as are the hooks' refusals
        raise WeightsError(f"{source}: the header cannot be read: {error}; the file is {DAMAGED}") from None
    return table


def _unique(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise ValueError(f"the key {_shorten(key)} occurs twice")
        table[key] = value
    return table


def _short_int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _no_fraction(text: str) -> float:
    raise ValueError(f"the number {text[:20]!r} where only whole numbers belong")


def _metadata(table: object, source: str) -> dict[str, str]:
    if not isinstance(table, dict) or not all(isinstance(value, str) for value in table.values()):
        raise WeightsError(f"{source}: __metadata__ must map names to strings; the file is {DAMAGED}")
    return table


def _entry(name: str, fields: object, source: str) -> Entry:
    where = f"{source}: tensor {_shorten(name)}"
    if any("\ud800" <= character <= "\udfff" for character in name):  # JSON can spell half a surrogate pair
        raise WeightsError(f"{where} has a name that is not text; the file is {DAMAGED}")
    if not isinstance(fields, dict) or set(fields) != {"dtype", "shape", "data_offsets"}:
        raise WeightsError(f"{where} must have exactly dtype, shape and data_offsets; the file is {DAMAGED}")
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(dtype, str) or dtype not in NUMPY_TYPES:
        raise WeightsError(f"{where} has the type {_shorten(dtype)}; one of {', '.join(NUMPY_TYPES)} can be read")
    if not _is_sizes(shape) or len(shape) > MAX_RANK:
        raise WeightsError(
            f"{where} has a shape that is not a list of at most {MAX_RANK} sizes: {_shorten(shape)}; "
            f"the file is {DAMAGED}"
        )
    if not _is_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise WeightsError(
            f"{where} has data_offsets that are not a begin and an end: {_shorten(offsets)}; the file is {DAMAGED}"
        )
    # A size of 0 must not hide sizes whose product overflows: NumPy refuses such shapes with an error of its own.
    extent = nbytes = NUMPY_TYPES[dtype].itemsize
    for size in shape:
        extent *= max(size, 1)
        nbytes *= size
        if extent >= 1 << 63:
            raise WeightsError(f"{where} has a shape that no memory holds: {_shorten(shape)}; the file is {DAMAGED}")
    if nbytes != offsets[1] - offsets[0]:
        raise WeightsError(
            f"{where} of shape {tuple(shape)} and type {dtype} takes {nbytes} bytes, "
            f"but its data_offsets span {offsets[1] - offsets[0]}; the file is {DAMAGED}"
        )
    return Entry(name, dtype, tuple(shape), offsets[0], offsets[1])


def _is_sizes(value: object) -> bool:
    return isinstance(value, list) and all(type(size) is int and size >= 0 for size in value)


def _shorten(value: object) -> str:
    """Quote what came from the file, but never a megabyte of it."""
    if isinstance(value, str):
        return repr(value if len(value) <= 80 else value[:77] + "...")
    if isinstance(value, list) and len(value) > 8:
        return f"a list of {len(value)}"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
