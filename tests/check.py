"""How results are compared: tolerances by name, guarded and poisoned outputs, and the instruction set under test.

Errors are measured as max |actual - expected| / scale, where scale is rms(expected) or, if larger, what the caller
gives. Tests on N(0, 1) data give sqrt(length of the sum), the rms that theory promises: where few outputs are drawn
they may all be small by chance, while rounding errors stay as large as the terms.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import pyconvx
from pyconvx import _core

UNIT_ROUNDOFF = {np.dtype(np.float32): 2.0**-24, np.dtype(np.float64): 2.0**-53}


# Tolerances


def direct_tolerance(length: int, dtype: Any) -> float:
    """For a sum of `length` products added one after the other.

    The partial sums of a result that is t times the rms grow up to t, so its rounding errors, drawn independently, have
    rms u t sqrt(length) / 3 of that rms. Among the 1e5 results of a test t reaches 4.5 and an error three times its
    rms: 5 u sqrt(length). Five roundings more are for short sums and bias. In float64 the oracle rounds as often as the
    library does, which allows the difference twice as much.
    """
    rounds = 2 if np.dtype(dtype) == np.float64 else 1
    return rounds * UNIT_ROUNDOFF[np.dtype(dtype)] * (5 + 5 * math.sqrt(length))


# A direct sum over 512 channels of a 3x3 kernel that is split every 64 to 128 channels; one long chain gives 1.2e-5.
SPLIT_SUM_TOLERANCE = 4e-6


def contract_tolerance(length: int) -> float:
    """What algorithm="auto" promises in float32: one level up to 512 channels of a 3x3 kernel, then growing."""
    return 1.5e-5 * math.sqrt(max(1.0, length / (9 * 512)))


def tolerance(length: int, dtype: Any, algorithm: str = "auto") -> float:
    """The bound of an algorithm, by its name in the library."""
    direct = direct_tolerance(length, dtype)
    return direct if algorithm == "direct" or np.dtype(dtype) == np.float64 else max(direct, contract_tolerance(length))


# Comparison


def rms(a: np.ndarray) -> float:
    finite = np.where(np.isfinite(a), a, 0.0)
    return float(np.sqrt(np.mean(finite * finite))) if a.size else 0.0


def assert_close(
    actual: Any, expected: np.ndarray, tolerance: float, scale: float = 0.0, what: str = "result"
) -> float:
    """The worst error, printed; fails above the tolerance, on another shape, and where Inf or NaN lie elsewhere."""
    assert isinstance(actual, np.ndarray), f"{what} is {type(actual).__name__}, not an array"
    assert actual.shape == expected.shape, f"{what} has shape {actual.shape}, not {expected.shape}"
    if not expected.size:
        return 0.0
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(np.where(finite, 0.0, expected), np.where(np.isfinite(actual), 0.0, actual), what)
    difference = np.abs(np.where(finite, actual, 0.0).astype(np.float64) - np.where(finite, expected, 0.0))
    unit = max(rms(expected), scale)
    worst = float(difference.max() / unit) if unit else float(difference.max())
    place = tuple(int(i) for i in np.unravel_index(int(difference.argmax()), difference.shape))
    print(f"{what}: worst error {worst:.2e} of {tolerance:.2e} at {place}")
    assert worst <= tolerance, (
        f"{what}: error {worst:.3e} above {tolerance:.3e} at {place}: {actual[place]!r}, not {expected[place]!r}; "
        f"{np.count_nonzero(difference > tolerance * unit)} of {difference.size} elements are off"
    )
    return worst


def assert_same_bits(actual: np.ndarray, expected: np.ndarray, what: str = "result") -> None:
    assert actual.dtype == expected.dtype, f"{what}: {actual.dtype}, not {expected.dtype}"
    assert actual.shape == expected.shape, f"{what}: {actual.shape}, not {expected.shape}"
    unsigned = np.dtype(f"u{actual.dtype.itemsize}")
    differ = np.count_nonzero(
        np.ascontiguousarray(actual).view(unsigned) != np.ascontiguousarray(expected).view(unsigned)
    )
    assert differ == 0, f"{what}: {differ} of {actual.size} elements differ in their bits"


# Outputs


GUARD_BYTES = 4096


def guarded_output(shape: Sequence[int], dtype: Any) -> tuple[np.ndarray, Callable[[], None]]:
    """A writable array full of NaN between two guard zones, and the check that nobody wrote into those."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.full(GUARD_BYTES + size + GUARD_BYTES, 0xA5, np.uint8)
    out = memory[GUARD_BYTES : GUARD_BYTES + size].view(dtype).reshape(shape)
    out[...] = np.nan

    def check() -> None:
        before, after = memory[:GUARD_BYTES], memory[GUARD_BYTES + size :]
        assert (before == 0xA5).all(), "memory before the output was written"
        assert (after == 0xA5).all(), "memory after the output was written"

    return out, check


# Memory


def peak_memory(call: Callable[[], Any]) -> tuple[Any, int]:
    """The call's result, and how many bytes the pool had out at once meanwhile, over what was out before.

    Nothing else comes back to the pool then: collecting garbage before would look through what pytest keeps of
    thousands of tests.
    """
    gc.disable()
    try:
        before = pyconvx.memory()["in_use"]
        _core.reset_memory_peak()
        result = call()
        return result, pyconvx.memory()["peak"] - before
    finally:
        gc.enable()


# Instruction sets


@contextmanager
def forced_isa(name: str) -> Iterator[str]:
    """Runs the block with one instruction set, having seen that the library reports this one and no other."""
    usual = pyconvx.active_isa()
    pyconvx.force_isa(name)
    try:
        assert pyconvx.active_isa() == name, f"forced {name}, but {pyconvx.active_isa()} is active"
        yield name
    finally:
        pyconvx.force_isa(usual)


def missing_isas(required: str, available: Sequence[str]) -> list[str]:
    """Names in the comma-separated `required` (PYCONVX_REQUIRE_ISA) that the machine does not have."""
    return [name for name in required.split(",") if name and name not in available]
