"""The lecture's costs of neural style transfer, each with its gradient with respect to G.

C content picture, S style picture, G generated picture; a_C, a_S, a_G their activations of a layer, `(n_H, n_W, n_C)`;
G_S, G_G the Gram matrices of a_S and a_G; lambda the weight of a layer; alpha, beta the weights of content and style.
Cost values are Python floats, summed in float64 whatever the type of the activations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import DTypeError, OptionError, ShapeError
from pyconvx.functional import gram, gram_grad

Array = NDArray[Any]

# Sums run over blocks of this many elements, each widened to float64: no full-size temporary, and the same order of
# additions on every machine.
_BLOCK = 1 << 14


def sum_of_squares(x: Array) -> float:
    """Return the sum of the squares of `x`, accumulated in float64."""
    flat = x.reshape(-1)
    total = 0.0
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK].astype(np.float64)
        np.square(block, out=block)
        total += float(block.sum())
    return total


def content_cost(a_c: Array, a_g: Array) -> float:
    """Return how far the picture is from the content: J_content(C, G) = 1/2 ||a_C - a_G||^2.

    Parameters
    ----------
    a_c, a_g : ndarray
        Activations of one layer for C and G, `(n_H, n_W, n_C)` or with a batch axis; float32 or float64.

    Returns
    -------
    float

    Raises
    ------
    ShapeError, DTypeError
        If the shapes differ, or an array is not floating point.

    Notes
    -----
    Source: the lecture on convolutional networks' special applications, "content cost function". Gatys, Ecker and
    Bethge (2015), equation 1, is the same.

    Examples
    --------
    >>> import numpy as np
    >>> content_cost(np.array([[[3.0, 0.0]]]), np.array([[[1.0, 1.0]]]))
    2.5
    """
    _require_same_shape(a_c, a_g)
    return 0.5 * sum_of_squares(a_g - a_c)


def content_cost_grad(a_c: Array, a_g: Array) -> Array:
    """Return dJ_content / da_G = a_G - a_C; arguments as for `content_cost`."""
    _require_same_shape(a_c, a_g)
    difference: Array = a_g - a_c
    return difference


def gram_matrix(a: Array) -> Array:
    """Return the style matrix of a layer: G[k, k'] = sum over i, j of a[i, j, k] a[i, j, k'].

    Parameters
    ----------
    a : ndarray
        Activations `(n_H, n_W, n_C)`, or `(m, n_H, n_W, n_C)` for a batch.

    Returns
    -------
    ndarray
        `(n_C, n_C)`, or `(m, n_C, n_C)`: how strongly channels k and k' are active together. Symmetric.

    Notes
    -----
    Source: the lecture, "style matrix". It is not centred: the mathematician's Gram matrix, not a covariance.

    Examples
    --------
    >>> import numpy as np
    >>> gram_matrix(np.array([[[1.0, 2.0], [3.0, 0.0]]]))
    array([[10.,  2.],
           [ 2.,  4.]])
    """
    batch, single = _with_batch("a", a)
    result: Array = gram(batch)
    return result[0] if single else result


def gram_matrix_grad(a: Array, d_gram: Array) -> Array:
    """Return dJ/da from dJ/dG: `a (dG + dG')`; `d_gram` has the shape that `gram_matrix(a)` returns."""
    batch, single = _with_batch("a", a)
    result: Array = gram_grad(batch, d_gram[None] if single else d_gram)
    return result[0] if single else result


def layer_style_cost(a_s: Array, a_g: Array) -> float:
    """Return the style cost of one layer: J_style(S, G) = 1/(2 n_H n_W n_C)^2 ||G_S - G_G||_F^2.

    Parameters
    ----------
    a_s, a_g : ndarray
        Activations `(n_H, n_W, n_C)` of the same layer for S and G.

    Returns
    -------
    float

    Raises
    ------
    ShapeError, DTypeError
        If the channels differ, or an array is not floating point.

    Notes
    -----
    Source: the lecture, "style cost function"; Gatys, Ecker and Bethge (2015), equation 4. The lecture takes S and G of
    one size. Where the sizes differ, G_S is first scaled by the ratio of the positions, n_H n_W of G over that of S, so
    that a larger style picture is not a stronger style.

    Examples
    --------
    >>> import numpy as np
    >>> layer_style_cost(np.array([[[2.0]]]), np.array([[[4.0]]]))  # (4 - 16)^2 / (2 * 1 * 1 * 1)^2
    36.0
    """
    difference, scale = _style_difference(a_s, a_g)
    return scale * sum_of_squares(difference)


def layer_style_cost_grad(a_s: Array, a_g: Array) -> Array:
    """Return dJ_style / da_G of one layer, with the shape of `a_g`; arguments as for `layer_style_cost`."""
    difference, scale = _style_difference(a_s, a_g)
    # d ||D||^2 / dG = 2 D; the factor goes into the small matrix, not into the activations.
    difference *= 2.0 * scale
    return gram_matrix_grad(a_g, difference)


def style_cost(a_s: Mapping[str, Array], a_g: Mapping[str, Array], lambdas: Mapping[str, float] | None = None) -> float:
    """Return the style cost over several layers: J_style = sum over l of lambda[l] J_style[l].

    Parameters
    ----------
    a_s, a_g : mapping from layer name to ndarray
        Activations `(n_H, n_W, n_C)` of the same layers for S and G.
    lambdas : mapping from layer name to float, optional
        Weight of each layer. Default: one over the number of layers for each.

    Returns
    -------
    float

    Raises
    ------
    OptionError
        If the three do not name the same layers.

    Notes
    -----
    Source: the lecture, "style cost function".
    """
    weights = _layer_weights(a_s, a_g, lambdas)
    return sum(weight * layer_style_cost(a_s[name], a_g[name]) for name, weight in weights.items())


def style_cost_grad(
    a_s: Mapping[str, Array], a_g: Mapping[str, Array], lambdas: Mapping[str, float] | None = None
) -> dict[str, Array]:
    """Return dJ_style / da_G for each layer; arguments as for `style_cost`."""
    weights = _layer_weights(a_s, a_g, lambdas)
    gradients = {name: layer_style_cost_grad(a_s[name], a_g[name]) for name in weights}
    for name, weight in weights.items():
        gradients[name] *= weight
    return gradients


def total_cost(j_content: float, j_style: float, alpha: float = 10.0, beta: float = 40.0) -> float:
    """Return what G minimises: J(G) = alpha J_content(C, G) + beta J_style(S, G).

    Source: the lecture, "cost function".

    Examples
    --------
    >>> total_cost(2.0, 3.0, alpha=10.0, beta=40.0)
    140.0
    """
    return alpha * j_content + beta * j_style


def total_cost_grad(d_content: Array, d_style: Array, alpha: float = 10.0, beta: float = 40.0) -> Array:
    """Return dJ = alpha dJ_content + beta dJ_style, both with respect to the same array (the picture, or one layer)."""
    _require_same_shape(d_content, d_style)
    result: Array = alpha * d_content + beta * d_style
    return result


def _style_difference(a_s: Array, a_g: Array) -> tuple[Array, float]:
    """Return (G_G - G_S, 1 / (2 n_H n_W n_C)^2), G_S scaled to the positions of G."""
    if a_s.ndim != 3 or a_g.ndim != 3 or a_s.shape[-1] != a_g.shape[-1]:
        raise ShapeError(
            f"a_s and a_g must be (n_H, n_W, n_C) with the same n_C: got {a_s.shape} and {a_g.shape}; "
            "pass the activations of the same layer for both pictures"
        )
    if a_s.size == 0 or a_g.size == 0:
        raise ShapeError(f"a_s and a_g must not be empty: got {a_s.shape} and {a_g.shape}")
    positions_s, positions_g = a_s.shape[0] * a_s.shape[1], a_g.shape[0] * a_g.shape[1]
    target = gram_matrix(a_s)
    if positions_s != positions_g:
        target *= positions_g / positions_s
    return gram_matrix(a_g) - target, 1.0 / (2.0 * positions_g * a_g.shape[-1]) ** 2


def _layer_weights(
    a_s: Mapping[str, Array], a_g: Mapping[str, Array], lambdas: Mapping[str, float] | None
) -> dict[str, float]:
    if not a_s:
        raise OptionError("a_s names no layer: at least one is needed")
    if set(a_s) != set(a_g):
        raise OptionError(f"a_s and a_g must name the same layers: got {sorted(a_s)} and {sorted(a_g)}")
    if lambdas is None:
        return dict.fromkeys(a_s, 1.0 / len(a_s))
    if set(lambdas) != set(a_s):
        raise OptionError(f"lambdas must name the layers {sorted(a_s)}: got {sorted(lambdas)}")
    return {name: float(lambdas[name]) for name in a_s}


def _require_same_shape(a: Array, b: Array) -> None:
    for array in (a, b):
        if array.dtype.kind != "f":
            raise DTypeError(f"activations must be float32 or float64: got {array.dtype}; convert with .astype(float)")
    if a.shape != b.shape:
        raise ShapeError(f"both arrays must have the same shape: got {a.shape} and {b.shape}")


def _with_batch(name: str, a: Array) -> tuple[Array, bool]:
    if a.ndim not in (3, 4):
        raise ShapeError(f"{name} must be (n_H, n_W, n_C) or (m, n_H, n_W, n_C): got shape {a.shape}")
    return (a[None], True) if a.ndim == 3 else (a, False)
