"""Safetensors: what is written comes back, and every hostile file is refused before memory is taken for it."""

from __future__ import annotations

import contextlib
import json
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyconvx.errors import DTypeError, OptionError, WeightsError
from pyconvx.nn import safetensors
from pyconvx.nn._safetensors_header import MAX_HEADER_BYTES

DTYPES = ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]


def file_bytes(header: object, data: bytes = b"", *, length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def tensor(begin: int, end: int, shape: list[Any] | None = None, dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": [(end - begin) // 4] if shape is None else shape, "data_offsets": [begin, end]}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0, 2), (2, 3, 5)])
def test_round_trip_keeps_bits(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    array = rng.integers(0, 2 if dtype == "?" else 100, shape).astype(dtype)
    safetensors.save_file({"a": array, "b": np.float32([np.nan, np.inf, -0.0])}, tmp_path / "x.safetensors")
    back = safetensors.load_file(tmp_path / "x.safetensors")
    assert set(back) == {"a", "b"}
    assert back["a"].dtype == array.dtype
    assert back["a"].shape == shape
    assert back["a"].tobytes() == array.tobytes()
    assert back["b"].tobytes() == np.float32([np.nan, np.inf, -0.0]).tobytes()


def test_strided_and_big_endian_arrays_are_written_in_order() -> None:
    array = np.arange(24, dtype=">f4").reshape(4, 6)[::-2, ::3]
    np.testing.assert_array_equal(safetensors.load(safetensors.save({"a": array}))["a"], array)


def test_same_mapping_same_bytes_and_aligned() -> None:
    tensors = {"b": np.zeros(3, np.int8), "a": np.ones(5, np.float64), "c": np.zeros(1, np.float16)}
    data = safetensors.save(tensors, metadata={"y": "1", "x": "2"})
    assert data == safetensors.save(dict(reversed(tensors.items())), metadata={"x": "2", "y": "1"})
    length = int.from_bytes(data[:8], "little")
    assert length % 8 == 0
    header = json.loads(data[8 : 8 + length])
    assert header["a"]["data_offsets"] == [0, 40]
    assert header["c"]["data_offsets"] == [40, 42]


def test_metadata(tmp_path: Path) -> None:
    safetensors.save_file({}, tmp_path / "m", metadata={"licence": "MIT ©"})
    assert safetensors.load_metadata(tmp_path / "m") == {"licence": "MIT ©"}
    assert safetensors.load_file(tmp_path / "m") == {}


def test_bfloat16_is_widened() -> None:
    data = np.array([0x3F80, 0xC040, 0x7F80], "<u2").tobytes()  # 1, -3, infinity
    header = {"a": tensor(0, 6, [3], "BF16"), "b": tensor(6, 8, [], "BF16")}
    back = safetensors.load(file_bytes(header, data + b"\x80\x3f"))
    np.testing.assert_array_equal(back["a"], np.float32([1, -3, np.inf]))
    assert back["b"].shape == ()
    assert back["b"] == 1


def test_entries_in_any_order_are_read_by_offset() -> None:
    data = np.arange(3, dtype="<f4").tobytes()
    back = safetensors.load(file_bytes({"late": tensor(8, 12), "early": tensor(0, 8)}, data))
    np.testing.assert_array_equal(back["late"], [2])
    np.testing.assert_array_equal(back["early"], [0, 1])


DATA = bytes(16)
# Every way that we know to lie, with a part of what must be said about it.
HOSTILE: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "too few"),
    "short length": (b"\x01\x00", "too few"),
    "truncated header": (file_bytes({"a": tensor(0, 16)}, DATA)[:20], "truncated"),
    "truncated data": (file_bytes({"a": tensor(0, 16)}, DATA)[:-1], "truncated"),
    "trailing data": (file_bytes({"a": tensor(0, 16)}, DATA + b"!"), "truncated or damaged"),
    "huge header length": (file_bytes({"a": tensor(0, 16)}, DATA, length=2**63), "at most"),
    "header over the cap": (file_bytes(b"{" + b" " * MAX_HEADER_BYTES + b"}"), "at most"),
    "not JSON": (file_bytes(b"{'a': 1}"), "cannot be read"),
    "not an object": (file_bytes([1]), "does not begin"),
    "leading space": (file_bytes(b" {}"), "does not begin"),
    "two objects": (file_bytes(b"{}{}"), "cannot be read"),
    "not UTF-8": (file_bytes(b'{"\xff": 1}'), "cannot be read"),
    "zip": (b"PK\x03\x04" + bytes(100), "claims"),
    "pickle": (b"\x80\x02}q\x00X" + bytes(100), "claims"),
    "deep nesting": (file_bytes(b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"), "header"),
    "long number": (file_bytes(b'{"a": ' + b"9" * 20 + b"}"), "a number of 20 digits"),
    "very long number": (file_bytes(b'{"a": ' + b"9" * 1_000_000 + b"}"), "a number of 1000000 digits"),
    "fraction": (
        file_bytes(b'{"a": {"dtype": "F32", "shape": [4.0], "data_offsets": [0, 16]}}', DATA),
        "whole numbers",
    ),
    "NaN": (file_bytes(b'{"a": {"dtype": "F32", "shape": [NaN], "data_offsets": [0, 16]}}', DATA), "whole numbers"),
    "duplicate tensor": (file_bytes(b'{"a": 1, "a": 2}'), "twice"),
    "duplicate field": (file_bytes(b'{"a": {"dtype": "F32", "dtype": "F32"}}'), "twice"),
    "surrogate name": (file_bytes(b'{"\\ud800": 1}'), "not text"),
    "entry not an object": (file_bytes({"a": 1}), "exactly"),
    "missing field": (file_bytes({"a": {"dtype": "F32", "shape": [4]}}, DATA), "exactly"),
    "extra field": (file_bytes({"a": {**tensor(0, 16), "x": 1}}, DATA), "exactly"),
    "unknown type": (file_bytes({"a": tensor(0, 16, dtype="F8_E4M3")}, DATA), "F8_E4M3"),
    "type not text": (file_bytes({"a": tensor(0, 16, dtype=["F32"])}, DATA), "type"),
    "object type": (file_bytes({"a": tensor(0, 16, dtype="O")}, DATA), "type"),
    "negative size": (file_bytes({"a": tensor(0, 16, [-2, -2])}, DATA), "shape"),
    "boolean size": (file_bytes({"a": tensor(0, 16, [True, 4])}, DATA), "shape"),
    "too many axes": (file_bytes({"a": tensor(0, 16, [1] * 40 + [4])}, DATA), "shape"),
    "shape not a list": (file_bytes({"a": tensor(0, 16) | {"shape": 4}}, DATA), "shape"),
    "shape too large": (file_bytes({"a": tensor(0, 16, [5])}, DATA), "takes 20 bytes"),
    "shape too small": (file_bytes({"a": tensor(0, 16, [3])}, DATA), "takes 12 bytes"),
    "shape that wraps at 64 bits": (file_bytes({"a": tensor(0, 16, [2**62 + 1, 4])}, DATA), "no memory"),
    "zero hides overflow": (file_bytes({"a": tensor(0, 0, [0, 2**62, 2**62])}), "no memory"),
    "huge tensor": (file_bytes({"a": tensor(0, 2**40, [2**38])}, DATA), "truncated"),
    "offset order": (file_bytes({"a": tensor(16, 0, [4])}, DATA), "begin and an end"),
    "negative offset": (file_bytes({"a": tensor(-16, 0, [4])}, DATA), "begin and an end"),
    "three offsets": (file_bytes({"a": tensor(0, 16) | {"data_offsets": [0, 8, 16]}}, DATA), "begin and an end"),
    "out of range": (file_bytes({"a": tensor(0, 20)}, DATA), "truncated"),
    "overlap": (file_bytes({"a": tensor(0, 12), "b": tensor(8, 16)}, DATA), "overlaps"),
    "same bytes twice": (file_bytes({"a": tensor(0, 16), "b": tensor(0, 16)}, DATA), "overlaps"),
    "hole at the start": (file_bytes({"a": tensor(4, 16)}, DATA), "hole"),
    "hole inside": (file_bytes({"a": tensor(0, 4), "b": tensor(8, 16)}, DATA), "hole"),
    "metadata not text": (file_bytes({"__metadata__": {"a": 1}}), "__metadata__"),
    "metadata not a table": (file_bytes({"__metadata__": []}), "__metadata__"),
    "BOOL of two": (file_bytes({"a": tensor(0, 2, [2], "BOOL")}, b"\x01\x02"), "other than 0 and 1"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_without_large_allocations(tmp_path: Path, name: str) -> None:
    data, message = HOSTILE[name]
    (tmp_path / "x").write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match=message) as caught:
            safetensors.load_file(tmp_path / "x")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 1000
    assert peak < 16 * len(data) + (1 << 20)
    with pytest.raises(WeightsError, match=message):
        safetensors.load(data)


def test_a_full_header_of_small_values_stays_small() -> None:
    """The worst amplification we know of: a list of small numbers, eight bytes of pointer for two of text."""
    data = file_bytes(b'{"a": [' + b"1," * (MAX_HEADER_BYTES // 2 - 8) + b"1]}")
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError, match="exactly"):
            safetensors.load(data)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.data())
def test_no_damage_escapes_as_another_error(data: st.DataObject) -> None:
    """Any byte changed, removed or added: read correctly or refused, never another exception."""
    whole = bytearray(safetensors.save({"a": np.arange(6, dtype=np.float32), "b": np.ones((2, 2), bool)}))
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(whole) - 1))
        whole[position : position + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=2))
    with contextlib.suppress(WeightsError):
        safetensors.load(bytes(whole))


def test_only_regular_files(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="regular file"):
        safetensors.load_file(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(WeightsError, match="regular file"):
            safetensors.load_file(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError):
        safetensors.load_file(tmp_path / "missing")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: safetensors.save({"a": np.zeros(2, complex)}), DTypeError, "'a' has type complex128"),
        (lambda: safetensors.save({"a": np.array([None])}), DTypeError, "object"),
        (lambda: safetensors.save({"__metadata__": np.zeros(1)}), OptionError, "__metadata__"),
        (lambda: safetensors.save({1: np.zeros(1)}), OptionError, "cannot be named"),  # type: ignore[dict-item]
        (lambda: safetensors.save({"\ud800": np.zeros(1)}), OptionError, "surrogate"),
        (lambda: safetensors.save({}, metadata={"a": 1}), OptionError, "metadata"),  # type: ignore[dict-item]
        (lambda: safetensors.save({}, metadata={"a": "x" * MAX_HEADER_BYTES}), OptionError, "read back"),
    ],
)
def test_what_cannot_be_written(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x"
    safetensors.save_file({"a": np.zeros(3)}, path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        safetensors.save_file({"a": np.ones(3)}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "link"
    try:
        link.symlink_to(tmp_path / "real")
    except OSError:
        pytest.skip("no symbolic links here")
    safetensors.save_file({"a": np.ones(2)}, link)
    assert link.is_symlink()
    np.testing.assert_array_equal(safetensors.load_file(tmp_path / "real")["a"], [1, 1])
