"""Arrays of a convolution problem, and the two layouts: pyconvx's channels-last and the peers' channels-first."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.shapes import ConvProblem

Array = NDArray[Any]


@dataclass(frozen=True)
class ConvData:
    """N(0, 1) in float32, channels-last; w is (*kernel, in // groups, out); b is zero for a problem without bias."""

    x: Array
    w: Array
    b: Array
    dy: Array


def conv_data(problem: ConvProblem) -> ConvData:
    rng = np.random.default_rng(0)
    return ConvData(
        normal(rng, problem.batch, *problem.size, problem.in_channels),
        normal(rng, *problem.kernel, problem.in_channels // problem.groups, problem.out_channels),
        normal(rng, problem.out_channels) * np.float32(problem.bias),
        normal(rng, problem.batch, *problem.out_size, problem.out_channels),
    )


def normal(rng: np.random.Generator, *shape: int) -> Array:
    return rng.standard_normal(shape, np.float32)


def first(a: Array) -> Array:
    """(batch, *spatial, channels) as contiguous (batch, channels, *spatial)."""
    return np.ascontiguousarray(np.moveaxis(a, -1, 1))


def last(a: Array) -> Array:
    """(batch, channels, *spatial) as a view (batch, *spatial, channels)."""
    return np.moveaxis(a, 1, -1)


def weight_first(w: Array) -> Array:
    """(*kernel, in, out) as contiguous (out, in, *kernel)."""
    return np.ascontiguousarray(np.moveaxis(w, (-1, -2), (0, 1)))


def weight_last(w: Array) -> Array:
    """The inverse of weight_first, as a view."""
    return np.moveaxis(w, (0, 1), (-1, -2))


def output_padding(problem: ConvProblem) -> tuple[int, ...]:
    """What a transposed convolution needs to give back exactly the input's size."""
    rows = zip(
        problem.size,
        problem.out_size,
        problem.kernel,
        problem.stride,
        problem.padding,
        problem.dilation,
        strict=True,
    )
    return tuple(n - ((m - 1) * s - 2 * p + d * (k - 1) + 1) for n, m, k, s, p, d in rows)


def oracle() -> ModuleType:
    """tests/reference.py, the float64 definition of correct, found by its place and not by its name."""
    name = "_pyconvx_reference"
    if name not in sys.modules:
        path = Path(__file__).parent.parent / "tests" / "reference.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec and spec.loader
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]
