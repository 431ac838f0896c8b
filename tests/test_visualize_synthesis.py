"""Ascent and inversion: gradients against differences in float64, ways there and back, seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_visualize_attribution import small_net

from pyconvx import nn, visualize
from pyconvx.errors import Interrupted, OptionError, ShapeError
from pyconvx.visualize._canvas import blurred, color_axes, make_canvas, total_variation
from pyconvx.visualize.inversion import Likeness
from pyconvx.visualize.maximization import Ascent

SIZES = {1: [(24,), (25,)], 2: [(12, 10), (11, 13)], 3: [(8, 7, 8), (7, 8, 9)]}
STEP = 1e-6
MIX = np.array([[1.0, 0.2, 0.0], [0.5, 2.0, -1.0], [0.0, 0.3, 0.5]])


def slope(function: Any, at: np.ndarray, direction: np.ndarray) -> float:
    return float((function(at + STEP * direction) - function(at - STEP * direction)) / (2 * STEP))


@pytest.mark.parametrize("kind", ["fourier", "pixels"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_canvas_gradient_is_the_adjoint_of_its_picture(rank: int, kind: Any) -> None:
    rng = np.random.default_rng(0)
    for size in SIZES[rank]:
        canvas = make_canvas(kind, size, MIX)
        z, dx = rng.standard_normal(canvas.shape), rng.standard_normal((*size, 3))
        assert abs(np.vdot(canvas.picture(z), dx) - np.vdot(z, canvas.gradient(dx))) < 1e-10
        np.testing.assert_allclose(canvas.picture(canvas.parameters(dx)), dx, atol=1e-12)
        noise = canvas.picture(rng.standard_normal(canvas.shape)) @ np.linalg.inv(MIX).T
        assert 0.2 < noise.std() < 3, "parameters of variance 1 make a picture of about that"


@pytest.mark.parametrize("objective", ["neuron", "channel"])
@pytest.mark.parametrize("kind", ["fourier", "pixels"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_ascents_gradient_is_a_difference_quotient(rank: int, kind: Any, objective: str) -> None:
    net = small_net(rank)
    rng = np.random.default_rng(1)
    for size in SIZES[rank]:
        canvas = make_canvas(kind, size, np.array([[1.0, 0.5], [0.0, 2.0]]))
        ascent = Ascent(net, "conv2", 1, canvas, objective)
        z, shift = rng.standard_normal(canvas.shape), [2, -1, 3][:rank]
        value, gradient = ascent.value_and_gradient(z, shift)
        direction = rng.standard_normal(z.shape)
        measured = slope(lambda at: ascent.value_and_gradient(at, shift)[0], z, direction)  # noqa: B023
        assert abs(measured - np.vdot(gradient, direction)) < 1e-6 * max(1, abs(measured))
        y = net.features(np.roll(canvas.picture(z), shift, range(rank))[None], ["conv2"])["conv2"][0, ..., 1]
        wanted = y.mean() if objective == "channel" else y[tuple(extent // 2 for extent in y.shape)]
        assert abs(value - wanted) < 1e-12


@pytest.mark.torch
def test_the_ascents_gradient_is_that_of_torch() -> None:
    torch = pytest.importorskip("torch")
    size = (12, 11)
    net, canvas = small_net(2), make_canvas("fourier", size, np.array([[0.5, 1.0], [-1.0, 2.0]]))
    z = np.random.default_rng(0).standard_normal(canvas.shape)
    _, gradient = Ascent(net, "conv2", 3, canvas, "neuron").value_and_gradient(z, (1, -2))
    state = {name: torch.tensor(array) for name, array in net.state_dict(layout="pytorch").items()}
    given = torch.tensor(z, requires_grad=True)
    spectrum = torch.complex(given[0], given[1]) * torch.tensor(canvas._scale)  # type: ignore[attr-defined]
    unmixed = torch.fft.irfftn(spectrum, s=size, dim=(0, 1), norm="ortho")
    mixed = unmixed @ torch.tensor([[0.5, -1.0], [1.0, 2.0]], dtype=torch.float64)
    x = mixed.roll((1, -2), (0, 1)).permute(2, 0, 1)[None]
    hidden = torch.nn.functional.conv2d(x, state["conv1.weight"], state["conv1.bias"], padding=1)
    pooled = torch.nn.functional.max_pool2d(hidden.relu(), 2)
    y = torch.nn.functional.conv2d(pooled, state["conv2.weight"], state["conv2.bias"])
    y[0, 3, y.shape[2] // 2, y.shape[3] // 2].backward()
    np.testing.assert_allclose(gradient, given.grad.numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_likeness_gradient_is_a_difference_quotient(rank: int) -> None:
    net, rng = small_net(rank), np.random.default_rng(2)
    size = SIZES[rank][0]
    x, scale = rng.standard_normal((*size, 2)), np.array([1.5, 0.5])
    canvas = make_canvas("fourier", size, np.diag(scale))
    likeness = Likeness(net, "relu2", x, canvas, scale, 0.1)
    z, direction = rng.standard_normal(canvas.shape), rng.standard_normal(canvas.shape)
    gradient = likeness.value_and_gradient(z)[1]
    measured = slope(lambda at: likeness.value_and_gradient(at)[0], z, direction)
    assert abs(measured - np.vdot(gradient, direction)) < 1e-6 * max(1, abs(measured))


def test_smoothing() -> None:
    x = np.random.default_rng(0).standard_normal((9, 8, 2))
    direction = np.random.default_rng(1).standard_normal(x.shape)
    measured = slope(lambda at: total_variation(at)[0], x, direction)
    assert abs(measured - np.vdot(total_variation(x)[1], direction)) < 1e-6
    np.testing.assert_allclose(blurred(np.ones((5, 6, 1)), 2.0), 1)
    assert total_variation(blurred(x, 1.0))[0] < 0.5 * total_variation(x)[0]
    assert blurred(x, 0) is x


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", ["fourier", "pixels"])
def test_a_picture_excites_its_unit_and_comes_again_with_its_seed(rank: int, kind: Any) -> None:
    net = small_net(rank)
    options: dict[str, Any] = {"steps": 40, "parametrisation": kind, "blur": 0.3, "jitter": 1, "random_state": 5}
    found = visualize.maximize(net, "conv2", 2, **options)
    assert found.x.shape == (8,) * rank + (2,)
    assert found.value > found.trace[0] + 0.5
    again = visualize.maximize(net, "conv2", 2, **options)
    np.testing.assert_array_equal(found.x, again.x)
    assert found.trace == again.trace
    assert (visualize.maximize(net, "conv2", 2, **{**options, "random_state": 6}).x != found.x).any()
    y = net.features(found.x[None], ["conv2"])["conv2"][0, ..., 2]
    assert abs(y[tuple(extent // 2 for extent in y.shape)] - found.value) < 1e-12


def test_colors_of_photographs() -> None:
    axes = color_axes()
    assert abs(np.square(axes).sum() / 3 - 1) < 0.01, "channels have a mean variance of 1"
    assert abs(axes.T @ axes - np.diag(np.diag(axes.T @ axes))).max() < 1e-12, "the axes are at right angles"
    grey = axes @ [1, 0, 0]
    assert np.ptp(grey) < 1e-12
    from pyconvx import models

    found = visualize.maximize(models.vgg16(), "conv1_2", 0, steps=2, size=12)
    assert found.x.shape == (12, 12, 3)


def test_colours_are_mixed_in_the_networks_order() -> None:
    from pyconvx import models
    from pyconvx.visualize.synthesis import mix_of

    graph = nn.Sequential({"conv": nn.Conv2d(3, 1, 1, random_state=0)})
    card = models.vgg16().card
    rgb = models.Network(graph, models.Preprocessing("rgb", (120.0, 110.0, 100.0), (58.0, 57.0, 56.0)), card)
    bgr = models.Network(graph, models.Preprocessing("bgr", (100.0, 110.0, 120.0), (56.0, 57.0, 58.0)), card)
    scale = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(mix_of(bgr, scale[::-1]), mix_of(rgb, scale)[::-1])
    assert (mix_of(rgb, scale)[0] != mix_of(rgb, scale)[2]).any()
    np.testing.assert_allclose(mix_of(graph, scale), np.diag(scale))


def test_contrast_and_decay_are_those_asked_for() -> None:
    net = small_net(2)
    options: dict[str, Any] = {"steps": 60, "learning_rate": 0.5, "jitter": 0}
    rms = [float(np.sqrt(np.mean(visualize.maximize(net, "conv2", 2, contrast=c, **options).x ** 2))) for c in (0.5, 2)]
    assert rms == pytest.approx([0.5, 2.0], rel=1e-6), "it would go on growing"
    start = np.random.default_rng(0).standard_normal((12, 10, 2))
    options |= {"steps": 3, "learning_rate": 0.0, "size": (12, 10), "contrast": 10.0, "start": start}
    np.testing.assert_allclose(visualize.maximize(net, "conv2", 2, decay=0.1, **options).x, 0.9**3 * start, atol=1e-12)
    smooth = visualize.maximize(net, "conv2", 2, decay=0.0, blur=1.0, blur_every=2, **options).x
    np.testing.assert_allclose(smooth, blurred(start, 1.0), atol=1e-12)


def test_units_without_positions_and_a_start() -> None:
    net = nn.Sequential(
        {"conv": nn.Conv2d(1, 4, 3, random_state=0), "mean": nn.GlobalAvgPool(), "out": nn.Linear(4, 2, random_state=1)}
    )
    with pytest.raises(OptionError, match="reads the whole input: give size"):
        visualize.maximize(net, "out", 0)
    start = np.random.default_rng(0).standard_normal((7, 6, 1)).astype(np.float32)
    found = visualize.maximize(net, "out", 0, size=(7, 6), start=start, steps=0)
    np.testing.assert_allclose(found.x, start, atol=1e-5)
    assert visualize.maximize(net, "out", 0, size=(7, 6), start=start, steps=10).value > found.value


def test_inversion_finds_a_picture_that_the_layer_cannot_tell_from_the_given_one() -> None:
    net = small_net(2)
    x = np.random.default_rng(0).standard_normal((12, 10, 2))
    found = visualize.invert(net, "conv1", x, steps=200, smoothness=0)
    assert found.value < 1e-3
    assert found.trace[-1] < found.trace[0]
    assert np.abs(found.x - x).max() < 0.05, "3x3 with five channels lose nothing"
    smooth = visualize.invert(net, "conv1", x, steps=50, smoothness=1.0)
    assert total_variation(smooth.x)[0] < total_variation(x)[0]


def test_what_does_not_fit_is_refused_and_interruptions_keep_the_picture() -> None:
    net = small_net(2)
    for options, message in (
        ({"steps": -1}, "steps is -1"),
        ({"decay": 1.0}, "decay 1.0"),
        ({"size": (3,)}, "size is"),
        ({"parametrisation": "wavelets"}, "parametrisation is"),
        ({"objective": "layer"}, "objective is"),
        ({"contrast": 0.0}, "contrast is"),
    ):
        with pytest.raises(OptionError, match=message):
            visualize.maximize(net, "conv2", 0, **options)
    with pytest.raises(OptionError, match="units 0 to 3"):
        visualize.maximize(net, "conv2", 9)
    with pytest.raises(ShapeError, match="start has shape"):
        visualize.maximize(net, "conv2", 0, size=9, start=np.zeros((3, 3, 2)))
    with pytest.raises(ShapeError, match="2 spatial axes"):
        visualize.invert(net, "conv2", np.zeros((1, 9, 9, 2)))
    silent = nn.Sequential({"conv": nn.Conv1d(1, 1, 1, bias=False)})
    with pytest.raises(OptionError, match="knows nothing of it"):
        visualize.invert(silent, "conv", np.zeros((4, 1), np.float32))

    def stop(done: int, total: int, info: dict[str, Any]) -> None:
        if done == 3:
            raise KeyboardInterrupt

    for call in (
        lambda: visualize.maximize(net, "conv2", 0, progress=stop),
        lambda: visualize.invert(net, "conv2", np.ones((9, 9, 2)), progress=stop),
    ):
        with pytest.raises(Interrupted) as caught:
            call()
        assert len(caught.value.result.trace) == 3
