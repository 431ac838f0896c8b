"""The cost through a network: the same numbers as the lecture's functions, and gradients by finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_network import TinyNetwork, picture

from pyconvx import style
from pyconvx.style.objective import Objective, style_targets
from pyconvx.style.variation import total_variation

WEIGHTS = {"content_weight": 0.3, "style_weight": 2.0, "tv_weight": 0.1}
LAYERS: dict[str, Any] = {
    "style_layers": {"relu1": 0.25, "relu2": 1.5},
    "content_layers": {"relu2": 0.75},
}


@pytest.fixture
def network() -> TinyNetwork:
    return TinyNetwork(dtype=np.float64)


def objective(network: TinyNetwork, normalization: str, **options: Any) -> Objective:
    chosen = style.StyleTransfer(normalization=normalization, **{**WEIGHTS, **LAYERS, **options}).options
    targets = style_targets(network.net, [pixels(network, 12, 16, 2)], [1.0], list(chosen.style_layers))
    return Objective(network.net, pixels(network, 10, 8, 1), targets, chosen)


def pixels(network: TinyNetwork, height: int, width: int, seed: int) -> NDArray[np.float64]:
    return network.preprocess(picture(height, width, seed)).astype(np.float64)


def test_lecture_is_the_lectures_formulas(network: TinyNetwork) -> None:
    x = pixels(network, 10, 8, 3)
    terms, _ = objective(network, "lecture")(x)
    layers = ["relu1", "relu2"]
    a_c, a_s, a_g = (
        {name: activation[0] for name, activation in network.net.features(source, layers).items()}
        for source in (pixels(network, 10, 8, 1), pixels(network, 12, 16, 2), x)
    )
    j_content = style.content_cost(a_c["relu2"], a_g["relu2"])
    assert terms.content == {"relu2": pytest.approx(j_content, rel=1e-12)}
    for name in layers:
        assert terms.style[name] == pytest.approx(style.layer_style_cost(a_s[name], a_g[name]), rel=1e-12)
    assert terms.total_variation == pytest.approx(total_variation(x), rel=1e-12)
    j_style = style.style_cost(a_s, a_g, LAYERS["style_layers"])
    wanted = style.total_cost(0.75 * j_content, j_style, alpha=0.3, beta=2.0) + 0.1 * total_variation(x)
    assert terms.cost == pytest.approx(wanted, rel=1e-12)


def test_balanced_errors_are_relative(network: TinyNetwork) -> None:
    # At a black picture of a network without biases every activation is 0, so every relative error is 1.
    for layer in ("conv1", "conv2"):
        network.net[layer].bias.assign(np.zeros_like(network.net[layer].bias.value))
    terms, _ = objective(network, "balanced")(np.zeros((1, 10, 8, 3)))
    assert terms.style == {"relu1": pytest.approx(1.0), "relu2": pytest.approx(1.0)}
    assert terms.content == {"relu2": pytest.approx(1.0)}
    assert terms.cost == pytest.approx(0.3 * 0.75 + 2.0 * 1.75)


def test_balanced_is_blind_to_the_scale_of_the_network(network: TinyNetwork) -> None:
    x = pixels(network, 10, 8, 3)
    before, _ = objective(network, "balanced", tv_weight=0)(x)
    for name, parameter in network.net.named_parameters().items():
        if name.startswith("conv1"):
            parameter.assign(parameter.value * 3)  # ReLU keeps positive factors: conv2's bias is made to follow
        elif name == "conv2.bias":
            parameter.assign(parameter.value * 3)
    after, _ = objective(network, "balanced", tv_weight=0)(x)
    assert after.cost == pytest.approx(before.cost, rel=1e-9)


@pytest.mark.parametrize("normalization", ["lecture", "balanced"])
def test_the_gradient(network: TinyNetwork, normalization: str) -> None:
    cost = objective(network, normalization)
    x = pixels(network, 10, 8, 4)
    value, gradient = cost(x)
    assert np.isfinite(value.cost)
    assert gradient.shape == x.shape
    rng = np.random.default_rng(0)
    for _ in range(4):
        direction = rng.standard_normal(x.shape)
        step = 1e-5
        ahead, behind = cost(x + step * direction)[0].cost, cost(x - step * direction)[0].cost
        assert (gradient * direction).sum() == pytest.approx((ahead - behind) / (2 * step), rel=1e-5)


def test_terms_with_weight_zero_are_not_computed(network: TinyNetwork) -> None:
    terms, gradient = objective(network, "balanced", content_weight=0, tv_weight=0)(pixels(network, 10, 8, 3))
    assert terms.content == {}
    assert terms.total_variation == 0.0
    assert np.abs(gradient).max() > 0


def test_at_its_own_style_and_content_the_cost_is_zero(network: TinyNetwork) -> None:
    x = pixels(network, 12, 16, 2)
    chosen = style.StyleTransfer(tv_weight=0, **LAYERS).options
    targets = style_targets(network.net, [x], [1.0], list(chosen.style_layers))
    terms, gradient = Objective(network.net, x, targets, chosen)(x)
    assert terms.cost == 0.0
    np.testing.assert_array_equal(gradient, np.zeros_like(x))


def test_blended_targets_have_the_gradient_of_the_weighted_sum(network: TinyNetwork) -> None:
    sources = [pixels(network, 12, 16, 2), pixels(network, 9, 9, 6)]
    weightless = {"content_weight": 0, "tv_weight": 0}
    options = style.StyleTransfer(normalization="lecture", style_layers=["relu1", "relu2"], **weightless).options
    x = pixels(network, 10, 8, 3)

    def gradient(pictures: list[NDArray[np.float64]], weights: list[float]) -> NDArray[np.float64]:
        targets = style_targets(network.net, pictures, weights, list(options.style_layers))
        return Objective(network.net, x, targets, options)(x)[1]

    apart = 0.25 * gradient(sources[:1], [1.0]) + 0.75 * gradient(sources[1:], [1.0])
    np.testing.assert_allclose(gradient(sources, [0.25, 0.75]), apart, rtol=1e-9, atol=1e-12 * np.abs(apart).max())


def test_a_dead_target_is_not_divided_by(network: TinyNetwork) -> None:
    parameter = network.net.named_parameters()["conv1.bias"]
    parameter.assign(np.full(parameter.value.shape, -1e9))  # relu1 is 0 for every picture
    terms, gradient = objective(network, "balanced")(pixels(network, 10, 8, 3))
    assert np.isfinite(terms.cost)
    assert np.isfinite(gradient).all()
