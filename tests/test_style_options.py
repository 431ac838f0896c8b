"""Options of a style transfer: defaults, and that each wrong value is named before any work."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from pyconvx.errors import OptionError
from pyconvx.style import StyleTransfer


def test_weights_follow_the_normalisation_unless_given() -> None:
    balanced, lecture = StyleTransfer().options, StyleTransfer(normalization="lecture").options
    assert (lecture.content_weight, lecture.style_weight, lecture.tv_weight) == (10.0, 40.0, 0.0)
    assert 0.02 <= balanced.content_weight / balanced.style_weight <= 0.05
    assert StyleTransfer(content_weight=0.0, normalization="lecture").options.content_weight == 0.0


def test_layers_named_alone_share_one() -> None:
    options = StyleTransfer(style_layers=["a", "b"], content_layers={"c": 3, "d": 0}).options
    assert options.style_layers == {"a": 0.5, "b": 0.5}
    assert options.content_layers == {"c": 3.0}
    assert StyleTransfer(content_layers="relu4_2").options.content_layers == {"relu4_2": 1.0}


def test_blend_weights_are_relative() -> None:
    assert StyleTransfer(style_blend_weights=[3, 1]).options.blend(2) == [0.75, 0.25]
    assert StyleTransfer().options.blend(4) == [0.25] * 4
    with pytest.raises(OptionError, match="one weight a style picture: got 2 for 3"):
        StyleTransfer(style_blend_weights=[3, 1]).options.blend(3)


def test_options_are_plain_json_even_from_numpy() -> None:
    options = StyleTransfer(size=np.int64(100), content_weight=np.float32(0.5), style_blend_weights=np.ones(2)).options
    back = json.loads(json.dumps(options.as_dict()))
    assert (back["size"], back["content_weight"], back["style_blend_weights"]) == (100, 0.5, [1.0, 1.0])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"size": 15}, "size must be a whole number from 16: got 15"),
        ({"size": 100.5}, "size must be a whole number"),
        ({"size": True}, "size must be a whole number"),
        ({"steps": 0}, "steps must be a whole number from 1: got 0"),
        ({"seed": -1}, "seed must be a whole number from 0"),
        ({"content_weight": -1.0}, "content_weight must be a number of 0 or more: got -1.0"),
        ({"style_weight": float("nan")}, "style_weight must be a number of 0 or more: got nan"),
        ({"tv_weight": "much"}, "tv_weight must be a number of 0 or more: got 'much'"),
        ({"content_weight": 0, "style_weight": 0}, "both 0: nothing is left to paint"),
        ({"learning_rate": 0}, "learning_rate must be a number above 0: got 0"),
        ({"style_scale": 0.0}, "style_scale must be a number above 0"),
        ({"normalization": "gatys"}, "normalization must be one of balanced, lecture: got 'gatys'"),
        ({"optimizer": "sgd"}, "optimizer must be one of lbfgs, adam, gd: got 'sgd'"),
        ({"pooling": "min"}, "pooling must be one of avg, max"),
        ({"preserve_colors": "yes"}, "preserve_colors must be one of off, luma, match"),
        ({"pyramid": 0}, "pyramid must be 'auto', 'off' or a number of levels from 1: got 0"),
        ({"pyramid": "on"}, "pyramid must be 'auto', 'off' or a number of levels from 1: got 'on'"),
        ({"style_layers": []}, "style_layers must name at least one layer"),
        ({"style_layers": ["a", "a"]}, "style_layers names a layer twice: got a, a"),
        ({"content_layers": {"a": 0.0}}, "content_layers must name at least one layer with a weight above 0"),
        ({"content_layers": {"a": -1}}, "content_layers: the weight of a must be a number of 0 or more: got -1"),
        ({"style_blend_weights": [0, 0]}, "style_blend_weights must not all be 0"),
        ({"style_blend_weights": [1, -2]}, "style_blend_weights: each weight must be a number of 0 or more: got -2"),
    ],
    ids=lambda value: ",".join(f"{name}={item}" for name, item in value.items()) if isinstance(value, dict) else "",
)
def test_wrong_values_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError, match=message.replace("(", r"\(")):
        StyleTransfer(**wrong)
