"""Networks with weights: preprocessing, the packaged files, VGG from the package and from a user's file."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import pyconvx
from pyconvx import models
from pyconvx.errors import DTypeError, OptionError, ShapeError, WeightsError
from pyconvx.models._packaged import read_packaged, weights_folder
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
    for image in (levels[0], levels):
        x = preprocessing.apply(image)
        assert x.flags.c_contiguous
        np.testing.assert_array_equal(preprocessing.undo(x), image)
        np.testing.assert_allclose(preprocessing.apply(image / 255), x, atol=2e-4)
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
    assert sum(path.stat().st_size for path in (package / "weights").iterdir()) <= 8_300_000
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
    assert all([card.name, card.summary, card.licence, card.sources, card.notes, card.preprocessing])
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
