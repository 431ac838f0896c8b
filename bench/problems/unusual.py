"""Layers whose size is the difficulty: a lecture's, one element, tiny maps, big batches, wide and flat maps."""

from __future__ import annotations

from bench.shapes import conv, of

LECTURE = of(
    "lecture-size layers",
    conv("lecture 1d", "14x1 * 5x1, 16 filters: overhead and nothing else", (14,), (1, 16), 5, quick=True),
    conv("lecture 1d second", "10x16 * 5x16, 32 filters", (10,), (16, 32), 5),
    conv("lecture 2d", "14x14x3 * 5x5x3, 16 filters", (14, 14), (3, 16), 5, quick=True),
    conv("lecture 2d second", "10x10x16 * 5x5x16, 32 filters", (10, 10), (16, 32), 5),
    conv("lecture 3d", "14x14x14x1 * 5x5x5x1, 16 filters", (14, 14, 14), (1, 16), 5),
    conv("lecture 3d second", "10x10x10x16 * 5x5x5x16, 32 filters", (10, 10, 10), (16, 32), 5),
)
ELEMENT = of(
    "one element",
    conv("one element 1d", "the price of a call", (1,), (1, 1), 1, quick=True),
    conv("one element 2d", "the price of a call", (1, 1), (1, 1), 1),
    conv("one element 3d", "the price of a call", (1, 1, 1), (1, 1), 1),
)
TINY = of(
    "tiny maps",
    conv("map of 2", "3x3 on 2x2: most taps are padding", (2, 2), (512, 512), 3, 1),
    conv("map of 4", "one tile of Winograd's algorithm", (4, 4), (256, 256), 3, 1, quick=True),
    conv("maps of 4", "a batch of 32 of them", (4, 4), (256, 256), 3, 1, batch=32),
)
BATCHES = of(
    "big batches of small images",
    conv("digits", "64 images of 28x28, one channel, 5x5", (28, 28), (1, 32), 5, 2, batch=64),
    conv("cifar first", "64 images of 32x32, three channels", (32, 32), (3, 64), 3, 1, batch=64),
    conv("cifar deep", "128 images of 8x8, 64 channels", (8, 8), (64, 64), 3, 1, batch=128, quick=True),
)
FLAT = of(
    "wide and flat maps",
    conv("one row", "a signal that came as a picture: 1x7", (1, 8000), (32, 32), (1, 7), (0, 3)),
    conv("one column", "the same the other way: 7x1", (8000, 1), (32, 32), (7, 1), (3, 0)),
    conv("line of text", "32 rows of 1024", (32, 1024), (64, 64), 3, 1),
    conv("three rows", "no padding above and below: one row comes out", (3, 4096), (64, 64), 3, (0, 1), quick=True),
)
UNUSUAL = LECTURE + ELEMENT + TINY + BATCHES + FLAT
