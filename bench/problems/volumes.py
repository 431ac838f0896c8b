"""Convolutions of volumes and of video."""

from __future__ import annotations

from bench.shapes import conv, of

CUBES = of(
    "3x3x3",
    conv("ct middle", "3x3x3, 32 channels", (48, 48, 48), (32, 32), 3, 1),
    conv("ct deep", "3x3x3, 128 channels, small volume", (12, 12, 12), (128, 128), 3, 1, quick=True, floor=True),
    conv("video middle", "3x3x3 over frames, 64 channels", (8, 56, 56), (64, 64), 3, 1, floor=True),
)
FIRST = of(
    "first 3D layer",
    conv("ct first", "a volume with one channel", (64, 64, 64), (1, 32), 3, 1, quick=True),
    conv("video first", "16 frames of 112x112, three channels", (16, 112, 112), (3, 64), 3, 1),
)
FLAT_KERNELS = of(
    "other layers",
    conv("ct down", "2x2x2 stride 2", (48, 48, 48), (32, 64), 2, 0, 2),
    conv("video in space", "1x3x3: the frames side by side", (8, 56, 56), (64, 64), (1, 3, 3), (0, 1, 1)),
    conv("video in time", "3x1x1: along the frames alone", (8, 56, 56), (64, 64), (3, 1, 1), (1, 0, 0)),
)
VOLUMES = CUBES + FIRST + FLAT_KERNELS
