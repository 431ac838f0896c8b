"""What a convolution comes to, without computing it: algorithm, work, memory, threads, error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from pyconvx import _core
from pyconvx.errors import DTypeError, OptionError, ShapeError
from pyconvx.functional._accuracy import expected_error
from pyconvx.functional._arguments import Padding, PerAxis, integer, per_axis, simple
from pyconvx.functional._arrays import is_channels_first
from pyconvx.functional._options import ConvOptions
from pyconvx.functional._plan import plan_conv

_NAME = re.compile(r"conv([123])d(?:_(input_grad|weight_grad))?")


@dataclass(frozen=True)
class Explanation:
    """What `explain` found. Bytes are those of arrays; `str()` gives a few lines for people."""

    function: str
    algorithm: str  # "direct", "winograd" or "fft"
    tile: tuple[int, ...]  # results on each spatial axis of a tile of Winograd's algorithm, of a block of FFT; else 1
    flops: int  # of the direct algorithm: 2 for each product, taps in the padding included
    multiplications: int  # what this algorithm does: few in the padding; those of the transforms are not counted
    x_bytes: int
    w_bytes: int
    y_bytes: int
    packed_bytes: int  # the weight as the kernels read it, unless it is made piece by piece, in the threads' scratch
    scratch: tuple[tuple[int, int, int], ...]  # of steps one after the other: shared bytes, those of a thread, threads
    isa: str
    expected_error: float  # max |error| / rms(result) for N(0, 1) data

    @property
    def shared_scratch_bytes(self) -> int:
        """Scratch of a call, however many threads compute: the most of any step."""
        return max((shared for shared, _, _ in self.scratch), default=0)

    @property
    def thread_scratch_bytes(self) -> int:
        """Scratch of each thread that computes: the most of any step."""
        return max((own for _, own, _ in self.scratch), default=0)

    @property
    def threads(self) -> int:
        """How many threads can share the work, however many there are."""
        return max((threads for _, _, threads in self.scratch), default=1)

    def scratch_bytes(self, threads: int = 1) -> int:
        """Memory beside arrays and packed weight while so many threads compute: the most, as brief work wakes none."""
        return max((shared + own * min(threads, most) for shared, own, most in self.scratch), default=0)

    def __str__(self) -> str:
        tile = " x ".join(map(str, self.tile))
        how = {
            "direct": "the direct algorithm",
            "winograd": f"Winograd's algorithm, tiles of {tile}",
            "fft": f"Fourier transforms, blocks of {tile}",
        }[self.algorithm]
        saved = self.flops / 2 / self.multiplications if self.multiplications else 1.0
        return "\n".join(
            [
                f"{self.function}: {how}, on {self.isa}",
                f"  {self.flops / 1e9:.4g} GFLOP; {self.multiplications:.4g} multiplications, {saved:.3g} times fewer",
                f"  x {_size(self.x_bytes)}, w {_size(self.w_bytes)} (packed {_size(self.packed_bytes)}), "
                f"y {_size(self.y_bytes)}",
                f"  scratch {_size(self.shared_scratch_bytes)} and {_size(self.thread_scratch_bytes)} a thread; "
                f"work for {self.threads} thread{'s' * (self.threads != 1)}",
                f"  expected error {self.expected_error:.1e} of the result's rms",
            ]
        )


def explain(
    function: str,
    x_shape: Sequence[int],
    w_shape: Sequence[int],
    *,
    stride: PerAxis = 1,
    padding: Padding = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
    data_format: str = "channels_last",
    algorithm: str = "auto",
    precision: str = "default",
    dtype: DTypeLike = np.float32,
    kept: bool = False,
) -> Explanation:
    """What a call of a convolution comes to: how it would be computed, and what that costs.

    Nothing is computed. The answer is the choice that the call itself makes: a pure function of these arguments and
    the instruction set in use.

    Parameters
    ----------
    function : str
        "conv1d", "conv2d" or "conv3d", alone or with "_input_grad" or "_weight_grad".
    x_shape, w_shape : tuple
        Full shapes of x and of the weight, in the layout of `data_format`; x_shape may lack the batch.
    stride, padding, dilation, groups, data_format, algorithm, precision
        As the function takes them.
    dtype : float32, float64 or float16
        Element type of x; float16 is read as float32.
    kept : bool
        Whether the packed weight is kept from call to call, as layers of `pyconvx.nn` do; all but those of more than
        4 MiB that take less than 7% of a call to make.

    Returns
    -------
    Explanation
        A frozen dataclass; `print` it to read it.

    Raises
    ------
    ShapeError, DTypeError, OptionError
        As the function raises them; OptionError for an unknown function.

    Examples
    --------
    >>> layer = explain("conv2d", (1, 56, 56, 64), (3, 3, 64, 64), padding=1, kept=True)
    >>> layer.algorithm, layer.tile
    ('winograd', (4, 4))
    >>> layer.flops / 2 / layer.multiplications  # how many multiplications it saves
    4.0
    """
    match = _NAME.fullmatch(function) if isinstance(function, str) else None
    if match is None:
        raise OptionError(f"function is {function!r}; wanted 'conv2d', 'conv2d_input_grad' or 'conv2d_weight_grad'")
    rank, direction = int(match[1]), match[2] or "forward"
    options = ConvOptions(stride, padding, dilation, groups, data_format, algorithm, precision)
    options.check()
    first = is_channels_first(data_format)
    plan = plan_conv(_x_shape(x_shape, rank, first), _w_shape(w_shape, rank, first), options)
    working = _working_type(dtype)
    lasting = bool(kept) and direction != "weight_grad"
    tiles = plan.tiles(direction, options, working, lasting)
    cost = _core.conv_cost(plan.shape, direction, tiles, working.itemsize == 8, lasting)
    x_size, w_size, y_size = (int(np.prod(shape, dtype=object)) for shape in (plan.x_shape, plan.w_shape, plan.y_shape))
    results = {"forward": y_size, "input_grad": x_size, "weight_grad": w_size}[direction]
    tile = tuple(tiles[axis] for axis in plan.axes)
    if max(tiles) < 0:
        dilation = per_axis("dilation", simple("dilation", options.dilation), rank)
        reach = ((k - 1) * step for k, step in zip(plan.w_shape[:rank], dilation, strict=True))
        tile = tuple(-length - places for length, places in zip(tile, reach, strict=True))
    products = y_size * (w_size // plan.w_shape[-1] if plan.w_shape[-1] else 0)
    return Explanation(
        function=function,
        algorithm="fft" if max(tiles) < 0 else "direct" if max(tiles) == 1 else "winograd",
        tile=tile,
        flops=2 * products,
        multiplications=cost["multiplications"],
        x_bytes=x_size * working.itemsize,
        w_bytes=w_size * working.itemsize,
        y_bytes=y_size * working.itemsize,
        packed_bytes=cost["packed"],
        scratch=cost["scratch"],
        isa=_core.active_isa(),
        expected_error=expected_error(
            working.itemsize, cost["chain"], cost["amplification"], results, products / max(results, 1)
        ),
    )


def _sizes(name: str, value: Sequence[int]) -> tuple[int, ...]:
    if not hasattr(value, "__len__") or isinstance(value, (str, bytes)):
        raise ShapeError(f"{name} is {value!r}; wanted a shape")
    return tuple(integer(name, size, 0) for size in value)


def _x_shape(value: Sequence[int], rank: int, first: bool) -> tuple[int, ...]:
    sizes = _sizes("x_shape", value)
    if len(sizes) not in (rank + 1, rank + 2):
        raise ShapeError(f"x_shape is {value!r}; wanted {rank + 2} sizes, or {rank + 1} without the batch")
    batch, *rest = sizes if len(sizes) == rank + 2 else (1, *sizes)
    return (batch, *rest[1:], rest[0]) if first else (batch, *rest)


def _w_shape(value: Sequence[int], rank: int, first: bool) -> tuple[int, ...]:
    sizes = _sizes("w_shape", value)
    if len(sizes) != rank + 2:
        wanted = "(out, in // groups, *kernel)" if first else "(*kernel, in // groups, out)"
        raise ShapeError(f"w_shape is {value!r}; wanted {rank + 2} sizes: {wanted}")
    return (*sizes[2:], sizes[1], sizes[0]) if first else sizes


def _working_type(dtype: DTypeLike) -> np.dtype[np.float32] | np.dtype[np.float64]:
    given = np.dtype(dtype)
    if given not in (np.float16, np.float32, np.float64):
        raise DTypeError(f"dtype is {given}; wanted float32, float64 or float16")
    return np.dtype(np.float64) if given == np.float64 else np.dtype(np.float32)


def _size(count: int) -> str:
    value, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.4g} {unit}"
