"""The margin that is painted with a picture: cut off at the end, and with it what the edge of a painting looks like."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tiny_network import CONTENT_LAYERS, STYLE_LAYERS, TinyNetwork, picture

from pyconvx import image
from pyconvx.errors import OptionError
from pyconvx.style import StyleTransfer
from pyconvx.style.margin import cut, extend

CONTENT, STYLE = picture(40, 56, 1), picture(48, 40, 2)


def test_the_margin_is_the_mirror_image_and_comes_off() -> None:
    small = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    wide = extend(small, 1)
    assert wide.shape == (4, 4, 3)
    np.testing.assert_array_equal(wide[0, 1:3], small[1])
    np.testing.assert_array_equal(wide[1:3, 0], small[:, 1])
    for margin in (0, 1, 5):
        np.testing.assert_array_equal(cut(extend(small, margin), margin), small)


@pytest.mark.parametrize("margin", [0, 3, 50])
@pytest.mark.parametrize("init", ["content", "random", "style-stats"])
def test_every_picture_that_leaves_a_run_is_without_it(margin: int, init: str) -> None:
    shapes: list[tuple[int, ...]] = []
    options: dict[str, Any] = {"style_layers": STYLE_LAYERS, "content_layers": CONTENT_LAYERS, "init": init}
    transfer = StyleTransfer(network=TinyNetwork(), size=48, steps=2, pyramid=2, margin=margin, **options)
    result = transfer.run(CONTENT, STYLE, callback=lambda step: shapes.append(step.picture().shape))
    assert shapes == [(17, 24, 3)] * 2 + [(34, 48, 3)]
    assert result.picture.shape == (34, 48, 3)
    assert [(record["height"], record["width"]) for record in result.trace] == [(17, 24)] * 2 + [(34, 48)]


@pytest.mark.parametrize("margin", [-1, 1.5, True])
def test_a_wrong_margin_is_named(margin: Any) -> None:
    with pytest.raises(OptionError, match="margin must be a whole number from 0"):
        StyleTransfer(margin=margin)


@pytest.mark.slow
def test_the_frame_of_a_style_picture_does_not_come_through() -> None:
    """A white frame: without the margin the painting gets a pale rim, with it the rim moves as the inside does."""
    content, style = image.load(image.packaged("chelsea")), image.load(image.packaged("starry_night"))
    wide = max(style.shape) // 30
    framed = np.full_like(style, 250)
    framed[wide:-wide, wide:-wide] = style[wide:-wide, wide:-wide]

    def paler(margin: int) -> float:
        """Grey levels by which the outer two pixels became paler than the inside did."""
        painted = StyleTransfer(size=96, steps=30, margin=margin).run(content, framed).picture
        moved = (painted.astype(float) - image.resize(content, painted.shape[:2])).mean(axis=-1)
        inside = moved[8:-8, 8:-8].mean()
        rim = (moved.sum() - moved[2:-2, 2:-2].sum()) / (moved.size - moved[2:-2, 2:-2].size)
        return float(rim - inside)

    without, default = paler(0), paler(StyleTransfer().options.margin)
    assert without > 8
    assert abs(default) < 4
