"""The face models with their packaged weights: shapes, bits, independent arithmetic, dlib itself where installed."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlib_files
import numpy as np
import pytest
import reference
from check import assert_close
from numpy.typing import NDArray

import pyconvx
from pyconvx import image, models, nn
from pyconvx.errors import DTypeError, ShapeError, WeightsError
from pyconvx.models import detector as detector_module
from pyconvx.models import predictor as predictor_module
from pyconvx.models._face_input import normalize
from pyconvx.models._packaged import read_packaged
from pyconvx.models._three_bytes import join, split

Array = NDArray[Any]


@pytest.fixture(scope="module")
def encoder() -> models.FaceEncoder:
    return models.face_encoder()


@pytest.fixture(scope="module")
def detector() -> models.FaceDetector:
    return models.face_detector()


@pytest.fixture(scope="module")
def predictor() -> models.LandmarkPredictor:
    return models.landmarks()


@pytest.fixture(scope="module")
def photograph() -> Array:
    picture = image.load(image.packaged("chelsea"), size=200)
    return picture if picture.dtype == np.uint8 else np.rint(picture * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def chips(photograph: Array) -> Array:
    """A cat's cheek twice, and noise: the networks do not mind what they see."""
    height = photograph.shape[0]
    cut = np.zeros((150, 150, 3), np.uint8)
    cut[: min(height, 150)] = photograph[:150, :150]
    noise = np.random.default_rng(0).integers(0, 256, (3, 150, 150, 3), dtype=np.uint8)
    return np.concatenate([[cut, cut[:, ::-1]], noise])


# Input


@pytest.mark.parametrize("dtype", [np.uint8, np.float32, np.float64])
def test_the_input_is_rounded_as_dlib_does(dtype: Any) -> None:
    levels = np.random.default_rng(1).integers(0, 256, (2, 5, 7, 3)).astype(dtype)
    mean = np.array([122.782, 117.001, 104.298], np.float32)
    x = normalize(levels[:, ::-1])
    assert x.dtype == np.float32
    assert x.flags.c_contiguous
    np.testing.assert_array_equal(x, (levels[:, ::-1].astype(np.float32) - mean) / np.float32(256))


# Encoder


def reference_encoder(state: dict[str, Array], x: Array) -> Array:
    """The network in float64, layer by layer as dlib has it: zeros fill the smaller of two arrays that are added."""

    def conv(name: str, x: Array, stride: int, padding: int) -> Array:
        weight = state[f"{name}.weight"].astype(np.float64)
        pads = ((padding, padding),) * 2
        return reference.conv(x, weight, state[f"{name}.bias"], (stride, stride), pads, (1, 1), 1)

    unpadded = ((0, 0), (0, 0))
    x = np.maximum(conv("conv1", x, 2, 0), 0)
    x, _ = reference.max_pool(x, (3, 3), (2, 2), unpadded, (1, 1), False)
    for block in range(1, 15):
        halves = block in dlib_files.HALVES
        y = np.maximum(conv(f"block{block}_conv1", x, *((2, 0) if halves else (1, 1))), 0)
        y = conv(f"block{block}_conv2", y, 1, 1)
        if halves:
            x = reference.avg_pool(x, (2, 2), (2, 2), unpadded, False, True)
        total = np.zeros(np.maximum(x.shape, y.shape))
        for part in (x, y):
            total[tuple(map(slice, part.shape))] += part
        x = np.maximum(total, 0)
    return x.mean(axis=(1, 2)) @ state["encoding.weight"].astype(np.float64)


def test_encodings_are_those_of_the_network_in_float64(encoder: models.FaceEncoder, chips: Array) -> None:
    state = dlib_files.packaged_encoder(read_packaged(encoder.card))
    mean = np.array([122.782, 117.001, 104.298])
    expected = reference_encoder(state, (chips[1:2] - mean) / 256)
    found = encoder.encode(chips[1:2])
    assert found.dtype == np.float32
    assert_close(found, expected, 2e-5)
    assert np.abs(found - expected).max() < 1e-6


def test_every_block_has_its_shape(encoder: models.FaceEncoder, chips: Array) -> None:
    names = ["conv1", "pool1", "block3_relu2", "block7_relu2", "block10_relu2", "block11_conv2", "block13_relu2"]
    names += ["block14_conv2", "block14_relu2", "mean", "encoding"]
    found = encoder.net.features(normalize(chips[:1]), names)
    assert [y.shape[1:] for y in found.values()] == [
        *((72, 72, 32), (35, 35, 32), (35, 35, 32), (17, 17, 64), (8, 8, 128), (3, 3, 256), (4, 4, 256)),
        *((1, 1, 256), (2, 2, 256), (256,), (128,)),
    ]
    # The shortcut alone fills the last row and column of the block whose two halves differ in size.
    assert (found["block14_relu2"][:, 1, 1, 128:] >= 0).all()


def test_a_chip_has_the_same_bits_alone_and_among_others(encoder: models.FaceEncoder, chips: Array) -> None:
    many = np.concatenate([chips] * 4)
    together = encoder.encode(many)
    for threads in (1, 3):
        with pyconvx.num_threads(threads):
            for index in (0, 2, len(many) - 1):
                np.testing.assert_array_equal(encoder.encode(many[index : index + 1])[0], together[index])
    np.testing.assert_array_equal(together[: len(chips)], together[len(chips) : 2 * len(chips)])
    np.testing.assert_array_equal(encoder.encode(many[:, :, ::-1][:, :, ::-1]), together)
    assert encoder.encode(many[:0]).shape == (0, 128)


def test_the_encoder_on_every_instruction_set(encoder: models.FaceEncoder, chips: Array, isa: str) -> None:
    assert pyconvx.active_isa() == isa
    expected = reference_encoder(dlib_files.packaged_encoder(read_packaged(encoder.card)), normalize(chips[2:3]))
    assert_close(encoder.encode(chips[2:3]), expected, 2e-5)


def test_the_encoder_learns(encoder: models.FaceEncoder, chips: Array) -> None:
    """Its pullback reaches the first layer: one can go on training it."""
    x = normalize(chips[:1])
    y, pullback = encoder.net.vjp(x)
    dx, grads = pullback(np.ones_like(y))
    assert dx is not None
    assert dx.shape == x.shape
    assert grads.keys() == encoder.net.named_parameters().keys()
    step = np.float32(1e-2) * np.random.default_rng(5).standard_normal(x.shape).astype(np.float32)
    slope = float((encoder.net(x + step) - encoder.net(x - step)).sum()) / 2
    assert abs(slope - float((dx * step).sum())) < 0.05 * max(abs(slope), 0.05)


def test_the_encoder_refuses(encoder: models.FaceEncoder) -> None:
    for shape in ((150, 150, 3), (1, 150, 150), (1, 149, 150, 3), (1, 150, 150, 4)):
        with pytest.raises(ShapeError, match=r"chips: got shape .*wanted \(n, 150, 150, 3\)"):
            encoder.encode(np.zeros(shape, np.uint8))
    with pytest.raises(DTypeError, match="float32"):
        encoder.encode(np.zeros((1, 150, 150, 3), np.float32))


def test_an_identity_names_the_weights(encoder: models.FaceEncoder) -> None:
    assert encoder.identity == f"face_encoder-{encoder.card.sha256[:16]}"
    again = pickle.loads(pickle.dumps(encoder))
    assert again.identity == encoder.identity
    chip = np.full((1, 150, 150, 3), 99, np.uint8)
    np.testing.assert_array_equal(again.encode(chip), encoder.encode(chip))


def test_kernels_are_stored_in_24_bits(encoder: models.FaceEncoder) -> None:
    for name, array in read_packaged(encoder.card).items():
        assert array.dtype == (np.uint8 if name.endswith(".weight") else np.float32)
        used = encoder.net.state_dict()[name]
        np.testing.assert_array_equal(used, join(array) if array.dtype == np.uint8 else array)
        assert not name.endswith(".weight") or not (used.view(np.uint32) & 255).any()


def test_three_bytes_hold_a_float_to_17_bits() -> None:
    values = np.random.default_rng(3).standard_normal((4, 5, 3)).astype(np.float32)
    found = join(split(values))
    assert found.dtype == np.float32
    assert found.shape == values.shape
    assert 2.0**-17 < np.abs(found / values - 1).max() <= 2.0**-16
    exact = np.array([0.0, -0.0, 1.0, -1.5, 2.0**-140, 1 + 2.0**-15], np.float32)
    np.testing.assert_array_equal(join(split(exact)).view(np.uint32), exact.view(np.uint32))
    halves = np.array([1 + 2.0**-16, 1 + 3 * 2.0**-16], np.float32)  # to the even one, down and up
    np.testing.assert_array_equal(join(split(halves)), [1, 1 + 2.0**-14])


# Detector


def test_scores_are_those_of_the_network_in_float64(detector: models.FaceDetector) -> None:
    canvas = np.random.default_rng(6).standard_normal((93, 118, 3)).astype(np.float32) / 3
    x: Array = canvas[None]
    state = read_packaged(detector.card)
    for index, (_, outputs, _, stride, padding) in enumerate(dlib_files.DETECTOR, 1):
        geometry = ((stride,) * 2, ((padding,) * 2,) * 2, (1, 1), 1)
        x = reference.conv(x, state[f"conv{index}.weight"], state[f"conv{index}.bias"], *geometry)
        x = np.maximum(x, 0) if outputs > 1 else x
    scores = detector.scores(canvas)
    assert scores.shape == (9, 12)
    assert_close(scores, x[0, :, :, 0], 2e-5)


def test_where_a_score_looks(detector: models.FaceDetector) -> None:
    """Score (r, c) is about the window around (8 r + 14, 8 c + 14), and knows nothing further off than it must."""
    canvas = np.zeros((240, 320, 3), np.float32)
    plain = detector.scores(canvas)
    row, column = 11, 20
    canvas[detector.stride * row + detector.offset, detector.stride * column + detector.offset] = 1
    # Winograd's algorithm rounds whole tiles anew.
    changed = np.argwhere(np.abs(detector.scores(canvas) - plain) > 1e-6)
    np.testing.assert_allclose(changed.mean(axis=0), [row, column], atol=0.5)
    # A window of 29 pixels sees the pixel from one step off; then come three kernels of 5 and one of 9.
    assert np.abs(changed - [row, column]).max() <= 1 + 2 + 2 + 2 + 4


@pytest.mark.parametrize("shape", [(29, 29), (29, 200), (36, 37), (37, 36), (153, 90)])
def test_stripes_change_no_score(detector: models.FaceDetector, shape: tuple[int, int], monkeypatch: Any) -> None:
    """But for rounding: Winograd's tiles begin with the stripe, and small maps are better off without them."""
    canvas = np.random.default_rng(7).standard_normal((*shape, 3)).astype(np.float32)
    whole = detector.net(canvas[None])[0, :, :, 0]
    for most in (1, 2000, 10_000, 1 << 30):
        monkeypatch.setattr(detector_module, "_MOST_PIXELS", most)
        np.testing.assert_allclose(detector.scores(canvas), whole, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(detector.scores(canvas[:, ::-1])[:, :1].shape, (whole.shape[0], 1))


def test_memory_of_a_large_canvas_is_bounded(detector: models.FaceDetector) -> None:
    """The first map of the whole would take 5.3 times the memory of the canvas."""
    canvas = np.zeros((1500, 3000, 3), np.float32)
    detector.scores(canvas[:100, :100])
    with pyconvx.num_threads(1):
        before = pyconvx.memory()["in_use"]
        pyconvx._core.reset_memory_peak()
        detector.scores(canvas)
    assert pyconvx.memory()["peak"] - before < 1.2 * canvas.nbytes


def test_the_detector_refuses(detector: models.FaceDetector) -> None:
    for shape in ((100, 100), (28, 100, 3), (100, 28, 3), (100, 100, 4), (1, 100, 100, 3)):
        with pytest.raises(ShapeError, match="29 pixels a side"):
            detector.scores(np.zeros(shape, np.float32))
    with pytest.raises(DTypeError, match="uint8"):
        detector.scores(np.zeros((100, 100, 3), np.uint8))  # type: ignore[arg-type]


# Landmarks


def naive_landmarks(state: dict[str, Array], picture: Array, box: tuple[int, int, int, int]) -> Array:
    """One number after the other, as FACES in dlib does: float32 where it has float, float64 where it has double."""
    left, top, right, bottom = box
    initial = state["initial"].astype(np.float32)
    shape = initial.copy()

    def pixel(point: Array) -> tuple[int, int]:
        x, y = float(point[0]), float(point[1])
        return int(np.floor(left + (right - left) * x + 0.5)), int(np.floor(top + (bottom - top) * y + 0.5))

    def level(x: int, y: int) -> int:
        if not (0 <= x < picture.shape[1] and 0 <= y < picture.shape[0]):
            return 0
        value = picture[y, x]
        return int(value) if picture.ndim == 2 else sum(map(int, value)) // 3

    for stage in range(len(state["first"])):
        turn = umeyama(initial.astype(np.float64), shape.astype(np.float64)).astype(np.float32)
        levels = []
        for anchor, (dx, dy) in zip(state["anchors"][stage], state["deltas"][stage], strict=True):
            x = shape[anchor, 0] + (turn[0, 0] * dx + turn[0, 1] * dy)
            y = shape[anchor, 1] + (turn[1, 0] * dx + turn[1, 1] * dy)
            levels.append(level(*pixel(np.array([x, y]))))
        first, second, thresholds = (state[name][stage].tolist() for name in ("first", "second", "thresholds"))
        for tree in range(len(first)):
            node = 0
            while node < 15:
                difference = levels[first[tree][node]] - levels[second[tree][node]]
                node = 2 * node + (1 if difference > thresholds[tree][node] else 2)
            shape = shape + state["leaves"][stage, tree, node - 15].reshape(5, 2)
        assert shape.dtype == np.float32
    return np.array([pixel(point) for point in shape])


def umeyama(start: Array, end: Array) -> Array:
    """Rotation times scale of the similarity from one set of points to another, by singular values (Umeyama, 1991)."""
    start, end = start - start.mean(axis=0), end - end.mean(axis=0)
    left, values, right = np.linalg.svd(end.T @ start)
    sign = np.array([1.0, np.sign(np.linalg.det(left @ right))])
    return (left * sign) @ right * (values * sign).sum() / (start**2).sum()


def boxes_for(picture: Array, count: int, seed: int) -> Array:
    """Boxes of all sizes, inside and across the border."""
    rng = np.random.default_rng(seed)
    height, width = picture.shape[:2]
    corner = np.stack([rng.integers(-40, width, count), rng.integers(-40, height, count)], axis=1)
    return np.concatenate([corner, corner + rng.integers(5, 200, (count, 2))], axis=1)


@pytest.mark.parametrize("colour", [True, False])
def test_landmarks_are_those_of_plain_arithmetic(
    predictor: models.LandmarkPredictor, photograph: Array, colour: bool
) -> None:
    picture = photograph if colour else np.ascontiguousarray(photograph[:, :, 1])
    boxes = boxes_for(picture, 3, seed=8)
    state = read_packaged(predictor.card)
    expected = [naive_landmarks(state, picture, tuple(box)) for box in boxes.tolist()]
    np.testing.assert_array_equal(predictor.predict(picture, boxes), expected)


def test_a_face_has_the_same_landmarks_alone_and_among_others(
    predictor: models.LandmarkPredictor, photograph: Array, monkeypatch: Any
) -> None:
    boxes = boxes_for(photograph, 40, seed=9)
    together = predictor.predict(photograph, boxes)
    assert together.shape == (40, 5, 2)
    assert together.dtype == np.int64
    for index in (0, 17, 39):
        np.testing.assert_array_equal(predictor.predict(photograph, boxes[index : index + 1])[0], together[index])
    monkeypatch.setattr(predictor_module, "_TOGETHER", 7)
    np.testing.assert_array_equal(predictor.predict(photograph, boxes.astype(np.int16)), together)
    grey = np.repeat(photograph[:, :, :1], 3, axis=2)
    np.testing.assert_array_equal(predictor.predict(grey, boxes), predictor.predict(photograph[:, :, 0], boxes))


def test_boxes_far_away_and_none(predictor: models.LandmarkPredictor, photograph: Array) -> None:
    far = predictor.predict(photograph, [(10**9, -(10**9), 10**9 + 100, 100 - 10**9)])
    black = predictor.predict(np.zeros_like(photograph), [(0, 0, 100, 100)])
    np.testing.assert_array_equal(far - [10**9, -(10**9)], black)
    for none in ([], np.empty((0, 4), np.int64)):
        assert predictor.predict(photograph, none).shape == (0, 5, 2)


def test_sums_are_taken_one_after_the_other() -> None:
    """What the cascade relies on: accumulate rounds after every term, in float32."""
    terms = np.random.default_rng(10).standard_normal((3, 501, 10)).astype(np.float32)
    total = np.zeros((3, 10), np.float32)
    for index in range(terms.shape[1]):
        total = total + terms[:, index]
    np.testing.assert_array_equal(np.add.accumulate(terms, axis=1)[:, -1], total)
    np.testing.assert_array_equal(np.add.accumulate(terms, axis=1, out=terms)[:, -1], total)
    assert (total != terms.astype(np.float64).sum(axis=1)).any()


def test_a_tree_is_walked_by_its_answers() -> None:
    for answers in (0x0000, 0xFFFF, 0x8000, 0x4444, 0xBEEF):
        node = 0
        while node < 15:
            node = 2 * node + (1 if answers >> (15 - node) & 1 else 2)
        assert predictor_module._LEAF_OF_ANSWERS[answers] == node - 15


def test_the_predictor_refuses(predictor: models.LandmarkPredictor) -> None:
    box = [(0, 0, 9, 9)]
    for shape in ((10,), (10, 10, 4), (0, 10), (1, 10, 10, 3)):
        with pytest.raises(ShapeError, match="image: got shape"):
            predictor.predict(np.zeros(shape, np.uint8), box)
    with pytest.raises(DTypeError, match="float64"):
        predictor.predict(np.zeros((10, 10)), box)
    with pytest.raises(ShapeError, match=r"boxes: got shape \(4,\)"):
        predictor.predict(np.zeros((10, 10), np.uint8), [0, 0, 9, 9])
    with pytest.raises(DTypeError, match="boxes: got float64"):
        predictor.predict(np.zeros((10, 10), np.uint8), [(0.0, 0.0, 9.0, 9.0)])


# Packaging


@pytest.mark.parametrize("name", ["face_encoder", "face_detector", "landmarks"])
def test_damaged_weights_are_refused(tmp_path: Path, monkeypatch: Any, name: str) -> None:
    data = bytearray(models.check_packaged(models.CARDS[name]))
    data[len(data) // 3] ^= 4
    (tmp_path / f"{name}.npz").write_bytes(data)
    monkeypatch.setenv("PYCONVX_WEIGHTS_DIR", str(tmp_path))
    with pytest.raises(WeightsError, match=rf"{name}\.npz.*SHA-256.*PYCONVX_WEIGHTS_DIR"):
        getattr(models, name)()


def test_the_models_need_no_network_and_no_other_package() -> None:
    program = """
import sys
sys.addaudithook(lambda event, args: (_ for _ in ()).throw(PermissionError(event)) if event[:7] == "socket." else None)
import numpy as np
from pyconvx import models
print(models.face_encoder().encode(np.zeros((1, 150, 150, 3), np.uint8)).shape)
print(models.face_detector().scores(np.zeros((80, 80, 3), np.float32)).shape)
print(models.landmarks().predict(np.zeros((80, 80), np.uint8), [(0, 0, 79, 79)]).shape)
print(sorted({name.split(".")[0] for name in sys.modules} & {"dlib", "torch", "PIL", "scipy", "sqlite3"}))
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(1, 128)\n(7, 7)\n(1, 5, 2)\n[]\n"


# dlib itself


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The packaged weights as files that dlib reads."""
    folder = tmp_path_factory.mktemp("dlib")
    stored = {name: read_packaged(card) for name, card in models.CARDS.items()}
    encoder = dlib_files.encoder(dlib_files.packaged_encoder(stored["face_encoder"]))
    (folder / "face_encoder.dat").write_bytes(encoder)
    (folder / "landmarks.dat").write_bytes(dlib_files.landmarks(stored["landmarks"]))
    yield folder
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.dlib
def test_encodings_are_dlibs(folder: Path, encoder: models.FaceEncoder, chips: Array) -> None:
    dlib = pytest.importorskip("dlib")
    theirs = dlib.face_recognition_model_v1(str(folder / "face_encoder.dat"))
    expected = np.array([theirs.compute_face_descriptor(chip) for chip in chips])
    assert np.abs(encoder.encode(chips) - expected).max() < 1e-6


@pytest.mark.dlib
def test_landmarks_are_dlibs(folder: Path, predictor: models.LandmarkPredictor, photograph: Array) -> None:
    dlib = pytest.importorskip("dlib")
    theirs = dlib.shape_predictor(str(folder / "landmarks.dat"))
    noise = np.random.default_rng(11).integers(0, 256, (150, 190, 3), dtype=np.uint8)
    for seed, picture in enumerate([photograph, np.ascontiguousarray(photograph[:, :, 0]), noise]):
        boxes = boxes_for(picture, 40, seed)
        found = predictor.predict(picture, boxes)
        for box, points in zip(boxes.tolist(), found, strict=True):
            shape = theirs(picture, dlib.rectangle(*box))
            expected = [(shape.part(i).x, shape.part(i).y) for i in range(5)]
            np.testing.assert_array_equal(points, expected)


def test_networks_are_made_of_public_layers(encoder: models.FaceEncoder, detector: models.FaceDetector) -> None:
    assert isinstance(encoder.net, nn.Graph)
    assert isinstance(detector.net, nn.Sequential)
    assert sum(p.value.size for p in encoder.net.named_parameters().values()) == 5_607_488 - 8 * 256 * 256
    assert sum(p.value.size for p in detector.net.named_parameters().values()) == 180_711
