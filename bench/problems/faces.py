"""Pictures of faces, all made of the packaged one."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bench.arrays import Array
from pyconvx import image

ENCODE = {1: "a face at the door", 16: "a group photograph"}
DETECT = {512: "a portrait as a website stores it", 1024: "a photograph on a screen"}
IDENTIFY = {
    100: "an office: the lecture's case",
    10_000: "a company",
    1_000_000: "512 MB are read: memory-bound",
}
FOLDER, QUICK_FOLDER, CHECK_FOLDER = 100, 10, 2
DISTINCT = 10  # pictures of a folder that differ; their results are computed in float64


def picture(size: int) -> Array:
    """A square with a face in each tile of 320 pixels, cut off on the right and below."""
    astronaut = image.load(image.packaged("astronaut"))
    count = -(-size // 320)
    return np.ascontiguousarray(np.tile(astronaut, (count, count, 1))[:size, :size])


def chips(count: int) -> Array:
    """Two chips in turns, the face and its mirror image."""
    from pyconvx import faces

    astronaut = image.load(image.packaged("astronaut"))
    pair = [faces.align(pixels, faces.detect(pixels))[0] for pixels in (astronaut, astronaut[:, ::-1])]
    return np.stack([pair[index % 2] for index in range(count)])


def write_folder(folder: Path, count: int) -> list[Path]:
    """`count` files of about 200 x 200 pixels with one face, `DISTINCT` of them in turns."""
    astronaut = image.load(image.packaged("astronaut"))
    paths = []
    for index in range(count):
        kind = index % DISTINCT
        side = 180 + 6 * kind
        part = astronaut[10 + kind : 10 + kind + side, 50 + 2 * kind : 50 + 2 * kind + side]
        paths.append(folder / f"{index:03}.png")
        image.save(paths[-1], part)
    return paths
