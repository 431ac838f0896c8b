"""An iteration of style transfer, cost and gradient for one picture, against the same in PyTorch channels-last.

Each side runs in processes of its own, which take turns, so that memory can be told apart: time with the malloc
settings that all benchmarks have, memory with malloc as it comes. The baseline (library, network, pictures) is
subtracted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench import environment, style_process, style_reference
from bench.arrays import Array
from bench.harness import Row, compare, fill
from pyconvx import image, models

SIZES = (256, 512)
QUICK_SIZES = (128,)
CHECK_SIZE = 48
TURNS, ITERATIONS = 3, 5
WHY = "a style-transfer iteration: VGG-16 to relu4_2, cost and gradient"
FORMULA = "2 x (forward + gradient of the input) over the convolutions to relu4_2"
# rms of the gradient's error over rms of the gradient. Wider than for one layer: where a pre-activation is nearly zero,
# rounding decides on which side of its ReLU it lies, and with it whether a gradient passes.
GATE = 1e-3


def problem(size: int) -> dict[str, Array]:
    """Weights by name, and x, content, style of (1, size, size, 3); x is the content with noise."""
    vgg = models.vgg16(pooling="avg")
    content, style = (
        vgg.preprocess(image.resize(image.load(image.packaged(name)), (size, size)))
        for name in ("chelsea", "starry_night")
    )
    x = content + 10 * np.random.default_rng(0).standard_normal(content.shape, np.float32)
    return {**vgg.net.state_dict(), "x": x, "content": content, "style": style}


def run(side: str, threads: int, isa: str, iterations: int, tuned: bool, given: Path) -> dict[str, Any]:
    """What a fresh process finds."""
    output = given.with_name("output.npz")
    orders = style_process.Orders(side, threads, iterations, str(given), str(output))
    subprocess.run(
        [sys.executable, "-m", "bench.style_process", json.dumps(orders._asdict())],
        env=environment.settings(isa, threads, tuned),
        cwd=environment.ROOT,
        check=True,
    )
    with np.load(output) as file:
        return dict(file)


def measure(
    isa: str, threads: int, quick: bool, peak: float | None, say: Callable[[str], None], with_torch: bool
) -> list[Row]:
    """All sizes; `say` is told each result."""
    sides = ["pyconvx", *["torch channels-last"] * with_torch]
    rows: list[Row] = []
    for size in QUICK_SIZES if quick else SIZES:
        found = measure_size(size, sides, isa, threads, peak, 1 if quick else TURNS)
        for row in found:
            say(f"style {row.problem}, {row.side}: {(row.median_s or 0) * 1e3:.4g} ms, {row.note}")
        rows += found
    return rows


def measure_size(size: int, sides: Sequence[str], isa: str, threads: int, peak: float | None, turns: int) -> list[Row]:
    given: Any = problem(size)
    cost, gradient = style_reference.cost_and_gradient(given, given["x"], given["content"], given["style"])
    rows: dict[str, Row] = {}
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "input.npz"
        np.savez(path, **given)
        for side in sides:
            plain = run(side, threads, isa, 1, False, path)
            rows[side] = row_of(size, side, error(plain, cost, gradient), int(plain["peak"] - plain["baseline"]))
        for _ in range(turns):
            for side in sides:
                seconds[side] += run(side, threads, isa, ITERATIONS, True, path)["seconds"].tolist()
    for side, row in rows.items():
        fill(row, seconds[side], peak)
    compare(list(rows.values()))
    return list(rows.values())


def row_of(size: int, side: str, wrong: float, memory: int) -> Row:
    return Row(
        "style",
        f"{size} px",
        WHY,
        "iteration",
        side,
        side == "pyconvx",
        wrong,
        GATE,
        counted=wrong <= GATE,
        unit="GFLOP/s",
        formula=FORMULA,
        amount=style_reference.flops(size),
        group="style iteration",
        memory=memory if memory > 0 else None,
        note=f"peak memory {memory / 2**20:.0f} MiB" if memory > 0 else "peak memory unknown",
    )


def error(result: dict[str, Any], cost: float, gradient: Array) -> float:
    """The larger one of the relative errors of the cost and, in rms, of the gradient."""
    off = np.sqrt(np.mean(np.square(result["gradient"] - gradient)) / np.mean(np.square(gradient)))
    worst = max(float(off), abs(float(result["cost"]) - cost) / cost)
    return worst if np.isfinite(worst) else float("inf")


def check(threads: int) -> list[str]:
    """What is wrong with cost and gradient of a small picture, computed in this process."""
    given = problem(CHECK_SIZE)
    cost, gradient = style_reference.cost_and_gradient(given, given["x"], given["content"], given["style"])
    mine, dx = style_process.pyconvx_side(given, threads)()()
    wrong = error({"cost": mine, "gradient": dx}, cost, gradient)
    return [f"style: error {wrong:.1e} above {GATE:.1e}"] if wrong > GATE else []
