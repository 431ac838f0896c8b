"""Receptive fields against a probe: one input becomes NaN, and whatever read it becomes NaN too."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from random_networks import CHANNELS, RandomNetworks

from pyconvx import nn, visualize
from pyconvx.errors import OptionError, ShapeError

EXTENTS = {1: (17,), 2: (9, 6), 3: (6, 5, 7)}


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


def compare(net: nn.Sequential, layer: str, size: tuple[int, ...], what: object) -> tuple[int, int]:
    """Compare all positions of a layer with the probe; return how many there were, and how many lay inside."""
    reads = probe(net, layer, size)
    field = visualize.receptive_field(net, layer, input_size=size)
    # Where sums are padded or convolutions transposed, a position may read less than its nominal field inside, too.
    cuts = any(isinstance(node.layer, (nn.ConvTranspose2d, nn.PaddedAdd)) for node in net.nodes)
    tried = inside = 0
    for position in itertools.product(*map(range, reads.shape[: len(size)])):
        found = hull(reads[position])
        assert field.seen(position) == found, (what, layer, position)
        box = field.box(position)
        if found is not None:
            assert all(a <= c and d <= b for (a, b), (c, d) in zip(box, found, strict=True)), (what, layer)
        if not cuts and all(start >= 0 and stop <= n for (start, stop), n in zip(box, size, strict=True)):
            assert box == found, (what, layer, position)
            inside += 1
        tried += 1
    return tried, inside


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_fields_are_those_of_a_probe(rank: int) -> None:
    size = EXTENTS[rank]
    counts = np.zeros(2, int)
    for seed in range({1: 30, 2: 9, 3: 7}[rank]):
        net = RandomNetworks(seed, rank).sequential()
        for layer in net:
            if not usable(net, layer, size):
                break
            counts += compare(net, layer, size, seed)
    assert counts[0] > 500
    assert counts[1] > 25


def test_fields_of_a_last_window_and_of_transposed_convolutions() -> None:
    """Every way in which ceil_mode, padding and output_padding decide whether there is one more output."""
    for kernel, stride, padding, size in itertools.product((2, 3), (1, 2, 3), (0, 1), range(3, 10)):
        for kind in (nn.MaxPool1d, nn.AvgPool1d):
            net = nn.Sequential({"pool": kind(kernel, stride, padding, ceil_mode=True)})
            compare(net, "pool", (size,), (kernel, stride, padding, size))
    for kernel, stride, padding, extra, dilation in itertools.product((1, 2, 3), (1, 2, 3), (0, 1), (0, 1, 2), (1, 2)):
        if extra >= stride or dilation * (kernel - 1) + 1 + extra <= 2 * padding:
            continue
        layer = nn.ConvTranspose2d(
            CHANNELS, CHANNELS, kernel, stride, padding, extra, dilation=dilation, dtype=np.float64
        )
        compare(nn.Sequential({"up": layer}), "up", (4, 3), (kernel, stride, padding, extra, dilation))


def test_the_probe_sees_a_wrong_field() -> None:
    net = nn.Sequential({"conv": nn.Conv1d(CHANNELS, CHANNELS, 3, dtype=np.float64)})
    assert hull(probe(net, "conv", (9,))[2]) == ((2, 5),)
    assert visualize.receptive_field(net, "conv", input_size=(9,)).seen((3,)) != ((2, 5),)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_size_stride_and_offset_say_what_the_boxes_say(rank: int) -> None:
    checked = 0
    for seed in range(20):
        net = RandomNetworks(seed, rank).sequential()
        if any(isinstance(node.layer, nn.ConvTranspose2d) for node in net.nodes):
            continue
        field = visualize.receptive_field(net, next(reversed(net.layers)))
        for place in (0, 1, 5):
            box = field.box((place,) * rank)
            for (start, stop), size, stride, offset in zip(box, field.size, field.stride, field.offset, strict=True):
                if size is None:
                    continue  # branches of unlike strides
                checked += 1
                assert (start, stop - start) == (offset + place * stride, size)
    assert checked > 20


def test_a_transposed_convolution_has_a_fractional_stride() -> None:
    field = visualize.receptive_field(nn.Sequential(nn.ConvTranspose2d(1, 1, 4, 2, 1)), "0")
    assert field.stride == (Fraction(1, 2),) * 2
    assert field.size == (2, 2)
    assert [field.box((place, 0))[0] for place in range(4)] == [(-1, 1), (0, 2), (0, 2), (1, 3)]
    uneven = nn.Sequential(nn.ConvTranspose2d(1, 1, 1, (2, 3), (1, 0)), nn.Conv2d(1, 1, (1, 3), (2, 1)))
    field = visualize.receptive_field(uneven, "1")  # along the first axis, no position reads anything
    assert (field.size, field.stride) == ((0, 1), (0, Fraction(1, 3)))
    assert [field.box((0, place))[1] for place in range(4)] == [(0, 1), (1, 2), (1, 2), (1, 2)]
    holes = visualize.receptive_field(nn.Sequential(nn.ConvTranspose2d(1, 1, 1, (2, 3), (1, 0))), "0")
    assert (holes.size, holes.stride, holes.offset) == ((1, 1), (Fraction(1, 2), Fraction(1, 3)), (0, 0))


def test_branches_of_unlike_strides_have_boxes_and_no_size() -> None:
    graph = nn.Graph({"half": (nn.MaxPool1d(3, 2, 1), "input"), "sum": (nn.PaddedAdd(), "half", "input")})
    field = visualize.receptive_field(graph, "sum", input_size=(9,))
    assert (field.size, field.stride, field.offset) == ((None,), (None,), (None,))
    assert [field.box((place,)) for place in (0, 1, 3)] == [((-1, 2),), ((1, 4),), ((3, 8),)]
    assert visualize.receptive_field(graph, "half").stride == (2,)


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
