"""PyTorch: whole networks, a trunk forward and a training step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from bench.arrays import Array
from bench.harness import Results, Side
from bench.norm import EPS, Block
from bench.peers.pytorch import array, name_of, tensor, weight_tensor
from bench.shapes import Trunk
from bench.triplet import MARGIN, RATE, Encoder


def trunk(steps: Trunk, x: Array, y_shape: tuple[int, ...], threads: int) -> list[Side]:
    torch.set_num_threads(threads)
    sides = [
        Side(name_of(channels_last), plain(steps, x, channels_last), lambda y: (array(y, 2),))
        for channels_last in (True, False)
    ]
    return [*sides, Side("torch prepacked", prepacked(steps, x), lambda y: (array(y, 2),))]


def plain(steps: Trunk, x: Array, channels_last: bool) -> Callable[[], torch.Tensor]:
    source = tensor(x, 2, channels_last)
    layers = [step and (weight_tensor(step[0], 2, channels_last), torch.from_numpy(step[1])) for step in steps]

    @torch.no_grad()
    def call() -> torch.Tensor:
        y = source
        for layer in layers:
            y = functional.conv2d(y, *layer, padding=1).relu_() if layer else functional.max_pool2d(y, 2)
        return y

    return call


def prepacked(steps: Trunk, x: Array) -> Callable[[], torch.Tensor]:
    """Weights packed for oneDNN and the ReLU fused, as PyTorch's compiler does when it freezes a network."""
    operations: Any = torch.ops.mkldnn
    source, size = tensor(x, 2, True), list(x.shape[1:-1])
    layers: list[tuple[Any, torch.Tensor] | None] = []
    for step in steps:
        if step is None:
            layers.append(None)
            size = [n // 2 for n in size]
        else:
            w, shape = weight_tensor(step[0], 2, False), [len(x), step[0].shape[-2], *size]
            packed = operations._reorder_convolution_weight(w, [1, 1], [1, 1], [1, 1], 1, shape)
            layers.append((packed, torch.from_numpy(step[1])))

    @torch.no_grad()
    def call() -> torch.Tensor:
        y = source
        for layer in layers:
            if layer is None:
                y = functional.max_pool2d(y, 2)
            else:
                y = operations._convolution_pointwise(y, *layer, [1, 1], [1, 1], [1, 1], 1, "relu", [], "")
        return y

    return call


def triplet_step(encoder: Encoder, x: Array, threads: int) -> list[Side]:
    torch.set_num_threads(threads)
    return [step_side(encoder, x, channels_last) for channels_last in (True, False)]


def step_side(encoder: Encoder, x: Array, channels_last: bool) -> Side:
    """Gradients by autograd, then a step of plain descent, parameter by parameter in one call."""
    source = tensor(x, 2, channels_last)
    weights = [weight_tensor(w, 2, channels_last).clone().requires_grad_() for w, _ in encoder.convs]
    biases = [torch.tensor(b).requires_grad_() for _, b in encoder.convs]
    linear = torch.tensor(encoder.linear[0].T.copy()).requires_grad_()
    shift = torch.tensor(encoder.linear[1]).requires_grad_()
    parameters = [p for pair in zip(weights, biases, strict=True) for p in pair] + [linear, shift]
    descent = torch.optim.SGD(parameters, RATE, foreach=True)

    def call() -> torch.Tensor:
        y = source
        for w, b in zip(weights, biases, strict=True):
            y = functional.max_pool2d(functional.conv2d(y, w, b, padding=1).relu_(), 2)
        codes = functional.normalize(functional.linear(y.mean((2, 3)), linear, shift))
        anchor, positive, negative = codes.reshape(3, -1, codes.shape[1])
        near, far = (anchor - positive).square().sum(1), (anchor - negative).square().sum(1)
        loss: torch.Tensor = (near - far + MARGIN).relu().mean()
        descent.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        descent.step()
        return loss.detach()

    def read(loss: torch.Tensor) -> Results:
        results = [array_of(p.grad) for p in parameters] + [array_of(p.detach()) for p in parameters]
        return (loss.numpy().reshape(1), *results)

    return Side(name_of(channels_last), call, read)


def norm_step(blocks: list[Block], x: Array, slope: Array, threads: int) -> list[Side]:
    torch.set_num_threads(threads)
    return [norm_side(blocks, x, slope, channels_last) for channels_last in (True, False)]


def norm_side(blocks: list[Block], x: Array, slope: Array, channels_last: bool) -> Side:
    """Gradients by autograd, statistics of the batch, running ones as a layer keeps them, ReLU in place."""
    source, down = tensor(x, 2, channels_last), tensor(slope, 2, channels_last)
    weights = [weight_tensor(block.w, 2, channels_last).clone().requires_grad_() for block in blocks]
    affine = [tuple(torch.tensor(part).requires_grad_() for part in block[1:]) for block in blocks]
    running = [(torch.zeros(len(block.scale)), torch.ones(len(block.scale))) for block in blocks]
    parameters = [part for w, pair in zip(weights, affine, strict=True) for part in (w, *pair)]
    descent = torch.optim.SGD(parameters, RATE, foreach=True)

    def call() -> torch.Tensor:
        y = source
        for w, pair, moments in zip(weights, affine, running, strict=True):
            z = functional.batch_norm(functional.conv2d(y, w, padding=1), *moments, *pair, training=True, eps=EPS)
            y = functional.max_pool2d(z.relu_(), 2)
        descent.zero_grad()
        y.backward(down)  # type: ignore[no-untyped-call]
        descent.step()
        return y.detach()

    def read(y: torch.Tensor) -> Results:
        results = [array_of(p.grad) for p in parameters] + [array_of(p.detach()) for p in parameters]
        return (array(y, 2), *results)

    return Side(name_of(channels_last), call, read)


def array_of(t: torch.Tensor | None) -> Array:
    """A parameter, or its gradient, in pyconvx's layout."""
    assert t is not None
    a: Array = t.numpy()
    return np.ascontiguousarray(np.moveaxis(a, (0, 1), (-1, -2)) if a.ndim == 4 else a.T)
