"""Threads, instruction sets and memory: what runs, and with how much."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from operator import index

from pyconvx import _core
from pyconvx.errors import OptionError


def set_num_threads(n: int | None) -> None:
    """Threads that calls from this Python thread may use; None goes back to the default.

    The default is what the process may really use: its affinity, its cgroup quota, OMP_NUM_THREADS. Results have the
    same bits for any number.
    """
    if n is None:
        _core.set_num_threads(0)
        return
    try:
        number = 0 if isinstance(n, bool) else index(n)
    except TypeError:
        number = 0
    if not 1 <= number <= 1024:
        raise OptionError(f"n is {n!r}; wanted a number of threads from 1 to 1024, or None for the default")
    _core.set_num_threads(number)


def get_num_threads() -> int:
    """Threads that a call from this Python thread may use."""
    return _core.get_num_threads()


@contextmanager
def num_threads(n: int) -> Iterator[None]:
    """Within the block, calls from this Python thread use at most n threads."""
    before = _core.get_num_threads()
    set_num_threads(n)
    try:
        yield
    finally:
        _core.set_num_threads(before)


def active_isa() -> str:
    """The instruction set in use: "avx512", "avx2", "neon" or "scalar"."""
    return _core.active_isa()


def available_isas() -> list[str]:
    """The instruction sets that this processor and this build have, best first."""
    return _core.available_isas()


def force_isa(name: str | None) -> None:
    """Use this instruction set in the whole process (for tests); None goes back to the default.

    Every thread uses it from then on, so force one while no other thread computes.
    The environment variable PYCONVX_ISA does the same from the start.
    """
    _core.force_isa(name or "")


def memory() -> dict[str, int]:
    """Bytes of the pool that scratch and large results come from: in_use, cached, peak, limit."""
    return _core.memory()


def trim_memory() -> None:
    """Gives cached memory back to the system."""
    _core.trim_memory()


def show_config() -> dict[str, object]:
    """Version, instruction sets, threads and memory, as a dictionary."""
    from pyconvx._version import __version__

    return {
        "version": __version__,
        "isa": active_isa(),
        "available_isas": available_isas(),
        "num_threads": get_num_threads(),
        "default_num_threads": _core.default_num_threads(),
        "memory": memory(),
    }
