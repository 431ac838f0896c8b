"""Top patches against a search that keeps everything, and the same bits whatever way a set was gone through."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from random_networks import CHANNELS, RandomNetworks

import pyconvx
from pyconvx import image, nn, visualize
from pyconvx.errors import DivergedError, DTypeError, ImageError, Interrupted, OptionError, ShapeError
from pyconvx.visualize._exact_sum import ExactSum
from pyconvx.visualize._reduce import reduce

EXTENTS = {1: (23,), 2: (9, 8), 3: (5, 6, 5)}
CONV = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}


def coarse(rank: int, count: int = 40, seed: int = 0) -> np.ndarray:
    """Pictures of few levels, so that many activations are equal."""
    return np.random.default_rng(seed).integers(-1, 2, (count, *EXTENTS[rank], CHANNELS)).astype(np.float32)


def coarse_net(rank: int) -> nn.Sequential:
    """Whole weights, so that equal sums have equal bits."""
    net = nn.Sequential({"conv": CONV[rank](CHANNELS, 6, 2), "relu": nn.ReLU()})
    rng = np.random.default_rng(1)
    net.load_state_dict({name: rng.integers(-1, 2, p.shape).astype(np.float32) for name, p in net.state_dict().items()})
    return net


def naive(net: nn.Sequential, layer: str, x: np.ndarray, k: int, one_per_picture: bool) -> list[list[tuple[Any, ...]]]:
    """For each unit the k first of (-value, picture, position), over all there is."""
    y = net.features(x, [layer])[layer]
    tables = []
    for unit in range(y.shape[-1]):
        rows = []
        for picture in range(len(y)):
            places = itertools.product(*map(range, y.shape[1:-1]))
            own = sorted((-float(y[(picture, *place, unit)]), picture, place) for place in places)
            rows += own[:1] if one_per_picture else own[:k]
        tables.append(sorted(rows)[:k])
    return tables


def table(found: visualize.TopPatches) -> list[list[tuple[Any, ...]]]:
    rows = zip(found.values, found.pictures, found.positions, strict=True)
    return [[(-float(v), int(p), tuple(map(int, at))) for v, p, at in zip(*row, strict=True)] for row in rows]


def assert_same(one: visualize.Survey, two: visualize.Survey) -> None:
    assert one.done == two.done
    assert one.names == two.names
    assert one.layers == two.layers
    np.testing.assert_array_equal(one.class_counts, two.class_counts)
    for layer in one.layers:
        for name, array in one.tallies[layer].tensors().items():
            if name in ("sums", "maxima"):  # limbs may carry differently; the sums they stand for may not
                shape = array.shape[:-1]
                array = ExactSum(shape, array).divided(1)
                other = ExactSum(shape, two.tallies[layer].tensors()[name]).divided(1)
            else:
                other = two.tallies[layer].tensors()[name]
            np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("one_per_picture", [True, False])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_tables_are_those_of_a_naive_search(rank: int, one_per_picture: bool) -> None:
    net, x = coarse_net(rank), coarse(rank)
    for layer, k in (("conv", 9), ("relu", 3), ("conv", 60)):
        if k == 60 and one_per_picture:
            continue  # there are 40 pictures
        found = visualize.top_patches(net, layer, None, x, k, one_per_picture=one_per_picture, batch_size=7)
        wanted = naive(net, layer, x, k, one_per_picture)
        assert table(found) == wanted
        values = [[value for value, _, _ in row] for row in wanted]
        assert any(len(set(row)) < len(row) for row in values), "there were no ties to break"


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_random_network_of_every_rank(rank: int) -> None:
    x = np.random.default_rng(3).standard_normal((30, *EXTENTS[rank], CHANNELS))
    tried = 0
    for seed in range(12):
        net = RandomNetworks(seed, rank).sequential()
        try:
            net(x)
        except (ShapeError, OptionError):
            continue
        layer = next(reversed(net.layers))
        found = visualize.top_patches(net, layer, None, x, 5, batch_size=4)
        assert table(found) == naive(net, layer, x, 5, True)
        tried += 1
    assert tried > 3


def naive_selectivity(y: np.ndarray) -> np.ndarray:
    """In float64, a position at a time."""
    result = np.zeros(y.shape)
    for picture, values in enumerate(y.astype(np.float64)):
        places = list(np.ndindex(values.shape[:-1]))
        lengths = {place: math.sqrt(sum(max(v, 0) ** 2 for v in values[place])) for place in places}
        mean = math.sqrt(sum(length**2 for length in lengths.values()) / len(places))
        for place in places:
            result[(picture, *place)] = values[place] / (lengths[place] + 0.1 * mean)
    return result


@pytest.mark.parametrize("one_per_picture", [True, False])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_selectivity_and_patches_inside_are_those_of_a_naive_search(rank: int, one_per_picture: bool) -> None:
    net = nn.Sequential({"conv": CONV[rank](CHANNELS, 4, 3, stride=2, padding=1, random_state=2), "relu": nn.ReLU()})
    x = np.random.default_rng(5).standard_normal((30, *EXTENTS[rank], CHANNELS)).astype(np.float32)
    for rank_by, inside in (("selectivity", False), ("selectivity", True), ("activation", True)):
        options: dict[str, Any] = {"rank_by": rank_by, "inside": inside, "one_per_picture": one_per_picture}
        found = visualize.top_patches(net, "conv", [3, 1], x, 12, batch_size=4, **options)
        y = net.features(x, ["conv"])["conv"]
        scores = (naive_selectivity(y) if rank_by == "selectivity" else y.astype(np.float64))[..., [3, 1]]
        for place in np.ndindex(y.shape[1:-1]) if inside else ():
            if any(2 * at - 1 < 0 or 2 * at + 2 > extent for at, extent in zip(place, EXTENTS[rank], strict=True)):
                scores[(slice(None), *place)] = -np.inf
        for row in range(2):
            cells = [(-scores[(*at, row)], at[0], at[1:]) for at in np.ndindex(scores.shape[:-1])]
            if one_per_picture:
                cells = [min(cell for cell in cells if cell[1] == picture) for picture in range(len(x))]
            wanted = sorted(cells)[:12]
            assert [(picture, at) for _, picture, at in table(found)[row]] == [(p, at) for _, p, at in wanted]
            np.testing.assert_allclose(found.values[row], [-value for value, _, _ in wanted], rtol=1e-5)
        np.testing.assert_allclose(found.statistics.mean, y.mean(axis=tuple(range(rank + 1)))[[3, 1]], rtol=1e-4)
        if one_per_picture:
            maxima = scores.reshape(len(x), -1, 2).max(axis=1).mean(axis=0)
            np.testing.assert_allclose(found.statistics.mean_maximum, maxima, rtol=1e-5)
        whole = visualize.survey(net, ["conv", "relu"], x, 5, **options)
        parts = [visualize.survey(net, ["conv", "relu"], x, 5, shard=(i, 3), batch_size=3, **options) for i in range(3)]
        assert_same(visualize.merge(parts), whole)


def test_patches_inside_of_pictures_that_are_too_small_leave_them_least() -> None:
    net = nn.Sequential({"conv": nn.Conv2d(1, 2, 5, padding=4, random_state=0), "mean": nn.GlobalAvgPool()})
    x = [np.random.default_rng(i).standard_normal(size).astype(np.float32) for i, size in enumerate([(9, 3, 1)] * 6)]
    for patch in visualize.top_patches(net, "conv", [0], x, 6, inside=True).patches(0, x, net):
        (top, bottom), (left, right) = patch.box
        assert 0 <= top < bottom <= 9
        assert (left, right) in {(-2, 3), (-1, 4), (0, 5)}
    assert visualize.top_patches(net, "mean", [1], x, 2, inside=True, rank_by="selectivity").values.shape == (1, 2)
    flat = [np.zeros((9, 3, 1), np.float32)]
    net.load_state_dict({name: 0 * array for name, array in net.state_dict().items()})
    assert visualize.top_patches(net, "conv", [0], flat, 1, rank_by="selectivity").values.tolist() == [[0.0]]
    with pytest.raises(OptionError, match="rank_by is 'size'"):
        visualize.top_patches(net, "conv", [0], x, rank_by="size")


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_same_bits_for_any_batch_size_threads_shards_and_form(rank: int, tmp_path: Path) -> None:
    net, x = coarse_net(rank), coarse(rank)
    layers = {"conv": None, "relu": [5, 0, 2]}
    labels = ["ab"[i % 2] for i in range(len(x))]
    wanted = visualize.survey(net, layers, x, 9, labels=labels)
    for batch_size, threads, workers in ((1, 1, 0), (5, 2, 3), (64, 1, 1)):
        with pyconvx.num_threads(threads):
            found = visualize.survey(net, layers, x, 9, labels=labels, batch_size=batch_size, workers=workers)
        assert_same(found, wanted)
    for count in (2, 7, 50):  # 50: some parts have no picture at all
        parts = [visualize.survey(net, layers, x, 9, labels=labels, shard=(i, count)) for i in range(count)]
        assert_same(visualize.merge(parts), wanted)
        assert_same(visualize.merge(reversed(parts)), wanted)
    for i, signal in enumerate(x):
        (tmp_path / f"{labels[i]}").mkdir(exist_ok=True)
        np.save(tmp_path / labels[i] / f"{i:03}.npy", signal)
    order = sorted(range(len(x)), key=lambda i: (labels[i], i))
    from_folder = visualize.survey(net, layers, tmp_path, 9)
    from_array = visualize.survey(net, layers, x[order], 9, labels=[labels[i] for i in order])
    np.testing.assert_array_equal(from_folder["relu"].pictures, from_array["relu"].pictures)
    assert from_folder.names[0] == "a/000.npy"
    unlabelled = visualize.survey(net, layers, x, 9)
    assert_same(visualize.survey(net, layers, iter(x), 9), unlabelled)
    assert_same(visualize.survey(net, layers, list(x), 9), unlabelled)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_a_patch_is_all_that_its_value_depends_on(rank: int) -> None:
    """Computed from the patch alone, with the network's own padding where the picture ended, the value is the same."""
    layers: dict[str, nn.Layer] = {}
    for index in range(2):
        layers[f"conv{index}"] = CONV[rank](CHANNELS, CHANNELS, 3, random_state=index, bias=False)
        layers[f"relu{index}"] = nn.ReLU()
    net = nn.Sequential(layers)
    x = np.random.default_rng(0).standard_normal((20, *EXTENTS[rank], CHANNELS)).astype(np.float32)
    found = visualize.top_patches(net, "conv1", None, x, 4)
    for unit in range(CHANNELS):
        for patch in found.patches(unit, x, net):
            assert patch.x.shape == (5,) * rank + (CHANNELS,)
            assert math.isclose(
                float(net.features(patch.x[None], ["conv1"])["conv1"][..., unit].item()), patch.value, rel_tol=1e-4
            )


def test_patches_leave_the_picture_and_are_filled() -> None:
    net = nn.Sequential({"conv": nn.Conv1d(1, 1, 3, padding=1)})
    net.load_state_dict({"conv.weight": np.ones((3, 1, 1), np.float32), "conv.bias": np.zeros(1, np.float32)})
    x = np.array([[[9.0], [9.0], [1.0], [1.0]]], np.float32)
    (patch,) = visualize.top_patches(net, "conv", None, x, 9).patches(0, x, net)
    assert (patch.value, patch.position, patch.box) == (19.0, (1,), ((0, 3),))
    x = x[:, :1]
    (patch,) = visualize.top_patches(net, "conv", None, x, 9).patches(0, x, net)
    assert patch.box == ((-1, 2),)
    assert patch.x[:, 0].tolist() == [0, 9, 0]


def test_an_iterators_patches_are_kept(tmp_path: Path) -> None:
    net, x = coarse_net(2), coarse(2)
    found = visualize.top_patches(net, "relu", None, iter(x), 5)
    again = visualize.top_patches(net, "relu", None, x, 5)
    found.save(tmp_path / "kept")
    loaded = visualize.TopPatches.load(tmp_path / "kept")
    for unit in range(6):
        for one, two, three in zip(
            found.patches(unit, None, net), again.patches(unit, x, net), loaded.patches(unit, None, net), strict=True
        ):
            assert (one.value, one.picture, one.position, one.box) == (two.value, two.picture, two.position, two.box)
            np.testing.assert_array_equal(one.x, two.x)
            np.testing.assert_array_equal(one.x, three.x)
    with pytest.raises(OptionError, match="data is None"):
        again.patches(0, None, net)


def test_statistics_are_those_of_all_activations() -> None:
    net, x = coarse_net(2), coarse(2)
    labels = ["cat", "dog", "eel", "cat"] * 10
    found = visualize.top_patches(net, "relu", None, x, labels=labels)
    y = net(x).astype(np.float64)
    statistics = found.statistics
    np.testing.assert_allclose(statistics.mean, y.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(statistics.mean_maximum, y.max(axis=(1, 2)).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(statistics.zeros, (y == 0).mean(axis=(0, 1, 2)), rtol=1e-12)
    assert (statistics.pictures, statistics.positions) == (40, y[..., 0].size)
    maxima = y.max(axis=(1, 2))
    wanted = {name: maxima[[label == name for label in labels], 3].mean() for name in ("cat", "dog", "eel")}
    best = found.top_classes(3, 2)
    assert [name for name, _ in best] == sorted(wanted, key=lambda name: -wanted[name])[:2]
    assert math.isclose(best[0][1], max(wanted.values()))


def test_dead_units_are_found_and_not_selected() -> None:
    net = nn.Sequential({"conv": nn.Conv1d(1, 3, 1), "relu": nn.ReLU()})
    net.load_state_dict(
        {"conv.weight": np.array([[[1, 0, 2]]], np.float32), "conv.bias": np.array([0, -1, 0], np.float32)}
    )
    found = visualize.top_patches(net, "relu", None, np.ones((3, 4, 1), np.float32))
    assert found.statistics.dead.tolist() == [False, True, False]
    assert found.select(3) == [0, 2]


def test_reduction_and_exact_sums() -> None:
    rng = np.random.default_rng(0)
    for positions, units in ((1, 1), (255, 3), (256, 3), (1000, 700), (12345, 2)):
        rows = rng.standard_normal((positions, units)).astype(np.float32)
        reduced = reduce(rows)
        np.testing.assert_array_equal(reduced.maxima, rows.max(axis=0))
        np.testing.assert_array_equal(reduced.positive, (rows > 0).sum(axis=0))
        np.testing.assert_allclose(reduced.sums, rows.sum(axis=0, dtype=np.float64), rtol=0, atol=1e-3)
        assert (reduce(np.ones_like(rows)).positive == positions).all(), "a byte counts no further than 255"
    values = rng.standard_normal((500, 4)) * 10.0 ** rng.integers(-30, 30, (500, 4))
    forward, backward = ExactSum((4,)), ExactSum((4,))
    for row, other in zip(values, values[::-1], strict=True):
        forward.add(row)
        backward.add(other)
    wanted = [float(sum(map(Fraction, column)) / 7) for column in values.T]
    assert forward.divided(7).tolist() == backward.divided(7).tolist() == wanted
    tiny = ExactSum((3,))
    tiny.add(np.array([1e-55, -3e-66, 5e-80]))  # cut off at 2^-200, which is 6e-61
    assert tiny.divided(1).tolist() == [pytest.approx(1e-55, rel=1e-5, abs=0), 0.0, 0.0]
    with pytest.raises(OptionError, match="finite"):
        forward.add(np.array([np.nan, 0, 0, 0]))


def test_memory_does_not_grow_with_the_set() -> None:
    import tracemalloc

    net = nn.Sequential({"conv": nn.Conv1d(1, 16, 3, padding=1), "relu": nn.ReLU()})

    def peak(count: int) -> int:
        signals = (np.full((256, 1), i % 7, np.float32) for i in range(count))
        tracemalloc.start()
        visualize.top_patches(net, "relu", None, signals, 3, workers=2)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(50)
    assert peak(600) < 1.5 * peak(100) + 100_000


def test_pictures_of_different_sizes_and_kinds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for index, size in enumerate([(12, 10), (12, 10), (8, 20), (12, 10)]):
        image.save(tmp_path / f"{index}.png", rng.integers(0, 256, (*size, 3)).astype(np.uint8))
    net = nn.Sequential({"conv": nn.Conv2d(3, 4, 3, random_state=0)})
    found = visualize.top_patches(net, "conv", None, tmp_path, 4)
    alone = [net(image.load(tmp_path / f"{i}.png")[None] / np.float32(255))[0].max(axis=(0, 1)) for i in range(4)]
    np.testing.assert_array_equal(found.values, -np.sort(-np.stack(alone), axis=0).T)
    grey = nn.Sequential({"conv": nn.Conv2d(1, 4, 3, random_state=0)})
    assert visualize.top_patches(grey, "conv", None, tmp_path, 2).patches(0, tmp_path, grey)[0].x.shape == (3, 3, 1)
    (tmp_path / "5.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"5\.png"):
        visualize.top_patches(net, "conv", None, tmp_path, 4)
    survey = visualize.survey(net, ["conv"], tmp_path, 4, skip_unreadable=True)
    assert survey.skipped == ["5.png"]
    assert survey.pictures == 4


def test_a_model_prepares_its_pictures(tmp_path: Path) -> None:
    from pyconvx import models

    vgg = models.vgg16()
    pictures = [image.packaged("chelsea"), image.packaged("starry_night")]
    found = visualize.top_patches(vgg, "conv2_2", [3, 7], pictures, 2, size=64)
    y = [vgg.net.features(vgg.preprocess(image.load(p, size=64)), ["conv2_2"])["conv2_2"][0] for p in pictures]
    assert sorted(found.values[1], reverse=True) == sorted((float(part[..., 7].max()) for part in y), reverse=True)
    assert found.patches(7, pictures, vgg, size=64)[0].name == str(pictures[found.pictures[1, 0]])


def test_arrays_in_a_folder_are_told_by_name_and_what_is_hidden_is_left_out(tmp_path: Path) -> None:
    net, signal = coarse_net(1), coarse(1)[0]
    np.save(tmp_path / "good.npy", signal)
    (tmp_path / "._good.npy").write_bytes(b"left by another system")
    (tmp_path / ".cache").mkdir()
    np.save(tmp_path / ".cache" / "x.npy", signal)
    (tmp_path / "folder.npy").mkdir()
    assert visualize.survey(net, ["conv"], tmp_path).names == {0: "good.npy"}
    np.save(tmp_path / "double.npy", signal.astype(np.float64))  # what NumPy makes unless it is told otherwise
    assert visualize.survey(net, ["conv"], tmp_path, 1).pictures == 2
    whole = (tmp_path / "good.npy").read_bytes()
    for content, error, message in (
        (whole[:-9], ImageError, "no array, or a damaged one"),
        (whole[:40], ImageError, "no array, or a damaged one"),
        (b"", ImageError, "no array, or a damaged one"),
        (b"neither an array nor anything else", ImageError, "no array, or a damaged one"),
        (signal.astype(np.int16), DTypeError, "type int16; the network takes floats: store them as such"),
        (signal[:, 0], ShapeError, "takes 1 spatial axes and the channels"),
        (np.array([{}], object), ImageError, "no array, or a damaged one"),
    ):
        if isinstance(content, bytes):
            (tmp_path / "bad.npy").write_bytes(content)
        else:
            np.save(tmp_path / "bad.npy", content)
        with pytest.raises(error, match=rf"bad\.npy: .*{message}"):
            visualize.survey(net, ["conv"], tmp_path)
        if error is ImageError:
            assert visualize.survey(net, ["conv"], tmp_path, skip_unreadable=True).skipped == ["bad.npy"]
    np.savez(tmp_path / "two.npz", signal)
    (tmp_path / "two.npz").replace(tmp_path / "bad.npy")
    with pytest.raises(ImageError, match="an archive of several"):
        visualize.survey(net, ["conv"], tmp_path)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    net, x = coarse_net(1), coarse(1)
    for options, message in (
        ({"k": 0}, "k is 0"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"shard": (2, 2)}, "shard is"),
        ({"labels": ["a"]}, "labels: got 1"),
        ({"resume": True}, "resume needs state"),
        ({"state": tmp_path / "no" / "x"}, "does not exist"),
        ({"progress": 3}, "progress must be"),
    ):
        with pytest.raises(OptionError, match=message):
            visualize.survey(net, ["conv"], x, **{"k": 3, **options})
    with pytest.raises(OptionError, match="no picture was looked at"):
        visualize.top_patches(net, "conv", None, x[:0])
    with pytest.raises(OptionError, match="units of 'conv': got"):
        visualize.top_patches(net, "conv", [0, 6], x)
    with pytest.raises(OptionError, match="there is no layer"):
        visualize.top_patches(net, "conv7", None, x)
    with pytest.raises(OptionError, match="an iterator cannot be cut"):
        visualize.top_patches(net, "conv", None, iter(x), shard=(0, 2))
    with pytest.raises(ShapeError, match="takes 1 spatial axes and the channels"):
        visualize.top_patches(net, "conv", None, x[..., 0])
    with pytest.raises(DTypeError, match="give preprocess"):
        visualize.top_patches(net, "conv", None, x.astype(np.int32))
    bad = x.copy()
    bad[17, 3] = np.nan
    with pytest.raises(DivergedError, match=r"^17: an activation is NaN or infinite in 'conv'"):
        visualize.top_patches(net, "conv", None, bad)
    with pytest.raises(ImageError, match="no pictures in it"):
        visualize.top_patches(net, "conv", None, tmp_path)
    with pytest.raises(OptionError, match="pictures 0 to 19 are in two of the parts"):
        half = visualize.survey(net, ["conv"], x, shard=(0, 2))
        visualize.merge([half, half])


def test_interruption_hands_over_what_was_found() -> None:
    net, x = coarse_net(1), coarse(1)

    def stop(done: int, total: int, info: dict[str, Any]) -> None:
        if done == 16:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        visualize.survey(net, ["conv"], x, progress=stop)
    assert caught.value.result.done == [(0, 16)]
    np.testing.assert_array_equal(
        caught.value.result["conv"].values, visualize.top_patches(net, "conv", None, x[:16]).values
    )
