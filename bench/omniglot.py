"""One-shot recognition with the same network, batches and minutes: pyconvx, and PyTorch with pytorch-metric-learning.

    python -m bench.omniglot --train images_background_small1.zip --test images_background_small2.zip --minutes 5

Both sides start from the same weights and see the same augmented batches, for as many steps as the time allows; the
encoder of PyTorch's side is judged by pyconvx, which computes what PyTorch does.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.arrays import Array
from pyconvx import nn, set_num_threads
from pyconvx.training import PKSampler, encoder2d

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))

import omniglot as example
from omniglot_data import SIZE, accuracy, drawings, drawn_runs


class Trained(NamedTuple):
    """An encoder, and what its training was."""

    encoder: nn.Layer
    steps: int
    loss: float


def by_pyconvx(x: Array, labels: list[str], seed: int, budget: example.Budget) -> Trained:
    encoder, losses = example.trained(x, labels, seed, budget)
    return Trained(encoder, len(losses), float(np.mean(losses[-50:])))


def by_pytorch(x: Array, labels: list[str], seed: int, budget: example.Budget) -> Trained:
    import torch
    from pytorch_metric_learning.losses import NTXentLoss

    start = encoder2d("medium", input_size=SIZE, seed=seed)
    net = in_pytorch(start)
    optimizer = torch.optim.AdamW(net.parameters(), weight_decay=0.01)
    loss = NTXentLoss(example.TEMPERATURE)
    losses: list[float] = []
    classes = np.unique(labels, return_inverse=True)[1]
    sampler = PKSampler(classes, **example.BATCH, random_state=seed)
    while budget.share() < 1:
        for rows in sampler:
            if budget.share() == 1:
                break
            batch = example.changed(x[rows], np.random.default_rng([seed, len(losses)]))
            optimizer.param_groups[0]["lr"] = budget.rate(len(losses))
            optimizer.zero_grad()
            # Channels-last memory under PyTorch's axes: the faster one of its two layouts here.
            value = loss(net(torch.from_numpy(batch).permute(0, 3, 1, 2)), torch.from_numpy(classes[rows]))
            value.backward()
            optimizer.step()
            losses.append(value.item())
    state = {
        name: array.numpy() for name, array in net.state_dict().items() if not name.endswith("num_batches_tracked")
    }
    start.load_state_dict(state, layout="pytorch")
    return Trained(start, len(losses), float(np.mean(losses[-50:])))


def in_pytorch(encoder: nn.Layer) -> Any:
    """The same layers with the same weights and names, in training."""
    import torch

    class Places(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.permute(0, 2, 3, 1).flatten(1)

    class Normalize(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.normalize(x)

    layers: dict[str, Any] = {}
    for name, layer in encoder._children.items():
        if isinstance(layer, nn.Conv2d):
            layers[name] = torch.nn.Conv2d(layer.in_channels, layer.out_channels, 3, padding=1, bias=False)
        elif isinstance(layer, nn.BatchNorm):
            layers[name] = torch.nn.BatchNorm2d(layer.num_features)
        elif isinstance(layer, nn.Linear):
            layers[name] = torch.nn.Linear(layer.in_features, layer.out_features)
        else:
            kinds = {nn.ReLU: torch.nn.ReLU, nn.Flatten: Places, nn.L2Normalize: Normalize}
            layers[name] = torch.nn.MaxPool2d(2) if isinstance(layer, nn.MaxPool2d) else kinds[type(layer)]()
    net = torch.nn.Sequential()
    for name, module in layers.items():
        net.add_module(name, module)
    state = {name: torch.from_numpy(np.array(array)) for name, array in encoder.state_dict(layout="pytorch").items()}
    net.load_state_dict(state, strict=False)
    return net.to(memory_format=torch.channels_last).train()


SIDES: dict[str, Callable[..., Trained]] = {"pyconvx": by_pyconvx, "pytorch": by_pytorch}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", nargs="+", required=True, metavar="FOLDER_OR_ZIP")
    parser.add_argument("--test", nargs="+", required=True, metavar="FOLDER_OR_ZIP")
    parser.add_argument("--minutes", type=float, default=5, help="of training, for each side and seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=400)
    parser.add_argument("--processor-time", action="store_true", help="minutes are the processor's, on a busy machine")
    options = parser.parse_args()
    set_num_threads(options.threads)
    if "pytorch" in options.sides:
        import pytorch_metric_learning.losses  # noqa: F401  # here, so that no time of training goes into it
        import torch

        torch.set_num_threads(options.threads)
    clock = time.process_time if options.processor_time else time.monotonic
    x, names = drawings(options.train)
    judged, of = drawings(options.test)
    runs = drawn_runs(of, {name.alphabet for name in names}, options.runs)
    print(f"nearest neighbour on pixels: {accuracy(judged.reshape(len(judged), -1), runs)}")
    found: dict[str, list[float]] = {}
    for seed in options.seeds:
        learned = example.classes(x, names)
        for side in options.sides:
            trained = SIDES[side](*learned, seed, example.Budget(options.minutes, clock))
            rate = accuracy(example.encodings(trained.encoder, judged, copies=1), runs)
            found.setdefault(side, []).append(rate.mean)
            line = {"side": side, "seed": seed, "steps": trained.steps, "loss": trained.loss, "accuracy": rate.mean}
            print(json.dumps(line), flush=True)
    for side, rates in found.items():
        spread = f", standard deviation {100 * np.std(rates, ddof=1):.1f}" if len(rates) > 1 else ""
        print(f"{side}: {100 * np.mean(rates):.1f}%{spread}")


if __name__ == "__main__":
    main()
