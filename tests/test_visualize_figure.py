"""The page: tiles of every rank, patches where they belong, numbers, and HTML that names of files cannot break."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from test_visualize_attribution import CONV, small_net
from test_visualize_attribution import picture as signal_of

from pyconvx import image, models, nn, visualize
from pyconvx.errors import ImageError, OptionError
from pyconvx.visualize._tiles import GAP, OUTSIDE, TILE, grid, levels_of, signed_levels, tile_of


def test_a_tile_shows_the_picture_enlarged_and_what_lies_outside_grey() -> None:
    rgb = np.array([[[1, 0, 0], [0, 1, 0]], [[0, 0, 1], [1, 1, 1]]], np.float32)
    tile = tile_of(rgb)
    assert tile.shape == (TILE, TILE, 3)
    assert tile[0, 0].tolist() == [255, 0, 0]
    assert tile[0, -1].tolist() == [0, 255, 0]
    assert tile[-1, 0].tolist() == [0, 0, 255]
    outside = tile_of(rgb, ((-1, 1), (0, 2)), (9, 9))
    assert outside[0, 0].tolist() == [OUTSIDE] * 3
    assert outside[-1, 0].tolist() == [0, 0, 255]
    assert tile_of(rgb, ((8, 10), (7, 9)), (9, 9))[-1, -1].tolist() == [OUTSIDE] * 3
    flat = tile_of(np.ones((2, 8, 3), np.float32) * 0.5)
    assert flat[0, 0].tolist() == [255] * 3, "white above a wide patch"


def test_lines_slices_and_projections() -> None:
    line = tile_of(np.linspace(0, 1, 40, dtype=np.float32)[:, None])
    assert line.shape == (TILE, 2 * TILE, 3)
    ink = np.argwhere((line != 246).any(axis=-1))
    left, right = ink[ink[:, 1] == ink[:, 1].min()], ink[ink[:, 1] == ink[:, 1].max()]
    assert left[:, 0].mean() > TILE * 0.8 > TILE * 0.2 > right[:, 0].mean(), "it rises from left to right"
    assert (tile_of(np.zeros((1, 2), np.float32)) != 246).any()
    ended = tile_of(np.linspace(0, 1, 40, dtype=np.float32)[:, None], ((-20, 20),), (15,))
    assert (ended[:, : TILE - 4] == OUTSIDE).all()
    assert (ended[:, TILE + TILE * 15 // 20 + 4 :] == OUTSIDE).all()
    assert (ended[:, TILE + 8] == 246).any()
    assert (tile_of(np.ones((4, 1), np.float32), ((-9, -5),), (15,)) == OUTSIDE).all()
    volume = np.zeros((9, 9, 9, 1), np.float32)
    volume[1, 4, 4] = 1
    tile = tile_of(volume)
    half = (2 * TILE - GAP) // 2
    first, projection = tile[:half, :half], tile[half + GAP :, half + GAP :]
    assert first.max() == 0, "the middle slice misses the point"
    assert projection[half // 2, half // 2, 0] == 255, "the projection has it"
    cut = tile_of(volume, ((-6, 3), (0, 9), (0, 9)), (3, 9, 9))
    assert cut[: half - 4, half + GAP : 2 * half + GAP].max() == OUTSIDE, "above the first plane there is nothing"
    assert cut[half + GAP :, half + GAP :][half // 2, half // 2, 0] == 0, "what lies outside is not the largest"
    assert (tile_of(volume, ((-9, 0), (0, 9), (0, 9)), (3, 9, 9)) == OUTSIDE).all()
    clip = np.zeros((5, 6, 7, 3), np.float32)
    assert tile_of(clip).shape == (2 * TILE, 2 * TILE, 3)
    assert tile_of(np.zeros((6, 7, 5), np.float32)).shape == (TILE, TILE, 3)
    assert tile_of(np.zeros(3, np.float32)).shape == (TILE, TILE, 3)


def test_levels_and_gradients() -> None:
    x = np.array([[[0.25]], [[1.0]]])
    assert levels_of(None, x).ravel().tolist() == [0.25, 1.0]
    assert levels_of(None, 4 * x - 2).ravel().tolist() == pytest.approx([1 / 3, 1.0], abs=0.34)
    assert signed_levels(np.array([-2.0, 0, 1])).tolist() == [0, 0.5, 0.75]
    assert signed_levels(np.zeros(2)).tolist() == [0.5, 0.5]
    page = grid([np.full((4, 4, 3), i, np.uint8) for i in range(3)], 2)
    assert page.shape == (8 + GAP, 8 + GAP, 3)
    assert page[0, -1].tolist() == [1] * 3
    assert page[-1, -1].tolist() == [255] * 3


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("rule", ["guided", "deconvnet", "gradient"])
def test_the_way_back_of_a_patch_is_that_of_its_picture(rank: int, rule: Any) -> None:
    net = small_net(rank)
    x = signal_of(rank)
    y = net(x[None])[0]
    positions = [tuple(np.unravel_index(i, y.shape[:-1])) for i in range(0, y[..., 0].size, 3)]
    for position in [tuple(map(int, position)) for position in positions]:
        whole = visualize.backproject(net, "relu2", 1, x, position=position, rule=rule)
        box = visualize.receptive_field(net, "relu2").box(position)
        patch = visualize.backproject_patch(net, "relu2", 1, x, position, rule=rule)
        np.testing.assert_allclose(patch, visualize.crop(whole, box), rtol=0, atol=1e-12)


def test_the_way_back_where_a_part_would_be_padded_otherwise() -> None:
    for layer in (nn.Conv1d(2, 3, 3, 2, "same", dtype=np.float64), nn.Conv1d(2, 3, 5, 3, ((1, 2),), dtype=np.float64)):
        net = nn.Sequential({"a": layer, "b": nn.Conv1d(3, 2, 3, 2, 1, dtype=np.float64)})
        for n in (22, 23, 24):
            x = np.random.default_rng(n).standard_normal((n, 2))
            for place in range(net(x[None]).shape[1]):
                box = visualize.receptive_field(net, "b", input_size=(n,)).box((place,))
                whole = visualize.backproject(net, "b", 0, x, position=(place,))
                patch = visualize.backproject_patch(net, "b", 0, x, (place,))
                np.testing.assert_allclose(patch, visualize.crop(whole, box), rtol=0, atol=1e-12)


class _Reader(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


EVIL = "<img src=x onerror=alert(1)>\"'&.png"


def test_html_is_whole_and_a_name_cannot_break_it(tmp_path: Path) -> None:
    folder = tmp_path / "<b>cats"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in (EVIL, "plain.png"):
        image.save(tmp_path / "x.png", rng.integers(0, 256, (12, 12, 3)).astype(np.uint8))
        (tmp_path / "x.png").rename(folder / name)
    net = nn.Sequential({"conv": nn.Conv2d(3, 4, 3, random_state=0), "relu": nn.ReLU()})
    survey = visualize.survey(net, ["relu"], tmp_path, 4)
    page = visualize.figure(survey, net, tmp_path, unit_count=2, title="<script>alert(2)</script>")
    page.save(tmp_path / "page.html")
    reader = _Reader()
    reader.feed((tmp_path / "page.html").read_text(encoding="utf-8"))
    tags = [tag for tag, _ in reader.tags]
    assert not {"script", "b", "link", "iframe"} & set(tags)
    for tag, attributes in reader.tags:
        assert not any(name.startswith("on") for name in attributes)
        if tag == "img":
            head, _, data = str(attributes["src"]).partition(",")
            assert head == "data:image/png;base64"
            assert Image.open(io.BytesIO(base64.b64decode(data))).size[0] > TILE
    text = "".join(reader.texts)
    assert EVIL in text
    assert "<b>cats" in text
    assert tags.count("img") == 2 * sum(tag == "figcaption" for tag in tags) > 0
    assert not re.search(r"https?://", (tmp_path / "page.html").read_text(encoding="utf-8"))


def test_a_name_that_is_no_text_is_shown(tmp_path: Path) -> None:
    name = b"caf\xe9.npy".decode("utf-8", "surrogateescape")
    try:
        np.save(tmp_path / name, np.ones((9, 1), np.float32))
    except (OSError, UnicodeError):
        pytest.skip("the file system takes no such name")
    net = nn.Sequential({"conv": nn.Conv1d(1, 2, 3, random_state=1)})
    found = visualize.survey(net, {"conv": [0, 1]}, tmp_path, 3, state=tmp_path / "state.safetensors")
    page = visualize.figure(found, net, tmp_path, units={"conv": [0, 1]})
    assert "caf?.npy" in page.html()
    visualize.Survey.load(tmp_path / "state.safetensors")


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_page_of_every_rank(rank: int, tmp_path: Path) -> None:
    net = small_net(rank)
    data = np.stack([signal_of(rank, seed) for seed in range(14)])
    survey = visualize.survey(net, ["conv1", "relu2"], data, labels=["odd", "even"] * 7)
    steps: list[tuple[int, int]] = []
    page = visualize.figure(
        survey,
        net,
        data,
        unit_count=3,
        maximize_steps=2,
        progress=lambda done, total, info: steps.append((done, total)),
    )
    assert steps[-1] == (steps[-1][1],) * 2
    for layer in page.layers:
        assert 0 < len(layer.units) <= 3
        for view in layer.units:
            assert list(view.grids) == ["patches", "guided", "maximised"]
            assert len(view.patches) == 9
            assert {name for name, _ in view.classes} == {"odd", "even"}
    page.save(tmp_path / "page.png")
    assert image.load(tmp_path / "page.png").shape == page.picture().shape
    numbers = page.as_dict()["layers"][0]["units"][0]
    assert numbers["patches"][0]["value"] == pytest.approx(
        survey["conv1"].values[survey["conv1"].place(numbers["unit"])][0]
    )


def test_many_units_are_broken_into_rows_and_what_is_made_is_as_wide_as_the_patches(tmp_path: Path) -> None:
    net = nn.Sequential({"conv": nn.Conv2d(1, 20, 3, random_state=0)})
    data = np.random.default_rng(0).random((10, 9, 8, 1), np.float32)
    survey = visualize.survey(net, ["conv"], data)
    one, many = (visualize.figure(survey, net, data, unit_count=n, rule=None).picture() for n in (1, 20))
    assert many.shape[1] < 1700
    assert many.shape[0] > 2.5 * (one.shape[0] - 60), "three rows"
    for rank in (1, 2, 3):
        net, pictures = small_net(rank), np.stack([signal_of(rank, seed) for seed in range(10)])
        page = visualize.figure(
            visualize.survey(net, ["conv2"], pictures), net, pictures, unit_count=1, maximize_steps=1
        )
        grids = page.layers[0].units[0].grids
        assert grids["patches"].shape == grids["guided"].shape
        assert abs(grids["maximised"].shape[1] - grids["patches"].shape[1]) < 20


def test_a_field_wider_than_its_picture_is_shown_as_far_as_that_goes() -> None:
    net = nn.Sequential({"conv": nn.Conv2d(1, 1, 31, padding=15)})
    net.load_state_dict({"conv.weight": np.ones((31, 31, 1, 1), np.float32), "conv.bias": np.zeros(1, np.float32)})
    data = np.ones((1, 6, 40, 1), np.float32)
    data[0, 0, 0] = 0
    page = visualize.figure(visualize.survey(net, ["conv"], data, 1), net, data, units={"conv": [0]}, rule=None)
    tile = page.layers[0].units[0].grids["patches"]
    assert set(np.unique(tile)) <= {0, 255}, "nothing grey: what lies above and below the picture is left out"
    assert page.layers[0].units[0].patches[0].x.shape == (31, 31, 1)


def test_gradients_are_shown_in_the_pictures_colours() -> None:
    """A network that reads blue alone, whose channels come as B, G, R."""
    card = models.vgg16().card
    weight = np.zeros((1, 1, 3, 1), np.float32)
    tiles = []
    for order, blue in (("bgr", 0), ("rgb", 2)):
        net = nn.Sequential({"conv": nn.Conv2d(3, 1, 1, bias=False)})
        net.load_state_dict({"conv.weight": np.where(np.arange(3)[:, None] == blue, 1, weight)})
        model = models.Network(net, models.Preprocessing(order, (0.0, 0.0, 0.0)), card)
        data = [np.full((4, 4, 3), 200, np.uint8)]
        page = visualize.figure(visualize.survey(model, ["conv"], data, 1), model, data, units={"conv": [0]})
        tiles.append(page.layers[0].units[0].grids["guided"])
    assert tiles[0][TILE // 2, TILE // 2].tolist() == [128, 128, 255]
    np.testing.assert_array_equal(tiles[0], tiles[1])


def test_a_page_of_an_iterator_has_its_kept_patches() -> None:
    net = small_net(2)
    data = [signal_of(2, seed) for seed in range(6)]
    found = visualize.top_patches(net, "relu2", None, iter(data), 4)
    page = visualize.figure(found, net, None, unit_count=2)
    assert [list(view.grids) for view in page.layers[0].units] == [["patches"]] * len(page.layers[0].units)
    assert page.layers[0].facts["field"] == [6, 6]


def test_a_network_without_positions_shows_whole_pictures(tmp_path: Path) -> None:
    net = nn.Sequential(
        {"conv": CONV[2](1, 3, 3, random_state=0), "mean": nn.GlobalAvgPool(), "out": nn.Linear(3, 2, random_state=0)}
    )
    data = np.random.default_rng(0).random((5, 9, 8, 1), np.float32)
    page = visualize.figure(visualize.survey(net, {"out": None}, data, 4), net, data, units={"out": [0, 1]})
    assert page.layers[0].units[0].patches[0].box == ((0, 9), (0, 8))
    assert "Receptive field all" in page.html()


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    net, data = small_net(2), np.stack([signal_of(2, seed) for seed in range(3)])
    survey = visualize.survey(net, {"relu2": [0, 1]}, data)
    with pytest.raises(OptionError, match="unit 3 of 'relu2' was not looked at; there are 0, 1"):
        visualize.figure(survey, net, data, units={"relu2": [3]})
    with pytest.raises(OptionError, match="were not looked at; there are relu2"):
        visualize.figure(survey, net, data, units={"conv1": [0]})
    page = visualize.figure(survey, net, data, unit_count=1)
    for name in ("no/page.html", "no/page.png", "page.xyz"):
        with pytest.raises(ImageError):
            page.save(tmp_path / name)
