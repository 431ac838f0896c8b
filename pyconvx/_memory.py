"""How much memory there is for a piece of work: refuse early rather than die late."""

from __future__ import annotations

import os
from pathlib import Path


def available() -> int | None:
    """Return the bytes that this process may still take, or None where the system does not say.

    The smaller of what the system calls available and what the process's control group has left.
    """
    return min((size for size in (_system(), _control_group()) if size is not None), default=None)


def format_size(size: int) -> str:
    """Return bytes as people read them.

    Examples
    --------
    >>> format_size(1610612736)
    '1.5 GiB'
    """
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def _system() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _control_group(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return limit minus use of the control group, version 2 or 1; None without a limit."""
    for limit_file, use_file in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            limit, use = (int((root / name).read_text(encoding="ascii")) for name in (limit_file, use_file))
        except (OSError, ValueError):  # no such file, or the word "max"
            continue
        if limit < 2**62:  # version 1 writes a number near 2^63 for "no limit"
            return max(0, limit - use)
    return None
