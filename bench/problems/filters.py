"""One channel filtered to one: what SciPy is used for. Without padding and bias, as its mode "valid"."""

from __future__ import annotations

from dataclasses import replace

from bench.shapes import DIRECTIONS, ConvProblem, conv, of


def filtered(
    name: str, why: str, size: tuple[int, ...], kernel: int, quick: bool = False, gradients: bool = False
) -> ConvProblem:
    problem = conv(name, why, size, (1, 1), kernel, quick=quick)
    return replace(problem, bias=False, directions=DIRECTIONS if gradients else DIRECTIONS[:1])


SIGNALS = of(
    "filters 1D",
    filtered("fir 5", "memory-bound", (100_000,), 5),
    filtered("fir 16", "a short filter", (100_000,), 16),
    filtered("fir 64", "a usual filter", (100_000,), 64, quick=True, gradients=True),
    filtered("fir 256", "where FFT pays everybody", (100_000,), 256),
    filtered("fir 1024", "a long filter", (100_000,), 1024),
    filtered("fir 4096", "a room's echo", (100_000,), 4096),
    filtered("fir 16384", "a hall's echo, in a longer signal", (1_000_000,), 16384),
    filtered("fir 31 short", "a second of a slow signal", (500,), 31),
)
PICTURES = of(
    "filters 2D",
    filtered("filter 3x3", "memory-bound", (512, 512), 3),
    filtered("filter 5x5", "a small blur", (512, 512), 5, quick=True, gradients=True),
    filtered("filter 7x7", "edges with a name", (512, 512), 7),
    filtered("filter 11x11", "what a similarity of pictures is averaged with", (512, 512), 11),
    filtered("filter 15x15", "a large blur", (512, 512), 15),
    filtered("filter 31x31", "a larger one", (1024, 1024), 31),
    filtered("filter 63x63", "a template", (1024, 1024), 63),
    filtered("filter 5x5 large", "16 MB of picture", (2048, 2048), 5),
)
SCANS = of(
    "filters 3D",
    filtered("filter 3x3x3", "a scan", (96, 96, 96), 3, quick=True),
    filtered("filter 5x5x5", "a small blur of a scan", (96, 96, 96), 5),
    filtered("filter 7x7x7", "343 taps", (64, 64, 64), 7),
    filtered("filter 11x11x11", "1331 taps", (64, 64, 64), 11),
)
FILTERS = SIGNALS + PICTURES + SCANS
