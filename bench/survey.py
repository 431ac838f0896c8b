"""`python -m bench.survey`: what finding the best patches costs beyond the plain forward pass, in time and in memory.

VGG-16 through conv4_2, all 512 units, pictures of 224x224. Plain passes and surveys take turns on the same batches; the
median of the ratios of neighbours is printed, and is to be below 1.1. Then a survey of many more pictures, made one by
one as they are asked for, during which the process's resident memory must not grow. `--pictures 10000` is the size that
the goal names; it takes 20 minutes on one core.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import pyconvx
from bench import environment
from pyconvx import image, models, visualize

LAYER, BATCH = "conv4_2", 8
GOAL = 1.1


def picture(seed: int) -> np.ndarray:
    """Blotches in several sizes, prepared for the network."""
    rng = np.random.default_rng(seed)
    levels = np.zeros((224, 224, 3))
    for size in (4, 16, 56):
        levels += np.kron(rng.uniform(0, 85, (size, size, 3)), np.ones((224 // size, 224 // size, 1)))
    return levels.astype(np.float32) - np.float32(127)


def compare(net: Any, rounds: int) -> dict[str, Any]:
    """Plain pass and survey in turns, on so many pictures that what a survey does once counts little."""
    data = np.stack([picture(seed) for seed in range(8 * BATCH)])
    times: dict[str, list[float]] = {"plain": [], "survey": []}
    for _ in range(rounds + 1):
        start = time.perf_counter()
        for first in range(0, len(data), BATCH):
            net.features(data[first : first + BATCH], [LAYER])
        middle = time.perf_counter()
        visualize.top_patches(net, LAYER, None, data, batch_size=BATCH, workers=0)
        times["plain"].append((middle - start) / len(data))
        times["survey"].append((time.perf_counter() - middle) / len(data))
    plain, survey = times["plain"][1:], times["survey"][1:]  # the first round warms up
    return {
        "plain_ms": 1e3 * statistics.median(plain),
        "survey_ms": 1e3 * statistics.median(survey),
        "ratio": statistics.median(two / one for one, two in zip(plain, survey, strict=True)),
    }


def compare_folder(vgg: models.Network, folder: Path, rounds: int) -> dict[str, Any]:
    """Plain pass and survey in turns on the same files, other files in each round."""
    paths = sorted(str(path) for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not paths:
        raise SystemExit(f"bench.survey: no pictures in {folder}")
    chosen = np.random.default_rng(0).permutation(paths)
    count = min(4 * BATCH, len(paths))
    ratios, plain = [], []
    for turn in range(rounds + 1):
        files = list(np.take(chosen, range(turn * count, (turn + 1) * count), mode="wrap"))
        start = time.process_time()
        for first in range(0, count, BATCH):
            batch = [image.load(path, size=224) for path in files[first : first + BATCH]]
            if len({one.shape for one in batch}) == 1:
                vgg.net.features(vgg.preprocess(np.stack(batch)), [LAYER])
            else:
                for one in batch:
                    vgg.net.features(vgg.preprocess(one), [LAYER])
        middle = time.process_time()
        visualize.top_patches(vgg, LAYER, None, files, size=224, batch_size=BATCH)
        plain.append((middle - start) / count)
        ratios.append((time.process_time() - middle) / (middle - start))
    return {"plain_ms": 1e3 * statistics.median(plain[1:]), "ratio": statistics.median(ratios[1:]), "all": ratios[1:]}


def likeness(vgg: models.Network, folder: Path, every: int = 8) -> dict[str, Any]:
    """Mean cosine of relu5_1 (mean over positions) among nine patches: of every 8th unit, and of random pictures."""
    reader, random = visualize.PatchReader(vgg, folder, size=224), np.random.default_rng(0)
    field = visualize.receptive_field(vgg.net, LAYER)

    def alike(patches: list[np.ndarray]) -> float:
        seen = vgg.net.features(np.stack(patches), ["relu5_1"])["relu5_1"].mean(axis=(1, 2))
        seen /= np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1e-9)
        return float((np.sum(seen @ seen.T) - len(seen)) / (len(seen) * (len(seen) - 1)))

    def any_patch(pictures: int) -> np.ndarray:
        x = reader.read(int(random.integers(pictures)))
        return visualize.crop(x, field.box([int(random.integers(extent // 8)) for extent in x.shape[:2]]))

    report: dict[str, Any] = {}
    for rank_by, inside in (("activation", False), ("activation", True), ("selectivity", True)):
        found = visualize.top_patches(vgg, LAYER, None, folder, size=224, rank_by=rank_by, inside=inside)
        if not report:
            report["random"] = [alike([any_patch(found.survey.pictures) for _ in range(9)]) for _ in range(40)]
        units = [alike([patch.x for patch in reader.patches(found, unit)]) for unit in range(0, 512, every)]
        report[f"{rank_by}{' inside' if inside else ''}"] = units
    best = max(report["random"])
    return {
        f"likeness, {name}": {"mean": statistics.mean(values), "above all random": np.mean(np.array(values) > best)}
        for name, values in report.items()
    }


def stream(net: Any, count: int) -> dict[str, Any]:
    """A survey of many pictures, and the resident memory on its way, in MiB."""
    memory: dict[int, float] = {}

    def pictures() -> Iterator[np.ndarray]:
        for seed in range(count):
            yield picture(seed)

    def note(done: int, total: int, info: dict[str, Any]) -> None:
        memory[done] = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

    start = time.perf_counter()
    visualize.top_patches(net, LAYER, None, pictures(), batch_size=BATCH, keep_patches=False, progress=note)
    seconds = time.perf_counter() - start
    half = max(value for done, value in memory.items() if done <= count // 2)
    return {
        "pictures": count,
        "pictures_per_second": count / seconds,
        "resident_first_half": half,
        "resident_second_half": max(value for done, value in memory.items() if done > count // 2),
    }


def main() -> int:
    """Measure, print, and say whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--likeness", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    pyconvx.set_num_threads(arguments.threads)
    vgg = models.vgg16()
    net, folder, rounds = vgg.net, arguments.folder, arguments.rounds
    report = compare(net, rounds) if folder is None else compare_folder(vgg, folder, rounds)
    report["threads"] = arguments.threads
    print(json.dumps(report), flush=True)
    if folder is not None and arguments.likeness:
        report |= likeness(vgg, folder)
        print(json.dumps(report), flush=True)
    if arguments.pictures:
        report |= stream(net, arguments.pictures)
        print(json.dumps(report))
    if arguments.json:
        arguments.json.write_text(json.dumps({"environment": environment.facts(), **report}, indent=1) + "\n")
    return int(report["ratio"] > GOAL)


if __name__ == "__main__":
    raise SystemExit(main())
