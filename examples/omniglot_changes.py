"""How characters are changed while an encoder learns: deformed, and put together to new ones; for omniglot.py."""

from __future__ import annotations

import numpy as np

from pyconvx.training import Augment, warp

CHANGES = Augment(shift=2, rotate=12, scale=0.12, stretch=0.15, shear=0.15, elastic=1)
SMALL_CHANGES = Augment(shift=1, rotate=6, scale=0.06, stretch=0.06, shear=0.06, elastic=0.4)


def composed(batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Of a batch of pairs, two drawings of each character, half become new ones: two beside or over each other."""
    pairs = np.moveaxis(batch.reshape(-1, 2, *batch.shape[1:3]), 1, -1)  # both drawings as channels: moved as one
    count = len(pairs) // 2
    if count == 0:
        return batch
    one, other = rng.permutation(len(pairs))[:count], rng.permutation(len(pairs))[:count]
    axis, every = rng.integers(0, 2, count), np.arange(count)
    matrix, shift = np.tile(0.75 * np.eye(2), (count, 1, 1)), np.zeros((count, 2))
    matrix[every, axis, axis] = rng.uniform(0.5, 0.65, count)
    shift[every, axis] = rng.uniform(4, 8, count) / 32 * batch.shape[1]
    new = pairs.copy()
    new[one] = np.maximum(warp(pairs[one], matrix, shift), warp(pairs[other], matrix, -shift))
    return np.ascontiguousarray(np.moveaxis(new, -1, 1)).reshape(batch.shape)


def changed(batch: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a batch of pairs becomes before the encoder sees it."""
    return CHANGES(composed(batch, rng), rng)
