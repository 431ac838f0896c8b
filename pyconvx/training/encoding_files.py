"""Encodings as files, written as they come: .npz for NumPy, .csv for everything else.

An .npz has "encodings" (files, depth), "names" and "labels" (files,); nothing in it is pickled. A .csv has a column for
the name, one for the label, and one for each number. A file is whole or not there.
"""

from __future__ import annotations

import csv
import os
import secrets
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import OptionError
from pyconvx.training._npy import printable
from pyconvx.training.folders import Entry

SUFFIXES = (".npz", ".csv")


class EncodingWriter(Protocol):
    """Takes encodings a batch at a time; as a context it keeps the file if all went well, and else leaves nothing."""

    def write(self, entries: Sequence[Entry], encodings: NDArray[Any]) -> None:
        """Append encodings (files, depth)."""
        ...

    def __enter__(self) -> EncodingWriter: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def encoding_writer(path: str | os.PathLike[str]) -> EncodingWriter:
    """Return a writer for a file whose name ends in .npz or .csv; one that is there is replaced at the end.

    Raises
    ------
    OptionError
        If the name ends in something else, or its folder does not exist.
    """
    target = check_writable(path)
    return _Csv(target) if target.suffix.lower() == ".csv" else _Npz(target)


def check_writable(path: str | os.PathLike[str]) -> Path:
    """Return the path, after everything that can be refused before any work."""
    target = Path(path)
    if target.suffix.lower() not in SUFFIXES:
        raise OptionError(f"{target}: encodings are written to files that end in {' or '.join(SUFFIXES)}")
    if target.is_dir() or not target.resolve().parent.is_dir():
        raise OptionError(f"{target}: is a folder, or its folder does not exist")
    return target


class _Beside:
    """A file beside the target that takes its place at the end."""

    def __init__(self, target: Path) -> None:
        self._target = Path(os.path.realpath(target))
        self._beside = self._target.with_name(f".{self._target.name}.{secrets.token_hex(6)}.tmp")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._finish(kind is None)
            if kind is None:
                self._beside.replace(self._target)
        finally:
            self._beside.unlink(missing_ok=True)

    def _finish(self, wanted: bool) -> None:
        raise NotImplementedError


class _Csv(_Beside):
    def __enter__(self) -> _Csv:
        self._stream = self._beside.open("x", encoding="utf-8", newline="")
        self._rows = csv.writer(self._stream, lineterminator="\n")
        self._begun = False
        return self

    def write(self, entries: Sequence[Entry], encodings: NDArray[Any]) -> None:
        if not self._begun:
            self._rows.writerow(["name", "label", *(f"e{place}" for place in range(encodings.shape[1]))])
            self._begun = True
        for entry, encoding in zip(entries, encodings, strict=True):  # str() of a float32 has just its digits
            self._rows.writerow([printable(entry.name), entry.label, *map(str, encoding)])

    def _finish(self, wanted: bool) -> None:
        self._stream.close()


class _Npz(_Beside):
    """Numbers go to a nameless file first: how many there will be is known at the end, and memory is for names only."""

    def __enter__(self) -> _Npz:
        self._raw: BinaryIO = tempfile.TemporaryFile(dir=self._target.parent)
        self._shape, self._dtype = (0, 0), np.dtype(np.float32)
        self._names: list[str] = []
        self._labels: list[str] = []
        return self

    def write(self, entries: Sequence[Entry], encodings: NDArray[Any]) -> None:
        self._raw.write(np.ascontiguousarray(encodings).data)
        self._shape, self._dtype = (self._shape[0] + len(encodings), encodings.shape[1]), encodings.dtype
        self._names += [printable(entry.name) for entry in entries]
        self._labels += [entry.label for entry in entries]

    def _finish(self, wanted: bool) -> None:
        with self._raw:
            if not wanted:
                return
            self._raw.seek(0)
            with zipfile.ZipFile(self._beside, "x", zipfile.ZIP_STORED) as archive:
                with archive.open("encodings.npy", "w", force_zip64=True) as stream:
                    _begin(stream, self._shape, self._dtype)
                    shutil.copyfileobj(self._raw, stream, 1 << 20)
                for name, texts in (("names", self._names), ("labels", self._labels)):
                    array = np.array(texts, np.str_) if texts else np.empty(0, "<U1")
                    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                        np.lib.format.write_array(stream, array, allow_pickle=False)


def _begin(stream: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """The header of an .npy file whose elements follow."""
    np.lib.format.write_array_header_1_0(
        stream, {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    )
