"""pytorch-metric-learning: its miners and its triplet loss."""

from __future__ import annotations

import warnings
from typing import Any

import torch

from bench.arrays import Array
from bench.harness import Results, Side

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pytorch_metric_learning import distances, losses, miners, reducers


def mined_triplets(mining: str, x: Array, labels: Array, margin: float, threads: int) -> list[Side]:
    torch.set_num_threads(threads)
    squared = distances.LpDistance(normalize_embeddings=False, p=2, power=2)
    miner: Any = miners.BatchHardMiner(distance=squared)
    if mining == "semihard":
        miner = miners.TripletMarginMiner(margin, "semihard", distance=squared)
    loss = losses.TripletMarginLoss(margin, distance=squared, reducer=reducers.MeanReducer())
    classes = torch.from_numpy(labels)

    def call() -> tuple[torch.Tensor, torch.Tensor]:
        encodings = torch.from_numpy(x).requires_grad_()
        value = loss(encodings, classes, miner(encodings, classes))
        value.backward()
        assert encodings.grad is not None
        return value.detach(), encodings.grad

    return [Side("pytorch-metric-learning", call, read)]


def read(result: tuple[torch.Tensor, torch.Tensor]) -> Results:
    return result[0].reshape(1).numpy(), result[1].numpy()
