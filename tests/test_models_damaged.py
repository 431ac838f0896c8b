"""Weight files that are damaged or something else: each error names the file, says what came and what to do."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlib_files
import numpy as np
import pytest

from pyconvx import models, nn
from pyconvx.errors import WeightsError
from pyconvx.faces import FaceModels
from pyconvx.models._packaged import read_packaged

REMEDY = re.compile(r"anew|unpack it|download the|git lfs pull|give |by net\.load|put the file")
NET = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())


def of_dlib() -> bytes:
    return dlib_files.detector(dlib_files.with_affine(read_packaged(models.CARDS["face_detector"])), "affine_")


def of_vgg() -> bytes:
    """The smallest that passes for one by its names, but for its shapes."""
    return nn.safetensors.save({"features.0.weight": np.ones((64, 3, 3, 3), np.float32)})


def of_a_network(folder: Path) -> bytes:
    nn.save_network(NET, folder / "whole")
    return (folder / "whole").read_bytes()


LOADERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "load_dlib": (models.load_dlib, "model.dat"),
    "load_vgg": (models.load_vgg, "vgg.safetensors"),
    "load_vgg by its content": (models.load_vgg, "vgg.weights"),
    "net.load": (NET.load, "net.safetensors"),
    "load_network": (nn.load_network, "net.safetensors"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    network = of_a_network(tmp_path_factory.mktemp("whole"))
    vgg = of_vgg()
    return {
        "load_dlib": of_dlib(),
        "load_vgg": vgg,
        "load_vgg by its content": vgg,
        "net.load": network,
        "load_network": network,
    }


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def noise_in_the_middle(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + b"\xff" * 400 + data[middle + 400 :]


def noise_at_the_beginning(data: bytes) -> bytes:
    return np.random.default_rng(0).bytes(100) + data[100:]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "three bytes": lambda data: data[:3],
    "half": half,
    "one byte less": lambda data: data[:-1],
    "one byte more": lambda data: data + b"\0",
    "noise at the beginning": noise_at_the_beginning,
    "zeros": lambda data: bytes(len(data)),
    "a picture": lambda data: b"\x89PNG\r\n\x1a\n" + bytes(200),
    "a web page": lambda data: b"\n<!DOCTYPE html>\n<html>not found</html>" + b" " * 200,
    "a pointer": lambda data: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "an array": lambda data: (
        b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}" + bytes(99)
    ),
    "bzip2": lambda data: bz2.compress(data[:5000]),
    "gzip": lambda data: gzip.compress(data[:5000]),
    "xz": lambda data: lzma.compress(data[:5000]),
}


def refused(load: Callable[[Path], Any], path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: "), message
    assert message.count(str(path)) == 1, message
    assert REMEDY.search(message), message
    return message


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("loader", LOADERS)
def test_a_damaged_file_is_named(loader: str, damage: str, whole: dict[str, bytes], tmp_path: Path) -> None:
    load, name = LOADERS[loader]
    path = tmp_path / name
    path.write_bytes(DAMAGE[damage](whole[loader]))
    refused(load, path)


@pytest.mark.parametrize("loader", ["load_dlib", "load_vgg by its content"])
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("empty", "is empty; copy or download it anew"),
        ("a picture", "is a picture; give the file with the weights"),
        ("a web page", "is a web page"),
        ("a pointer", "is a pointer of Git LFS"),
        ("bzip2", "is packed by bzip2; unpack it with bunzip2 first"),
        ("gzip", "is packed by gzip"),
        ("xz", "is packed by xz"),
    ],
)
def test_what_came_in_place_of_weights_is_said(
    loader: str, damage: str, message: str, whole: dict[str, bytes], tmp_path: Path
) -> None:
    load, name = LOADERS[loader]
    (tmp_path / name).write_bytes(DAMAGE[damage](whole[loader]))
    assert message in refused(load, tmp_path / name)


@pytest.mark.parametrize("loader", LOADERS)
def test_noise_among_the_weights(loader: str, whole: dict[str, bytes], tmp_path: Path) -> None:
    """NaN, for formats without checksums; a network's own file may well hold them."""
    load, name = LOADERS[loader]
    path = tmp_path / name
    path.write_bytes(noise_in_the_middle(whole[loader]))
    message = refused(load, path)
    assert loader != "load_dlib" or "weights hold NaN" in message


@pytest.mark.parametrize("loader", LOADERS)
def test_what_is_no_regular_file(loader: str, tmp_path: Path) -> None:
    load, name = LOADERS[loader]
    (tmp_path / name).mkdir()
    assert "folder" in refused(load, tmp_path / name) or loader in ("net.load", "load_network")
    with pytest.raises(FileNotFoundError, match="none"):
        load(tmp_path / "none.safetensors")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
@pytest.mark.parametrize("loader", LOADERS)
def test_a_pipe_does_not_stall(loader: str, tmp_path: Path) -> None:
    load, name = LOADERS[loader]
    os.mkfifo(tmp_path / name)
    messages: list[str] = []
    thread = threading.Thread(target=lambda: messages.append(refused(load, tmp_path / name)), daemon=True)
    thread.start()
    thread.join(20)
    assert messages
    assert "regular file" in messages[0]


@pytest.mark.torch
@pytest.mark.parametrize("damage", ["half", "one byte less", "noise at the beginning", "empty", "zeros"])
def test_a_damaged_file_of_pytorch(damage: str, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    path = tmp_path / "vgg.pth"
    torch.save({"features.0.weight": torch.ones(64, 3, 3, 3)}, path)
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    refused(models.load_vgg, path)
    torch.save([torch.ones(1)], path)
    assert "holds a list" in refused(models.load_vgg, path)
    torch.save({"features.0.weight": 3}, path)
    assert "is not a tensor" in refused(models.load_vgg, path)


def test_a_folder_of_dlibs_files(tmp_path: Path) -> None:
    names = (
        "mmod_human_face_detector.dat",
        "shape_predictor_5_face_landmarks.dat",
        "dlib_face_recognition_resnet_model_v1.dat",
    )
    with pytest.raises(FileNotFoundError, match=names[0]):
        FaceModels.from_dlib(tmp_path)
    for name in names:
        (tmp_path / name).write_bytes(of_dlib())
    with pytest.raises(WeightsError, match="holds a FaceDetector, wanted a LandmarkPredictor; put") as caught:
        FaceModels.from_dlib(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / names[1]}: ")
    (tmp_path / names[0]).write_bytes(b"")
    refused(lambda path: FaceModels.from_dlib(path.parent), tmp_path / names[0])
