"""Receptive fields against a probe: one input becomes NaN, and whatever read it becomes NaN too."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from random_networks import CHANNELS, RandomNetworks

from pyconvx import nn, visualize
from pyconvx.errors import OptionError, ShapeError

EXTENTS = {1: (17,), 2: (10, 7), 3: (6, 5, 7)}


def probe(net: nn.Sequential, layer: str, size: tuple[int, ...]) -> np.ndarray:
    """For every output position (first axes) and every input position (last axes), whether one reads the other."""
    places = list(itertools.product(*map(range, size)))
    x = np.random.default_rng(0).standard_normal((len(places), *size, CHANNELS))
    for row, place in enumerate(places):
        x[(row, *place)] = np.nan
    y = net.features(x, [layer])[layer]
    moved = np.isnan(y).any(axis=-1)  # (inputs, *outputs)
    return np.moveaxis(moved, 0, -1).reshape(*y.shape[1:-1], *size)


def hull(mask: np.ndarray) -> tuple[tuple[int, int], ...] | None:
    places = np.argwhere(mask)
    if not len(places):
        return None
    return tuple((int(low), int(high) + 1) for low, high in zip(places.min(axis=0), places.max(axis=0), strict=True))


def usable(net: nn.Sequential, layer: str, size: tuple[int, ...]) -> bool:
    """Whether the network fits the input at all."""
    try:
        net.features(np.zeros((1, *size, CHANNELS)), [layer])
    except (ShapeError, OptionError):
        return False
    return True


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_fields_are_those_of_a_probe(rank: int) -> None:
    size = EXTENTS[rank]
    tried = equal_inside = 0
    for seed in range({1: 24, 2: 8, 3: 8}[rank]):
        net = RandomNetworks(seed, rank).sequential()
        for layer in net:
            if not usable(net, layer, size):
                break
            reads = probe(net, layer, size)
            field = visualize.receptive_field(net, layer, input_size=size)
            transposes = any(isinstance(node.layer, nn.ConvTranspose2d) for node in net.nodes)
            for position in itertools.product(*map(range, reads.shape[:rank])):
                found = hull(reads[position])
                assert field.seen(position) == found, (seed, layer, position)
                box = field.box(position)
                if found is not None:
                    assert all(a <= c and d <= b for (a, b), (c, d) in zip(box, found, strict=True)), (seed, layer)
                if not transposes and all(start >= 0 and stop <= n for (start, stop), n in zip(box, size, strict=True)):
                    assert box == found, (seed, layer, position)
                    equal_inside += 1
                tried += 1
    assert tried > 500
    assert equal_inside > 50


def test_the_probe_sees_a_wrong_field() -> None:
    net = nn.Sequential({"conv": nn.Conv1d(CHANNELS, CHANNELS, 3, dtype=np.float64)})
    assert hull(probe(net, "conv", (9,))[2]) == ((2, 5),)
    assert visualize.receptive_field(net, "conv", input_size=(9,)).seen((3,)) != ((2, 5),)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_size_stride_and_offset_say_what_the_boxes_say(rank: int) -> None:
    for seed in range(20):
        net = RandomNetworks(seed, rank).sequential()
        if any(isinstance(node.layer, nn.ConvTranspose2d) for node in net.nodes):
            continue
        field = visualize.receptive_field(net, next(reversed(net.layers)))
        for place in (0, 1, 5):
            box = field.box((place,) * rank)
            for (start, stop), size, stride, offset in zip(box, field.size, field.stride, field.offset, strict=True):
                assert (start, stop - start) == (offset + place * stride, size)


def test_a_transposed_convolution_has_a_fractional_stride() -> None:
    field = visualize.receptive_field(nn.Sequential(nn.ConvTranspose2d(1, 1, 4, 2, 1)), "0")
    assert field.stride == (Fraction(1, 2),) * 2
    assert field.size == (2, 2)
    assert [field.box((place, 0))[0] for place in range(4)] == [(-1, 1), (0, 2), (0, 2), (1, 3)]


def test_layers_without_positions_read_everything() -> None:
    net = nn.Sequential(
        {"conv": nn.Conv2d(3, 4, 3), "mean": nn.GlobalAvgPool(), "linear": nn.Linear(4, 2), "norm": nn.L2Normalize()}
    )
    field = visualize.receptive_field(net, "norm", input_size=(9, 7))
    assert field.size == (None, None)
    assert field.box(()) == field.seen(()) == ((0, 9), (0, 7))
    with pytest.raises(OptionError, match="give input_size"):
        visualize.receptive_field(net, "norm").box(())


def test_what_is_not_known_is_refused() -> None:
    class Shuffle(nn.Layer):
        pass

    net = nn.Sequential({"conv": nn.Conv2d(3, 4, 3), "shuffle": Shuffle()})
    with pytest.raises(OptionError, match="'shuffle' is a Shuffle: what it reads is not known"):
        visualize.receptive_field(net, "shuffle")
    Shuffle.receptive_window = "point"  # type: ignore[attr-defined]
    assert visualize.receptive_field(net, "shuffle").size == (3, 3)
    with pytest.raises(OptionError, match="there is no layer 'conv9'"):
        visualize.receptive_field(net, "conv9")
    strided = nn.Sequential(nn.Conv1d(1, 1, 3, 2, "same"))
    with pytest.raises(OptionError, match="give input_size, which it depends on"):
        visualize.receptive_field(strided, "0")
    assert visualize.receptive_field(strided, "0", input_size=(7,)).offset == (-1,)
    with pytest.raises(ShapeError, match="2 spatial axes"):
        visualize.receptive_field(net, "conv").box((1,))


def test_nodes_of_a_network_are_its_steps() -> None:
    net = nn.Sequential({"block": nn.Residual(nn.Sequential({"conv": nn.Conv1d(2, 2, 1)})), "relu": nn.ReLU()})
    assert [node.name for node in net.nodes] == ["", "block.body.conv", "block.add", "relu"]
    assert [node.sources for node in net.nodes] == [(), (0,), (1, 0), (2,)]
    assert net.nodes[net.place("block")].name == "block.add"
