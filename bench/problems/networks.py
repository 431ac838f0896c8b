"""Layers of known networks, in a line each: what people compute who did not choose their sizes for a benchmark.

A layer is `size in-out kernel`, then what differs from stride 1, padding of half the kernel and one picture: s2, p0,
d4, g32 (groups), b8 (pictures). One number stands for every axis.
"""

from __future__ import annotations

import re

from bench.shapes import ConvProblem, each

NETWORKS = {  # axes, layers
    "ResNet-50": (
        2,
        "56 64-64 1, 56 64-64 3, 56 256-64 1, 56 256-128 1, 56 128-128 3 s2, 56 256-512 1 s2, 28 512-128 1, "
        "28 128-512 1, 28 512-1024 1 s2, 14 1024-256 1, 14 256-256 3, 14 256-1024 1, 7 2048-512 1, 7 512-512 3",
    ),
    "ResNet-50, training": (
        2,
        "56 64-64 1 b32, 56 64-64 3 b32, 56 64-256 1 b32, 28 512-128 1 b32, 14 1024-256 1 b32, 14 256-256 3 b32, "
        "7 512-2048 1 b32, 56 128-128 3 s2 b16",
    ),
    "ResNet-20 on CIFAR, training": (
        2,
        "32 3-16 3 b128, 32 16-16 3 b128, 32 16-32 3 s2 b128, 16 32-32 3 b128, 16 32-64 3 s2 b128, 8 64-64 3 b128",
    ),
    "ResNeXt-50": (2, "56 128-128 3 g32, 28 256-256 3 g32, 14 512-512 3 g32, 7 1024-1024 3 g32"),
    "DenseNet-121": (2, "56 64-128 1, 56 128-32 3, 28 256-128 1, 28 128-32 3, 14 512-128 1, 14 128-32 3, 7 128-32 3"),
    "Inception-v3": (
        2,
        "35 192-64 1, 35 64-96 3, 35 48-64 5, 17 128-128 1x7, 17 192-192 7x1, 8 384-384 1x3, 8 448-384 3, "
        "147 32-64 3, 149 32-32 3 p0, 35 288-384 3 s2 p0",
    ),
    "SqueezeNet": (2, "55 64-16 1, 55 16-64 1, 55 16-64 3, 13 64-256 3"),
    "AlexNet": (2, "227 3-96 11 s4 p0, 27 96-256 5 g2, 13 384-384 3 g2"),
    "MobileNet-v2": (
        2,
        "112 32-32 3 g32, 112 32-16 1, 112 16-96 1, 112 96-96 3 s2 g96, 56 96-24 1, 56 24-144 1, 56 144-144 3 g144, "
        "56 144-24 1, 28 144-32 1, 28 32-192 1, 28 192-192 3 g192, 14 192-64 1, 14 64-384 1, 14 384-384 3 g384, "
        "14 384-96 1, 14 576-576 3 s2 g576, 7 576-160 1, 7 160-960 1, 7 960-960 3 g960, 7 960-320 1, 7 320-1280 1",
    ),
    "MobileNet-v2, training": (
        2,
        "112 32-32 3 g32 b32, 56 24-144 1 b32, 56 144-144 3 g144 b32, 56 144-144 3 s2 g144 b32, 28 192-192 3 g192 b32, "
        "14 384-64 1 b32, 14 384-384 3 g384 b32",
    ),
    "MobileNet-v3": (
        2,
        "224 3-16 3 s2, 56 72-72 5 s2 g72, 28 120-120 5 g120, 14 672-672 5 g672, 7 960-960 5 g960, 1 120-32 1, "
        "1 960-240 1, 14 40-240 1, 28 40-120 1",
    ),
    "EfficientNet-B0": (
        2,
        "224 3-32 3 s2, 14 480-480 5 g480, 7 1152-1152 5 g1152, 28 240-240 5 g240, 1 1152-48 1",
    ),
    "ConvNeXt-T": (
        2,
        "224 3-96 4 s4 p0, 56 96-96 7 g96, 28 192-192 7 g192, 14 384-384 7 g384, 7 768-768 7 g768, "
        "56 96-192 2 s2 p0, 28 192-384 2 s2 p0",
    ),
    "patches of ViT": (2, "224 3-192 16 s16 p0, 224 3-768 16 s16 p0, 32 3-64 4 s4 p0 b4"),
    "U-Net": (
        2,
        "256 1-64 3, 256 1-16 3, 128 64-64 3, 64 128-128 3, 32 256-256 3, 16 512-512 3, 128 64-2 1, 64 64-128 2 s2 p0, "
        "32 128-256 2 s2 p0, 256 16-16 3, 256 16-1 3, 128 96-32 3",
    ),
    "DCGAN": (2, "8 256-512 4 s2 p1 b4, 16 128-256 4 s2 p1 b4, 32 64-128 4 s2 p1 b4, 64 3-64 4 s2 p1 b4"),
    "YOLO": (
        2,
        "320 3-16 3 s2, 160 16-32 3 s2, 80 32-32 3, 80 32-64 3 s2, 40 64-64 3, 40 64-128 3 s2, 20 128-128 3, "
        "40 192-64 1, 80 64-80 3, 20 255-255 1, 13 1024-425 1",
    ),
    "super-resolution": (2, "128 3-64 9, 96 64-32 5, 96 32-1 5, 96 32-4 3, 96 32-9 3, 96 64-64 3, 64 64-256 3"),
    "style transfer forward": (2, "128 3-32 9, 128 32-64 3 s2, 64 64-128 3 s2, 64 128-128 3, 256 32-3 9"),
    "latent diffusion": (2, "64 4-320 3, 64 320-4 3, 32 320-320 3, 16 640-640 3, 8 1280-1280 3, 128 128-3 3"),
    "Siamese network on characters": (
        2,
        "105 1-64 10 p0 b4, 48 64-128 7 p0 b4, 21 128-128 4 p0 b4, 9 128-256 4 p0 b8, 28 1-64 3 b20, 14 64-64 3 b20, "
        "7 64-64 3 b20, 3 64-64 3 b20",
    ),
    "digits, training": (
        2,
        "28 1-6 5 b64, 14 6-16 5 p0 b64, 5 16-120 5 p0 b64, 28 1-32 3 p0 b64, 26 32-64 3 p0 b64, 28 1-10 5 p0 b64",
    ),
    "filters of pictures": (2, "256 1-1 3, 256 1-2 3, 256 3-3 5 g3, 128 1-32 15, 128 1-8 31"),
    "WaveNet": (1, "16000 32-32 2 p0, 16000 32-64 2 d2 p0, 4000 64-128 2 d64 p0, 8000 64-64 1"),
    "wav2vec 2.0": (1, "16000 1-512 10 s5 p0, 3199 512-512 3 s2 p0, 800 512-512 2 s2 p0"),
    "speech": (1, "3000 80-384 3, 3000 384-384 3 s2, 1500 80-512 3, 800 512-512 5, 200 512-80 7"),
    "waveforms": (1, "16000 1-128 80 s4 p0, 990 128-128 3, 16000 1-32 80 s16 p0, 8000 32-32 11 d5 p25, 16000 32-1 7"),
    "ECG, training": (
        1,
        "1000 1-32 16 p8 b16, 1000 12-64 15 b16, 500 64-64 7 b16, 250 64-128 5 b16, 360 1-18 7 b16, 3000 1-64 50 s6 b8",
    ),
    "EEGNet": (
        2,
        "64x256 1-8 1x64 p0x32 b8, 64x256 8-16 64x1 g8 p0 b8, 1x64 16-16 1x16 g16 p0x8 b8, 22x1000 1-40 1x25 p0 b4, "
        "22x976 40-40 22x1 p0 b4",
    ),
    "C3D": (3, "8x56x56 3-64 3, 8x28x28 64-128 3, 4x14x14 256-256 3, 2x7x7 512-512 3"),
    "R(2+1)D": (3, "8x56x56 45-64 3x1x1, 8x28x28 64-144 1x3x3, 8x28x28 144-64 3x1x1"),
    "3D U-Net": (
        3,
        "48 1-16 3, 48 16-16 3, 24 32-32 3, 24 32-64 3, 48 16-2 1, 48 16-32 2 s2 p0, 48 16-3 3, 32 16-16 5, "
        "64 8-16 3 s2",
    ),
    "X3D": (3, "4x56x56 54-54 3 g54, 4x56x56 24-24 5x1x1 g24, 4x28x28 108-108 3 g108"),
    "volumes, training": (
        3,
        "32 1-16 3 b8, 32 16-16 3 b8, 16 32-32 3 b8, 16 32-64 3 s2 b8, 28 1-32 3 b4, 13 32-64 3 b4",
    ),
    "fully connected, training": (2, "1 512-1000 1 b128, 1 4096-1000 1 b128, 1 2048-512 1 b64"),
}


def sizes(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in text.split("x"))


def layer(network: str, axes: int, text: str) -> ConvProblem:
    size, channels, kernel, *options = text.split()

    def on_each(values: str) -> tuple[int, ...]:
        found = sizes(values)
        return each(found[0], axes) if len(found) == 1 else found

    given = {option[0]: option[1:] for option in options}
    if any(not re.fullmatch(r"[spdgb]\d+(x\d+)*", option) for option in options):
        raise ValueError(f"{text!r} has an option that is none of s, p, d, g, b and a number")
    taps, (inner, outer) = on_each(kernel), (int(count) for count in channels.split("-"))
    padding = on_each(given["p"]) if "p" in given else tuple(k // 2 for k in taps)
    stride, dilation = on_each(given.get("s", "1")), on_each(given.get("d", "1"))
    counts = (int(given.get("b", "1")), on_each(size), inner, outer)
    return ConvProblem(
        f"{network} {text}", "", *counts, taps, padding, stride, dilation, int(given.get("g", "1")), group=network
    )


LAYERS = [layer(name, axes, text.strip()) for name, (axes, layers) in NETWORKS.items() for text in layers.split(",")]
