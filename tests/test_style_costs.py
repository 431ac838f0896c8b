"""The lecture's formulas: numbers worked by hand, and gradients by finite differences in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pyconvx import style
from pyconvx.errors import DTypeError, OptionError, ShapeError
from pyconvx.style.variation import total_variation, total_variation_grad

Array = NDArray[Any]
RNG = np.random.default_rng(11)


def numerical_gradient(function: Callable[[Array], float], x: Array, step: float = 1e-4) -> Array:
    """Central differences; exact up to rounding for polynomials of degree two, error of order step^2 beyond."""
    gradient = np.empty_like(x)
    for index in np.ndindex(*x.shape):
        ahead, behind = x.copy(), x.copy()
        ahead[index] += step
        behind[index] -= step
        gradient[index] = (function(ahead) - function(behind)) / (2 * step)
    return gradient


def activations(*shape: int) -> Array:
    return RNG.standard_normal(shape)


def test_content_cost_by_hand() -> None:
    a_c = np.array([[[1.0, 2.0], [3.0, 4.0]]])
    a_g = np.array([[[2.0, 2.0], [1.0, 7.0]]])
    assert style.content_cost(a_c, a_g) == 0.5 * (1 + 0 + 4 + 9)
    np.testing.assert_array_equal(style.content_cost_grad(a_c, a_g), [[[1.0, 0.0], [-2.0, 3.0]]])


def test_gram_matrix_by_hand() -> None:
    a = np.array([[[1.0, 2.0, 0.0]], [[3.0, -1.0, 5.0]]])  # two positions, three channels
    np.testing.assert_array_equal(style.gram_matrix(a), [[10, -1, 15], [-1, 5, -5], [15, -5, 25]])
    np.testing.assert_array_equal(style.gram_matrix(np.stack([a, 2 * a]))[1], 4 * style.gram_matrix(a))


def test_layer_style_cost_by_hand() -> None:
    a_s = np.array([[[1.0, 0.0], [0.0, 2.0]]])  # G_S = [[1, 0], [0, 4]]
    a_g = np.array([[[1.0, 1.0], [1.0, -1.0]]])  # G_G = [[2, 0], [0, 2]]
    # n_H = 1, n_W = 2, n_C = 2: ((2 - 1)^2 + (2 - 4)^2) / (2 * 1 * 2 * 2)^2
    assert style.layer_style_cost(a_s, a_g) == 5 / 64


def test_layer_style_cost_is_zero_for_positions_in_another_order() -> None:
    a = RNG.integers(-8, 9, (3, 4, 5)).astype(np.float64)
    shuffled = RNG.permutation(a.reshape(12, 5)).reshape(4, 3, 5)
    assert style.layer_style_cost(a, shuffled) == 0.0


def test_a_style_picture_tiled_twice_is_the_same_style() -> None:
    a_s, a_g = activations(4, 4, 3), activations(4, 4, 3)
    assert style.layer_style_cost(np.concatenate([a_s, a_s]), a_g) == pytest.approx(
        style.layer_style_cost(a_s, a_g), rel=1e-12
    )


def test_style_and_total_cost_by_hand() -> None:
    a_s = {"one": np.array([[[2.0]]]), "two": np.array([[[0.0]]])}
    a_g = {"one": np.array([[[4.0]]]), "two": np.array([[[2.0]]])}
    # Layer "one": (16 - 4)^2 / 4 = 36; layer "two": 16 / 4 = 4.
    assert style.style_cost(a_s, a_g) == 20.0
    assert style.style_cost(a_s, a_g, {"one": 0.25, "two": 3.0}) == 21.0
    assert style.total_cost(3.0, 21.0, alpha=10.0, beta=2.0) == 72.0


def test_content_gradient() -> None:
    a_c, a_g = activations(3, 4, 2), activations(3, 4, 2)
    wanted = numerical_gradient(lambda a: style.content_cost(a_c, a), a_g)
    np.testing.assert_allclose(style.content_cost_grad(a_c, a_g), wanted, rtol=1e-7, atol=1e-9)


def test_gram_gradient_takes_any_matrix() -> None:
    a, d_gram = activations(3, 2, 4), activations(4, 4)
    wanted = numerical_gradient(lambda x: float((style.gram_matrix(x) * d_gram).sum()), a)
    np.testing.assert_allclose(style.gram_matrix_grad(a, d_gram), wanted, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("shape_s", [(3, 4, 3), (5, 2, 3)], ids=["same size", "another size"])
def test_layer_style_gradient(shape_s: tuple[int, ...]) -> None:
    a_s, a_g = activations(*shape_s), activations(3, 4, 3)
    wanted = numerical_gradient(lambda a: style.layer_style_cost(a_s, a), a_g)
    np.testing.assert_allclose(style.layer_style_cost_grad(a_s, a_g), wanted, rtol=1e-6, atol=1e-9)


def test_style_gradient_weighs_each_layer() -> None:
    a_s = {"one": activations(2, 3, 2), "two": activations(2, 2, 3)}
    a_g = {"one": activations(2, 3, 2), "two": activations(2, 2, 3)}
    lambdas = {"one": 0.2, "two": 1.7}
    gradients = style.style_cost_grad(a_s, a_g, lambdas)
    for name in a_g:
        wanted = numerical_gradient(lambda a, name=name: style.style_cost(a_s, {**a_g, name: a}, lambdas), a_g[name])
        np.testing.assert_allclose(gradients[name], wanted, rtol=1e-6, atol=1e-9)


def test_total_gradient() -> None:
    a_c, a_s, a_g = activations(2, 3, 2), activations(2, 3, 2), activations(2, 3, 2)
    gradient = style.total_cost_grad(
        style.content_cost_grad(a_c, a_g), style.layer_style_cost_grad(a_s, a_g), alpha=0.7, beta=5.0
    )
    wanted = numerical_gradient(
        lambda a: style.total_cost(style.content_cost(a_c, a), style.layer_style_cost(a_s, a), 0.7, 5.0), a_g
    )
    np.testing.assert_allclose(gradient, wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("shape", [(4, 5, 3), (1, 3, 4, 3), (1, 6, 2), (2, 1, 1)])
def test_total_variation(shape: tuple[int, ...]) -> None:
    x = activations(*shape)
    naive = 0.0
    for index in np.ndindex(*shape):
        for axis in (len(shape) - 3, len(shape) - 2):
            if index[axis] + 1 < shape[axis]:
                after = list(index)
                after[axis] += 1
                naive += (x[tuple(after)] - x[index]) ** 2
    assert total_variation(x) == pytest.approx(naive, rel=1e-12)
    wanted = numerical_gradient(total_variation, x)
    np.testing.assert_allclose(total_variation_grad(x), wanted, rtol=1e-7, atol=1e-9)


def test_sums_are_wide_even_for_float32() -> None:
    a_g = np.full((100, 100, 7), 0.1, dtype=np.float32)  # 70,000 terms: more than one block
    wanted = 0.5 * 70_000 * float(np.float32(0.1)) ** 2
    assert style.content_cost(np.zeros_like(a_g), a_g) == pytest.approx(wanted, rel=1e-12)


def test_the_pictures_type_is_kept() -> None:
    a = activations(3, 3, 2).astype(np.float32)
    assert style.content_cost_grad(a, a).dtype == np.float32
    assert style.layer_style_cost_grad(a, 2 * a).dtype == np.float32
    assert total_variation_grad(a).dtype == np.float32


def test_arguments_that_do_not_fit_are_named() -> None:
    a = activations(2, 2, 3)
    with pytest.raises(ShapeError, match=r"same shape: got \(2, 2, 3\) and \(2, 1, 3\)"):
        style.content_cost(a, a[:, :1])
    with pytest.raises(DTypeError, match="float32 or float64: got int"):
        style.content_cost(a.astype(int), a.astype(int))
    with pytest.raises(ShapeError, match="same n_C"):
        style.layer_style_cost(a, a[..., :2])
    with pytest.raises(ShapeError, match="must not be empty"):
        style.layer_style_cost(a, a[:0])
    with pytest.raises(ShapeError, match="n_H, n_W, n_C"):
        style.gram_matrix(a[0])
    with pytest.raises(OptionError, match=r"same layers: got \['one'\] and \['two'\]"):
        style.style_cost({"one": a}, {"two": a})
    with pytest.raises(OptionError, match="lambdas must name the layers"):
        style.style_cost({"one": a}, {"one": a}, {"two": 1.0})
    with pytest.raises(OptionError, match="names no layer"):
        style.style_cost({}, {})
    with pytest.raises(ShapeError, match="x must be"):
        total_variation(a[0])
