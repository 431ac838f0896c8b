"""dlib's .dat files of the three face models, written from arrays: what `load_dlib` reads, and dlib itself too.

Networks come unfolded: name.weight (kh, kw, in, out), name.bias, and for a convolution with an affine layer name.gain
and name.shift. So the packaged weights can be given to dlib-bin, and no test needs dlib's own files.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.models._three_bytes import join

Array = NDArray[Any]
State = dict[str, Array]

CHANNELS = (32, 32, 32, 64, 64, 64, 64, 128, 128, 128, 256, 256, 256, 256)  # of the encoder's blocks
HALVES = (4, 8, 11, 14)  # blocks whose first convolution has stride 2
DETECTOR = (  # in, out, kernel, stride, padding
    *((3, 16, 5, 2, 0), (16, 32, 5, 2, 0), (32, 32, 5, 2, 0)),
    *((32, 45, 5, 1, 2), (45, 45, 5, 1, 2), (45, 45, 5, 1, 2), (45, 1, 9, 1, 4)),
)
MEAN = (122.782, 117.001, 104.298)


# Primitives


def integer(value: int) -> bytes:
    size = max(1, (abs(value).bit_length() + 7) // 8)
    return bytes([size | (0x80 if value < 0 else 0)]) + abs(value).to_bytes(size, "little")


def integers(*values: int) -> bytes:
    return b"".join(map(integer, values))


def wide_integers(values: ArrayLike, size: int) -> Array:
    """Integers of one size, as rows of bytes: dlib reads leading zeros too, and NumPy writes them fast."""
    array = np.asarray(values, np.int64)
    rows = np.empty((*array.shape, 1 + size), np.uint8)
    rows[..., 0] = size | np.where(array < 0, 0x80, 0)
    rows[..., 1:] = np.abs(array)[..., None].astype("<i8").view(np.uint8)[..., :size]
    return rows


def real_rows(values: ArrayLike) -> Array:
    """Floats as rows of bytes: mantissa of 24 bits, exponent."""
    mantissa, exponent = np.frexp(np.asarray(values, np.float64))
    parts = wide_integers(np.rint(mantissa * 2**24), 3), wide_integers(exponent - 24, 2)
    return np.concatenate(parts, axis=-1)


def reals(*values: float) -> bytes:
    return real_rows(np.array(values)).tobytes()


def text(value: str) -> bytes:
    return integer(len(value)) + value.encode()


def tensor(values: ArrayLike = (), sizes: Iterable[int] | None = None) -> bytes:
    flat = np.asarray(values, "<f4").ravel()
    return (
        integers(2, *((flat.size, 1, 1, 1) if sizes is None and flat.size else sizes or (0, 0, 0, 0))) + flat.tobytes()
    )


def alias(*sizes: int) -> bytes:
    return integers(1, *sizes)


# Layers


def conv(state: State, name: str, stride: int, padding: int, kind: str = "con_4") -> bytes:
    weight = state[f"{name}.weight"]
    kernel_h, kernel_w, inputs, outputs = weight.shape
    params = np.concatenate([weight.transpose(3, 2, 0, 1).ravel(), state[f"{name}.bias"]])
    details = text(kind) + tensor(params) + integers(outputs, kernel_h, kernel_w, stride, stride, padding, padding)
    details += alias(outputs, inputs, kernel_h, kernel_w) + alias(1, outputs, 1, 1) + reals(1, 1, 1, 0)
    return details + {"con_4": b"", "con_5": b"1", "con_6": b"10"}[kind]


def affine(state: State, name: str, kind: str = "affine_") -> bytes:
    gain, shift = state[f"{name}.gain"], state[f"{name}.shift"]
    views = alias(1, gain.size, 1, 1) * 2
    if kind == "bn_con2":
        mean, variance = state[f"{name}.mean"], state[f"{name}.variance"]
        statistics = tensor() + tensor() + tensor(mean) + tensor(variance) + integers(7, 1000)
        return text(kind) + tensor([gain, shift]) + views + statistics + reals(1, 1, 1, 0, 1e-4)
    return text(kind) + tensor([gain, shift]) + views + integer(0) + (b"0" if kind == "affine_2" else b"")


def pool(kind: str, size: int, stride: int) -> bytes:
    return text(kind) + integers(size, size, stride, stride, 0, 0)


def remains(tensors: int) -> bytes:
    return b"110" + tensor() * tensors  # set up; the gradient of the input is out of date


def network(loss: bytes, picture: bytes, layers: list[tuple[str, bytes]], version: int = 2, first: int = 3) -> bytes:
    """A whole file; tags and skips have no details, but a version."""
    versions = [1 if kind in ("tag", "skip") else version for kind, _ in layers[1:]]
    head = integer(1) + loss + integers(*reversed(versions)) + integer(first) + picture
    body = layers[0][1] + remains(3) + (integer(1) if first == 3 else b"")
    for kind, details in layers[1:]:
        if kind not in ("tag", "skip"):
            body += details + remains(3 if version == 2 else 2)
    return head + body


def encoder(state: State, conv_kind: str = "con_4", affine_kind: str = "affine_") -> bytes:
    def conv_affine(name: str, stride: int, padding: int) -> list[tuple[str, bytes]]:
        return [
            ("con", conv(state, name, stride, padding, conv_kind)),
            ("affine", affine(state, name, affine_kind)),
        ]

    relu = ("relu", text("relu_"))
    layers = [*conv_affine("conv1", 2, 0), relu, ("max_pool", pool("max_pool_2", 3, 2))]
    for block in range(1, len(CHANNELS) + 1):
        halves = block in HALVES
        layers += [("tag", b""), *conv_affine(f"block{block}_conv1", *((2, 0) if halves else (1, 1))), relu]
        layers += conv_affine(f"block{block}_conv2", 1, 1)
        layers += [("tag", b""), ("skip", b""), ("avg_pool", pool("avg_pool_2", 2, 2))] if halves else []
        layers += [("add_prev", text("add_prev_")), relu]
    linear = state["encoding.weight"]
    details = text("fc_2") + integers(linear.shape[1], linear.shape[0]) + tensor(linear, (*linear.shape, 1, 1))
    details += alias(*linear.shape, 1, 1) + alias(0, 0, 0, 0) + integer(1) + reals(1, 1, 1, 0)
    layers += [("avg_pool", pool("avg_pool_2", 0, 1)), ("fc", details)]
    picture = text("input_rgb_image_sized") + reals(*MEAN) + integers(150, 150)
    return network(text("loss_metric_2") + reals(0.04, 0.6), picture, layers)


def detector(state: State, affine_kind: str = "bn_con2") -> bytes:
    layers: list[tuple[str, bytes]] = []
    for index, (_, outputs, _, stride, padding) in enumerate(DETECTOR, 1):
        layers.append(("con", conv(state, f"conv{index}", stride, padding)))
        if outputs > 1:
            layers += [("affine", affine(state, f"conv{index}", affine_kind)), ("relu", text("relu_"))]
    options = integers(1, 80, 80) + reals(1, 1, 0.5, 0.3382761351109955, 1, 0.5, 1)
    picture = text("input_rgb_image_pyramid") + reals(*MEAN)
    return network(text("loss_mmod_") + options, picture, layers)


def landmarks(state: State) -> bytes:
    """The predictor, from the arrays of the packaged file."""
    stages, trees, splits = state["first"].shape
    parts = [integers(1, -10, -1) + reals(*state["initial"].ravel()), integer(stages)]
    sides = [wide_integers(state[side], 2) for side in ("first", "second")]
    split = np.concatenate([*sides, real_rows(state["thresholds"])], axis=-1).reshape(stages, trees, -1)
    leaf = real_rows(state["leaves"])
    sizes = np.frombuffer(integers(-10, -1), np.uint8)
    leaf = leaf.reshape(*leaf.shape[:3], -1)
    leaf = np.concatenate([np.broadcast_to(sizes, (*leaf.shape[:3], sizes.size)), leaf], axis=-1)
    leaf = leaf.reshape(stages, trees, -1)
    for stage in range(stages):
        counts = [
            np.broadcast_to(np.frombuffer(integer(count), np.uint8), (trees, 2))
            for count in (splits, state["leaves"].shape[2])
        ]
        rows = np.concatenate([counts[0], split[stage], counts[1], leaf[stage]], axis=-1)
        parts += [integer(trees), rows.tobytes()]
    for rows in (wide_integers(state["anchors"], 1), real_rows(state["deltas"])):
        parts.append(integer(stages))
        for row in rows:
            parts += [integer(len(row)), row.tobytes()]
    return b"".join(parts)


# States


def packaged_encoder(state: State) -> State:
    """The encoder's packaged weights as dlib holds them: its last convolution with nine taps, affine layers that do
    nothing."""
    full = {name: join(array) if array.dtype == np.uint8 else array for name, array in state.items()}
    last = f"block{len(CHANNELS)}_conv2.weight"
    full[last] = np.pad(full[last], ((1, 1), (1, 1), (0, 0), (0, 0)))
    return with_affine(full)


def with_affine(state: State) -> State:
    """Affine layers that do nothing after every convolution."""
    names = [name.removesuffix(".bias") for name in state if name.endswith(".bias")]
    ones = {f"{name}.gain": np.ones_like(state[f"{name}.bias"]) for name in names}
    return state | ones | {f"{name}.shift": np.zeros_like(state[f"{name}.bias"]) for name in names}


def random_affine(state: State, rng: np.random.Generator) -> State:
    """Other affine layers, or batch normalisations."""
    drawn = dict(state)
    for name in [name.removesuffix(".bias") for name in state if name.endswith(".bias")]:
        size = state[f"{name}.bias"].size
        drawn[f"{name}.bias"] = (rng.standard_normal(size) / 10).astype(np.float32)
        drawn[f"{name}.gain"] = rng.uniform(0.5, 1.5, size).astype(np.float32)
        drawn[f"{name}.shift"] = (rng.standard_normal(size) / 10).astype(np.float32)
        drawn[f"{name}.mean"] = (rng.standard_normal(size) / 10).astype(np.float32)
        drawn[f"{name}.variance"] = rng.uniform(0.5, 1.5, size).astype(np.float32)
    return drawn
