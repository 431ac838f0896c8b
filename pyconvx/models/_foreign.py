"""What a file is that holds no weights, by its first bytes: what a download leaves behind when it goes wrong."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from pyconvx.errors import WeightsError

ANEW = "copy or download it anew"
_PAGE = "is a web page, not the file that it was to lead to; download the file itself"
# The beginning of a file -> what it is, and what to do. Of text only after spaces and in any case of letters.
_KNOWN = (
    (b"", f"is empty; {ANEW}"),
    (b"BZh", "is packed by bzip2; unpack it with bunzip2 first"),
    (b"\x1f\x8b", "is packed by gzip; unpack it with gunzip first"),
    (b"\xfd7zXZ\x00", "is packed by xz; unpack it with unxz first"),
    (b"\x89PNG", "is a picture; give the file with the weights"),
    (b"\xff\xd8\xff", "is a picture; give the file with the weights"),
    (b"version https://git-lfs", "is a pointer of Git LFS, not the file itself; fetch that with git lfs pull"),
    (b"<!doctype html", _PAGE),
    (b"<html", _PAGE),
)


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file: a pipe or a device could stall or never end.

    Raises
    ------
    WeightsError
        If it is none.
    OSError
        If it cannot be opened.
    """
    mode = Path(path).stat().st_mode
    if not stat.S_ISREG(mode):
        what = "is a folder" if stat.S_ISDIR(mode) else "is no regular file"
        raise WeightsError(f"{os.fspath(path)}: {what}; give the path of the file with the weights")
    return Path(path).open("rb")


def refuse_foreign(head: bytes, source: str) -> None:
    """Raise a WeightsError that says what a file is, if its beginning shows that it is something else."""
    text = head.lstrip().lower()
    for start, what in _KNOWN:
        if head == start or (start and (head.startswith(start) or text.startswith(start))):
            raise WeightsError(f"{source}: {what}")
