"""The same bits for any number of threads, and for an image alone or in a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cases import ConvCase, draw_normal
from check import assert_same_bits
from pool_cases import PoolCase

import pyconvx
from pyconvx import nn

CONVS = [  # large enough to be cut into several pieces of work
    ConvCase("2D", (37, 41), (32, 48), (3, 3), padding=1, batch=3),
    ConvCase("2D, stride", (45, 33), (16, 70), (3, 3), stride=2, padding=1, batch=3),
    ConvCase("depthwise", (40, 40), (64, 64), (3, 3), padding=1, groups=64, batch=3),
    ConvCase("few channels", (64, 61), (3, 16), (7, 7), stride=2, padding=3, batch=3),
    ConvCase("small maps, many channels", (7, 7), (160, 130), (3, 3), padding=1, batch=3),
    ConvCase("3D", (11, 12, 13), (8, 24), (3, 3, 3), padding=1, batch=3),
    ConvCase("long signal", (3001,), (8, 40), (9,), padding=4, batch=3),
    ConvCase("tiny, many images", (5, 5), (3, 5), (3, 3), batch=70),
]
WHOLE_LINES = ConvCase("whole lines", (151, 243), (3, 64), (3, 3), padding=1, batch=8)
LARGE = [  # lines are fetched ahead; whole ones, and those of depthwise, are stored past the caches for all pictures
    WHOLE_LINES,
    ConvCase("1x1", (149, 151), (3, 70), (1, 1), batch=3),
    ConvCase("groups", (70, 265), (4, 88), (3, 2), padding=(0, 1), dilation=2, groups=4, batch=3),
    ConvCase("signal", (7001,), (1, 251), (2,), padding=1, batch=3),
    ConvCase("depthwise", (90, 129), (130, 130), (3, 3), padding=1, groups=130, batch=3),
    ConvCase("depthwise, stride", (181, 259), (130, 130), (3, 3), stride=2, padding=1, groups=130, batch=3),
]
MANY = [  # whose input gradients are computed some pictures at a time, all residues of a stride of each
    ConvCase("stride", (72, 72), (32, 8), (3, 3), stride=2, padding=1, batch=32),
    ConvCase("stride, pixels that no tap reaches", (72, 72), (32, 8), (2, 2), stride=3, batch=32),
    ConvCase("stride, 1x1", (72, 72), (32, 8), (1, 1), stride=2, batch=32),
    ConvCase("depthwise, stride", (72, 72), (32, 32), (3, 3), stride=2, padding=1, groups=32, batch=32),
    ConvCase("1D, stride", (5184,), (32, 16), (4,), stride=2, padding=1, batch=32),
]
POOL = PoolCase("pool", (33, 35), 40, 3, 2, 1, batch=3)


def everything(case: ConvCase, dtype: str, batch: slice = slice(None)) -> dict[str, np.ndarray]:
    """All results that have a batch axis, for some images of the batch."""
    x, w, dy = (
        draw_normal(shape, dtype, seed) for seed, shape in enumerate((case.x_shape, case.w_shape, case.y_shape))
    )
    x, dy, name = x[batch], dy[batch], f"conv{case.rank}d"
    results = {
        "y": getattr(pyconvx, name)(x, w, draw_normal(case.channels[1:], dtype, 3), activation="relu", **case.options),
        "dx": getattr(pyconvx, f"{name}_input_grad")(dy, w, x.shape, **case.options),
    }
    if case.groups == 1:
        options = {k: v for k, v in case.options.items() if k != "groups"}
        transposed = getattr(pyconvx, f"conv_transpose{case.rank}d")
        results["transposed"] = transposed(dy, w, **options)
    return results


def weight_gradients(case: ConvCase, dtype: str) -> dict[str, np.ndarray]:
    x, dy = draw_normal(case.x_shape, dtype, 0), draw_normal(case.y_shape, dtype, 2)
    dw, db = getattr(pyconvx, f"conv{case.rank}d_weight_grad")(x, dy, case.kernel, **case.options)
    return {"dw": dw, "db": db}


def pooled(batch: slice = slice(None)) -> dict[str, np.ndarray]:
    x = draw_normal(POOL.x_shape, "float32", 1)[batch]
    y, indices = pyconvx.max_pool2d(x, POOL.kernel, return_indices=True, **POOL.options)
    mean = pyconvx.avg_pool2d(x, POOL.kernel, **POOL.options)
    return {
        "max": y,
        "indices": indices,
        "max dx": pyconvx.max_pool2d_grad(y, indices, x.shape, POOL.kernel, **POOL.options),
        "mean": mean,
        "mean dx": pyconvx.avg_pool2d_grad(mean, x.shape, POOL.kernel, **POOL.options),
    }


def grams(batch: slice = slice(None)) -> dict[str, np.ndarray]:
    x = draw_normal((3, 5000, 70), "float32", 1)[batch]  # enough for several slices of positions
    g = pyconvx.gram(x)
    wide = draw_normal((3, 200, 300), "float32", 2)[batch]  # and for several blocks of channels
    return {"gram": g, "dx": pyconvx.gram_grad(x, g), "wide gram": pyconvx.gram(wide)}


def distances() -> dict[str, np.ndarray]:
    a, b = draw_normal((300, 65), "float32", 1), draw_normal((511, 65), "float32", 2)
    results = {m: pyconvx.pairwise_distances(a, b, metric=m) for m in ("sqeuclidean", "cosine", "manhattan", "chi2")}
    results["nearest"], results["indices"] = pyconvx.nearest(a, b, 7)
    return results


def assert_same_for_every_thread_count(compute: Callable[[], dict[str, np.ndarray]]) -> None:
    with pyconvx.num_threads(1):
        alone = compute()
    for threads in (2, 3, 4):
        with pyconvx.num_threads(threads):
            assert pyconvx.get_num_threads() == threads
            for name, result in compute().items():
                assert_same_bits(result, alone[name], f"{name} with {threads} threads")


@pytest.mark.parametrize("case", CONVS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_do_not_change_a_bit(case: ConvCase, dtype: str, isa: str) -> None:
    assert_same_for_every_thread_count(lambda: everything(case, dtype) | weight_gradients(case, dtype))


@pytest.mark.parametrize("compute", [pooled, grams, distances])
def test_threads_do_not_change_a_bit_elsewhere(compute: Any, isa: str) -> None:
    assert_same_for_every_thread_count(compute)


@pytest.mark.parametrize("case", CONVS, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_image_has_the_same_bits_alone_and_in_a_batch(case: ConvCase, dtype: str, isa: str) -> None:
    together = everything(case, dtype)
    for image in (0, 2):
        for name, result in everything(case, dtype, slice(image, image + 1)).items():
            assert_same_bits(result, together[name][image : image + 1], f"{name} of image {image}")


@pytest.mark.parametrize("compute", [pooled, grams])
def test_an_image_has_the_same_bits_alone_and_in_a_batch_elsewhere(compute: Any, isa: str) -> None:
    together = compute()
    for name, result in compute(slice(1, 2)).items():
        assert_same_bits(result, together[name][1:2], name)


@pytest.mark.parametrize(("inputs", "outputs"), [(1152, 8), (300, 1), (40, 3), (5, 20), (256, 128)])
def test_a_row_of_a_linear_layer_has_the_same_bits_alone_and_in_a_batch(inputs: int, outputs: int, isa: str) -> None:
    layer = nn.Linear(inputs, outputs, random_state=0)
    x, dy = draw_normal((40, inputs), "float32", 1), draw_normal((40, outputs), "float32", 2)
    y, dx = layer(x), layer.vjp(x, "input")[1](dy)[0]
    for rows in (slice(7, 8), slice(3, 10), slice(9, 40)):
        assert_same_bits(layer(x[rows]), y[rows])
        assert_same_bits(layer.vjp(x[rows], "input")[1](dy[rows])[0], dx[rows])


@pytest.mark.parametrize("case", LARGE, ids=str)
def test_an_image_has_the_same_bits_where_it_is_far_away(case: ConvCase, isa: str) -> None:
    x, w, b = (
        draw_normal(shape, "float32", seed)
        for seed, shape in enumerate((case.x_shape, case.w_shape, (case.channels[1],)))
    )
    convolve, options = getattr(pyconvx, f"conv{case.rank}d"), {**case.options, "activation": "relu"}
    together = convolve(x, w, b, **options)
    assert together.nbytes > 16 << 20 > together[0].nbytes
    for threads in (1, 2):
        with pyconvx.num_threads(threads):
            assert_same_bits(convolve(x, w, b, **options), together)
    for image, alone in enumerate(x):
        assert_same_bits(convolve(alone[None], w, b, **options)[0], together[image])


@pytest.mark.parametrize("case", MANY, ids=str)
@pytest.mark.parametrize("algorithm", ["auto", "direct"])
def test_the_gradient_of_an_image_has_the_same_bits_among_many(case: ConvCase, algorithm: str, isa: str) -> None:
    dy, w = draw_normal(case.y_shape, "float32", 0), draw_normal(case.w_shape, "float32", 1)
    dy[17, ..., 0] = np.inf
    gradient = getattr(pyconvx, f"conv{case.rank}d_input_grad")
    options = {**case.options, "algorithm": algorithm}
    together = gradient(dy, w, case.x_shape, **options)
    assert together.nbytes > 16 << 20
    finite = [np.isfinite(image).all() for image in together]
    assert [image for image, is_finite in enumerate(finite) if not is_finite] == [17]
    for threads in (1, 2):
        with pyconvx.num_threads(threads):
            assert_same_bits(gradient(dy, w, case.x_shape, **options), together)
    for image in (0, 1, 17, 18, 31):
        alone = gradient(dy[image][None], w, (1, *case.x_shape[1:]), **options)
        assert_same_bits(alone[0], together[image])


def test_a_large_result_has_the_same_bits_wherever_it_lies(isa: str) -> None:
    x, w = draw_normal(WHOLE_LINES.x_shape, "float32", 0), draw_normal(WHOLE_LINES.w_shape, "float32", 1)
    expected = pyconvx.conv2d(x, w, padding=1)
    for first in (1, 8, 16):  # between lines, and at one
        memory = np.zeros(expected.size + 17, np.float32)
        out = memory[first : first + expected.size].reshape(expected.shape)
        assert_same_bits(pyconvx.conv2d(x, w, padding=1, out=out), expected)
        assert not memory[:first].any() and not memory[first + expected.size :].any()


def test_history_does_not_change_a_bit(isa: str) -> None:
    case = CONVS[0]
    before = everything(case, "float32")
    for other in CONVS[1:4]:
        everything(other, "float32")
    for name, result in everything(case, "float32").items():
        assert_same_bits(result, before[name], name)
