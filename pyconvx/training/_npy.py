"""Reading .npy files of numbers, without trust: nothing is unpickled, and no claim of a header is believed.

A file is: a magic word, a version, the length of the header, the header (a Python literal), the elements. What the
header claims is compared with the true size of the file before memory is taken.
"""

from __future__ import annotations

import io
import math
import os
import stat
import warnings
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import DataError

MAX_HEADER_BYTES = 1 << 14  # NumPy writes 118 for any array that we can use
MAX_RANK = 32  # NumPy 1's limit
KINDS = "biuf"  # booleans, integers, floats
_MAGIC = b"\x93NUMPY"
_LENGTHS = {(1, 0): 2, (2, 0): 4, (3, 0): 4}  # version -> bytes that hold the header's length


class Header(NamedTuple):
    """What a file holds."""

    shape: tuple[int, ...]
    fortran_order: bool
    dtype: np.dtype[Any]


def open_npy(path: str | os.PathLike[str]) -> tuple[BinaryIO, Header]:
    """Open a file and check its header; the stream stands at the first element, and is the caller's to close.

    Raises
    ------
    DataError
        If it is no .npy file of numbers, or not whole.
    """
    source = printable(os.fspath(path))
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):  # a pipe could stall, a device could never end
            raise DataError(f"{source}: not a regular file")
        stream = Path(path).open("rb")  # noqa: SIM115  the caller closes it
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        if isinstance(error, DataError):
            raise
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(f"{source}: cannot be opened: {reason}") from error
    try:
        return stream, _checked(_header(stream, source), os.fstat(stream.fileno()).st_size - stream.tell(), source)
    except BaseException:
        stream.close()
        raise


def read_elements(stream: BinaryIO, header: Header, source: str) -> NDArray[Any]:
    """Read the elements, in the machine's byte order and C order."""
    count = math.prod(header.shape)
    flat = np.fromfile(stream, header.dtype, count)
    if len(flat) != count:
        raise DataError(f"{source}: the file ends inside its elements; it changed while it was read")
    array = flat.reshape(header.shape[::-1]).T if header.fortran_order else flat.reshape(header.shape)
    return np.ascontiguousarray(array, header.dtype.newbyteorder("="))


def _header(stream: BinaryIO, source: str) -> Header:
    start = stream.read(len(_MAGIC) + 2)
    if start[: len(_MAGIC)] != _MAGIC or len(start) < len(_MAGIC) + 2:
        raise DataError(f"{source}: not an .npy file, or badly damaged")
    version = (start[-2], start[-1])
    if version not in _LENGTHS:
        raise DataError(f"{source}: an .npy file of version {version[0]}.{version[1]}, which is not known")
    width = stream.read(_LENGTHS[version])
    length = int.from_bytes(width, "little")
    if length > MAX_HEADER_BYTES:
        raise DataError(f"{source}: its header claims {length} bytes; at most {MAX_HEADER_BYTES} are read")
    text = io.BytesIO(width + stream.read(length))
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of types and headers that old versions of Python wrote
            return Header(*read(text))
    except Exception as error:  # a literal that is none raises anything: SyntaxError, RecursionError, MemoryError, ...
        raise DataError(f"{source}: its header is damaged: {str(error)[:80]}") from error


def _checked(header: Header, size: int, source: str) -> Header:
    if header.dtype.kind not in KINDS or header.dtype.subdtype is not None or header.dtype.itemsize > 8:
        raise DataError(
            f"{source}: holds elements of type {str(header.dtype)[:40]}; wanted numbers of at most 64 bits, real ones"
        )
    if len(header.shape) > MAX_RANK or not all(isinstance(extent, int) and extent > 0 for extent in header.shape):
        raise DataError(f"{source}: holds an array of shape {str(header.shape)[:80]}; an empty one, or none")
    wanted = math.prod(header.shape) * header.dtype.itemsize
    if wanted != size:
        raise DataError(
            f"{source}: its header promises {str(wanted)[:30]} bytes of elements, and {size} follow it; the file is "
            "truncated or damaged"
        )
    return header


def printable(text: str) -> str:
    """A path as text that any stream can write: file names need not be Unicode."""
    return text.encode("utf-8", "backslashreplace").decode()
