"""Compare the face pipeline with dlib on many made-up scenes, or on a folder of pictures.

    PYTHONPATH=tests python tools/compare_with_dlib.py DAT [--scenes 100] [--folder PICTURES] [--upsample 0,1]

DAT holds dlib's three model files. A scene is a group picture of the packaged astronaut: turned, scaled, mirrored,
tinted, cut off by the edge, noisy. Compared are boxes, scores, landmarks, chips, encodings and, between all faces that
were found, decisions at 0.6: with dlib's float32 weights and with the packaged ones. Fails if anything that has to be
equal is not.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import face_oracle
import numpy as np
from numpy.typing import NDArray

from pyconvx import image
from pyconvx.faces import Face, FaceModels, align, encode

Pixels = NDArray[np.uint8]


def scene(seed: int) -> Pixels:
    """A picture of up to six faces."""
    from PIL import Image, ImageEnhance

    random = np.random.default_rng(seed)
    astronaut = Image.fromarray(image.load(image.packaged("astronaut")))
    height, width = (int(extent) for extent in random.integers(120, 700, 2))
    ground = random.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8)
    picture = Image.fromarray(ground).resize((width, height), Image.Resampling.BICUBIC)
    for _ in range(int(random.integers(1, 7))):
        size = int(random.uniform(110, 520))
        part = astronaut.resize((size, int(size * random.uniform(0.85, 1.15))), Image.Resampling.BICUBIC)
        if random.random() < 0.5:
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        part = ImageEnhance.Brightness(part).enhance(random.uniform(0.5, 1.4))
        part = ImageEnhance.Color(part).enhance(random.uniform(0.0, 1.6))
        angle = float(random.normal(0, 14))
        turned = part.rotate(angle, Image.Resampling.BICUBIC)
        place = tuple(int(n) for n in random.uniform((-0.4 * size,) * 2, (width - 0.5 * size, height - 0.5 * size)))
        picture.paste(turned, (place[0], place[1]))
    noise = random.normal(0, random.uniform(0, 12), (height, width, 3))
    return np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)


def pictures(arguments: argparse.Namespace) -> Iterator[tuple[str, Pixels]]:
    if arguments.folder:
        for path in sorted(path for path in arguments.folder.rglob("*") if path.is_file()):
            yield str(path), image.load(path)
    else:
        for seed in range(arguments.scenes):
            yield f"scene {seed}", scene(seed)


class Tally:
    """What was compared, and what differed."""

    def __init__(self) -> None:
        self.searches = self.faces = self.unequal_boxes = self.unequal_landmarks = self.unequal_chips = 0
        self.score = self.encoding = 0.0
        self.encodings: list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]] = []

    def add(self, name: str, pixels: Pixels, theirs: list[Face], exact: list[Face], packaged: list[Face]) -> None:
        self.searches += 1
        self.faces += len(theirs)
        boxes = [[face.box for face in found] for found in (theirs, exact, packaged)]
        if boxes[1] != boxes[0] or boxes[2] != boxes[0]:
            self.unequal_boxes += 1
            print(f"{name}: boxes {boxes}")
            return
        for face, ours, shipped in zip(theirs, exact, packaged, strict=True):
            assert face.landmarks is not None and ours.encoding is not None and face.encoding is not None
            assert shipped.encoding is not None
            self.score = max(self.score, abs(face.score - ours.score))
            if not np.array_equal(face.landmarks, ours.landmarks):
                self.unequal_landmarks += 1
                print(f"{name}: landmarks of {face.box}")
                continue
            chip = align(pixels, [face])[0]
            off = np.abs(chip.astype(int) - face_oracle.chip(pixels, face.landmarks))
            if off.any():
                self.unequal_chips += 1
                print(f"{name}: chip of {face.box}, {np.count_nonzero(off)} values by at most {off.max()}")
            self.encoding = max(self.encoding, float(np.abs(ours.encoding - face.encoding).max()))
            self.encodings.append((face.encoding, ours.encoding, shipped.encoding))

    def report(self) -> bool:
        """Print it; whether all is as wanted."""
        theirs, exact, packaged = (distances(np.array(side, np.float64)) for side in zip(*self.encodings, strict=True))
        changed = [int(((side <= 0.6) != (theirs <= 0.6)).sum()) for side in (exact, packaged)]
        apart = [float(np.abs(side - theirs).max()) for side in (exact, packaged)]
        print(f"{self.searches} searches, {self.faces} faces, {theirs.size} pairs, {np.sum(theirs <= 0.6)} within 0.6")
        print(f"searches with unequal boxes {self.unequal_boxes}, scores differ by {self.score:.1e} at most")
        print(f"unequal landmarks {self.unequal_landmarks}, unequal chips {self.unequal_chips}")
        print(f"encodings differ by {self.encoding:.1e} at most, pair distances by {apart[0]:.1e}")
        print(f"pair distances with the packaged weights differ by {apart[1]:.1e} at most")
        print(f"decisions at 0.6 that differ: {changed[0]}; packaged weights {changed[1]}")
        allowed = theirs.size / 50_000
        return not (self.unequal_boxes or self.unequal_landmarks or changed[0]) and changed[1] <= max(1, allowed)


def distances(encodings: NDArray[np.float64]) -> NDArray[np.float64]:
    first, second = np.triu_indices(len(encodings), 1)
    return np.asarray(np.linalg.norm(encodings[first] - encodings[second], axis=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dat", type=Path)
    parser.add_argument("--scenes", type=int, default=100)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--upsample", default="0")
    arguments = parser.parse_args()
    os.environ["PYCONVX_DLIB_MODELS"] = str(arguments.dat)
    models, tally = FaceModels.from_dlib(arguments.dat), Tally()
    for name, pixels in pictures(arguments):
        for upsample in (int(number) for number in arguments.upsample.split(",")):
            theirs = face_oracle.faces(pixels, upsample)
            exact, packaged = encode(pixels, upsample=upsample, models=models), encode(pixels, upsample=upsample)
            tally.add(f"{name}, upsample {upsample}", pixels, theirs, exact, packaged)
    sys.exit(not tally.report())


if __name__ == "__main__":
    main()
