"""Whole runs on a small network: every optimiser and start, what is told on the way, and how a run may end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_network import CONTENT_LAYERS, STYLE_LAYERS, TinyNetwork, picture

from pyconvx import image
from pyconvx.errors import Interrupted, OptionError
from pyconvx.style import StyleTransfer, transfer

CONTENT, STYLE, OTHER = picture(40, 56, 1), picture(48, 40, 2), picture(30, 30, 3)
SMALL: dict[str, Any] = {"size": 48, "steps": 6, "style_layers": STYLE_LAYERS, "content_layers": CONTENT_LAYERS}


def small(**options: Any) -> StyleTransfer:
    return StyleTransfer(network=TinyNetwork(), **{**SMALL, **options})


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam", "gd"])
@pytest.mark.parametrize("normalization", ["balanced", "lecture"])
def test_the_cost_falls(optimizer: str, normalization: str) -> None:
    result = small(optimizer=optimizer, normalization=normalization, steps=12).run(CONTENT, STYLE)
    costs = [record["cost"] for record in result.trace]
    assert result.stopped == "finished"
    assert result.picture.shape == (34, 48, 3)
    assert result.picture.dtype == np.uint8
    assert len(costs) == 12
    assert result.cost == min(costs) < 0.9 * costs[0]


def test_one_call_does_the_same() -> None:
    seen: list[int] = []
    result = transfer(CONTENT, STYLE, callback=lambda step: seen.append(step.done), network=TinyNetwork(), **SMALL)
    np.testing.assert_array_equal(result.picture, small().run(CONTENT, STYLE).picture)
    assert seen == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_run_has_the_same_bits(threads: int) -> None:
    import pyconvx

    with pyconvx.num_threads(threads):
        result = small(init="random", seed=4).run(CONTENT, STYLE)
    again = small(init="random", seed=4).run(CONTENT, STYLE)
    assert result.cost == again.cost
    np.testing.assert_array_equal(result.picture, again.picture)


def test_starts() -> None:
    first: dict[str, np.ndarray[Any, Any]] = {}

    def start(name: str, **options: Any) -> np.ndarray[Any, Any]:
        # A learning rate so small that the first step shows the start.
        first[name] = small(optimizer="gd", learning_rate=1e-30, steps=1, **options).run(CONTENT, STYLE).picture
        return first[name]

    np.testing.assert_array_equal(start("content"), image.resize(CONTENT, (34, 48)))
    np.testing.assert_array_equal(start("picture", init=OTHER), image.resize(OTHER, (34, 48)))
    noise = start("random", init="random", seed=3)
    assert 60 < noise.std() < 90  # uniform over 0..255: 73.9
    assert (start("other", init="random", seed=5) != noise).any()
    colours = start("style-stats", init="style-stats")
    np.testing.assert_allclose(colours.mean(axis=(0, 1)), STYLE.mean(axis=(0, 1)), atol=12)


def test_several_styles_are_blended() -> None:
    only_first = small(style_blend_weights=[1, 0]).run(CONTENT, [STYLE, OTHER]).picture
    np.testing.assert_array_equal(only_first, small().run(CONTENT, STYLE).picture)
    both = small(style_blend_weights=[1, 1]).run(CONTENT, (STYLE, OTHER))
    assert (both.picture != only_first).any()
    with pytest.raises(OptionError, match="one weight a style picture: got 2 for 1"):
        small(style_blend_weights=[1, 1]).run(CONTENT, STYLE)
    with pytest.raises(OptionError, match="at least one picture"):
        small().run(CONTENT, [])


def test_style_scale_and_pooling_size_matter() -> None:
    assert (small(style_scale=2.0).run(CONTENT, STYLE).picture != small().run(CONTENT, STYLE).picture).any()


def test_luminance_only_keeps_the_contents_colours() -> None:
    result = small(preserve_colors="luma").run(CONTENT, STYLE)
    content = image.resize(CONTENT, (34, 48)).astype(int)
    moved = result.picture.astype(int) - content
    unclipped = ((result.picture > 0) & (result.picture < 255)).all(axis=-1)
    assert (moved.max(axis=-1) == moved.min(axis=-1))[unclipped].all()
    assert np.abs(moved).max() > 0


def test_matched_colours_change_the_style() -> None:
    red = STYLE.copy()
    red[..., 1:] //= 4
    matched = small(preserve_colors="match", content_weight=0, steps=20).run(CONTENT, red).picture
    plain = small(content_weight=0, steps=20).run(CONTENT, red).picture
    target = CONTENT.mean(axis=(0, 1))
    assert np.abs(matched.mean(axis=(0, 1)) - target).max() < np.abs(plain.mean(axis=(0, 1)) - target).max()


def test_the_pyramid_paints_coarse_to_fine() -> None:
    result = small(pyramid=2).run(CONTENT, STYLE)
    sizes = [(record["level"], record["step"], record["width"], record["height"]) for record in result.trace]
    assert sizes == [(0, step, 24, 17) for step in range(1, 7)] + [(1, step, 48, 34) for step in range(1, 4)]
    assert result.picture.shape == (34, 48, 3)
    assert result.cost == min(record["cost"] for record in result.trace if record["level"] == 1)


def test_the_contents_own_size_and_any_shape() -> None:
    assert small(size=None, steps=1).run(CONTENT, STYLE).picture.shape == (40, 56, 3)
    assert small(size=131, steps=1).run(CONTENT[:17], STYLE).picture.shape == (40, 131, 3)
    with pytest.raises(OptionError, match="the painting would be 48x3 px"):
        small().run(CONTENT[:3], STYLE)


def test_progress_and_trace(tmp_path: Path) -> None:
    told: list[tuple[int, int, dict[str, Any]]] = []
    result = small(pyramid=2).run(CONTENT, STYLE, progress=lambda *report: told.append(report))
    assert [(done, total) for done, total, _ in told] == [(done, 9) for done in range(1, 10)]
    assert told[-1][2]["seconds_left"] == 0.0
    result.save_trace(tmp_path / "trace.json")
    document = json.loads((tmp_path / "trace.json").read_text())
    assert document["stopped"] == "finished"
    assert document["options"]["size"] == 48
    options = document["options"]
    for record in document["steps"]:
        wanted = (
            options["content_weight"] * sum(options["content_layers"][k] * v for k, v in record["content"].items())
            + options["style_weight"] * sum(options["style_layers"][k] * v for k, v in record["style"].items())
            + options["tv_weight"] * record["total_variation"]
        )
        assert record["cost"] == pytest.approx(wanted, rel=1e-12)
        assert record["evaluations"] >= 1


def test_frames_have_the_finished_size(tmp_path: Path) -> None:
    result = small(pyramid=2).run(CONTENT, STYLE, frames=tmp_path / "frames", frames_every=4)
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == ["000004.png", "000008.png", "000009.png"]
    assert image.load(tmp_path / "frames" / "000004.png").shape == result.picture.shape


def test_a_callback_may_stop_the_run() -> None:
    result = small().run(CONTENT, STYLE, callback=lambda step: step.done == 3)
    assert (result.stopped, len(result.trace)) == ("callback", 3)


def test_ctrl_c_keeps_the_best_picture() -> None:
    def interrupt(step: Any) -> None:
        if step.done == 4:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        small(pyramid=2).run(CONTENT, STYLE, callback=interrupt)
    result = caught.value.result
    assert (result.stopped, len(result.trace)) == ("interrupted", 4)
    assert result.picture.shape == (34, 48, 3)  # although only the small level was painted
    assert result.cost == min(record["cost"] for record in result.trace)


@pytest.mark.parametrize("rate", [1e4, 1e38])
def test_nan_stops_with_the_last_good_picture(rate: float) -> None:
    result = small(optimizer="gd", learning_rate=rate, normalization="lecture", steps=50).run(CONTENT, STYLE)
    assert result.stopped == "not finite"
    assert "last good picture" in result.message
    assert len(result.trace) < 50
    assert np.isfinite(result.cost)
    assert all(np.isfinite(record["cost"]) for record in result.trace)
    assert result.picture.std() > 1


def test_nan_at_the_first_picture_gives_the_start_back() -> None:
    network = TinyNetwork()
    bias = network.net.named_parameters()["conv2.bias"]
    bias.assign(np.full(bias.value.shape, np.nan, np.float32))
    result = StyleTransfer(network=network, **SMALL).run(CONTENT, STYLE)
    assert (result.stopped, result.trace) == ("not finite", [])
    np.testing.assert_array_equal(result.picture, image.resize(CONTENT, (34, 48)))


def test_what_does_not_fit_in_memory_is_refused_early() -> None:
    steps: list[int] = []
    with pytest.raises(OptionError, match=r"painting 48x34 px needs about .* 1 MiB is allowed by memory_limit"):
        small().run(CONTENT, STYLE, memory_limit="1M", callback=lambda step: steps.append(step.done))
    assert steps == []


def test_layers_that_are_not_there_are_named() -> None:
    with pytest.raises(OptionError, match="relu9"):
        small(style_layers=["relu9"]).run(CONTENT, STYLE)
