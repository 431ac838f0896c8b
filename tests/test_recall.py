"""Calls that are remembered: the same results and errors as the first time, whatever else was called before."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import CONV_CASES, ConvCase, draw_normal
from check import assert_same_bits

import pyconvx
from pyconvx import _core, nn
from pyconvx.errors import DTypeError, OptionError, PyconvxError, ShapeError
from pyconvx.functional._packing import PackedWeights

RNG = np.random.default_rng(0)
X, W, B = draw_normal((1, 6, 7, 4), "float32", 1), draw_normal((3, 3, 4, 8), "float32", 2), np.ones(8, np.float32)
OPTIONS = ((1, 1), 0, 1, 1, "channels_last", "auto", "default")


def function(case: ConvCase, direction: str = "") -> Any:
    return getattr(pyconvx, f"conv{case.rank}d{direction}")


@pytest.mark.parametrize("case", CONV_CASES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_second_call_has_the_bits_of_the_first(case: ConvCase, dtype: str, isa: str) -> None:
    """The first one goes the long way (other numbers, to see that nothing but sizes is remembered)."""
    names = ((case.x_shape, 1), (case.w_shape, 2), (case.y_shape, 3), (case.channels[1:], 4))
    x, w, dy, b = (draw_normal(shape, dtype, seed) for shape, seed in names)
    calls: list[Callable[[float], Any]] = [
        lambda scale: function(case)(x * scale, w, b, activation="relu", **case.options),
        lambda scale: function(case, "_input_grad")(dy * scale, w, case.x_shape, **case.options),
        lambda scale: function(case, "_weight_grad")(x * scale, dy, case.kernel, **case.options)[0],
        lambda scale: function(case, "_weight_grad")(x, dy * scale, case.kernel, **case.options)[1],
    ]
    for call in calls:
        call(2.0)
        again = call(1.0)
        long_way: list[Any] = []
        thread = threading.Thread(target=lambda c=call, into=long_way: into.append(c(1.0)))  # remembers nothing yet
        thread.start()
        thread.join()
        assert_same_bits(again, long_way[0])


def known(x: Any, w: Any = W, b: Any = None, options: tuple[Any, ...] = OPTIONS, rank: int = 2) -> bool:
    return _core.recall("conv", rank, x, w, b, options, None) is not None


def test_a_call_is_recalled_for_the_same_sizes_types_and_values_only() -> None:
    pyconvx.conv2d(X, W, stride=(1, 1))
    assert known(X)
    assert known(X + 1, W.copy())
    read_only = X.copy()
    read_only.flags.writeable = False
    assert known(read_only)
    assert known(pickle.loads(pickle.dumps(X)))  # its dtype is an object of its own
    others: list[Any] = [X[0], X[:, :5], X.astype(np.float64), X[:, ::-1], np.asfortranarray(X), X.tolist(), None]
    others += [X.astype(X.dtype.newbyteorder()), X.view(np.matrix) if X.ndim == 2 else X.view(np.recarray), X[None]]
    for x in others:
        assert not known(x)
    assert not known(X, W[:2].copy())
    assert not known(X, W, B)
    assert not known(X, W, rank=3)
    for i, other in [
        (0, 1),
        (0, (1, True)),
        (0, (1, 1.0)),
        (0, (1,)),
        (0, ((1, 1),)),
        (0, [1, 1]),
        (1, False),
        (2, True),
    ]:
        assert not known(X, options=(*OPTIONS[:i], other, *OPTIONS[i + 1 :]))
    assert not known(X, options=(*OPTIONS[:5], "direct", "default"))
    assert not known(X, options=(*OPTIONS, 0))


def test_errors_stay_what_they_are() -> None:
    """What is equal in Python, as True and 1 are, is not equal here."""
    for stride in (1, (1, 1), np.int64(1), [1, 1]):
        np.testing.assert_array_equal(pyconvx.conv2d(X, W, stride=stride), pyconvx.conv2d(X, W))
    wrong: list[tuple[type[PyconvxError], Callable[[], Any]]] = [
        (OptionError, lambda: pyconvx.conv2d(X, W, stride=True)),
        (OptionError, lambda: pyconvx.conv2d(X, W, stride=(1, True))),
        (OptionError, lambda: pyconvx.conv2d(X, W, stride=(1, 1.0))),
        (OptionError, lambda: pyconvx.conv2d(X, W, padding=False)),
        (OptionError, lambda: pyconvx.conv2d(X, W, padding=((0, 0), (0, False)))),
        (OptionError, lambda: pyconvx.conv2d(X, W, groups=True)),
        (OptionError, lambda: pyconvx.conv2d(X, W, activation=False)),
        (DTypeError, lambda: pyconvx.conv2d(X.astype(np.int32), W)),
        (DTypeError, lambda: pyconvx.conv2d(X, W.astype(np.float64))),
        (ShapeError, lambda: pyconvx.conv2d(X, W, B[:7])),
        (OptionError, lambda: pyconvx.conv2d_weight_grad(X, pyconvx.conv2d(X, W), (3, 3.0))),
        (OptionError, lambda: pyconvx.conv2d_input_grad(pyconvx.conv2d(X, W), W, (1, 6, 7, 4.0))),
    ]
    for _ in range(2):
        for padding in (0, ((0, 0), (0, 0)), (0, 0)):
            pyconvx.conv2d(X, W, padding=padding)
        for error, call in wrong:
            with pytest.raises(error):
                call()


INTO: list[Callable[..., Any]] = [
    lambda x, **out: pyconvx.conv2d(x, W, **out),
    lambda x, **out: pyconvx.conv2d_input_grad(x, np.ones((3, 3, 5, 4), np.float32), (1, 8, 9, 5), **out),
    lambda x, **out: pyconvx.conv_transpose2d(x, np.ones((3, 3, 5, 4), np.float32), **out),
    lambda x, **out: pyconvx.max_pool2d(x, 2, **out),
    lambda x, **out: pyconvx.max_pool2d(x, 2, return_indices=True, **out)[0],
    lambda x, **out: pyconvx.max_pool2d_grad(x, np.zeros(x.shape, np.uint8), (1, 12, 14, 4), 2, **out),
    lambda x, **out: pyconvx.avg_pool2d(x, 2, **out),
    lambda x, **out: pyconvx.avg_pool2d_grad(x, (1, 12, 14, 4), 2, **out),
    lambda x, **out: pyconvx.gram(x, **out),
    lambda x, **out: pyconvx.gram_grad(x, np.ones((1, 4, 4), np.float32), **out),
]


@pytest.mark.parametrize("call", INTO)
def test_a_remembered_call_writes_where_it_is_told_and_nowhere_else(call: Callable[..., Any]) -> None:
    x = draw_normal((1, 6, 7, 4), "float32", 1)
    expected = call(x)
    for _ in range(3):
        out = np.full_like(expected, np.nan)
        assert call(x, out=out) is out
        assert_same_bits(out, expected)
    assert_same_bits(call(x), expected)
    read_only, small = np.zeros_like(expected), np.zeros((*expected.shape[:-1], 1), np.float32)
    read_only.flags.writeable = False
    wrong: list[tuple[type[PyconvxError], Any]] = [
        (OptionError, read_only),
        (ShapeError, small),
        (ShapeError, np.zeros((*expected.shape, 2), np.float32)[..., 0]),
        (DTypeError, np.zeros(expected.shape)),
        (DTypeError, np.zeros(expected.shape, np.uint32)),
        (DTypeError, expected.tolist()),
    ]
    for error, out in wrong:
        with pytest.raises(error, match="out "):
            call(x, out=out)
    assert not read_only.any() and not small.any()


def test_a_remembered_call_does_not_overwrite_what_it_reads() -> None:
    memory, weight = draw_normal((3000,), "float32", 1), PackedWeights(W)
    x, w, b = memory[:168].reshape(X.shape), memory[200:488].reshape(W.shape), memory[500:508]
    before = memory.copy()
    for reads, used in ((((0, 168), (200, 488), (500, 508)), w), (((0, 168), (500, 508)), weight)):
        expected = pyconvx.conv2d(x, used, b)
        for first in (0, 8, 39, 40, 41, 167, 168, 169, 199, 339, 340, 341, 487, 488, 499, 500, 507, 508):
            out = memory[first : first + 160].reshape(1, 4, 5, 8)
            if any(first < end and begin < first + 160 for begin, end in reads):
                with pytest.raises(OptionError, match="shares memory"):
                    pyconvx.conv2d(x, used, b, out=out)
                np.testing.assert_array_equal(memory, before)
            else:
                assert_same_bits(pyconvx.conv2d(x, used, b, out=out), expected)
                memory[:] = before
    with pytest.raises(OptionError, match="shares memory"):
        pyconvx.conv2d(x, weight, b, out=weight.w.reshape(-1)[:160].reshape(1, 4, 5, 8))


def test_a_name_that_is_made_at_run_time_is_the_same_option() -> None:
    name = "".join(["sa", "me"])
    expected = pyconvx.conv2d(X, W, padding=1)
    for _ in range(3):
        np.testing.assert_array_equal(pyconvx.conv2d(X, W, padding=name), expected)
        np.testing.assert_array_equal(pyconvx.conv2d(X, W, padding=sys.intern(name)), expected)


def test_the_instruction_set_is_part_of_a_call() -> None:
    chosen = pyconvx.active_isa()
    layer = nn.Conv2d(4, 8, 3, random_state=1)
    try:
        for name in pyconvx.available_isas() * 2:
            pyconvx.force_isa(name)
            long_way = pyconvx.conv2d(X, W, stride=[1, 1])  # a list is not remembered
            np.testing.assert_allclose(pyconvx.conv2d(X, W), long_way)
            layer(X)
        assert layer._packed.present().packed == len(pyconvx.available_isas())
    finally:
        pyconvx.force_isa(chosen)


def test_more_calls_than_are_remembered() -> None:
    """What was forgotten is computed the long way, and the results do not mix."""
    signals = [draw_normal((1, n, 1), "float32", n) for n in range(3, 700)]
    w = draw_normal((3, 1, 1), "float32", 1)
    first = [pyconvx.conv1d(x, w) for x in signals]
    for x, y in zip(signals, first, strict=True):
        np.testing.assert_array_equal(pyconvx.conv1d(x, w), y)


def test_not_finite_sums_are_recomputed_in_remembered_calls() -> None:
    x, w = draw_normal((3, 12, 12, 32), "float32", 1), draw_normal((3, 3, 32, 32), "float32", 2)
    layer = nn.Conv2d(32, 32, 3, padding=1, random_state=1)
    for _ in range(2):
        pyconvx.conv2d(x, w, padding=1, algorithm="winograd")
        layer(x)
    x[1, 5, 5, 3] = np.inf
    direct = pyconvx.conv2d(x, w, padding=1, algorithm="direct")
    y = pyconvx.conv2d(x, w, padding=1, algorithm="winograd")
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(direct))
    np.testing.assert_array_equal(y[1], direct[1])
    assert np.isfinite(layer(x)).sum() == np.isfinite(direct).sum()


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv1d(3, 4, 3), (1, 9, 3)),
        (nn.Conv2d(3, 4, 3, padding=1), (2, 9, 9, 3)),
        (nn.Conv2d(32, 32, 3, padding=1), (1, 12, 12, 32)),
        (nn.Conv3d(3, 4, 3, stride=2), (1, 9, 9, 9, 3)),
        (nn.ConvTranspose2d(3, 4, 3, stride=2), (1, 9, 9, 3)),
        (nn.Conv2d(3, 64, 3), (1, 64, 64, 3)),
    ],
    ids=str,
)
def test_a_layer_allocates_nothing_but_its_result(layer: nn.Layer, shape: tuple[int, ...]) -> None:
    x = draw_normal(shape, "float32", 1)
    nbytes = layer(x).nbytes
    kept = [layer(x) for _ in range(10)]  # the pool then has what ten results need
    del kept
    gc.collect()
    pool = pyconvx.memory()
    tracemalloc.start()
    try:
        start = tracemalloc.get_traced_memory()[0]
        kept = [layer(x) for _ in range(10)]
        grown = tracemalloc.get_traced_memory()[0] - start
        traced = grown + pyconvx.memory()["in_use"] - pool["in_use"]
    finally:
        tracemalloc.stop()
    assert len(kept) * nbytes <= traced <= len(kept) * (1.3 * nbytes + 512) + 512  # an array's own object, a list
    after = pyconvx.memory()
    assert after["in_use"] + after["cached"] == pool["in_use"] + pool["cached"], "scratch from the system"
    del kept
    assert pyconvx.memory()["in_use"] == pool["in_use"]


def test_copies_of_a_layer_are_packed_anew_and_unpickled_weights_are_not_copied() -> None:
    layer = nn.Conv2d(4, 8, 3, random_state=1)
    y = layer(X)
    for other in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        for _ in range(3):
            np.testing.assert_array_equal(other(X), y)
        assert other._packed.present().packed == 1
    assert layer._packed.present().packed == 1


def test_a_weight_must_be_contiguous_to_be_kept() -> None:
    for bad in (W[::-1], W.astype(np.int32), W.astype(np.float16)):
        with pytest.raises(ShapeError, match="kept weight"):
            _core.PackedWeights(bad)


def test_threads_share_a_layer() -> None:
    layer = nn.Conv2d(4, 8, 3, padding=1, random_state=1)
    signals = [draw_normal((1, 5 + i, 6, 4), "float32", i) for i in range(6)]
    expected = [nn.Conv2d(4, 8, 3, padding=1, random_state=1)(x) for x in signals]
    wrong: list[int] = []

    def work() -> None:
        for _ in range(50):
            wrong.extend(i for i, x in enumerate(signals) if not np.array_equal(layer(x), expected[i]))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


FORKED = """
import os, threading
import numpy as np
import pyconvx
from pyconvx import nn
layer = nn.Conv2d(4, 8, 3)
x = np.ones((1, 6, 6, 4), np.float32)
y = layer(x)
stop = threading.Event()
def work():
    while not stop.is_set():
        layer(x)
        layer.weight.assign(layer.weight.value)
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads: thread.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        layer.weight.assign(layer.weight.value)
        os._exit(0 if np.array_equal(layer(x), y) else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
"""


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork here")
def test_a_child_computes_whatever_other_threads_were_doing() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


# Functions beside convolution


def windows(name: str, dtype: str) -> list[Callable[[float], Any]]:
    x = draw_normal((2, 9, 8, 5), dtype, 1)
    options: dict[str, Any] = {"stride": (2, 1), "padding": 1, "ceil_mode": True}
    if name == "max_pool2d":
        y, indices = pyconvx.max_pool2d(x, 3, return_indices=True, **options)
        return [
            lambda scale: pyconvx.max_pool2d(x * scale, 3, **options),
            lambda scale: pyconvx.max_pool2d(x * scale, 3, return_indices=True, **options)[1],
            lambda scale: pyconvx.max_pool2d_grad(y * scale, indices, x.shape, 3, **options),
            lambda scale: pyconvx.max_pool2d(x[0] * scale, 3, return_indices=True, **options)[0],
            lambda scale: pyconvx.max_pool2d(x * scale, 3, data_format="channels_first"),
        ]
    y = pyconvx.avg_pool2d(x, 3, **options)
    return [
        lambda scale: pyconvx.avg_pool2d(x * scale, 3, **options),
        lambda scale: pyconvx.avg_pool2d(x * scale, 3, count_include_pad=False, **options),
        lambda scale: pyconvx.avg_pool2d_grad(y * scale, x.shape, 3, count_include_pad=False, **options),
        lambda scale: pyconvx.avg_pool2d_grad(y * scale, x.shape, 3, **options),
    ]


def others(dtype: str) -> list[Callable[[float], Any]]:
    x, dg = draw_normal((2, 9, 8, 5), dtype, 1), draw_normal((2, 5, 5), dtype, 2)
    return [
        lambda scale: pyconvx.gram(x * scale),
        lambda scale: pyconvx.gram(x * scale, normalize=True),
        lambda scale: pyconvx.gram(x[0, 0] * scale),
        lambda scale: pyconvx.gram_grad(x * scale, dg),
        lambda scale: pyconvx.gram_grad(x * scale, dg, normalize=True),
        lambda scale: nn.ReLU()(x * scale),
        lambda scale: nn.ReLU()(np.float32(-scale)),
    ]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["max_pool2d", "avg_pool2d", "others"])
def test_other_functions_have_the_bits_of_the_first_call(name: str, dtype: str) -> None:
    calls = others(dtype) if name == "others" else windows(name, dtype)
    for call in calls:
        first = call(1.0)
        for _ in range(2):
            call(2.0)
            again = call(1.0)
            assert (again.shape, again.dtype) == (first.shape, first.dtype)
            np.testing.assert_array_equal(again, first)
    for call in calls:  # all are remembered by now, and none for another
        threaded: list[Any] = []
        thread = threading.Thread(target=lambda c=call, into=threaded: into.append(c(3.0)))
        thread.start()
        thread.join()
        np.testing.assert_array_equal(call(3.0), threaded[0])


def test_errors_of_pooling_stay_what_they_are() -> None:
    _, indices = pyconvx.max_pool2d(X, 2, return_indices=True)
    y = pyconvx.max_pool2d(X, 2)
    for _ in range(2):
        pyconvx.max_pool2d(X, 2, stride=1, ceil_mode=False)
        pyconvx.max_pool2d_grad(y, indices, X.shape, 2)
        pyconvx.avg_pool2d(X, 2, stride=1)
        wrong: list[tuple[type[PyconvxError], Callable[[], Any]]] = [
            (OptionError, lambda: pyconvx.max_pool2d(X, 2, stride=True)),
            (OptionError, lambda: pyconvx.max_pool2d(X, 2, stride=(1, True))),
            (OptionError, lambda: pyconvx.max_pool2d(X, 2, stride=1, ceil_mode=0)),  # type: ignore[arg-type]
            (OptionError, lambda: pyconvx.avg_pool2d(X, 2.0)),  # type: ignore[arg-type]
            (DTypeError, lambda: pyconvx.max_pool2d_grad(y, indices.astype(np.uint16), X.shape, 2)),
            (DTypeError, lambda: pyconvx.max_pool2d_grad(y, indices.astype(np.int8), X.shape, 2)),
            (ShapeError, lambda: pyconvx.max_pool2d_grad(y, indices[:, :2], X.shape, 2)),
            (DTypeError, lambda: pyconvx.gram(X.astype(np.int64))),
        ]
        for error, call in wrong:
            with pytest.raises(error):
                call()


def test_large_indices_come_from_the_pool() -> None:
    x = draw_normal((1, 512, 512, 4), "float32", 1)
    first = pyconvx.max_pool2d(x, 2, return_indices=True)
    before = pyconvx.memory()["in_use"]
    again = pyconvx.max_pool2d(x, 2, return_indices=True)
    assert pyconvx.memory()["in_use"] - before >= again[0].nbytes + again[1].nbytes
    for a, b in zip(first, again, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
