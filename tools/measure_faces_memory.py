"""See that memory stays flat over many pictures of mixed sizes.

    python tools/measure_faces_memory.py [COUNT]

Encodes COUNT (1000) pictures from 64 to 1600 pixels a side, made of the packaged one, in a stream on all threads, and
prints the resident memory after every tenth of them. Fails if the last tenth needed 10% more than the third.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pyconvx import faces, image


def resident() -> float:
    """MiB of this process now (Linux)."""
    with open("/proc/self/statm") as stream:  # noqa: PTH123
        return int(stream.read().split()[1]) * 4096 / 2**20


def pictures(count: int) -> Iterator[NDArray[np.uint8]]:
    astronaut = image.load(image.packaged("astronaut"))
    random = np.random.default_rng(0)
    for _ in range(count):
        height, width = np.exp(random.uniform(np.log(64), np.log(1600), 2)).astype(int).tolist()
        yield image.resize(astronaut, (height, width), resample="bilinear")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    step = max(1, count // 10)
    found, most, peaks = 0, 0.0, []
    for index, outcome in enumerate(faces.stream(pictures(count), "encode", least_score=-0.5), 1):
        found += len(outcome.faces)
        most = max(most, resident())
        if index % step == 0:
            peaks.append(most)
            print(f"{index:5} pictures, {found:5} faces: {resident():7.0f} MiB now, {most:7.0f} in this tenth at most")
            most = 0.0
    sys.exit(peaks[-1] > 1.1 * peaks[2])


if __name__ == "__main__":
    main()
