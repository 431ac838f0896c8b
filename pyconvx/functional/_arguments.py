"""Stride, padding and their like: read in every form that a caller may write, given on as one tuple an axis."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

from pyconvx.errors import OptionError, ShapeError

PerAxis = int | Sequence[int]
Padding = int | str | Sequence[int] | Sequence[Sequence[int]]
Pairs = tuple[tuple[int, int], ...]

_LARGEST = 1 << 56  # what the core can address


def integer(name: str, value: Any, least: int) -> int:
    """`value` as an int of at least `least`; floats and booleans are refused."""
    try:
        number = index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise OptionError(f"{name} is {value!r}; wanted an integer")
    if not least <= number <= _LARGEST:
        raise OptionError(f"{name} is {number}; wanted at least {least}" + (" and less" if number > least else ""))
    return number


def per_axis(name: str, value: PerAxis, rank: int, least: int = 1) -> tuple[int, ...]:
    """One integer for all axes, or one for each."""
    if not isinstance(value, Sequence) or isinstance(value, (str, bytes)):
        return (integer(name, value, least),) * rank
    if len(value) != rank:
        raise OptionError(f"{name} is {value!r}; wanted one integer, or {rank} of them, one for each spatial axis")
    return tuple(integer(name, entry, least) for entry in value)


def choice(name: str, value: Any, allowed: tuple[str | None, ...]) -> None:
    """Refuses a word that is not allowed."""
    if value not in allowed:
        raise OptionError(f"{name} is {value!r}; wanted one of {', '.join(repr(word) for word in allowed)}")


def simple(name: str, value: Any) -> Any:
    """`value` as something hashable that compares as it was written: a key of a cache, in which True would be 1."""
    kind = type(value)
    if kind is int or kind is str:
        return value
    if kind is bool:
        raise OptionError(f"{name} is {value!r}; wanted an integer")
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return tuple(simple(name, entry) for entry in value)
    try:
        return index(value)
    except TypeError:
        pass
    if hasattr(value, "tolist"):
        return simple(name, value.tolist())
    raise OptionError(f"{name} is {value!r}; wanted an integer or a sequence of integers")


def padding_pairs(
    padding: Padding,
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> Pairs:
    """(before, after) for each axis. "same" keeps ceil(size / stride) outputs and puts the extra one at the end."""
    rank = len(size)
    if isinstance(padding, str):
        return _named_padding(padding, size, kernel, stride, dilation)
    if not isinstance(padding, Sequence):
        amount = integer("padding", padding, 0)
        return ((amount, amount),) * rank
    entries = list(padding)
    if rank == 1 and len(entries) == 2 and not any(hasattr(entry, "__len__") for entry in entries):
        return ((integer("padding", entries[0], 0), integer("padding", entries[1], 0)),)
    if len(entries) != rank:
        raise OptionError(
            f"padding is {padding!r}; wanted one integer, {rank} of them, {rank} pairs (before, after), or a name"
        )
    return tuple(_pair(padding, entry) for entry in entries)


def _pair(padding: Any, entry: Any) -> tuple[int, int]:
    if not hasattr(entry, "__len__"):
        amount = integer("padding", entry, 0)
        return amount, amount
    if len(entry) != 2:
        raise OptionError(f"padding is {padding!r}; each entry must be an integer or a pair (before, after)")
    return integer("padding", entry[0], 0), integer("padding", entry[1], 0)


def _named_padding(
    name: str, size: tuple[int, ...], kernel: tuple[int, ...], stride: tuple[int, ...], dilation: tuple[int, ...]
) -> Pairs:
    if name == "valid":
        return ((0, 0),) * len(size)
    if name == "causal":
        if len(size) != 1:
            raise OptionError("padding='causal' is for 1D only: it pads in front of the first sample")
        return ((dilation[0] * (kernel[0] - 1), 0),)
    if name != "same":
        raise OptionError(f"padding is {name!r}; the names are 'valid', 'same' and, for 1D, 'causal'")
    pairs = []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        total = max(0, (-(-n // s) - 1) * s + d * (k - 1) + 1 - n)
        pairs.append((total // 2, total - total // 2))
    return tuple(pairs)


def output_size(n: int, kernel: int, stride: int, dilation: int, pair: tuple[int, int]) -> int:
    """floor((n + before + after - dilation (kernel - 1) - 1) / stride) + 1; zero or less where the kernel is larger."""
    return (n + sum(pair) - dilation * (kernel - 1) - 1) // stride + 1


def require_fit(size: tuple[int, ...], kernel: tuple[int, ...], dilation: tuple[int, ...], pairs: Pairs) -> None:
    """Refuses a dilated kernel that is larger than the padded input."""
    for axis, (n, k, d, pair) in enumerate(zip(size, kernel, dilation, pairs, strict=True)):
        reach = d * (k - 1) + 1
        if reach > n + sum(pair):
            raise ShapeError(
                f"the kernel is larger than the input on spatial axis {axis}: it spans {reach} (size {k}, "
                f"dilation {d}), the padded input has {n + sum(pair)}; pad more, or use a smaller kernel"
            )
