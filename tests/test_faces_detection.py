"""Where faces are found, on the packaged picture of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import face_oracle
import numpy as np
import pytest
from face_pictures import ASTRONAUT, PICTURES, PIXELS, group

from pyconvx import ImageError, MultipleFacesError, NoFaceError, OptionError, image, num_threads
from pyconvx.faces import Face, FaceModels, detect, detection, select


@pytest.mark.dlib
@pytest.mark.parametrize("name", PICTURES)
def test_boxes_are_dlibs(name: str) -> None:
    pixels, upsample = PICTURES[name]
    theirs = face_oracle.faces(pixels, upsample)
    ours = detect(pixels, upsample=upsample)
    assert [face.box for face in ours] == [face.box for face in theirs]
    np.testing.assert_allclose([f.score for f in ours], [f.score for f in theirs], rtol=0, atol=2e-5)


@pytest.mark.dlib
def test_scores_in_wide_pictures_are_dlibs() -> None:
    """Where dlib's sums of columns have drifted."""
    wide = np.full((270, 7000, 3), 90, np.uint8)
    wide[5:265, 6560:6820] = image.resize(PIXELS[20:210, 50:240], (260, 260), resample="bilinear")
    theirs, ours = face_oracle.faces(wide, 0), detect(wide)
    assert [face.box for face in ours] == [face.box for face in theirs] != []
    np.testing.assert_allclose([f.score for f in ours], [f.score for f in theirs], rtol=0, atol=1e-5)


def test_the_pictures_show_what_they_should() -> None:
    counts = {name: len(detect(pixels, upsample=upsample)) for name, (pixels, upsample) in PICTURES.items()}
    assert counts["astronaut"] == counts["doubled"] == counts["doubled twice"] == counts["large"] == 1
    assert counts["group"] == 4
    assert counts["no face"] == 0


def test_a_face_has_a_box_and_a_score(isa: str) -> None:
    (face,) = detect(ASTRONAUT)
    assert face.box == (101, 69, 195, 164)
    assert face.score == pytest.approx(1.0565, abs=1e-3)
    assert face.landmarks is None
    assert face.encoding is None


def test_same_bits_for_any_number_of_threads() -> None:
    pictures = [PIXELS, group()]
    with num_threads(1):
        alone = [[(f.box, f.score) for f in detect(picture)] for picture in pictures]
    with num_threads(3):
        assert [[(f.box, f.score) for f in detect(picture)] for picture in pictures] == alone


def sources(folder: Path) -> dict[str, Any]:
    from PIL import Image

    path = folder / "face.png"
    image.save(path, PIXELS)
    turned = folder / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.ascontiguousarray(np.rot90(PIXELS))).save(turned, exif=exif, quality=95)
    alpha = np.dstack([PIXELS, np.full(PIXELS.shape[:2], 255, np.uint8)])
    return {
        "path": path,
        "string": str(path),
        "bytes": path.read_bytes(),
        "PIL": Image.fromarray(PIXELS),
        "CMYK": Image.fromarray(PIXELS).convert("CMYK"),
        "grey": PIXELS.mean(axis=2).astype(np.uint8),
        "16 bits": PIXELS.astype(np.uint16) * 257,
        "float": PIXELS / 255.0,
        "RGBA": alpha,
        "strided": np.repeat(PIXELS, 2, axis=1)[:, ::2],
        "EXIF": turned,
    }


@pytest.mark.parametrize(
    "kind", ["path", "string", "bytes", "PIL", "CMYK", "grey", "16 bits", "float", "RGBA", "strided", "EXIF"]
)
def test_pictures_of_every_kind(kind: str, tmp_path: Path) -> None:
    (face,) = detect(sources(tmp_path)[kind])
    assert np.abs(np.subtract(face.box, (101, 69, 195, 164))).max() <= (6 if kind in ("EXIF", "grey", "CMYK") else 0)


# The window is 80 pixels: at 40 the picture is doubled, at 95 made smaller; at 160 the face is too small.
def test_min_face_size() -> None:
    expected = np.array((101, 69, 195, 164))
    for size in (40, 60, 80, 90):
        (face,) = detect(PIXELS, min_face_size=size)
        assert np.abs(np.array(face.box) - expected).max() <= 16  # windows are 8 pixels apart, at most twice enlarged
    assert detect(PIXELS, min_face_size=80)[0].box == tuple(expected)
    assert detect(PIXELS, min_face_size=160) == []


def test_small_faces_need_a_smaller_size() -> None:
    small = image.resize(PIXELS, (107, 107))  # a face of 32 pixels
    assert detect(small) == []
    (face,) = detect(small, min_face_size=25)
    assert np.abs(np.array(face.box) - np.array((101, 69, 195, 164)) / 3).max() <= 5
    (face,) = detect(small, upsample=2)
    assert np.abs(np.array(face.box) - np.array((101, 69, 195, 164)) / 3).max() <= 5


def test_least_score() -> None:
    assert len(detect(PIXELS, least_score=1.0)) == 1
    assert detect(PIXELS, least_score=1.1) == []


# Too small for one window of the network, a line, one pixel.
@pytest.mark.parametrize("shape", [(1, 1), (5, 5), (1, 300), (300, 1), (7, 31)])
def test_tiny_pictures_have_no_face(shape: tuple[int, int]) -> None:
    assert detect(np.zeros(shape, np.uint8)) == []
    assert detect(np.zeros(shape, np.uint8), upsample=1) == []
    assert detect(np.zeros(shape, np.uint8), min_face_size=200) == []


def face(left: int, top: int, size: int, score: float) -> Face:
    return Face((left, top, left + size - 1, top + size - 1), score)


SMALL_BEST, MIDDLE, LARGE = face(0, 0, 10, 0.9), face(45, 45, 11, 0.5), face(60, 0, 30, 0.7)


@pytest.mark.parametrize(("policy", "chosen"), [("best", SMALL_BEST), ("center", MIDDLE), ("largest", LARGE)])
def test_policies_choose_one(policy: Any, chosen: Face) -> None:
    for faces in ([SMALL_BEST, MIDDLE, LARGE], [LARGE, MIDDLE, SMALL_BEST]):
        assert select(faces, policy, (100, 100), "it") == [chosen]
    with pytest.raises(NoFaceError, match="it: no face"):
        select([], policy, (100, 100), "it")


def test_the_policies_all_and_error() -> None:
    assert select([SMALL_BEST, LARGE], "all", (100, 100), "it") == [SMALL_BEST, LARGE]
    assert select([], "all", (100, 100), "it") == []
    assert select([LARGE], "error", (100, 100), "it") == [LARGE]
    with pytest.raises(NoFaceError, match="it: no face"):
        select([], "error", (100, 100), "it")
    with pytest.raises(MultipleFacesError, match="it: 2 faces"):
        select([LARGE, MIDDLE], "error", (100, 100), "it")


def test_equals_are_told_apart_by_score() -> None:
    twins = [face(0, 0, 10, 0.2), face(50, 0, 10, 0.4)]
    assert select(twins, "largest", (10, 60), "it") == [twins[1]]
    assert select(twins, "center", (10, 60), "it") == [twins[1]]


def test_errors_name_the_picture(tmp_path: Path) -> None:
    many, none = tmp_path / "many.png", tmp_path / "none.png"
    image.save(many, group())
    image.save(none, np.zeros((90, 90, 3), np.uint8))
    with pytest.raises(MultipleFacesError, match=r"many\.png: 4 faces"):
        detect(many, policy="error")
    with pytest.raises(NoFaceError, match=r"none\.png: no face"):
        detect(none, policy="largest")
    with pytest.raises(ImageError, match=r"missing\.png"):
        detect(tmp_path / "missing.png")
    with pytest.raises(NoFaceError, match=r"array of shape \(90, 90\)"):
        detect(np.zeros((90, 90), np.uint8), policy="error")


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"policy": "first"}, "policy"),
        ({"upsample": -1}, "upsample"),
        ({"upsample": 1.5}, "upsample"),
        ({"upsample": 9}, "upsample"),
        ({"min_face_size": 0}, "min_face_size"),
        ({"min_face_size": 20, "upsample": 1}, "both"),
        ({"least_score": float("nan")}, "least_score"),
    ],
)
def test_wrong_options(options: dict[str, Any], match: str) -> None:
    with pytest.raises(OptionError, match=match):
        detect(PIXELS, **options)


def test_what_would_be_too_large_is_refused_at_once() -> None:
    with pytest.raises(ImageError, match=r"array of shape .*min_face_size"):
        detect(PIXELS, upsample=8)
    with pytest.raises(ImageError, match="min_face_size"):
        detect(PIXELS, min_face_size=1)


@pytest.mark.dlib
def test_models_from_dlibs_files_find_the_same() -> None:
    models = FaceModels.from_dlib(face_oracle.models_folder())
    assert [f.box for f in detect(group(), models=models)] == [f.box for f in detect(group())]


def test_a_picture_that_memory_does_not_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    large = np.full((2000, 2000, 3), 90, np.uint8)
    monkeypatch.setattr(detection, "available", lambda: 300 << 20)
    with pytest.raises(ImageError, match=r"2000 x 2000 pixels needs about 324 MiB .* 300 MiB is available: .*min_face"):
        detect(large)
    assert detect(large, min_face_size=160) == []
    monkeypatch.setattr(detection, "available", lambda: None)
    assert detect(large[:, :400]) == []
