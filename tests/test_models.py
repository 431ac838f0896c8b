"""Networks with weights: preprocessing, the packaged files, VGG from the package and from a user's file."""

import dataclasses
import doctest
import importlib
import json
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from check import assert_close, tolerance

import pyconvx
from pyconvx import image, models, nn
from pyconvx.errors import DTypeError, MissingExtraError, OptionError, ShapeError, WeightsError
from pyconvx.models._packaged import read_packaged, weights_folder
from pyconvx.models._vgg_files import feature_indices
from pyconvx.models.preprocessing import CAFFE, TORCHVISION

# Preprocessing


def test_caffe_preprocessing_of_one_pixel():
    x = CAFFE.apply(np.array([[[10, 20, 30]]], np.uint8))
    assert x.dtype == np.float32
    assert x.shape == (1, 1, 1, 3)
    np.testing.assert_allclose(x[0, 0, 0], [30 - 104.00699, 20 - 116.66877, 10 - 122.67892], rtol=1e-6)


def test_torchvision_preprocessing_is_torchvisions():
    levels = np.random.default_rng(0).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    expected = (levels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(TORCHVISION.apply(levels)[0], expected, atol=1e-6)


@pytest.mark.parametrize("preprocessing", [CAFFE, TORCHVISION], ids=["caffe", "torchvision"])
def test_preprocessing_and_back(preprocessing):
    levels = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 3), dtype=np.uint8)
    for picture in (levels[0], levels):
        x = preprocessing.apply(picture)
        assert x.flags.c_contiguous
        np.testing.assert_array_equal(preprocessing.undo(x), picture)
        np.testing.assert_allclose(preprocessing.apply(picture / 255), x, atol=2e-4)
    np.testing.assert_array_equal(preprocessing.undo(preprocessing.apply(levels[0])[0]), levels[0])
    np.testing.assert_array_equal(preprocessing.undo(preprocessing.apply(levels).astype(np.float64)), levels)
    far = preprocessing.undo(np.array([[[1e6, 1e6, 1e6], [-1e6, -1e6, -1e6]]], np.float32))
    np.testing.assert_array_equal(far, [[[255] * 3, [0] * 3]])


def test_preprocessing_refuses():
    for shape in ((4, 4), (4, 4, 4), (1, 1, 4, 4, 3)):
        with pytest.raises(ShapeError, match=str(shape[0])):
            CAFFE.apply(np.zeros(shape, np.uint8))
        with pytest.raises(ShapeError):
            CAFFE.undo(np.zeros(shape, np.float32))
    with pytest.raises(DTypeError, match="int64"):
        CAFFE.apply(np.zeros((4, 4, 3), np.int64))
    with pytest.raises(OptionError, match="NaN"):
        CAFFE.undo(np.full((4, 4, 3), np.nan, np.float32))


# What travels with the package


def test_sizes_stay_under_their_limits():
    package = Path(pyconvx.__file__).parent
    assert (
        sum(path.stat().st_size for path in (package / "weights").iterdir()) <= 27_000_000
    )  # 32 MB is the limit of the wheel, code and all
    assert sum(path.stat().st_size for path in (package / "data").iterdir()) < 250_000


def test_every_weight_file_has_a_card_and_credit():
    package = Path(pyconvx.__file__).parent
    files = {path.name for path in (package / "weights").iterdir() if path.suffix != ".py"}
    assert files == {card.file for card in models.CARDS.values()}
    notice = package.parent / "NOTICE"
    if notice.exists():  # not beside an installed package
        text = notice.read_text(encoding="utf-8")
        for path in [*(package / "weights").iterdir(), *(package / "data").iterdir()]:
            assert f"pyconvx/{path.parent.name}/{path.name}" in text


@pytest.mark.parametrize("card", models.CARDS.values(), ids=lambda card: card.name)
def test_cards_are_complete(card):
    assert all([card.name, card.summary, card.licence, card.sources, card.notes, card.preprocessing, card.measured])
    assert len(models.check_packaged(card)) > 1000
    assert json.loads(json.dumps(card.as_dict()))["name"] == card.name


# Damage


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_the_end(path):
    path.write_bytes(path.read_bytes()[:-1])


def put_something_else(path):
    np.savez(path, a=np.array([None]))


@pytest.mark.parametrize("damage", [flip_a_bit, cut_the_end, put_something_else, Path.unlink])
def test_damaged_weights_are_refused(tmp_path, monkeypatch, damage):
    card = models.CARDS["vgg16"]
    shutil.copy(weights_folder() / card.file, tmp_path)
    whole = read_packaged(card)
    monkeypatch.setenv("PYCONVX_WEIGHTS_DIR", str(tmp_path))
    assert read_packaged(card).keys() == whole.keys()
    damage(tmp_path / card.file)
    with pytest.raises(WeightsError, match=r"vgg16\.npz.*PYCONVX_WEIGHTS_DIR"):
        read_packaged(card)


def test_damaged_weights_of_an_installation_say_what_to_do(monkeypatch):
    monkeypatch.delenv("PYCONVX_WEIGHTS_DIR", raising=False)
    with pytest.raises(WeightsError, match="install pyconvx anew"):
        read_packaged(dataclasses.replace(models.CARDS["vgg16"], sha256="0" * 64))


# VGG-16 from the package


def test_examples_in_docstrings():
    result = doctest.testmod(importlib.import_module("pyconvx.models.vgg"))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.fixture(scope="module")
def vgg():
    return models.vgg16()


@pytest.fixture(scope="module")
def photograph():
    return image.load(image.packaged("chelsea"), size=96)


NAMES = [
    *("conv1_1", "relu1_1", "conv1_2", "relu1_2", "pool1"),
    *("conv2_1", "relu2_1", "conv2_2", "relu2_2", "pool2"),
    *("conv3_1", "relu3_1", "conv3_2", "relu3_2", "conv3_3", "relu3_3", "pool3"),
    *("conv4_1", "relu4_1", "conv4_2", "relu4_2", "conv4_3", "relu4_3", "pool4"),
    *("conv5_1", "relu5_1"),
]


def test_every_layer_has_its_name_and_shape(vgg, photograph):
    x = vgg.preprocess(photograph)
    features = vgg.net.features(x, NAMES)
    assert list(features) == NAMES
    _, height, width, _ = x.shape
    for name, y in features.items():
        block = int(name[4])
        scale = 2 ** (block if name.startswith("pool") else block - 1)
        assert y.shape == (1, height // scale, width // scale, 64 * min(2 ** (block - 1), 8))
    assert (features["relu5_1"] > 0).any()


def test_weights_are_levels_times_scale(vgg):
    stored = read_packaged(vgg.card)
    assert len(vgg.net.named_parameters()) == 22
    for name, parameter in vgg.net.named_parameters().items():
        if name.endswith(".weight"):
            scale = stored[name.replace(".weight", ".scale")]
            assert stored[name].dtype == np.int8
            np.testing.assert_array_equal(parameter.value, stored[name] * scale)
            assert (np.abs(stored[name]).max(axis=(0, 1, 2)) == 127).all()
        else:
            np.testing.assert_array_equal(parameter.value, stored[name])


def test_pooling(vgg, photograph):
    smooth = models.vgg16(pooling="avg")
    x = vgg.preprocess(photograph)
    ours = smooth.net.features(x, ["relu1_2", "pool1"])
    np.testing.assert_array_equal(ours["relu1_2"], vgg.net.features(x, ["relu1_2"])["relu1_2"])
    y = ours["relu1_2"][:, : ours["pool1"].shape[1] * 2, : ours["pool1"].shape[2] * 2].astype(np.float64)
    means = y.reshape(1, y.shape[1] // 2, 2, y.shape[2] // 2, 2, 64).mean(axis=(2, 4))
    np.testing.assert_allclose(ours["pool1"], means, rtol=1e-6)
    with pytest.raises(OptionError, match="max, avg"):
        models.vgg16(pooling="mean")


def test_features_are_of_the_kind_the_card_says(vgg, photograph):
    silent = np.mean(vgg.net.features(vgg.preprocess(photograph), ["relu5_1"])["relu5_1"].max(axis=(0, 1, 2)) == 0)
    assert 0.3 < silent < 0.6
    assert min(vgg.card.measured.values()) >= 0.9997
    assert list(vgg.card.measured) == [name for name in NAMES if name.startswith("relu")]


@pytest.mark.torch
def test_features_agree_with_pytorch(vgg, photograph):
    torch = pytest.importorskip("torch")
    x = vgg.preprocess(photograph)
    ours = vgg.net.features(x, [name for name in NAMES if name.startswith("relu")])
    y = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).double()
    state = vgg.net.state_dict(layout="pytorch")
    length = 0
    for name in NAMES:
        if name.startswith("pool"):
            y = torch.nn.functional.max_pool2d(y, 2)
        elif name.startswith("conv"):
            weight, bias = (torch.tensor(np.array(state[f"{name}.{kind}"])).double() for kind in ("weight", "bias"))
            # What independent terms of these sizes would sum to; the terms here are not, and may cancel.
            scale = torch.nn.functional.conv2d(y**2, weight**2, padding=1).max().sqrt().item()
            y = torch.nn.functional.conv2d(y, weight, bias, padding=1).relu()
            length += weight[0].numel()  # rounding errors of all layers before add up
            expected = y.numpy().transpose(0, 2, 3, 1)
            tap = name.replace("conv", "relu")
            assert_close(ours[tap], expected, tolerance(length, np.float32), scale, what=tap)


# A user's own VGG


def torchvision_names(depth):
    """name -> (out, in) of torchvision's convolutions, from its own description of the networks."""
    plan = {16: "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M"}
    plan[19] = "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M"
    index, channels, names = 0, 3, {}
    for word in plan[depth].split():
        if word == "M":
            index += 1
            continue
        names[f"features.{index}"] = (int(word), channels)
        index, channels = index + 2, int(word)
    return names


def made_up_state(depth, dtype=np.float16):
    """Small random weights, as torchvision would store them, with a bit of a classifier."""
    rng = np.random.default_rng(depth)
    state = {"classifier.0.weight": np.zeros((2, 3), dtype)}
    for name, (out_channels, in_channels) in torchvision_names(depth).items():
        filters = rng.standard_normal((8, in_channels, 3, 3), dtype=np.float32) * np.sqrt(2 / (9 * in_channels))
        state[f"{name}.weight"] = np.tile(filters, (out_channels // 8, 1, 1, 1)).astype(dtype)
        state[f"{name}.bias"] = np.full(out_channels, 0.01, dtype)
    return state


@pytest.fixture(scope="module")
def state16():
    return made_up_state(16)


def test_names_are_torchvisions():
    assert list(torchvision_names(16))[-1] == "features.28"  # vgg16().features[28] is its last convolution
    assert list(torchvision_names(19))[-1] == "features.34"
    for depth in (16, 19):
        assert [f"features.{index}" for index in feature_indices(depth).values()] == list(torchvision_names(depth))


@pytest.mark.parametrize("depth", [16, 19])
def test_a_safetensors_file(tmp_path, depth, photograph):
    state = made_up_state(depth)
    nn.safetensors.save_file(state, tmp_path / "vgg.safetensors")
    loaded = models.load_vgg(tmp_path / "vgg.safetensors", depth)
    names = list(loaded.net.named_parameters())
    assert names[-2:] == (["conv5_3.weight", "conv5_3.bias"] if depth == 16 else ["conv5_4.weight", "conv5_4.bias"])
    first = state["features.0.weight"].astype(np.float32).transpose(2, 3, 1, 0)
    np.testing.assert_array_equal(loaded.net.named_parameters()["conv1_1.weight"].value, first)
    assert loaded.preprocessing is TORCHVISION
    assert loaded.net(loaded.preprocess(photograph)).shape == (
        1,
        photograph.shape[0] // 32,
        photograph.shape[1] // 32,
        512,
    )
    assert str(tmp_path) in loaded.card.summary


@pytest.mark.torch
@pytest.mark.parametrize("legacy", [False, True])
def test_a_pytorch_file_computes_as_in_pytorch(tmp_path, legacy, photograph):
    torch = pytest.importorskip("torch")
    layers = []
    for name, (out_channels, in_channels) in torchvision_names(19).items():
        layers += [torch.nn.MaxPool2d(2)] * (int(name.split(".")[1]) - len(layers))
        layers += [torch.nn.Conv2d(in_channels, out_channels, 3, padding=1), torch.nn.ReLU()]
    theirs = torch.nn.ModuleDict({"features": torch.nn.Sequential(*layers, torch.nn.MaxPool2d(2))})
    state = {name: torch.tensor(array.astype(np.float32)) for name, array in made_up_state(19).items()}
    theirs.load_state_dict({name: tensor for name, tensor in state.items() if name.startswith("features")})
    torch.save(state, tmp_path / "vgg.pth", _use_new_zipfile_serialization=not legacy)
    ours = models.load_vgg(tmp_path / "vgg.pth", depth=19)
    x = ours.preprocess(photograph)
    with torch.no_grad():
        expected = theirs["features"].double()(torch.from_numpy(x.transpose(0, 3, 1, 2).copy()).double())
    length = sum(9 * in_channels for _, in_channels in torchvision_names(19).values())
    assert_close(ours.net(x), expected.numpy().transpose(0, 2, 3, 1), tolerance(length, np.float32))


def test_options_of_load_vgg(tmp_path, state16):
    path = tmp_path / "vgg.safetensors"
    nn.safetensors.save_file(state16, path)
    loaded = models.load_vgg(path, preprocessing="caffe", pooling="avg")
    assert loaded.preprocessing is CAFFE
    assert loaded.card.preprocessing == str(CAFFE)
    for options in ({"depth": 11}, {"pooling": "min"}, {"preprocessing": "keras"}):
        with pytest.raises(OptionError, match=next(iter(options))):
            models.load_vgg(path, **options)


def without_a_bias(state):
    del state["features.7.bias"]


def of_another_shape(state):
    state["features.7.weight"] = state["features.7.weight"][:, :, :1]


def channels_last(state):
    state["features.7.weight"] = np.ascontiguousarray(state["features.7.weight"].transpose(2, 3, 1, 0))


def with_batch_norm(state):
    state["features.1.running_mean"] = np.zeros(64, np.float32)


def with_a_layer_more(state):
    state["features.99.weight"] = np.zeros(1, np.float32)


def with_nan(state):
    state["features.0.bias"] = np.full(64, np.nan, np.float32)


def of_integers(state):
    state["features.0.bias"] = np.zeros(64, np.int64)


def renamed(state):
    for name in list(state):
        state["model." + name] = state.pop(name)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_a_bias, r"1 of 26 tensors are missing, the first is features\.7\.bias"),
        (of_another_shape, "conv2_2.weight is .128, 128, 1, 3."),
        (channels_last, "conv2_2.weight is .3, 3, 128, 128., expected .128, 128, 3, 3."),
        (with_batch_norm, "batch normalisation"),
        (with_a_layer_more, r"features\.99"),
        (with_nan, r"features\.0\.bias holds NaN"),
        (of_integers, "int64"),
        (renamed, "26 of 26"),
    ],
)
def test_a_file_of_another_network(tmp_path, state16, change, message):
    state = dict(state16)
    change(state)
    path = tmp_path / "vgg.safetensors"
    nn.safetensors.save_file(state, path)
    with pytest.raises(WeightsError, match=message) as caught:
        models.load_vgg(path)
    assert str(path) in str(caught.value)


def test_the_other_depth_says_so(tmp_path, state16):
    nn.safetensors.save_file(state16, tmp_path / "vgg.safetensors")
    with pytest.raises(WeightsError, match="VGG-16; pass depth=16"):
        models.load_vgg(tmp_path / "vgg.safetensors", depth=19)


def test_files_that_hold_no_weights(tmp_path):
    path = tmp_path / "vgg.bin"
    for content, message in ((b"", "is empty"), (b"text, and more text", "neither")):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=rf"vgg\.bin: {message}"):
            models.load_vgg(path)
    (tmp_path / "cut.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    with pytest.raises(WeightsError, match="truncated"):
        models.load_vgg(tmp_path / "cut.safetensors")
    with pytest.raises(FileNotFoundError):
        models.load_vgg(tmp_path / "none.pth")


class Hostile:
    """Unpickled carelessly, it would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.torch
@pytest.mark.parametrize("legacy", [False, True])
def test_nothing_hostile_is_unpickled(tmp_path, legacy):
    torch = pytest.importorskip("torch")
    trace, path = tmp_path / "trace", tmp_path / "vgg.pth"
    torch.save({"features.0.weight": Hostile(trace)}, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError, match="refuses"):
        models.load_vgg(path)
    assert not trace.exists()
    path.write_bytes(pickle.dumps(Hostile(trace), protocol=2))
    with pytest.raises(WeightsError, match="refuses"):
        models.load_vgg(path)
    assert not trace.exists()
    pickle.loads(pickle.dumps(Hostile(trace)))  # the bait works
    assert trace.exists()


@pytest.mark.torch
def test_pytorch_files_of_something_else(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "vgg.pth"
    for content, message in (
        ([1, 2], "not a state dict"),
        ({"features.0.weight": torch.zeros(3, dtype=torch.int64)}, "floating-point"),
        ({"features.0.weight": 5}, "floating-point"),
        ({"layer1.weight": torch.zeros(3)}, "26 of 26"),
    ):
        torch.save(content, path)
        with pytest.raises(WeightsError, match=message):
            models.load_vgg(path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(WeightsError, match="refuses"):
        models.load_vgg(path)


def test_a_pytorch_file_without_torch(tmp_path, monkeypatch):
    path = tmp_path / "vgg.pth"
    path.write_bytes(b"PK\x03\x04" + bytes(100))
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"pyconvx\[torch\]"):
        models.load_vgg(path)
