"""The definition of correct: every operation of the compute core in float64 NumPy, written to be read.

It shares no code with the library. All arrays are channels-last and have a batch axis: x is (batch, *in_size,
in_channels), w is (*kernel, in_channels // groups, out_channels), y is (batch, *out_size, out_channels). Geometry comes
resolved: one stride and one dilation an axis, and one (before, after) pair of padding an axis, which `resolve_padding`
makes from what a user may write. A tap is one place t in the window, where output o reads the padded input's element
o * stride + t * dilation.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Size = tuple[int, ...]
Pads = Sequence[tuple[int, int]]


# Geometry


def resolve_padding(
    padding: object, in_size: Size, kernel: Size, stride: Size, dilation: Size
) -> list[tuple[int, int]]:
    """Every form of padding that a user may write, as one (before, after) pair an axis."""
    rank = len(in_size)
    extents = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if padding == "valid":
        return [(0, 0)] * rank
    if padding == "causal":
        return [(extent - 1, 0) for extent in extents]
    if padding == "same":
        wanted = [-(-n // s) for n, s in zip(in_size, stride, strict=True)]
        missing = [max((m - 1) * s + e - n, 0) for m, s, e, n in zip(wanted, stride, extents, in_size, strict=True)]
        return [(total // 2, total - total // 2) for total in missing]
    if isinstance(padding, int):
        return [(padding, padding)] * rank
    assert isinstance(padding, tuple)
    if rank == 1 and len(padding) == 2 and all(isinstance(p, int) for p in padding):
        return [padding]
    assert len(padding) == rank
    return [p if isinstance(p, tuple) else (p, p) for p in padding]


def output_size(in_size: Size, kernel: Size, stride: Size, dilation: Size, pads: Pads) -> Size:
    """How many outputs a convolution has along each axis: as many windows as fit into the padded input."""
    rows = zip(in_size, kernel, stride, dilation, pads, strict=True)
    return tuple((n + before + after - d * (k - 1) - 1) // s + 1 for n, k, s, d, (before, after) in rows)


def transposed_size(in_size: Size, kernel: Size, stride: Size, dilation: Size, pads: Pads, extra: Size) -> Size:
    """The output of a transposed convolution: what is left of all stamped kernels after the padding is cut away."""
    rows = zip(in_size, kernel, stride, dilation, pads, extra, strict=True)
    return tuple((n - 1) * s + d * (k - 1) + 1 + more - before - after for n, k, s, d, (before, after), more in rows)


def pooled_size(in_size: Size, kernel: Size, stride: Size, pads: Pads, dilation: Size, ceil_mode: bool) -> Size:
    """Output size of pooling; ceil_mode adds a last, partial window if it starts before the padding at the end."""
    sizes = []
    for n, k, s, d, (before, after) in zip(in_size, kernel, stride, dilation, pads, strict=True):
        room = n + before + after - d * (k - 1) - 1
        count = room // s + 1
        if ceil_mode and room % s and count * s < n + before:
            count += 1
        sizes.append(count)
    return tuple(sizes)


def taps(kernel: Size) -> Iterator[Size]:
    """All positions inside a window, row-major."""
    return itertools.product(*(range(k) for k in kernel))


def read_by(tap: Size, out_size: Size, stride: Size, dilation: Size) -> tuple[slice, ...]:
    """Index of the padded elements that all outputs read at one tap (the batch axis comes first)."""
    rows = zip(tap, out_size, stride, dilation, strict=True)
    return (slice(None), *(slice(t * d, t * d + (m - 1) * s + 1, s) for t, m, s, d in rows))


def inner(in_size: Size, pads: Pads) -> tuple[slice, ...]:
    """Index of the unpadded elements in the padded array."""
    return (slice(None), *(slice(before, before + n) for n, (before, _) in zip(in_size, pads, strict=True)))


def padded(x: Array, pads: Pads, value: float = 0.0) -> Array:
    return np.pad(x, [(0, 0), *pads, (0, 0)], constant_values=value)


# Convolution


def channels_by_group(a: Array, groups: int) -> Array:
    """(..., channels) as (groups, everything else, channels of one group)."""
    return a.reshape(-1, groups, a.shape[-1] // groups).transpose(1, 0, 2)


def conv(
    x: ArrayLike, w: ArrayLike, b: ArrayLike | None, stride: Size, pads: Pads, dilation: Size, groups: int
) -> Array:
    """y[o] = b + sum over taps t and input channels of x[o * stride + t * dilation - before] w[t]."""
    x, w = np.asarray(x, np.float64), np.asarray(w, np.float64)
    kernel, out_channels = w.shape[:-2], w.shape[-1]
    out_size = output_size(x.shape[1:-1], kernel, stride, dilation, pads)
    source = padded(x, pads)
    y = np.zeros((x.shape[0], *out_size, out_channels))
    for tap in taps(kernel):
        seen = source[read_by(tap, out_size, stride, dilation)]
        product = channels_by_group(seen, groups) @ channels_by_group(w[tap], groups)
        y += product.transpose(1, 0, 2).reshape(y.shape)
    return y if b is None else y + np.asarray(b, np.float64)


def conv_input_grad(
    dy: ArrayLike, w: ArrayLike, in_size: Size, stride: Size, pads: Pads, dilation: Size, groups: int
) -> Array:
    """dx: each output hands its gradient back to every input that it read, times the weight it was read with."""
    dy, w = np.asarray(dy, np.float64), np.asarray(w, np.float64)
    kernel, in_channels = w.shape[:-2], w.shape[-2] * groups
    spread = [n + before + after for n, (before, after) in zip(in_size, pads, strict=True)]
    dx = np.zeros((dy.shape[0], *spread, in_channels))
    for tap in taps(kernel):
        share = channels_by_group(dy, groups) @ channels_by_group(w[tap], groups).transpose(0, 2, 1)
        target = dx[read_by(tap, dy.shape[1:-1], stride, dilation)]
        target += share.transpose(1, 0, 2).reshape(target.shape)
    return dx[inner(in_size, pads)]


def conv_weight_grad(
    x: ArrayLike, dy: ArrayLike, kernel: Size, stride: Size, pads: Pads, dilation: Size, groups: int
) -> tuple[Array, Array]:
    """(dw, db): dw[t] = sum over outputs of (what the output read at tap t) times dy; db = sum over outputs of dy."""
    x, dy = np.asarray(x, np.float64), np.asarray(dy, np.float64)
    group_channels, out_channels = x.shape[-1] // groups, dy.shape[-1]
    source = padded(x, pads)
    dw = np.zeros((*kernel, group_channels, out_channels))
    for tap in taps(kernel):
        seen = source[read_by(tap, dy.shape[1:-1], stride, dilation)]
        product = channels_by_group(seen, groups).transpose(0, 2, 1) @ channels_by_group(dy, groups)
        dw[tap] = product.transpose(1, 0, 2).reshape(group_channels, out_channels)
    return dw, dy.reshape(-1, out_channels).sum(axis=0)


# Transposed convolution: weights are (*kernel, out_channels // groups, in_channels), so that each of its three
# directions is one of the three above with x and dy in each other's place.


def conv_transpose(
    x: ArrayLike, w: ArrayLike, b: ArrayLike | None, stride: Size, pads: Pads, extra: Size, dilation: Size, groups: int
) -> Array:
    """Stamps the kernel, times x, at every stride-th place; `extra` is output_padding, more room at the end."""
    x, w = np.asarray(x, np.float64), np.asarray(w, np.float64)
    size = transposed_size(x.shape[1:-1], w.shape[:-2], stride, dilation, pads, extra)
    y = conv_input_grad(x, w, size, stride, pads, dilation, groups)
    return y if b is None else y + np.asarray(b, np.float64)


def conv_transpose_input_grad(
    dy: ArrayLike, w: ArrayLike, in_size: Size, stride: Size, pads: Pads, dilation: Size, groups: int
) -> Array:
    """dx; room that output_padding added and that no window fills exactly is left over, so only in_size is kept."""
    full = conv(dy, w, None, stride, pads, dilation, groups)
    return full[(slice(None), *(slice(0, n) for n in in_size))]


def conv_transpose_weight_grad(
    x: ArrayLike, dy: ArrayLike, kernel: Size, stride: Size, pads: Pads, dilation: Size, groups: int
) -> tuple[Array, Array]:
    """(dw, db) with dw as (*kernel, out_channels // groups, in_channels)."""
    dy = np.asarray(dy, np.float64)
    dw, _ = conv_weight_grad(dy, x, kernel, stride, pads, dilation, groups)
    return dw, dy.reshape(-1, dy.shape[-1]).sum(axis=0)


# Pooling


def windows(
    x: Array, kernel: Size, stride: Size, pads: Pads, dilation: Size, out_size: Size
) -> tuple[Array, NDArray[np.bool_]]:
    """(window positions, batch, *out_size, channels) of values, and which of them lie inside x."""
    rows = zip(out_size, stride, kernel, dilation, x.shape[1:-1], strict=True)
    reach = [max((m - 1) * s + d * (k - 1) + 1 - n, 0) for m, s, k, d, n in rows]
    room = [(before, extent) for (before, _), extent in zip(pads, reach, strict=True)]
    values, inside = padded(x, room), padded(np.ones_like(x), room).astype(bool)
    reads = [read_by(tap, out_size, stride, dilation) for tap in taps(kernel)]
    return np.stack([values[read] for read in reads]), np.stack([inside[read] for read in reads])


def max_pool(
    x: ArrayLike, kernel: Size, stride: Size, pads: Pads, dilation: Size, ceil_mode: bool
) -> tuple[Array, NDArray[np.intp]]:
    """(y, indices): the largest of each window and its row-major position in the window, the first of equals.

    A NaN is larger than everything. Padding is never chosen, not even over -inf.
    """
    x = np.asarray(x, np.float64)
    out_size = pooled_size(x.shape[1:-1], kernel, stride, pads, dilation, ceil_mode)
    values, inside = windows(x, kernel, stride, pads, dilation, out_size)
    y = np.full(values.shape[1:], np.nan)
    indices = np.full(values.shape[1:], -1)
    for position, (value, valid) in enumerate(zip(values, inside, strict=True)):
        better = (indices < 0) | (value > y) | (np.isnan(value) & ~np.isnan(y))
        y = np.where(valid & better, value, y)
        indices = np.where(valid & better, position, indices)
    assert (indices >= 0).all(), "a window lies wholly in the padding"
    return y, indices


def max_pool_grad(
    dy: ArrayLike, indices: ArrayLike, in_size: Size, kernel: Size, stride: Size, pads: Pads, dilation: Size
) -> Array:
    """dx: each window's gradient goes to its chosen element alone; an element chosen several times gets the sum."""
    dy, indices = np.asarray(dy, np.float64), np.asarray(indices)
    dx = np.zeros((dy.shape[0], *in_size, dy.shape[-1]))
    for place in np.ndindex(dy.shape):
        batch, *window, channel = place
        tap = np.unravel_index(int(indices[place]), kernel)
        rows = zip(window, tap, stride, dilation, pads, strict=True)
        dx[(batch, *(o * s + t * d - before for o, t, s, d, (before, _) in rows), channel)] += dy[place]
    return dx


def divisors(in_size: Size, kernel: Size, stride: Size, pads: Pads, out_size: Size, count_include_pad: bool) -> Array:
    """(*out_size, 1): by how much each window's sum is divided; what lies past the padding never counts."""
    per_axis = []
    for n, k, s, (before, after), m in zip(in_size, kernel, stride, pads, out_size, strict=True):
        first, last = (-before, n + after) if count_include_pad else (0, n)
        starts = np.arange(m) * s - before
        per_axis.append(np.minimum(starts + k, last) - np.maximum(starts, first))
    product = per_axis[0]
    for counts in per_axis[1:]:
        product = np.multiply.outer(product, counts)
    return product[..., np.newaxis].astype(np.float64)


def avg_pool(x: ArrayLike, kernel: Size, stride: Size, pads: Pads, ceil_mode: bool, count_include_pad: bool) -> Array:
    """The mean of each window; padding counts as zeros with count_include_pad, and not at all without."""
    x = np.asarray(x, np.float64)
    in_size, unit = x.shape[1:-1], (1,) * len(kernel)
    out_size = pooled_size(in_size, kernel, stride, pads, unit, ceil_mode)
    values, inside = windows(x, kernel, stride, pads, unit, out_size)
    total = np.where(inside, values, 0.0).sum(axis=0)
    return total / divisors(in_size, kernel, stride, pads, out_size, count_include_pad)


def avg_pool_grad(
    dy: ArrayLike, in_size: Size, kernel: Size, stride: Size, pads: Pads, count_include_pad: bool
) -> Array:
    """dx: each window's gradient, divided, goes to all elements of the window."""
    dy = np.asarray(dy, np.float64)
    out_size = dy.shape[1:-1]
    share = dy / divisors(in_size, kernel, stride, pads, out_size, count_include_pad)
    rows = zip(in_size, out_size, stride, kernel, pads, strict=True)
    spread = [max(before + n, (m - 1) * s + k) for n, m, s, k, (before, _) in rows]
    dx = np.zeros((dy.shape[0], *spread, dy.shape[-1]))
    for tap in taps(kernel):
        dx[read_by(tap, out_size, stride, (1,) * len(kernel))] += share
    return dx[inner(in_size, pads)]


# Gram matrices and distances


def gram(x: ArrayLike, normalize: bool) -> Array:
    """G[c, d] = sum over positions of x[c] x[d], for each image; normalize divides by positions times channels."""
    x = np.asarray(x, np.float64)
    flat = x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])
    g = flat.transpose(0, 2, 1) @ flat
    return g / math.prod(x.shape[1:]) if normalize else g


def gram_grad(x: ArrayLike, dg: ArrayLike, normalize: bool) -> Array:
    """dx[c] = sum over d of (dg[c, d] + dg[d, c]) x[d]."""
    x, dg = np.asarray(x, np.float64), np.asarray(dg, np.float64)
    both = dg + dg.transpose(0, 2, 1)
    dx = (x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1]) @ both).reshape(x.shape)
    return dx / math.prod(x.shape[1:]) if normalize else dx


Metric = Literal["sqeuclidean", "euclidean", "cosine", "manhattan", "chi2"]


def pairwise_distances(a: ArrayLike, b: ArrayLike | None, metric: Metric) -> Array:
    """D[i, j] = distance of row i of a from row j of b (of a itself where b is None)."""
    a = np.asarray(a, np.float64)
    b = a if b is None else np.asarray(b, np.float64)
    left, right = a[:, np.newaxis], b[np.newaxis]
    if metric == "cosine":
        return 1.0 - (left * right).sum(-1) / (np.sqrt((left**2).sum(-1)) * np.sqrt((right**2).sum(-1)))
    if metric == "manhattan":
        return np.abs(left - right).sum(-1)
    if metric == "chi2":
        above, below = (left - right) ** 2, np.abs(left) + np.abs(right)
        return np.divide(above, below, out=np.zeros_like(above), where=below > 0).sum(-1)
    squared = ((left - right) ** 2).sum(-1)
    return np.sqrt(squared) if metric == "euclidean" else squared


def nearest(queries: ArrayLike, gallery: ArrayLike, k: int, metric: Metric) -> tuple[Array, NDArray[np.intp]]:
    """(distances, indices), both (queries, k), nearest first, ties to the lower index."""
    distances = pairwise_distances(queries, gallery, metric)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, order, axis=1), order
