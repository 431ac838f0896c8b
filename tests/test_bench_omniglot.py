"""bench.omniglot: PyTorch's side has the same network, loss and first step as ours."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from pyconvx.training import encoder2d
from pyconvx.triplet import NTXentLoss

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(not Path(__file__).parent.with_name("bench").is_dir(), reason="an installed package"),
]

# float32: PyTorch and pyconvx differ by a few units in the last place in every layer.
TOLERANCE = 1e-4


@pytest.fixture
def omniglot() -> ModuleType:
    pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip("pytorch_metric_learning")
        from bench import omniglot

        return omniglot


def test_the_network_in_pytorch_is_the_same(omniglot: ModuleType) -> None:
    import torch
    from pytorch_metric_learning import losses

    encoder = encoder2d("medium", input_size=32, seed=3)
    net = omniglot.in_pytorch(encoder)
    # With other draws a ReLU's input may be so near 0 that its sign is a matter of rounding, and gradients differ more.
    x = np.random.default_rng(2).random((8, 32, 32, 1), dtype=np.float32)
    labels = np.repeat(np.arange(4), 2)
    encoder.train()
    y, pullback = encoder.vjp(x)
    value, back = NTXentLoss(0.1).vjp(y, labels)
    _, grads = pullback(back()[0])
    encodings = net(torch.from_numpy(x).permute(0, 3, 1, 2))
    loss = losses.NTXentLoss(0.1)(encodings, torch.from_numpy(labels))
    loss.backward()
    assert loss.item() == pytest.approx(value, rel=TOLERANCE)
    np.testing.assert_allclose(encodings.detach().numpy(), y, atol=TOLERANCE)
    theirs = {name: parameter.grad.numpy() for name, parameter in net.named_parameters()}
    for name, axes in (("linear.weight", (1, 0)), ("conv4.weight", (2, 3, 1, 0)), ("norm3.bias", (0,))):
        other = theirs[name].transpose(axes)
        assert np.abs(grads[name] - other).max() < TOLERANCE * np.abs(other).max(), name


def test_pytorchs_side_trains_and_gives_back_an_encoder(omniglot: ModuleType, monkeypatch: Any) -> None:
    class Steps:
        """A budget of three steps."""

        def __init__(self) -> None:
            self.taken = 0

        def share(self) -> float:
            return min(1.0, self.taken / 3)

        def rate(self, step: int) -> float:
            self.taken = step + 1 if step < 3 else self.taken  # the trainer also tries its last step out
            return 1e-3

    monkeypatch.setattr(omniglot.example, "BATCH", {"n_classes": 3, "n_per_class": 2})
    x = np.random.default_rng(0).random((12, 32, 32, 1), dtype=np.float32)
    labels = [f"c{n}" for n in np.repeat(np.arange(4), 3)]
    ours, theirs = (side(x, labels, 0, Steps()) for side in (omniglot.by_pyconvx, omniglot.by_pytorch))
    assert theirs.steps == 3
    assert theirs.loss == pytest.approx(ours.loss, rel=0.02)
    start, moved = encoder2d("medium", input_size=32, seed=0).state_dict(), theirs.encoder.state_dict()
    assert all(not np.array_equal(start[name], moved[name]) for name in start)
