"""Omniglot's drawings and one-shot runs, from zips or folders, and how runs are judged; for omniglot.py."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np

from pyconvx import image, pairwise_distances

SIZE, INNER = 32, 27  # pixels of a picture, and of the longer side of the character in it
Files = dict[PurePosixPath, bytes]


class Drawing(NamedTuple):
    """Whose drawing of what it is."""

    alphabet: str
    character: str
    drawer: int


def read(source: str) -> Files:
    """All files of a zip or a folder, by path."""
    if Path(source).is_dir():
        paths = sorted(path for path in Path(source).rglob("*") if path.is_file())
        return {PurePosixPath(path.relative_to(source)): path.read_bytes() for path in paths}
    with zipfile.ZipFile(source) as archive:
        return {PurePosixPath(name): archive.read(name) for name in archive.namelist() if not name.endswith("/")}


def picture(data: bytes) -> np.ndarray:
    """White on black, in the middle, of one size but no more than twice as large as drawn: (SIZE, SIZE, 1)."""
    ink = 255 - image.load(data)[:, :, 0]
    most = max(ink.shape)
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if len(rows):
        ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    window = max(round(max(ink.shape) * SIZE / INNER), most // 2)
    before = [(window - n) // 2 for n in ink.shape]
    ink = np.pad(ink, [(b, window - n - b) for b, n in zip(before, ink.shape, strict=True)])
    return image.resize(ink[:, :, np.newaxis].astype(np.float32) / 255, (SIZE, SIZE), resample="bilinear")


def pictures(data: list[bytes]) -> np.ndarray:
    """Each of them: (drawings, SIZE, SIZE, 1)."""
    return np.stack([picture(one) for one in data])


def drawings(sources: list[str]) -> tuple[np.ndarray, list[Drawing]]:
    """Pictures and what they are; what is in two sources counts once."""
    found: dict[Drawing, bytes] = {}
    for source in sources:
        for path, data in read(source).items():
            drawer = re.fullmatch(r"\d+_(\d+)\.png", path.name)
            if drawer and len(path.parts) > 2:
                found[Drawing(path.parts[-3], path.parts[-2], int(drawer[1]))] = data
    if not found:
        raise SystemExit(f"no alphabet/character/0001_01.png in {', '.join(sources)}")
    return pictures(list(found.values())), list(found)


def given_runs(files: Files) -> tuple[np.ndarray, list[np.ndarray]]:
    """Pictures, and the runs of every class_labels.txt: rows of places [drawing, its example]."""
    place: dict[PurePosixPath, int] = {}
    runs = []
    for labels in sorted(path for path in files if path.name == "class_labels.txt"):
        lines = [line.split() for line in files[labels].decode().splitlines() if line.strip()]
        rows = [[labels.parent.parent / name for name in line] for line in lines]
        runs.append(np.array([[place.setdefault(path, len(place)) for path in row] for row in rows]))
    return pictures([files[path] for path in place]), runs


def drawn_runs(names: list[Drawing], known: set[str], count: int) -> list[np.ndarray]:
    """Runs like Lake's, in turn of all alphabets that are not known: rows of places [drawing, its example]."""
    rng, place = np.random.default_rng(0), {name: i for i, name in enumerate(names)}
    alphabets = sorted({name.alphabet for name in names} - known)
    if not alphabets:
        raise SystemExit("every alphabet to be judged on is one that was learned from")
    runs = []
    for alphabet in (alphabets[run % len(alphabets)] for run in range(count)):
        own = [name for name in names if name.alphabet == alphabet]
        characters = rng.permutation(sorted({name.character for name in own}))[:20]
        drawers = rng.choice(sorted({name.drawer for name in own}), 2, replace=False)
        runs.append(np.array([[place[Drawing(alphabet, c, d)] for d in drawers] for c in characters]))
    return runs


class Rate(NamedTuple):
    """A mean over runs, and twice its standard error."""

    mean: float
    error: float

    def __str__(self) -> str:
        return f"{100 * self.mean:.1f}% +- {100 * self.error:.1f}"


def accuracy(encoded: np.ndarray, runs: list[np.ndarray]) -> Rate:
    """How many drawings are nearest to the example of their character."""
    found = [pairwise_distances(encoded[q], encoded[e]).argmin(axis=1) for q, e in (run.T for run in runs)]
    right = [np.mean(own == np.arange(len(own))) for own in found]
    return Rate(float(np.mean(right)), float(2 * np.std(right) / len(right) ** 0.5))
