"""Convolutions of signals."""

from __future__ import annotations

from bench.shapes import conv, of

SHORT = of(
    "1D, kernels 3 to 9",
    conv("tcn", "1D with kernel 3, 128 channels", (4000,), (128, 128), 3, 1, floor=True),
    conv("speech features", "kernel 5, 256 channels", (1600,), (256, 256), 5, 2, floor=True),
    conv("ecg middle", "kernel 7, a batch of 8", (2500,), (64, 64), 7, 3, batch=8, quick=True, floor=True),
    conv("audio wide", "kernel 9, 128 channels", (4000,), (128, 128), 9, 4, floor=True),
)
RAW = of(
    "raw audio",
    conv("audio raw", "raw samples: kernel 80, stride 4, one channel", (32000,), (1, 128), 80, 38, 4, quick=True),
)
LONG = of(
    "long 1D kernels",
    conv("sinc filters", "a bank of 80 filters of 251 taps over one channel", (16000,), (1, 80), 251, 125),
    conv("wav2vec positions", "128 taps, 48 channels a group", (249,), (768, 768), 128, 64, groups=16),
    conv("long dense", "64 taps, 16 channels to 16", (4000,), (16, 16), 64, 31, quick=True),
)
STRIDED = of(
    "other layers",
    conv("ecg first", "12 leads, 10 s at 500 Hz, batch 8", (5000,), (12, 64), 15, 7, 2, batch=8),
    conv("audio features", "speech features: kernel 3, stride 2, 512 channels", (3199,), (512, 512), 3, 0, 2),
)
SIGNALS = SHORT + RAW + LONG + STRIDED
