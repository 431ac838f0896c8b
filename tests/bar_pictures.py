"""Six classes of small pictures, and the command to work on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pyconvx import cli, image
from pyconvx.cli import exit_codes

SIZE = 12
QUICK = ["--steps", "6", "--batch", "3x3", "--dimensions", "8", "--quiet", "--grey"]


def draw(path: Path, kind: int, seed: int) -> None:
    """A picture with a bar whose place tells its class, and some noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 60, (SIZE, SIZE, 3), np.uint8)
    pixels[kind : kind + 3] += 180
    image.save(path, pixels)


def draw_all() -> None:
    """Write the folder `things`: six classes of five pictures."""
    for kind in range(6):
        for place in range(5):
            draw(Path("things", f"class{kind}", f"{place}.png"), kind + kind // 2, 10 * kind + place)


def run(*arguments: Any) -> int:
    return cli.main([str(argument) for argument in arguments])


def trained(*more: Any) -> None:
    assert run("train", "things", "-o", "net.safetensors", *QUICK, *more) == exit_codes.OK
