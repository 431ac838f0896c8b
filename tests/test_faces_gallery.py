"""Galleries: who is enrolled, who is recognised and who is not, renaming, merging, removing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from gallery_people import MODEL, open_gallery, person
from stub_pictures import StubPictures, stub_pictures, stubbed_gallery

from pyconvx import faces, image
from pyconvx.errors import DTypeError, GalleryError, NoFaceError, OptionError, ShapeError
from pyconvx.faces import Face, Gallery, _gallery_rows
from pyconvx.faces import _gallery_records as records

__all__ = ["stub_pictures"]


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with open_gallery(tmp_path / "crew.gallery") as opened:
        yield opened


@pytest.fixture
def crew(gallery: Gallery) -> Gallery:
    """Ten people with three encodings each."""
    for seed in range(10):
        gallery.enrol(f"person {seed}", encodings=person(seed, 3))
    return gallery


def test_enrolled_people_are_recognised_and_strangers_are_not(crew: Gallery) -> None:
    assert len(crew) == 10
    assert crew.people == {f"person {seed}": 3 for seed in range(10)}
    assert "person 3" in crew
    assert "person 10" not in crew
    for seed in range(10):
        (found,) = crew.identify(encodings=person(seed, 5)[4], threshold=1.0)
        assert found.name == f"person {seed}"
        assert found
        assert found.distance == found.candidates[0].distance
    (stranger,) = crew.identify(encodings=person(99), threshold=1.0)
    assert stranger.name is None
    assert not stranger
    assert stranger.distance > 1
    assert stranger.candidates[0].distance == stranger.distance


def test_candidates_are_people_and_not_encodings(crew: Gallery) -> None:
    crew.enrol("person 1", encodings=person(1, 200))
    query = person(1)
    rows = {
        name: np.concatenate([person(s, 3), person(1, 200)] if s == 1 else [person(s, 3)])
        for s, name in ((s, f"person {s}") for s in range(10))
    }
    naive = sorted((float(np.linalg.norm(row - query, axis=1).min()), name) for name, row in rows.items())
    (found,) = crew.identify(encodings=query, k=4, threshold=1)
    assert [candidate.name for candidate in found.candidates] == [name for _, name in naive[:4]]
    assert [candidate.distance for candidate in found.candidates] == pytest.approx([d for d, _ in naive[:4]], rel=1e-5)
    (everybody,) = crew.identify(encodings=query, k=99, threshold=1)
    assert [candidate.name for candidate in everybody.candidates] == [name for _, name in naive]


def test_the_threshold_itself_is_accepted(gallery: Gallery) -> None:
    gallery.enrol("Ann", encodings=np.zeros(128))
    probe = np.zeros(128)
    probe[0] = 0.5
    assert gallery.identify(encodings=probe, threshold=0.5)[0].name == "Ann"
    assert gallery.identify(encodings=probe, threshold=np.nextafter(0.5, 0))[0].name is None


def test_nobody_is_recognised_in_an_empty_gallery(gallery: Gallery) -> None:
    (found,) = gallery.identify(encodings=person(0), threshold=1.0)
    assert (found.name, found.distance, found.candidates) == (None, float("inf"), ())
    assert found.as_dict()["distance"] is None
    assert gallery.encoder is None


def test_faces_come_back_with_their_answers(crew: Gallery) -> None:
    known, stranger = Face((0, 0, 9, 9), encoding=person(2)[0]), Face((5, 5, 9, 9), encoding=person(77)[0])
    answers = crew.identify([known, stranger], threshold=1.0)
    assert [answer.name for answer in answers] == ["person 2", None]
    assert [answer.face for answer in answers] == [known, stranger]
    assert crew.identify(known, threshold=1.0)[0].name == "person 2"
    assert crew.identify([], threshold=1.0) == []
    with pytest.raises(OptionError, match="no encoding"):
        crew.identify(Face((0, 0, 9, 9)), threshold=1.0)


def test_what_is_no_encoding_is_refused(gallery: Gallery) -> None:
    for encodings, error in [
        (np.zeros(127), ShapeError),
        (np.zeros((1, 1, 128)), ShapeError),
        (np.zeros(128, int), DTypeError),
        (np.full(128, np.nan), OptionError),
        (np.full(128, 1e300), OptionError),
    ]:
        with pytest.raises(error):
            gallery.enrol("Ann", encodings=encodings)
        with pytest.raises(error):
            gallery.identify(encodings=encodings, threshold=1)
    for name in ("", "  ", "a\nb", "x" * 201, "\ud800", 7, "a\u2028b", "\u202egnp", "\u200b", "\ufeff\u200d"):
        with pytest.raises(OptionError, match="name"):
            gallery.enrol(name, encodings=np.zeros(128))
    for arguments in ({}, {"pictures": "a.png", "encodings": np.zeros(128)}):
        with pytest.raises(OptionError, match="either"):
            gallery.enrol("Ann", **arguments)
        with pytest.raises(OptionError, match="either"):
            gallery.identify(
                *[value for name, value in arguments.items() if name == "pictures"],
                **{name: value for name, value in arguments.items() if name == "encodings"},
            )
    with pytest.raises(OptionError, match="this gallery is of made-up-model"):
        gallery.enrol("Ann", image.packaged("astronaut"))
    for threshold in (-1, True, "0.6", float("nan")):
        with pytest.raises(OptionError, match="threshold"):
            gallery.identify(encodings=np.zeros(128), threshold=threshold)
    with pytest.raises(OptionError, match="give one, or calibrate"):
        gallery.identify(encodings=np.zeros(128))
    with pytest.raises(OptionError, match="k is 0"):
        gallery.identify(encodings=np.zeros(128), threshold=1, k=0)
    assert len(gallery) == 0


def test_origins_are_kept(gallery: Gallery) -> None:
    gallery.enrol("Ann", encodings=person(0, 2), origins=["a.png", "b\udcff.png"])
    assert gallery.pictures("Ann") == ["a.png", "b?.png"]
    with pytest.raises(ShapeError, match="1 for 2"):
        gallery.enrol("Ann", encodings=person(0, 2), origins=["a.png"])


def test_names_are_the_same_however_they_are_composed(gallery: Gallery) -> None:
    gallery.enrol("Zoe\u0308", encodings=np.zeros(128))
    assert gallery.enrol(" Zo\u00eb ", encodings=np.zeros(128)) == 2
    assert gallery.people == {"Zo\u00eb": 2}


def test_names_of_all_scripts_are_kept(gallery: Gallery) -> None:
    names = ["../../etc/passwd", "-rf", "a,b", "\u0646\u06cc\u200c\u0645", "\U0001f469\u200d\U0001f467", "%s'\""]
    for name in names:
        gallery.enrol(name, encodings=person(0))
    assert sorted(gallery.people) == sorted(names)


def test_renaming(crew: Gallery) -> None:
    crew.identify(encodings=person(3), threshold=1)  # so that something is cached
    crew.rename("person 3", "Cid")
    assert crew.identify(encodings=person(3), threshold=1)[0].name == "Cid"
    assert "person 3" not in crew
    with pytest.raises(GalleryError, match=r"'Cid' is in the gallery already; merge"):
        crew.rename("person 4", "Cid")
    with pytest.raises(GalleryError, match="'nobody' is not in the gallery"):
        crew.rename("nobody", "Dan")
    crew.rename("Cid", "Cid")
    assert crew.people["Cid"] == 3


def test_merging(crew: Gallery) -> None:
    crew.identify(encodings=person(3), threshold=1)
    assert crew.merge("person 3", "person 4", into="person 4") == 6
    assert len(crew) == 9
    assert {crew.identify(encodings=person(seed), threshold=1)[0].name for seed in (3, 4)} == {"person 4"}
    assert crew.merge("person 5", into="Eve") == 3
    with pytest.raises(GalleryError, match="'nobody'"):
        crew.merge("person 6", "nobody", into="Fay")
    assert "Fay" not in crew
    with pytest.raises(OptionError, match="at least one"):
        crew.merge(into="x")


def test_removing(crew: Gallery) -> None:
    crew.identify(encodings=person(3), threshold=1)
    assert crew.remove("person 3", "person 5") == 6
    assert crew.identify(encodings=person(3), threshold=1)[0].name is None
    with pytest.raises(GalleryError, match="'person 3' is not in the gallery"):
        crew.remove("person 4", "person 3")
    assert len(crew) == 8
    crew.enrol("person 3", encodings=person(3))
    assert crew.identify(encodings=person(3), threshold=1)[0].name == "person 3"


def test_additions_are_seen_without_reading_everything_again(crew: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    crew.identify(encodings=person(0), threshold=1)
    read = []
    from pyconvx.faces import _gallery_rows

    original = _gallery_rows.vectors
    monkeypatch.setattr(_gallery_rows, "vectors", lambda blobs: read.append(len(blobs)) or original(blobs))
    crew.identify(encodings=person(0), threshold=1)
    assert read == []
    for seed in range(20, 60):
        crew.enrol(f"person {seed}", encodings=person(seed))
        assert crew.identify(encodings=person(seed), threshold=1)[0].name == f"person {seed}"
    assert read == [1] * 40
    crew.rename("person 0", "Zed")
    assert crew.identify(encodings=person(0), threshold=1)[0].name == "Zed"
    assert sum(read) == 40 + 70


def test_another_object_sees_what_was_written(crew: Gallery) -> None:
    with open_gallery(Path(crew.path)) as other:
        assert other.identify(encodings=person(1), threshold=1)[0].name == "person 1"
        crew.enrol("late", encodings=person(50))
        assert other.identify(encodings=person(50), threshold=1)[0].name == "late"
        crew.remove("late", "person 1")
        assert other.identify(encodings=person(50), threshold=1)[0].name is None
        assert other.people == crew.people


def test_encodings_of_another_model_are_refused(crew: Gallery) -> None:
    with pytest.raises(GalleryError, match=f"holds encodings of {MODEL}, not of another"):
        open_gallery(Path(crew.path), encoder="another")
    with stubbed_gallery(Path(crew.path)) as other:
        assert other.encoder == MODEL
        with pytest.raises(GalleryError, match="cannot be compared"):
            other.identify(encodings=person(0), threshold=1)
        with pytest.raises(GalleryError, match="cannot be compared"):
            other.enrol("Ann", encodings=person(0))
    assert len(crew) == 10


def test_a_closed_gallery_says_so(crew: Gallery) -> None:
    crew.close()
    crew.close()
    with pytest.raises(GalleryError, match="has been closed"):
        crew.identify(encodings=person(0), threshold=1)


def test_pictures_are_enrolled_all_or_none(tmp_path: Path, stub_pictures: StubPictures) -> None:
    for name, content in (("a.png", "1"), ("b.png", "1"), ("c.png", "none")):
        (tmp_path / name).write_text(content)
    with stubbed_gallery(tmp_path / "crew.gallery") as gallery:
        with pytest.raises(NoFaceError, match=r"c\.png"):
            gallery.enrol("Ann", [tmp_path / "a.png", tmp_path / "c.png"])
        assert len(gallery) == 0
        assert gallery.enrol("Ann", [tmp_path / "a.png", tmp_path / "b.png"]) == 2
        assert gallery.pictures("Ann") == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
        assert [found.name for found in gallery.identify(tmp_path / "a.png")] == ["Ann"]
        with pytest.raises(NoFaceError):
            gallery.identify(tmp_path / "c.png")
        for empty in ([], ()):
            with pytest.raises(ShapeError, match="at least one"):
                gallery.enrol("Ann", empty)
        with pytest.raises(OptionError, match="'all'"):
            gallery.enrol("Ann", tmp_path / "a.png", policy="all")


def test_real_pictures(tmp_path: Path) -> None:
    picture = image.load(image.packaged("astronaut"))
    with faces.Gallery(tmp_path / "crew.gallery") as gallery:
        gallery.enrol("Eileen", picture)
        (found,) = gallery.identify(picture[:, ::-1])
        assert found.name == "Eileen"
        assert found.face.box[0] < found.face.box[2]
        assert found.threshold == faces.search_threshold(1)
        assert gallery.identify(image.packaged("chelsea")) == []
        with pytest.raises(NoFaceError):
            gallery.enrol("Cat", image.packaged("chelsea"))
        assert gallery.encoder.startswith("face_encoder-")
    with pytest.raises(GalleryError, match="holds encodings of face_encoder-"):
        open_gallery(tmp_path / "crew.gallery")


def test_the_default_threshold_falls_with_the_number_of_entries() -> None:
    limits = [faces.search_threshold(entries) for entries in (1, 10, 100, 10_000)]
    assert limits == sorted(limits, reverse=True)
    assert faces.search_threshold(1, 0.0177) == pytest.approx(0.6, abs=1e-3)  # the rate of dlib's threshold on ORL
    assert faces.search_threshold(0) == limits[0]


def test_averages_over_crops_and_plain_encodings_are_kept_apart(tmp_path: Path) -> None:
    with open_gallery(tmp_path / "plain") as plain, open_gallery(tmp_path / "averaged") as averaged:
        assert plain.jitter is None
        plain.enrol("Ann", encodings=person(0))
        averaged.enrol("Ann", encodings=person(0), jitter=10)
        averaged.enrol("Ann", encodings=person(0))  # the gallery's own is meant
        plain.enrol("Ann", encodings=person(0), jitter=1)  # one crop is none
        assert plain.jitter == 0
        assert averaged.jitter == 10
        with pytest.raises(GalleryError, match="holds encodings without jitter, these are averages over 10 crops"):
            plain.enrol("Bob", encodings=person(1), jitter=10)
        with pytest.raises(GalleryError, match=r"holds averages over 10 crops.* pass jitter=10"):
            averaged.identify(encodings=person(0), jitter=0)
        with pytest.raises(GalleryError, match="averages over 10 crops"):
            averaged.sync(tmp_path, jitter=3)
        with pytest.raises(OptionError, match="jitter: got -1"):
            averaged.enrol("Bob", encodings=person(1), jitter=-1)
        averaged.export(tmp_path / "averaged.safetensors")
        with pytest.raises(GalleryError, match="averages over 10 crops"):
            plain.import_(tmp_path / "averaged.safetensors")
        assert plain.people == {"Ann": 2}
        with open_gallery(tmp_path / "copy") as copy:
            copy.import_(tmp_path / "averaged.safetensors")
            assert copy.jitter == 10


def test_pictures_are_encoded_as_those_before_them(tmp_path: Path) -> None:
    astronaut = image.packaged("astronaut")
    with Gallery(tmp_path / "crew.gallery") as gallery:
        gallery.enrol("Eileen", astronaut, jitter=3, seed=5)
        (found,) = gallery.identify(astronaut, seed=5, threshold=0.5)
        assert found.distance == 0
        with pytest.raises(OptionError, match="threshold: none is known for averages of 3 crops"):
            gallery.identify(astronaut)


def test_options_without_a_meaning_are_refused(crew: Gallery) -> None:
    for wrong in (lambda: crew.enrol("A", encodings=person(0), upsample=1), lambda: crew.identify([], upsample=1)):
        with pytest.raises(OptionError, match="upsample: say how to look for faces"):
            wrong()
    with pytest.raises(OptionError, match="upsample"):
        crew.identify(encodings=person(0), upsample=1)


def test_a_damaged_number_of_crops_is_told_of(crew: Gallery) -> None:
    with crew._file.write() as connection:
        connection.execute("UPDATE facts SET value = 'ten' WHERE name = 'jitter'")
    with pytest.raises(GalleryError, match="number of crops is 'ten'; the file is damaged"):
        crew.identify(encodings=person(0))


def test_nobody_is_mixed_up_after_a_stop_in_the_middle_of_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_gallery(tmp_path / "crew.gallery") as gallery:
        gallery.enrol("person 0", encodings=person(0))
        gallery.identify(encodings=person(0), threshold=1)  # what follows is read as an addition
        for seed in range(1, 6):
            gallery.enrol(f"person {seed}", encodings=person(seed))

        def stopped(name: object) -> str:
            if name == "person 3":
                monkeypatch.setattr(_gallery_rows, "text", records.text)
                raise KeyboardInterrupt
            return records.text(name)

        monkeypatch.setattr(_gallery_rows, "text", stopped)
        with pytest.raises(KeyboardInterrupt):
            gallery.identify(encodings=person(0), threshold=1)
        for seed in range(6):
            assert gallery.identify(encodings=person(seed), threshold=1)[0].name == f"person {seed}"
