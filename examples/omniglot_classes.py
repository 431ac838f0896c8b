"""More characters than there are, for omniglot.py: turned and mirrored ones, and new ones composed of two.

Who learns from few alphabets learns them by heart; what tells characters apart in general shows in many.
"""

from __future__ import annotations

import numpy as np
from omniglot_data import Drawing

from pyconvx.training import warp


def classes(x: np.ndarray, names: list[Drawing], rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Examples and labels: every character in eight positions, each a class of its own, and as many composed ones."""
    of = np.unique([f"{d.alphabet} {d.character}" for d in names], return_inverse=True)[1]
    many = int(of.max()) + 1
    rows = [np.flatnonzero(of == c) for c in range(many)]
    examples = [np.rot90(side, quarter, (1, 2)) for side in (x, x[:, :, ::-1]) for quarter in range(4)]
    labels = [of + many * kind for kind in range(8)]
    for new in range(8 * many, 16 * many):
        one, other = rng.choice(many, 2, replace=False)
        examples.append(composed(x, rows[one], rows[other], rng))
        labels.append(np.full(len(examples[-1]), new))
    return np.concatenate(examples), np.concatenate(labels)


def composed(x: np.ndarray, one: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A new character of two, each turned and squeezed in one way, on opposite sides of the middle; by drawer."""
    side, far = rng.uniform(0, 2 * np.pi), rng.uniform(2, 8)
    parts = []
    for rows, sign in ((one, 1), (other, -1)):
        angle = np.radians(90 * rng.integers(4) + rng.uniform(-20, 20))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        squeeze = np.diag(rng.uniform(0.45, 0.8, 2) * [rng.choice([-1, 1]), 1])
        parts.append(warp(x[rows], squeeze @ turn, sign * far * np.array([np.cos(side), np.sin(side)])))
    fewer = min(map(len, parts))
    return np.maximum(parts[0][:fewer], parts[1][:fewer])
