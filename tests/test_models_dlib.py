"""load_dlib: the three original files, what is computed from them, and files that lie."""

from __future__ import annotations

import io
import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dlib_files
import numpy as np
import pytest
import reference
from numpy.typing import NDArray

from pyconvx import models
from pyconvx.errors import WeightsError
from pyconvx.models import _dlib_landmarks, _dlib_networks
from pyconvx.models import dlib_files as loader
from pyconvx.models._dlib_stream import Stream
from pyconvx.models._packaged import read_packaged
from pyconvx.models._three_bytes import join

Array = NDArray[Any]

READERS: dict[str, Callable[[Stream], Any]] = {
    "face_encoder": _dlib_networks.read_encoder,
    "face_detector": _dlib_networks.read_detector,
    "landmarks": _dlib_landmarks.read_landmarks,
}


@pytest.fixture(scope="module")
def originals() -> dict[str, bytes]:
    """Files with the packaged weights, as dlib would write them."""
    stored = {name: read_packaged(models.CARDS[name]) for name in READERS}
    return {
        "face_encoder": dlib_files.encoder(dlib_files.packaged_encoder(stored["face_encoder"])),
        "face_detector": dlib_files.detector(dlib_files.with_affine(stored["face_detector"]), "affine_"),
        "landmarks": dlib_files.landmarks(stored["landmarks"]),
    }


@pytest.fixture
def save(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(data: bytes) -> Path:
        path = tmp_path / "model.dat"
        path.write_bytes(data)
        return path

    return write


# Whole files


@pytest.mark.parametrize("name", READERS)
def test_the_packaged_weights_come_back(name: str, originals: dict[str, bytes]) -> None:
    read = READERS[name](Stream(originals[name], name))
    stored = read_packaged(models.CARDS[name])
    assert read.keys() == stored.keys()
    for key, array in stored.items():
        packed = name == "face_encoder" and array.dtype == np.uint8
        np.testing.assert_array_equal(read[key], join(array) if packed else array, key)
        assert read[key].flags.c_contiguous


def test_load_dlib_returns_what_the_file_holds(originals: dict[str, bytes], save: Callable[[bytes], Path]) -> None:
    chips = np.random.default_rng(0).integers(0, 256, (2, 150, 150, 3), dtype=np.uint8)
    encoder = models.load_dlib(save(originals["face_encoder"]))
    assert isinstance(encoder, models.FaceEncoder)
    packaged = models.face_encoder()
    np.testing.assert_array_equal(encoder.encode(chips), packaged.encode(chips))
    assert encoder.identity != packaged.identity
    assert encoder.identity.startswith("face_encoder-")
    path = save(originals["face_detector"])
    detector = models.load_dlib(str(path))
    assert isinstance(detector, models.FaceDetector)
    assert str(path) in detector.card.summary
    canvas = np.random.default_rng(0).standard_normal((90, 70, 3)).astype(np.float32)
    np.testing.assert_array_equal(detector.scores(canvas), models.face_detector().scores(canvas))
    predictor = models.load_dlib(save(originals["landmarks"]))
    assert isinstance(predictor, models.LandmarkPredictor)
    box = [(30, 40, 110, 120)]
    np.testing.assert_array_equal(predictor.predict(chips[0], box), models.landmarks().predict(chips[0], box))


@pytest.mark.parametrize("kind", ["affine_", "affine_2", "bn_con2"])
def test_affine_layers_are_folded(kind: str) -> None:
    """Against the layers one after the other in float64."""
    rng = np.random.default_rng(1)
    state = dlib_files.random_affine(read_packaged(models.CARDS["face_detector"]), rng)
    read = _dlib_networks.read_detector(Stream(dlib_files.detector(state, kind), kind))
    x = rng.standard_normal((1, 61, 45, 3))
    plain = folded = x
    for index, (_, outputs, _, stride, padding) in enumerate(dlib_files.DETECTOR, 1):
        geometry = ((stride,) * 2, ((padding,) * 2,) * 2, (1, 1), 1)
        name = f"conv{index}"
        plain = reference.conv(plain, state[f"{name}.weight"], state[f"{name}.bias"], *geometry)
        folded = reference.conv(folded, read[f"{name}.weight"], read[f"{name}.bias"], *geometry)
        if outputs > 1:
            gain, shift = (state[f"{name}.{part}"].astype(np.float64) for part in ("gain", "shift"))
            if kind == "bn_con2":
                mean, variance = (state[f"{name}.{part}"].astype(np.float64) for part in ("mean", "variance"))
                plain = (plain - mean) / np.sqrt(variance + 1e-4)
            plain, folded = np.maximum(plain * gain + shift, 0), np.maximum(folded, 0)
    np.testing.assert_allclose(folded, plain, atol=1e-5 * np.abs(plain).max())


@pytest.mark.parametrize("conv", ["con_4", "con_5", "con_6"])
def test_newer_layers_of_dlib_are_read(conv: str) -> None:
    state = dlib_files.packaged_encoder(read_packaged(models.CARDS["face_encoder"]))
    stream = Stream(dlib_files.encoder(state, conv, "affine_2"), conv)
    np.testing.assert_array_equal(_dlib_networks.read_encoder(stream)["conv1.weight"], state["conv1.weight"])


@pytest.mark.parametrize(("version", "first", "tail"), [(1, 2, b""), (1, 3, b""), (2, 2, b"")])
def test_older_containers_are_read(version: int, first: int, tail: bytes) -> None:
    state = dlib_files.with_affine(read_packaged(models.CARDS["face_detector"]))
    original = dlib_files.network

    def older(loss: bytes, picture: bytes, layers: list[tuple[str, bytes]]) -> bytes:
        return original(loss, picture, layers, version, first)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dlib_files, "network", older)
        data = dlib_files.detector(state, "affine_")
    read = _dlib_networks.read_detector(Stream(data, "older"))
    np.testing.assert_array_equal(read["conv7.weight"], state["conv7.weight"])


def test_numbers() -> None:
    values = [0, 1, -1, 80, -4, 255, 256, -65536, 2**24 - 1, -(2**31), 2**55, -(2**55)]
    data = dlib_files.integers(*values)
    assert Stream(data, "numbers").integers(len(values)).tolist() == values
    stream = Stream(data, "numbers")
    assert [stream.integer() for _ in values] == values
    stream.end()
    floats = [0.0, 1.0, -1.5, 122.782, 1e-30, -3e38, 0.3382761351109955]
    read = Stream(dlib_files.reals(*floats), "numbers").reals(len(floats))
    np.testing.assert_allclose(read, floats, rtol=2**-24)
    assert Stream(bytes.fromhex("0110 8104"), "numbers").real() == 1.0  # as dlib writes 1.0f
    assert Stream(b"", "numbers").integers(0).size == 0
    assert Stream(b"\x00\x00", "numbers").integers(2).tolist() == [0, 0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "ends too early, at byte 0"),
        (b"\x02\x01", "ends too early"),
        (b"\x08" + bytes(9), "holds no integer"),
        (b"\x31\x01", "holds no integer"),
        (b"\x01\x05\xff\x00", "holds no integer where one must be, at byte 2"),
    ],
)
def test_numbers_that_are_none(data: bytes, message: str) -> None:
    with pytest.raises(WeightsError, match=message):
        Stream(data, "x.dat").integers(2)
    with pytest.raises(WeightsError, match=r"x\.dat"):
        stream = Stream(data, "x.dat")
        stream.integer(), stream.integer()


def test_floats_that_are_none() -> None:
    for exponent in (32000, 32001, 32002, -32768, 1100, 2**40):
        with pytest.raises(WeightsError, match="NaN or infin"):
            Stream(dlib_files.integers(1, exponent), "x.dat").real()
    with pytest.raises(WeightsError, match="too large"):
        Stream(b"", "x.dat").narrow(np.array([1e39]))
    for value in (np.nan, np.inf):
        with pytest.raises(WeightsError, match="NaN or infinity"):
            Stream(dlib_files.tensor([1.0, value]), "x.dat").tensor(2)


# Files of something else


def test_the_predictor_with_68_points_is_refused_for_its_licence(save: Callable[[bytes], Path]) -> None:
    with pytest.raises(WeightsError, match=r"68-point.*commercial use.*models\.landmarks"):
        models.load_dlib(save(dlib_files.integers(1, -136, -1) + bytes(1000)))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is a picture"),
        (b"PK\x03\x04" + bytes(100), "another model"),
        (bytes(100), "version of the file is 0, wanted 1"),
        (dlib_files.integer(1) + dlib_files.text("loss_multiclass_log_"), "loss 'loss_multiclass_log_'"),
        (dlib_files.integers(1, -20, -1), r"\(-20, -1\)"),
        (dlib_files.integers(1, 2**40), "a name has"),
        (dlib_files.integer(1) + b"\x08" + b"\xff" * 8, "holds no integer"),
    ],
)
def test_other_files_are_refused(data: bytes, message: str, save: Callable[[bytes], Path]) -> None:
    path = save(data)
    with pytest.raises(WeightsError, match=message) as caught:
        models.load_dlib(path)
    assert str(path) in str(caught.value)


def test_a_large_file_is_not_read(tmp_path: Path, originals: dict[str, bytes]) -> None:
    path = tmp_path / "large.dat"
    with path.open("wb") as stream:
        stream.write(originals["face_detector"])
        stream.truncate(1 << 40)  # sparse: takes no room
    with pytest.raises(WeightsError, match="1099511627776 bytes"):
        models.load_dlib(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="is a folder"):
        models.load_dlib(tmp_path)
    with pytest.raises(FileNotFoundError):
        models.load_dlib(tmp_path / "absent.dat")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(WeightsError, match="is no regular file"):
            models.load_dlib(tmp_path / "pipe")


# Files that lie


class Recorder(Stream):
    """Remembers where every value began."""

    def __init__(self, data: bytes) -> None:
        self.places: list[int] = []
        super().__init__(data, "recorded")

    @property
    def at(self) -> int:
        return self._at

    @at.setter
    def at(self, value: int) -> None:
        self.places.append(value)
        self._at = value


@pytest.fixture(scope="module")
def places(originals: dict[str, bytes]) -> dict[str, list[int]]:
    """Where the values of each file begin, those in long rows left out."""
    found = {}
    for name, read in READERS.items():
        recorder = Recorder(originals[name])
        read(recorder)
        found[name] = sorted(set(recorder.places))
        assert found[name][-1] == len(originals[name])
    return found


def refused(name: str, data: bytes) -> str:
    """The complaint about a file, if there is one; soon, and for a network without much memory.

    The predictor's hundred thousands of numbers are too slow to trace: `test_an_endless_vector_costs_nothing` does.
    """
    traced = name != "landmarks"
    if traced:
        tracemalloc.start()
    start = time.process_time()
    try:
        READERS[name](Stream(data, "hostile.dat"))
    except WeightsError as error:
        message = str(error)
    else:
        message = ""
    seconds = time.process_time() - start
    if traced:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * len(data) + (1 << 20), f"{peak} bytes for {len(data)}"
    assert seconds < 20
    return message


@pytest.mark.parametrize("name", ["face_encoder", "face_detector"])
def test_a_network_cut_anywhere_is_refused(
    name: str, originals: dict[str, bytes], places: dict[str, list[int]]
) -> None:
    whole = originals[name]
    rng = np.random.default_rng(2)
    early = range(200)
    some = rng.choice(places[name][:-1], 150, replace=False).tolist()
    anywhere = rng.integers(0, len(whole), 20).tolist()
    for end in {*early, *some, *(place + 1 for place in some), *anywhere, len(whole) - 1} - {len(whole)}:
        with pytest.raises(WeightsError, match="another model"):
            READERS[name](Stream(whole[:end], "cut.dat"))
    assert "goes on for 1 bytes" in refused(name, whole + b"0")


def test_a_predictor_cut_anywhere_is_refused(originals: dict[str, bytes], places: dict[str, list[int]]) -> None:
    whole, found = originals["landmarks"], places["landmarks"]
    for end in [*range(0, 400, 3), found[30], found[30] - 1, found[-2], len(whole) // 20, len(whole) - 1]:
        with pytest.raises(WeightsError, match="another model"):
            _dlib_landmarks.read_landmarks(Stream(whole[:end], "cut.dat"))
    assert "goes on for 1 bytes" in refused("landmarks", whole + b"0")


LIES = [0, 1, 2, -1, 16, 255, 2**16, 2**31 - 1, -(2**31), 2**32, 2**55, 2**63 - 1, 2**64 - 1]


@pytest.mark.parametrize("name", READERS)
def test_sizes_that_lie(name: str, originals: dict[str, bytes], places: dict[str, list[int]]) -> None:
    """An integer anywhere in the structure is replaced; nothing is believed that memory or time would follow."""
    whole = originals[name]
    rng = np.random.default_rng(3)
    count = 40 if name == "face_detector" else 12
    for place in rng.choice(places[name][:-1], count, replace=False).tolist():
        size = whole[place] & 15
        if whole[place] & 0x70 or size > 8:
            continue  # a letter of a name, or a truth value
        lie = dlib_files.integer(LIES[rng.integers(len(LIES))])
        refused(name, whole[:place] + lie + whole[place + 1 + size :])


@pytest.mark.parametrize("name", READERS)
def test_mutations(name: str, originals: dict[str, bytes], places: dict[str, list[int]]) -> None:
    """Bytes overwritten, left out and repeated: either weights come out, all finite, or a WeightsError."""
    whole = originals[name]
    rng = np.random.default_rng(4)
    count = {"face_detector": 150, "face_encoder": 25, "landmarks": 12}[name]
    complaints = 0
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            place = int(rng.choice(places[name])) if rng.random() < 0.8 else int(rng.integers(len(data)))
            length = int(rng.integers(1, 9))
            kind = rng.integers(3)
            if kind == 0:
                data[place : place + length] = rng.bytes(length)
            elif kind == 1:
                del data[place : place + length]
            else:
                data[place:place] = data[place : place + length]
        try:
            read = READERS[name](Stream(bytes(data), "mutated.dat"))
        except WeightsError:
            complaints += 1
        else:
            assert all(np.isfinite(array).all() for array in read.values())
    assert complaints > count // 2


def test_an_endless_vector_costs_nothing(originals: dict[str, bytes]) -> None:
    """Files of a few bytes that announce more than any memory holds."""
    head = originals["landmarks"][: len(dlib_files.integers(1, -10, -1)) + 10 * 7]
    huge = dlib_files.integer(2**62)
    for data in (head + huge, head + dlib_files.integers(15) + huge, head + dlib_files.integers(15, 500) + huge):
        tracemalloc.start()
        with pytest.raises(WeightsError):
            _dlib_landmarks.read_landmarks(Stream(data, "endless.dat"))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()
    network = originals["face_detector"]
    place = network.index(b"con_4") + 5
    for sizes in ((2**31, 2**31, 1, 1), (2**55, 1, 1, 1), (-1, -1201, 1, 1), (1216, 2**40, 0, 1)):
        data = network[:place] + dlib_files.integers(2, *sizes) + network[place + 100 :]
        tracemalloc.start()
        with pytest.raises(WeightsError, match="a tensor has sizes"):
            _dlib_networks.read_detector(Stream(data, "endless.dat"))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        tracemalloc.stop()


def test_what_dlib_would_draw_anew_is_refused(originals: dict[str, bytes]) -> None:
    data = originals["face_detector"].replace(b"relu_1", b"relu_0", 1)
    with pytest.raises(WeightsError, match="never set up"):
        _dlib_networks.read_detector(Stream(data, "fresh.dat"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            b"max_pool_2" + dlib_files.integers(3, 3),
            b"max_pool_2" + dlib_files.integers(2, 2),
            "pooling is 2, wanted 3",
        ),
        (b"avg_pool_2" + dlib_files.integer(0), b"avg_pool_2" + dlib_files.integer(2), "pooling is 2, wanted 0"),
        (dlib_files.integers(150, 150), dlib_files.integers(150, 151), "size of the input is 151"),
        (b"\x15input_rgb_image_sized", b"\x17input_rgb_image_pyramid", "wanted input_rgb_image_sized"),
        (dlib_files.reals(117.001), dlib_files.reals(118.0), "mean of the input"),
        (b"add_prev_", b"mul_prev_", "layer is 'mul_prev_'"),
        (b"loss_metric_2", b"loss_metric_3", "layer is 'loss_metric_3'"),
        (dlib_files.integers(32, 7, 7, 2, 2), dlib_files.integers(32, 7, 7, 2, 1), "stride or padding is 1"),
    ],
)
def test_networks_that_compute_otherwise_are_refused(
    originals: dict[str, bytes], old: bytes, new: bytes, message: str
) -> None:
    assert old in originals["face_encoder"]
    with pytest.raises(WeightsError, match=message):
        _dlib_networks.read_encoder(Stream(originals["face_encoder"].replace(old, new, 1), "other.dat"))


def test_indices_outside_are_refused() -> None:
    stored = read_packaged(models.CARDS["landmarks"])
    for name, value, message in (("first", 800, "pixels"), ("second", 65535, "pixels"), ("anchors", 5, "anchor")):
        state = {key: array.copy() for key, array in stored.items()}
        state[name][(-1,) * state[name].ndim] = value
        with pytest.raises(WeightsError, match=message):
            _dlib_landmarks.read_landmarks(Stream(dlib_files.landmarks(state), "x.dat"))


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """A file that an archive of NumPy's could be mistaken for."""
    stream = io.BytesIO()
    np.save(stream, np.array([print], object), allow_pickle=True)
    path = tmp_path / "pickled.dat"
    path.write_bytes(stream.getvalue())
    with pytest.raises(WeightsError):
        models.load_dlib(path)


def test_the_reader_knows_the_sizes_of_dlibs_own_files() -> None:
    assert loader._MOST_BYTES > 2 * 22_466_066  # dlib_face_recognition_resnet_model_v1.dat, the largest
