"""Keep the content's colours: take only luminance from the painting, or give the style picture the content's colours.

Pictures are `(height, width, 3)` RGB, 0 to 255.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import ShapeError
from pyconvx.image import luminance

Array = NDArray[Any]

# Added to the eigenvalues of a colour covariance, in squared grey levels: a picture of one colour stays finite.
_FLOOR = 1e-3


def keep_luminance(painting: Array, content: Array) -> Array:
    """Return the painting's luminance in the content's colours.

    Parameters
    ----------
    painting, content : ndarray
        uint8 `(height, width, 3)` RGB of the same size.

    Returns
    -------
    ndarray
        uint8: Y of `painting`, Cb and Cr of `content`, clipped to what RGB can show.

    Notes
    -----
    Source: Gatys et al. (2016), "Preserving color in neural artistic style transfer", section 4; neural-style's
    `-original_colors`.
    """
    _require_rgb("painting", painting)
    _require_rgb("content", content)
    if painting.shape != content.shape:
        raise ShapeError(f"painting and content must have the same size: got {painting.shape} and {content.shape}")
    # With Cb and Cr fixed, R, G and B all move by the change of Y.
    change = np.rint(luminance(painting) - luminance(content))
    recoloured: Array = np.clip(content + change[..., None], 0, 255).astype(np.uint8)
    return recoloured


def match_colors(source: Array, target: Array) -> Array:
    """Return `source` with the colour mean and covariance of `target`.

    Parameters
    ----------
    source, target : ndarray
        uint8 `(height, width, 3)` RGB, of any two sizes.

    Returns
    -------
    ndarray
        uint8, the size of `source`: A (p - mean_source) + mean_target with A = sqrt(cov_target) sqrt(cov_source)^-1.

    Notes
    -----
    Source: Gatys et al. (2016), "Preserving color in neural artistic style transfer", section 3, the symmetric square
    root ("image analogies") variant.
    """
    mean_source, cov_source = color_statistics(source)
    mean_target, cov_target = color_statistics(target)
    transform = _power(cov_target, 0.5) @ _power(cov_source, -0.5)
    matched = (source - mean_source) @ transform.T + mean_target
    recoloured: Array = np.clip(np.rint(matched), 0, 255).astype(np.uint8)
    return recoloured


def color_statistics(picture: Array) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the colour mean `(3,)` and covariance `(3, 3)` of a picture, over all its pixels."""
    _require_rgb("picture", picture)
    pixels = picture.reshape(-1, 3).astype(np.float64)
    mean = pixels.mean(axis=0)
    pixels -= mean
    return mean, pixels.T @ pixels / len(pixels)


def random_with_colors(shape: tuple[int, int], picture: Array, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return Gaussian noise `(height, width, 3)` with the colour mean and covariance of `picture`; not clipped."""
    mean, covariance = color_statistics(picture)
    noise: NDArray[np.float64] = rng.standard_normal((*shape, 3)) @ _power(covariance, 0.5) + mean
    return noise


def _power(covariance: NDArray[np.float64], exponent: float) -> NDArray[np.float64]:
    """Return a symmetric positive matrix raised to a power, through its eigenvalues."""
    values, vectors = np.linalg.eigh(covariance)
    powered: NDArray[np.float64] = (vectors * (np.maximum(values, 0.0) + _FLOOR) ** exponent) @ vectors.T
    return powered


def _require_rgb(name: str, picture: Array) -> None:
    if picture.ndim != 3 or picture.shape[-1] != 3 or picture.size == 0:
        raise ShapeError(f"{name} must be a picture (height, width, 3): got shape {picture.shape}")
