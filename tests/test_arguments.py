"""Every bad argument of a convolution raises one error, which names the argument, what came and what was wanted."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import pyconvx
from pyconvx.errors import DTypeError, OptionError, PyconvxError, ShapeError

X = np.ones((2, 6, 7, 4), np.float32)
W = np.ones((3, 3, 4, 8), np.float32)
B = np.ones(8, np.float32)
Y = np.ones((2, 4, 5, 8), np.float32)
HUGE = 2**70


def refuses(error: type[PyconvxError], words: str, call: Callable[[], Any]) -> None:
    """`call` raises exactly this class, and its message has all the words, as regular expressions."""
    with pytest.raises(PyconvxError) as caught:
        call()
    message = str(caught.value)
    assert type(caught.value) is error, f"{type(caught.value).__name__}, not {error.__name__}: {message}"
    for word in words.split():
        assert re.search(rf"(?<![\w.]){word}(?![\w])", message), f"{word!r} is not in {message!r}"
    assert len(message) < 400, "one error, not a page"


FLOAT_OPTIONS = [1.5, float("nan"), "1", None, 1 + 0j, b"1"]


@pytest.mark.parametrize("name", ["stride", "dilation", "padding", "groups"])
@pytest.mark.parametrize("value", FLOAT_OPTIONS, ids=repr)
def test_options_are_integers(name: str, value: Any) -> None:
    refuses(OptionError, name, lambda: pyconvx.conv2d(X, W, **{name: value}))
    if name != "groups":
        refuses(OptionError, name, lambda: pyconvx.conv2d(X, W, **{name: (1, value)}))


@pytest.mark.parametrize(("name", "least"), [("stride", 1), ("dilation", 1), ("padding", 0), ("groups", 1)])
def test_options_have_a_least_value(name: str, least: int) -> None:
    for value in (least - 1, -3, -HUGE):
        refuses(OptionError, f"{name} {value} {least}", lambda v=value: pyconvx.conv2d(X, W, **{name: v}))
    if name != "groups":
        refuses(OptionError, f"{name} {least - 1}", lambda: pyconvx.conv2d(X, W, **{name: (1, least - 1)}))


@pytest.mark.parametrize("name", ["stride", "dilation", "padding"])
@pytest.mark.parametrize("value", [(), (1,), (1, 1, 1), ((1, 1, 1), (1, 1, 1)), (((1, 1),), 1)], ids=repr)
def test_options_have_one_entry_an_axis(name: str, value: Any) -> None:
    refuses(OptionError, name, lambda: pyconvx.conv2d(X, W, **{name: value}))


@pytest.mark.parametrize("value", ["", "SAME", "full", "samé", "causal"])
def test_named_paddings(value: str) -> None:
    refuses(OptionError, "padding", lambda: pyconvx.conv2d(X, W, padding=value))


def test_negative_pairs_of_padding() -> None:
    refuses(OptionError, "padding -1", lambda: pyconvx.conv2d(X, W, padding=((0, -1), (0, 0))))
    refuses(OptionError, "padding -1", lambda: pyconvx.conv1d(X[0], W[0], padding=(-1, 2)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("activation", "gelu"),
        ("activation", 1),
        ("algorithm", "im2col"),
        ("algorithm", None),
        ("precision", "half"),
        ("data_format", "NHWC"),
    ],
)
def test_unknown_words(name: str, value: Any) -> None:
    refuses(OptionError, f"{name} {value}", lambda: pyconvx.conv2d(X, W, **{name: value}))


def test_winograd_cannot_do_float64() -> None:
    x, w = X.astype(np.float64), W.astype(np.float64)
    refuses(OptionError, "algorithm winograd", lambda: pyconvx.conv2d(x, w, algorithm="winograd"))


def test_unknown_keywords_are_pythons_own_error() -> None:
    with pytest.raises(TypeError, match="strides"):
        pyconvx.conv2d(X, W, strides=2)
    with pytest.raises(TypeError, match="positional"):
        pyconvx.conv2d(X, W, B, 2)


# Arrays


@pytest.mark.parametrize(
    "dtype", ["int8", "int32", "uint8", "int64", "bool", "complex64", "longdouble", "object", "U3", "M8[s]"]
)
def test_element_types(dtype: str) -> None:
    x, w, b = (np.zeros(a.shape, dtype) for a in (X, W, B))
    kind = re.escape(str(x.dtype))
    refuses(DTypeError, f"x {kind} float32", lambda: pyconvx.conv2d(x, W))
    refuses(DTypeError, "w float32", lambda: pyconvx.conv2d(X, w))
    refuses(DTypeError, "b float32", lambda: pyconvx.conv2d(X, W, b))


def test_mixed_precisions() -> None:
    refuses(DTypeError, "w float64 float32", lambda: pyconvx.conv2d(X, W.astype(np.float64)))
    refuses(DTypeError, "b float64 float32", lambda: pyconvx.conv2d(X, W, B.astype(np.float64)))
    refuses(DTypeError, "w float32 float64", lambda: pyconvx.conv2d(X.astype(np.float64), W))
    dy = Y.astype(np.float64)
    refuses(DTypeError, "float64 float32", lambda: pyconvx.conv2d_input_grad(dy, W, X.shape))
    refuses(DTypeError, "float64 float32", lambda: pyconvx.conv2d_weight_grad(X, dy, (3, 3)))


@pytest.mark.parametrize(
    "value", ["picture", None, object(), {"a": 1}, [[1.0], [1.0, 2.0]]], ids=lambda v: type(v).__name__
)
def test_what_is_no_array(value: Any) -> None:
    refuses(DTypeError, "x", lambda: pyconvx.conv2d(value, W))
    refuses(DTypeError, "w", lambda: pyconvx.conv2d(X, value))


def test_numbers_of_axes() -> None:
    refuses(ShapeError, "x 2 4", lambda: pyconvx.conv2d(X[0, 0], W))
    refuses(ShapeError, "x 5 4", lambda: pyconvx.conv2d(X[None], W))
    refuses(ShapeError, "x 0", lambda: pyconvx.conv2d(np.float32(1), W))
    refuses(ShapeError, "w 3", lambda: pyconvx.conv2d(X, W[0]))
    refuses(ShapeError, "w 5", lambda: pyconvx.conv2d(X, W[None]))
    refuses(ShapeError, "b", lambda: pyconvx.conv2d(X, W, B[None]))
    refuses(ShapeError, "b", lambda: pyconvx.conv2d(X, W, np.float32(1)))


def test_channels_must_fit() -> None:
    refuses(ShapeError, "w x 4 3", lambda: pyconvx.conv2d(X[..., :3], W))
    refuses(ShapeError, "b 7 8", lambda: pyconvx.conv2d(X, W, B[:7]))
    refuses(ShapeError, "groups=3 4 8", lambda: pyconvx.conv2d(X, W, groups=3))
    refuses(ShapeError, "groups=2 4", lambda: pyconvx.conv2d(X, W, groups=2))
    refuses(ShapeError, f"groups={2**40}", lambda: pyconvx.conv2d(X, W, groups=2**40))
    first = np.ones((2, 4, 6, 7), np.float32)
    refuses(ShapeError, "x", lambda: pyconvx.conv2d(first, W))  # the layout is never guessed
    refuses(ShapeError, "w", lambda: pyconvx.conv2d(first, W, data_format="channels_first"))


def test_kernels_larger_than_the_padded_input() -> None:
    refuses(ShapeError, "kernel 3 2", lambda: pyconvx.conv2d(X[:, :2], W))
    refuses(ShapeError, "kernel 9 8", lambda: pyconvx.conv2d(X, W, dilation=4, padding=1))
    refuses(ShapeError, "kernel", lambda: pyconvx.conv2d(X, W, dilation=2**50))
    refuses(ShapeError, "kernel", lambda: pyconvx.conv2d(X[:, :0], W))
    refuses(ShapeError, "kernel", lambda: pyconvx.conv2d(X, W[:0]))


# Sizes that overflow, or that no machine has: refused before anything is allocated.


@pytest.mark.parametrize("name", ["stride", "dilation", "padding", "groups"])
@pytest.mark.parametrize("value", [2**31, 2**62, 2**63 - 1, 2**63, 2**64 + 1, HUGE], ids=lambda v: f"{v:#x}")
def test_huge_options(name: str, value: int) -> None:
    if name == "stride" and value <= 2**56:
        assert pyconvx.conv2d(X, W, stride=value).shape == (2, 1, 1, 8)  # one output is an honest answer
        return
    with pytest.raises((ShapeError, OptionError), match=name if value > 2**62 else None):
        pyconvx.conv2d(X, W, **{name: value})


@pytest.mark.parametrize("padding", [2**20, 2**24, 2**31 - 1, 2**32, 2**40, 2**56], ids=hex)
def test_huge_paddings_make_huge_results(padding: int) -> None:
    with pytest.raises((ShapeError, OptionError, MemoryError)):
        pyconvx.conv2d(X, W, padding=padding)
    with pytest.raises((ShapeError, OptionError, MemoryError)):
        pyconvx.conv2d(X, W, padding=((0, padding), (padding, 0)))


@pytest.mark.parametrize("stride", [2**31, 2**40])
def test_huge_transposed_results(stride: int) -> None:
    with pytest.raises((ShapeError, OptionError, MemoryError)):
        pyconvx.conv_transpose2d(Y, W, stride=stride)


@pytest.mark.parametrize(
    "shape",
    [(2**20, 2**20, 2**20, 4), (1, 2**31, 2**31, 4), (2**62, 6, 7, 4), (1, 2**61, 1, 4), (0, 2**61, 6, 4)],
    ids=str,
)
def test_huge_input_sizes_of_a_gradient(shape: tuple[int, ...]) -> None:
    with pytest.raises((ShapeError, OptionError)):
        pyconvx.conv2d_input_grad(Y, W, shape)


# Gradients


def test_gradients_want_the_shapes_that_go_together() -> None:
    refuses(ShapeError, "dy 5 4", lambda: pyconvx.conv2d_input_grad(Y, W, (2, 6, 6, 4)))
    refuses(ShapeError, "dy", lambda: pyconvx.conv2d_input_grad(Y, W, (1, 6, 7, 4)))
    refuses(ShapeError, "3", lambda: pyconvx.conv2d_input_grad(Y, W, (2, 6, 7, 3)))
    refuses(ShapeError, "input_size", lambda: pyconvx.conv2d_input_grad(Y, W, (6, 7)))
    refuses(ShapeError, "dy", lambda: pyconvx.conv2d_input_grad(Y[..., :7], W, X.shape))
    refuses(ShapeError, "dy", lambda: pyconvx.conv2d_weight_grad(X, Y[:, :3], (3, 3)))
    refuses(ShapeError, "dy", lambda: pyconvx.conv2d_weight_grad(X, Y[:1], (3, 3)))
    refuses(ShapeError, "x dy batch", lambda: pyconvx.conv2d_weight_grad(X[:1], Y[0], (3, 3)))
    refuses(ShapeError, "x dy batch", lambda: pyconvx.conv2d_weight_grad(X[0], Y[:1], (3, 3)))
    refuses(OptionError, "kernel_size", lambda: pyconvx.conv2d_weight_grad(X, Y, (3, 3, 3)))
    refuses(OptionError, "kernel_size 0", lambda: pyconvx.conv2d_weight_grad(X, Y, 0))
    refuses(ShapeError, "kernel", lambda: pyconvx.conv2d_weight_grad(X, Y, 9))


@pytest.mark.parametrize("value", [(2, 6, 7.5, 4), (2, -6, 7, 4), "abcd", None, 6, (2, 6, 7, HUGE)], ids=repr)
def test_input_size_is_a_shape(value: Any) -> None:
    with pytest.raises((ShapeError, OptionError), match="input_size"):
        pyconvx.conv2d_input_grad(Y, W, value)


def test_output_padding() -> None:
    refuses(OptionError, "output_padding 2", lambda: pyconvx.conv_transpose2d(Y, W, stride=2, output_padding=2))
    refuses(OptionError, "output_padding -1", lambda: pyconvx.conv_transpose2d(Y, W, output_padding=-1))
    refuses(ShapeError, "padding", lambda: pyconvx.conv_transpose2d(Y, W, padding=50))


# out


def test_out_must_fit() -> None:
    refuses(ShapeError, r"out \(2, 4, 5, 7\)", lambda: pyconvx.conv2d(X, W, out=np.empty((2, 4, 5, 7), np.float32)))
    refuses(ShapeError, "out", lambda: pyconvx.conv2d(X[0], W, out=Y[:1].copy()))
    refuses(DTypeError, "out float64 float32", lambda: pyconvx.conv2d(X, W, out=Y.astype(np.float64)))
    refuses(DTypeError, "out float16", lambda: pyconvx.conv2d(X, W, out=Y.astype(np.float16)))
    refuses(DTypeError, "out list", lambda: pyconvx.conv2d(X, W, out=Y.tolist()))
    swapped = np.empty(Y.shape, Y.dtype.newbyteorder())
    refuses(DTypeError, "out", lambda: pyconvx.conv2d(X, W, out=swapped))


def test_out_must_be_writable_and_contiguous() -> None:
    read_only = Y.copy()
    read_only.flags.writeable = False
    refuses(OptionError, "out read-only", lambda: pyconvx.conv2d(X, W, out=read_only))
    spread = np.zeros((2, 4, 5, 16), np.float32)[..., ::2]
    refuses(ShapeError, "out", lambda: pyconvx.conv2d(X, W, out=spread))
    refuses(ShapeError, "out", lambda: pyconvx.conv2d(X, W, out=Y.copy()[::-1]))
    assert not spread.any()


def test_out_must_not_overlap_an_input() -> None:
    memory = np.ones(4096, np.float32)
    x, w, b = memory[: X.size].reshape(X.shape), memory[1000 : 1000 + W.size].reshape(W.shape), memory[2000:2008]
    for start in (0, X.size - 1, 1001, 1999):
        out = memory[start : start + Y.size].reshape(Y.shape)
        refuses(OptionError, "out", lambda o=out: pyconvx.conv2d(x, w, b, out=o))
    assert (memory == 1).all()
    first = memory[: X.size].reshape(2, 4, 6, 7)
    weights_first = memory[1000 : 1000 + W.size].reshape(8, 4, 3, 3)
    out = memory[1001 : 1001 + Y.size].reshape(2, 8, 4, 5)
    refuses(OptionError, "out", lambda: pyconvx.conv2d(first, weights_first, data_format="channels_first", out=out))
    assert (memory == 1).all()
    apart = memory[3000 : 3000 + Y.size].reshape(Y.shape)
    assert pyconvx.conv2d(x, w, b, out=apart) is apart


def test_a_refused_call_leaves_out_alone() -> None:
    out = np.full(Y.shape, 7, np.float32)
    with pytest.raises(PyconvxError):
        pyconvx.conv2d(X, W, B[:3], out=out)
    assert (out == 7).all()


# Threads and instruction sets


@pytest.mark.parametrize("value", [0, -1, 1.5, "2", True, HUGE], ids=repr)
def test_numbers_of_threads(value: Any) -> None:
    before = pyconvx.get_num_threads()
    with pytest.raises(OptionError):
        pyconvx.set_num_threads(value)
    with pytest.raises(OptionError), pyconvx.num_threads(value):
        pass
    assert pyconvx.get_num_threads() == before


@pytest.mark.parametrize("name", ["sse9", "AVX2 ", "neon,scalar"])
def test_unknown_instruction_sets(name: str) -> None:
    before = pyconvx.active_isa()
    refuses(OptionError, f"{name.split()[0].split(',')[0]} scalar", lambda: pyconvx.force_isa(name))
    assert pyconvx.active_isa() == before
