"""Losses and miners against those of pytorch-metric-learning and PyTorch, where these are installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from pyconvx import triplet

Array = NDArray[Any]

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def pml() -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = pytest.importorskip("pytorch_metric_learning")
        from pytorch_metric_learning import distances, losses, miners, reducers  # noqa: F401
    return package


def batch(seed: int = 0, rows: int = 40, depth: int = 16, classes: int = 8) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(rows) % classes)
    centres = rng.standard_normal((classes, depth))
    return centres[labels] + 1.2 * rng.standard_normal((rows, depth)), labels


def euclidean(pml: Any, power: int = 1) -> Any:
    return pml.distances.LpDistance(normalize_embeddings=False, p=2, power=power)


class Case(NamedTuple):
    ours: Callable[[], triplet.BatchLoss]
    theirs: Callable[[Any], Any]
    miner: Callable[[Any], Any] = lambda pml: None


def hardest(pml: Any) -> Any:
    return pml.miners.BatchHardMiner(distance=euclidean(pml, 2))


def semihard(pml: Any) -> Any:
    return pml.miners.TripletMarginMiner(margin=4.0, type_of_triplets="semihard", distance=euclidean(pml, 2))


CASES = {
    "all": Case(
        lambda: triplet.TripletLoss(4.0, mining="all", reduction="mean_nonzero"),
        lambda pml: pml.losses.TripletMarginLoss(4.0, distance=euclidean(pml, 2)),
    ),
    "all, mean, euclidean": Case(
        lambda: triplet.TripletLoss(1.0, mining="all", metric="euclidean"),
        lambda pml: pml.losses.TripletMarginLoss(1.0, distance=euclidean(pml), reducer=pml.reducers.MeanReducer()),
    ),
    "all, soft": Case(
        lambda: triplet.TripletLoss(0.5, mining="all", metric="euclidean", soft=True),
        lambda pml: pml.losses.TripletMarginLoss(0.5, smooth_loss=True, distance=euclidean(pml)),
    ),
    "batch_hard": Case(
        lambda: triplet.TripletLoss(4.0, mining="batch_hard"),
        lambda pml: pml.losses.TripletMarginLoss(4.0, distance=euclidean(pml, 2), reducer=pml.reducers.MeanReducer()),
        hardest,
    ),
    "every semihard": Case(
        lambda: triplet.TripletLoss(4.0, mining="semihard", every=True),
        lambda pml: pml.losses.TripletMarginLoss(4.0, distance=euclidean(pml, 2)),
        semihard,
    ),
    "contrastive": Case(
        lambda: triplet.ContrastiveLoss(2.0, 7.0),
        lambda pml: pml.losses.ContrastiveLoss(2.0, 7.0, distance=euclidean(pml)),
    ),
    "nt_xent": Case(lambda: triplet.NTXentLoss(0.07), lambda pml: pml.losses.NTXentLoss(0.07)),
    "sup_con": Case(lambda: triplet.SupConLoss(0.1), lambda pml: pml.losses.SupConLoss(0.1)),
    "multi_similarity": Case(
        lambda: triplet.MultiSimilarityLoss(2, 50, 0.5), lambda pml: pml.losses.MultiSimilarityLoss(2, 50, 0.5)
    ),
    "multi_similarity mined": Case(
        lambda: triplet.MultiSimilarityLoss(2, 50, 0.5, epsilon=0.1),
        lambda pml: pml.losses.MultiSimilarityLoss(2, 50, 0.5),
        lambda pml: pml.miners.MultiSimilarityMiner(0.1),
    ),
    "circle": Case(lambda: triplet.CircleLoss(0.4, 80), lambda pml: pml.losses.CircleLoss(0.4, 80)),
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_pytorch_metric_learning_s(name: str, pml: Any) -> None:
    case = CASES[name]
    for seed in range(3):
        x, labels = batch(seed)
        given, classes = torch.tensor(x, requires_grad=True), torch.tensor(labels)
        miner = case.miner(pml)
        chosen = None if miner is None else miner(given, classes)
        theirs = case.theirs(pml)(given, classes, chosen)
        theirs.backward()
        value, pullback = case.ours().vjp(x, labels)
        np.testing.assert_allclose(value, theirs.item(), rtol=1e-9)
        np.testing.assert_allclose(pullback()[0], given.grad.numpy(), rtol=1e-7, atol=1e-10)
        assert np.abs(given.grad.numpy()).max() > 1e-5, "nothing was compared"


@pytest.mark.parametrize("name", ["ArcFaceLoss", "ProxyAnchorLoss"])
def test_losses_with_proxies_are_pytorch_metric_learning_s(name: str, pml: Any) -> None:
    x, labels = batch()
    proxies = np.random.default_rng(1).standard_normal((9, 16))
    given, classes = torch.tensor(x, requires_grad=True), torch.tensor(labels)
    arc = name == "ArcFaceLoss"
    if arc:
        theirs = pml.losses.ArcFaceLoss(9, 16, margin=np.degrees(0.4), scale=30)
        parameter = theirs.W = torch.nn.Parameter(torch.tensor(proxies.T.copy()))
    else:
        theirs = pml.losses.ProxyAnchorLoss(9, 16, margin=0.1, alpha=32)
        parameter = theirs.proxies = torch.nn.Parameter(torch.tensor(proxies))
    loss: Any = triplet.ArcFaceLoss(9, 16, 0.4, 30, dtype="float64") if arc else None
    loss = loss or triplet.ProxyAnchorLoss(9, 16, 0.1, 32, dtype="float64")
    loss.load_state_dict({"weight": proxies})
    value, pullback = loss.vjp(x, labels)
    expected = theirs(given, classes)
    expected.backward()
    np.testing.assert_allclose(value, expected.item(), rtol=1e-9)
    dx, grads = pullback()
    np.testing.assert_allclose(dx, given.grad.numpy(), rtol=1e-7, atol=1e-10)
    dweight = parameter.grad.numpy()
    np.testing.assert_allclose(grads["weight"], dweight.T if arc else dweight, rtol=1e-7, atol=1e-10)


def test_n_pairs_is_pytorch_s_cross_entropy() -> None:
    x, labels = batch()
    order = np.argsort(labels, kind="stable").reshape(8, 5)
    given = torch.tensor(x, requires_grad=True)
    products = given[order[:, 0]] @ given[order[:, 1]].T
    theirs = torch.nn.functional.cross_entropy(products, torch.arange(8))
    theirs.backward()
    value, pullback = triplet.NPairsLoss().vjp(x, labels)
    np.testing.assert_allclose(value, theirs.item(), rtol=1e-9)
    np.testing.assert_allclose(pullback()[0], given.grad.numpy(), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_the_lecture_s_loss_is_pytorch_s(reduction: Any) -> None:
    arrays = np.random.default_rng(0).standard_normal((3, 20, 8))
    given = [torch.tensor(array, requires_grad=True) for array in arrays]
    theirs = torch.nn.TripletMarginLoss(0.5, eps=0.0, reduction=reduction)(*given)
    theirs.backward()
    value = triplet.triplet_loss(*arrays, 0.5, squared=False, reduction=reduction)
    np.testing.assert_allclose(value, theirs.item(), rtol=1e-9)
    for ours, tensor in zip(
        triplet.triplet_loss_grad(*arrays, 0.5, squared=False, reduction=reduction), given, strict=True
    ):
        np.testing.assert_allclose(ours, tensor.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["all", "easy", "semihard", "hard"])
def test_every_triplet_of_a_kind_is_pytorch_metric_learning_s(kind: Any, pml: Any) -> None:
    """Its "all" are those within the margin."""
    x, labels = batch(1, 24, 4, 5)
    miner = pml.miners.TripletMarginMiner(margin=2.0, type_of_triplets=kind, distance=euclidean(pml))
    expected = set(zip(*(part.tolist() for part in miner(torch.tensor(x), torch.tensor(labels))), strict=True))

    def found(strategy: Any) -> set[tuple[int, ...]]:
        parts = triplet.mine(x, labels, strategy, margin=2.0, metric="euclidean", every=True)
        return set(zip(*(part.tolist() for part in parts), strict=True))

    assert (found("hard") | found("semihard") if kind == "all" else found(kind)) == expected
    assert len(expected) > 20
