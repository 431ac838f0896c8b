"""Exports and imports of galleries, and their calibration."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gallery_people import MODEL, open_gallery, person
from stub_pictures import StubPictures, stub_pictures

from pyconvx import faces, metrics
from pyconvx.errors import GalleryError, OptionError, ShapeError
from pyconvx.faces import Gallery, calibration
from pyconvx.nn import safetensors

__all__ = ["stub_pictures"]


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Gallery]:
    with open_gallery(tmp_path / "crew.gallery") as gallery:
        for seed in range(30):
            gallery.enrol(f'person {seed} \u00e9, "x"', encodings=person(seed, 4))
        yield gallery


def test_what_is_exported_can_be_imported(crew: Gallery, tmp_path: Path) -> None:
    crew.calibrate(0.1)
    assert crew.export(tmp_path / "crew.safetensors") == 120
    with open_gallery(tmp_path / "other.gallery") as other:
        assert other.import_(tmp_path / "crew.safetensors") == 120
        assert other.people == crew.people
        assert other.encoder == MODEL
        assert other.calibration == crew.calibration
        ours, theirs = crew.pairs(), other.pairs()
        np.testing.assert_array_equal(ours.distances, theirs.distances)
        other.import_(tmp_path / "crew.safetensors")
        assert set(other.people.values()) == {8}


def test_csv_reads_back_exactly(crew: Gallery, tmp_path: Path) -> None:
    crew.export(tmp_path / "crew.csv")
    with (tmp_path / "crew.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.reader(stream))
    assert rows[0][:3] == ["name", "picture", "e0"]
    assert len(rows) == 121
    assert rows[1][0] == 'person 0 \u00e9, "x"'
    np.testing.assert_array_equal(np.array(rows[1][2:], np.float32), person(0, 4)[0])


def test_a_folder_that_is_missing_is_named(crew: Gallery, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="the folder of the export does not exist") as raised:
        crew.export(tmp_path / "none" / "crew.csv")
    assert raised.value.filename == str(tmp_path / "none")


def test_an_empty_gallery_travels_too(tmp_path: Path) -> None:
    with open_gallery(tmp_path / "a") as gallery:
        gallery.enrol("Ann", encodings=person(0))
        gallery.remove("Ann")
        assert gallery.export(tmp_path / "a.safetensors") == 0
        assert gallery.import_(tmp_path / "a.safetensors") == 0
        with pytest.raises(OptionError, match=r"wanted \.safetensors or \.csv"):
            gallery.export(tmp_path / "a.pickle")


def bytes_of(value: object) -> np.ndarray:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)


def good() -> dict[str, np.ndarray]:
    return {
        "encodings": person(0, 2),
        "people": np.array([0, 0]),
        "names": bytes_of(["Ann"]),
        "pictures": bytes_of(["", ""]),
    }


@pytest.mark.parametrize(
    ("changes", "metadata"),
    [
        ({"encodings": person(0, 2)[:, :5]}, {}),
        ({"encodings": person(0, 2).astype(np.float64)}, {}),
        ({"encodings": np.full((2, 128), np.nan, np.float32)}, {}),
        ({"encodings": person(0, 3)}, {}),
        ({"people": np.array([0, 1])}, {}),
        ({"people": np.array([0, -1])}, {}),
        ({"people": np.array([0.0, 0.0])}, {}),
        ({"names": bytes_of("Ann")}, {}),
        ({"names": bytes_of([1])}, {}),
        ({"names": bytes_of([""])}, {}),
        ({"names": bytes_of(["a\u0000b"])}, {}),
        ({"names": bytes_of(["\ud800"])}, {}),
        ({"names": np.frombuffer(b"\xff\xfe", np.uint8)}, {}),
        ({"names": np.frombuffer(b"[" * 200_000, np.uint8)}, {}),
        ({"pictures": bytes_of([""])}, {}),
        ({"pictures": bytes_of(["\ud800", ""])}, {}),
        ({"more": np.zeros(1)}, {}),
        ({}, {"format": "pyconvx.gallery 2"}),
        ({}, {"format": ""}),
        ({}, {"encoder": ""}),
        ({}, {"encoder": "another"}),
        ({}, {"calibration": "{}"}),
        ({}, {"calibration": "[" * 200_000}),
    ],
)
def test_hostile_files_add_nothing(tmp_path: Path, changes: dict, metadata: dict) -> None:
    file = tmp_path / "in.safetensors"
    known = {"format": "pyconvx.gallery 1", "encoder": MODEL, **metadata}
    safetensors.save_file({**good(), **changes}, file, metadata=known)
    with open_gallery(tmp_path / "crew.gallery") as gallery:
        with pytest.raises(GalleryError, match=r"in\.safetensors"):
            gallery.import_(file)
        assert gallery.people == {}
        assert gallery.encoder is None
        safetensors.save_file(good(), file, metadata={"format": "pyconvx.gallery 1", "encoder": MODEL})
        assert gallery.import_(file) == 2
        file.write_bytes(file.read_bytes()[:-100])
        with pytest.raises(GalleryError, match=r"in\.safetensors: cannot be imported"):
            gallery.import_(file)
        file.write_bytes(b"PK\x03\x04 not an export")
        with pytest.raises(GalleryError):
            gallery.import_(file)


def test_a_gallery_is_calibrated_for_its_size(crew: Gallery) -> None:
    assert crew.calibration is None
    found = crew.calibrate(0.1)
    assert found.gallery_size == 120
    assert found.search_far() <= 0.1
    assert crew.calibration == found
    assert crew.identify(encodings=person(3))[0].threshold == found.threshold
    assert crew.identify(encodings=person(3))[0].name.startswith("person 3 ")
    one = crew.calibrate(0.01, gallery_size=1, save=False)
    assert one.threshold > found.threshold
    assert crew.calibration == found
    assert crew.identify(encodings=person(3), threshold=one)[0].threshold == one.threshold
    assert metrics.calibrate(crew, 0.01) == one
    with pytest.raises(OptionError, match="cannot support"):
        crew.calibrate(1e-3)
    crew.calibration = None
    assert crew.calibration is None


def test_a_calibration_needs_people(tmp_path: Path) -> None:
    with open_gallery(tmp_path / "crew.gallery") as gallery:
        with pytest.raises(ShapeError):
            gallery.calibrate()
        gallery.enrol("Ann", encodings=person(0, 3))
        with pytest.raises(ShapeError, match="0 impostor"):
            gallery.calibrate()


def test_a_folder_is_calibrated(tmp_path: Path, stub_pictures: StubPictures) -> None:
    root = tmp_path / "people"
    for number in range(15):
        (root / f"person {number}").mkdir(parents=True)
        for turn in range(3):
            (root / f"person {number}" / f"{turn}.jpg").write_text(f"{number}{' ' * turn}")
    (root / "person 3" / "wall.jpg").write_text("none")
    problems, steps = [], []
    found = faces.calibrate(
        root, 0.01, problem=problems.append, progress=lambda done, total: steps.append((done, total))
    )
    assert (found.people, found.genuine, found.gallery_size) == (15, 45, 1)
    assert problems == [f"{root / 'person 3' / 'wall.jpg'}: no face was found"]
    assert steps[-1] == (46, 46)
    with pytest.warns(UserWarning, match=r"wall\.jpg"):
        assert faces.calibrate(root, 0.01) == found
    with pytest.raises(OptionError, match="cannot support"):
        faces.calibrate(root, 1e-4, problem=problems.append)


def test_what_cannot_be_enough_is_told_of_before_it_is_encoded(
    tmp_path: Path, stub_pictures: StubPictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    def encoded(*arguments: object, **options: object) -> None:
        raise AssertionError("work that cannot be enough")

    monkeypatch.setattr(calibration, "_encoded", encoded)
    (tmp_path / "Ann").mkdir()
    with pytest.raises(OptionError, match="no pictures in it"):
        faces.calibrate(tmp_path)
    (tmp_path / "Ann" / "1.jpg").write_text("1")
    (tmp_path / "Ann" / "2.jpg").write_text("1 ")
    with pytest.raises(
        ShapeError, match="2 pictures of 1 people: 1 genuine and 0 impostor pairs; wanted several people"
    ):
        faces.calibrate(tmp_path)
    (tmp_path / "Bob.jpg").write_text("2")
    with pytest.raises(OptionError, match=r"far is 0\.001; 2 impostor pairs cannot support that: it takes 3000"):
        faces.calibrate(tmp_path)
    for wrong in ({"far": 0}, {"far": "x"}, {"gallery_size": 0}, {"confidence": 1}, {"resamples": 5}):
        with pytest.raises(OptionError, match=next(iter(wrong))):
            faces.calibrate(tmp_path, **wrong)


def test_a_gallery_is_calibrated_by_the_same_function(crew: Gallery) -> None:
    found = faces.calibrate(crew, 0.1)
    assert found == crew.calibration
    crew.calibration = None
    assert faces.calibrate(crew.path, 0.1) == found == crew.calibration
    for source in (crew, crew.path, crew.pairs()):
        with pytest.raises(OptionError, match="leave out how to encode"):
            faces.calibrate(source, 0.1, upsample=1)


def test_what_metrics_calibrate_is_passed_on(crew: Gallery, tmp_path: Path) -> None:
    pairs = crew.pairs()
    assert faces.calibrate(pairs, 0.1) == metrics.calibrate(pairs, 0.1)
    assert faces.calibrate((pairs.distances, pairs.same), 0.1, gallery_size=2).gallery_size == 2
    with pytest.raises(OptionError, match=r"got int; wanted metrics\.Pairs"):
        faces.calibrate(3)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"nobody: does not exist; wanted a folder of people, or a gallery"):
        faces.calibrate(tmp_path / "nobody")
    (tmp_path / "a.jpg").write_bytes(b"x" * 600)
    with pytest.raises(GalleryError, match=r"a\.jpg: not a gallery"):
        faces.calibrate(tmp_path / "a.jpg")
