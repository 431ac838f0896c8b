"""Made-up people for the tests of galleries: encodings without faces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pyconvx import faces

MODEL = "made-up-model"


def person(seed: int, count: int = 1, spread: float = 0.01) -> np.ndarray:
    """Encodings of one person: about 16 from any other's, 0.1 from each other."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=128) + spread * rng.normal(size=(count, 128))).astype(np.float32)


def open_gallery(path: Path, **options: Any) -> faces.Gallery:
    return faces.Gallery(path, **{"encoder": MODEL, **options})
