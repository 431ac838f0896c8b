"""The definition of correct for pyconvx.triplet: every loss as a loop over rows in float64, sharing no code with it.

x is (rows, depth), y a list of labels. Gradients are central differences of these loops.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
STEP = 1e-6


def distance(a: Array, b: Array, metric: str) -> float:
    square = sum((float(s) - float(t)) ** 2 for s, t in zip(a, b, strict=True))
    if metric == "sqeuclidean":
        return square
    return math.sqrt(square) if metric == "euclidean" else 1 - cosine(a, b)


def cosine(a: Array, b: Array) -> float:
    lengths = math.sqrt(sum(float(s) ** 2 for s in a)) * math.sqrt(sum(float(t) ** 2 for t in b))
    return sum(float(s) * float(t) for s, t in zip(a, b, strict=True)) / lengths


def positive_pairs(y: Sequence[Any]) -> Iterator[tuple[int, int]]:
    return ((a, p) for a in range(len(y)) for p in range(len(y)) if a != p and y[a] == y[p])


def all_triplets(y: Sequence[Any]) -> list[tuple[int, int, int]]:
    return [(a, p, n) for a, p in positive_pairs(y) for n in range(len(y)) if y[n] != y[a]]


def kind(gap: float, margin: float) -> str:
    return "hard" if gap <= 0 else "semihard" if gap <= margin else "easy"


def mined(x: Array, y: Sequence[Any], strategy: str, margin: float, every: bool, metric: str) -> list[Any]:
    """Triplets of the strategies that do not draw."""
    d = [[distance(a, b, metric) for b in x] for a in x]
    triplets = all_triplets(y)
    if strategy == "batch_hard":
        found = []
        for a in range(len(y)):
            own = [t for t in triplets if t[0] == a]
            if own:
                p = max((t[1] for t in own), key=lambda j: (d[a][j], -j))
                found.append((a, p, min((t[2] for t in own), key=lambda j: (d[a][j], j))))
        return found
    if strategy != "all":
        triplets = [t for t in triplets if kind(d[t[0]][t[2]] - d[t[0]][t[1]], margin) == strategy]
    if strategy == "all" or every:
        return triplets
    nearest: dict[tuple[int, int], tuple[int, int, int]] = {}
    for a, p, n in triplets:
        if (a, p) not in nearest or d[a][n] < d[a][nearest[a, p][2]]:
            nearest[a, p] = (a, p, n)
    if strategy == "hard":  # the nearest of all negatives, if it is hard; and the nearest hard one is just that
        assert all(d[a][n] == min(d[a][j] for j in range(len(y)) if y[j] != y[a]) for a, _, n in nearest.values())
    return list(nearest.values())


def triplet(x: Array, triplets: Sequence[Any], margin: float, metric: str, soft: bool) -> list[float]:
    violations = [distance(x[a], x[p], metric) - distance(x[a], x[n], metric) + margin for a, p, n in triplets]
    return [math.log(1 + math.exp(v)) if soft else max(v, 0.0) for v in violations]


def contrastive(x: Array, y: Sequence[Any], near: float, far: float, squared: bool, metric: str) -> list[list[float]]:
    parts: list[list[float]] = [[], []]
    for i in range(len(y)):
        for j in range(i + 1, len(y)):
            d = distance(x[i], x[j], metric)
            term = max(d - near, 0) if y[i] == y[j] else max(far - d, 0)
            parts[y[i] != y[j]].append(term**2 if squared else term)
    return parts


def nt_xent(x: Array, y: Sequence[Any], t: float) -> list[float]:
    terms = []
    for i, p in positive_pairs(y):
        own = math.exp(cosine(x[i], x[p]) / t)
        rest = sum(math.exp(cosine(x[i], x[n]) / t) for n in range(len(y)) if y[n] != y[i])
        terms.append(-math.log(own / (own + rest)))
    return terms


def sup_con(x: Array, y: Sequence[Any], t: float) -> list[float]:
    terms = []
    for i in range(len(y)):
        others = [j for j in range(len(y)) if j != i]
        total = sum(math.exp(cosine(x[i], x[j]) / t) for j in others)
        logs = [math.log(math.exp(cosine(x[i], x[p]) / t) / total) for p in others if y[p] == y[i]]
        if logs:
            terms.append(-sum(logs) / len(logs))
    return terms


def n_pairs(x: Array, y: Sequence[Any]) -> list[float]:
    places = [[i for i in range(len(y)) if y[i] == label] for label in sorted(set(y))]
    pairs = [own[:2] for own in places if len(own) > 1]
    terms = []
    for a, p in pairs:
        total = sum(math.exp(float(np.dot(x[a], x[q]))) for _, q in pairs)
        terms.append(-math.log(math.exp(float(np.dot(x[a], x[p]))) / total))
    return terms


def multi_similarity(
    x: Array, y: Sequence[Any], alpha: float, beta: float, base: float, epsilon: float | None
) -> list[float]:
    terms = []
    for i in range(len(y)):
        near = [cosine(x[i], x[j]) for j in range(len(y)) if j != i and y[j] == y[i]]
        far = [cosine(x[i], x[j]) for j in range(len(y)) if y[j] != y[i]]
        if epsilon is not None:
            near, far = (
                [s for s in near if far and s - epsilon < max(far)],
                [s for s in far if near and s + epsilon > min(near)],
            )
        terms.append(
            math.log(1 + sum(math.exp(-alpha * (s - base)) for s in near)) / alpha
            + math.log(1 + sum(math.exp(beta * (s - base)) for s in far)) / beta
        )
    return terms


def circle(x: Array, y: Sequence[Any], m: float, gamma: float, weights_at: Array) -> list[float]:
    """Its weights are those at another point, so that differences of x do not see them move."""
    terms = []
    for i in range(len(y)):
        near = far = 0.0
        for j in range(len(y)):
            s, held = cosine(x[i], x[j]), cosine(weights_at[i], weights_at[j])
            if y[j] != y[i]:
                far += math.exp(gamma * max(held + m, 0) * (s - m))
            elif j != i:
                near += math.exp(-gamma * max(1 + m - held, 0) * (s - 1 + m))
        if near and far:
            terms.append(math.log(1 + near * far))
    return terms


def arc_face(x: Array, y: Sequence[int], proxies: Array, margin: float, scale: float) -> list[float]:
    terms = []
    for row, label in zip(x, y, strict=True):
        z = []
        for c, proxy in enumerate(proxies):
            angle = math.acos(cosine(row, proxy))
            if c == label:
                turned = math.cos(angle + margin) if angle + margin <= math.pi else None
                z.append(scale * (math.cos(angle) - margin * math.sin(margin) if turned is None else turned))
            else:
                z.append(scale * math.cos(angle))
        terms.append(-math.log(math.exp(z[label]) / sum(math.exp(v) for v in z)))
    return terms


def proxy_anchor(x: Array, y: Sequence[int], proxies: Array, margin: float, alpha: float) -> list[list[float]]:
    parts: list[list[float]] = [[], []]
    for c, proxy in enumerate(proxies):
        own = [cosine(row, proxy) for row, label in zip(x, y, strict=True) if label == c]
        rest = [cosine(row, proxy) for row, label in zip(x, y, strict=True) if label != c]
        if own:
            parts[0].append(math.log(1 + sum(math.exp(-alpha * (s - margin)) for s in own)))
        parts[1].append(math.log(1 + sum(math.exp(alpha * (s + margin)) for s in rest)))
    return parts


def reduced(terms: Sequence[Any], reduction: str) -> Any:
    """Terms, or parts of them, as one number."""
    parts: list[list[float]] = list(terms) if terms and isinstance(terms[0], list) else [list(terms)]
    if reduction == "none":
        return np.concatenate(parts)
    if reduction == "sum":
        return sum(map(sum, parts))
    counts = [sum(term != 0 for term in part) if reduction == "mean_nonzero" else len(part) for part in parts]
    return sum(sum(part) / max(count, 1) for part, count in zip(parts, counts, strict=True))


def gradient(function: Callable[[Array], float], at: Array) -> Array:
    """Central differences, one element at a time."""
    result = np.zeros(at.shape)
    for place in np.ndindex(*at.shape):
        moved = np.zeros(at.shape)
        moved[place] = STEP
        result[place] = (function(at + moved) - function(at - moved)) / (2 * STEP)
    return result
