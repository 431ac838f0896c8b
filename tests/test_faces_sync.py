"""A gallery that follows a folder: what is encoded, moved, forgotten and told of."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from gallery_people import open_gallery, person
from stub_pictures import StubPictures, stub_pictures, stubbed_gallery

from pyconvx import faces, image
from pyconvx.errors import GalleryError, Interrupted, OptionError
from pyconvx.faces import Gallery, gallery_sync
from pyconvx.faces._sync_plan import Plan

__all__ = ["stub_pictures"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ann with three pictures, one of them deeper; Bob with one file; and what is not to be looked at."""
    root = tmp_path / "people"
    for path, content in {
        "Ann/1.jpg": "1",
        "Ann/2.png": "1 ",
        "Ann/more/3.JPG": "1  ",
        "Bob.jpeg": "2",
        ".hidden/4.jpg": "3",
        "Ann/.thumbnail.jpg": "3",
        "Ann/notes.txt": "3",
        "Thumbs.db": "3",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    return root


@pytest.fixture
def gallery(tmp_path: Path, stub_pictures: StubPictures) -> Iterator[Gallery]:
    with stubbed_gallery(tmp_path / "crew.gallery") as opened:
        yield opened


def counts(report: faces.SyncReport) -> tuple[int, ...]:
    return report.added, report.changed, report.moved, report.removed, report.unchanged


def test_sub_folders_and_files_are_people(gallery: Gallery, folder: Path, stub_pictures: StubPictures) -> None:
    steps = []
    report = gallery.sync(folder, progress=lambda done, total: steps.append((done, total)))
    assert counts(report) == (4, 0, 0, 0, 0)
    assert report.problems == []
    assert gallery.people == {"Ann": 3, "Bob": 1}
    assert gallery.pictures("Ann") == ["Ann/1.jpg", "Ann/2.png", "Ann/more/3.JPG"]
    assert steps[-1] == (4, 4)
    assert gallery.identify(encodings=person(2), threshold=1)[0].name == "Bob"


def test_only_what_is_new_or_changed_is_encoded(gallery: Gallery, folder: Path, stub_pictures: StubPictures) -> None:
    gallery.sync(folder)
    stub_pictures.encoded.clear()
    assert counts(gallery.sync(folder)) == (0, 0, 0, 0, 4)
    for path in folder.rglob("*"):
        os.utime(path)  # a copy or a check-out changes times, not content
    assert counts(gallery.sync(folder)) == (0, 0, 0, 0, 4)
    assert stub_pictures.encoded == []
    (folder / "Ann" / "5.jpg").write_text("1    ")
    (folder / "Bob.jpeg").write_text("20")
    assert counts(gallery.sync(folder)) == (1, 1, 0, 0, 3)
    assert sorted(stub_pictures.encoded) == ["5.jpg", "Bob.jpeg"]
    assert gallery.people == {"Ann": 4, "Bob": 1}
    assert gallery.identify(encodings=person(20), threshold=1)[0].name == "Bob"
    assert gallery.identify(encodings=person(2), threshold=1)[0].name is None


def test_renamed_files_are_moved_and_not_encoded(gallery: Gallery, folder: Path, stub_pictures: StubPictures) -> None:
    gallery.sync(folder)
    stub_pictures.encoded.clear()
    (folder / "Ann" / "1.jpg").rename(folder / "Ann" / "one.jpg")
    (folder / "Bob.jpeg").rename(folder / "Robert.jpg")
    assert counts(gallery.sync(folder)) == (0, 0, 2, 0, 2)
    assert stub_pictures.encoded == []
    assert gallery.people == {"Ann": 3, "Robert": 1}
    assert "Ann/one.jpg" in gallery.pictures("Ann")
    assert gallery.identify(encodings=person(2), threshold=1)[0].name == "Robert"
    (folder / "Ann").rename(folder / "Anna")
    assert counts(gallery.sync(folder)) == (0, 0, 3, 0, 1)
    assert gallery.people == {"Anna": 3, "Robert": 1}


def test_two_files_that_change_places(gallery: Gallery, folder: Path) -> None:
    gallery.sync(folder)
    ann, bob = folder / "Ann" / "1.jpg", folder / "Bob.jpeg"
    first, second = ann.read_text(), bob.read_text()
    ann.write_text(second)
    bob.write_text(first)
    gallery.sync(folder)
    assert gallery.identify(encodings=person(2), threshold=1)[0].name == "Ann"
    assert gallery.people == {"Ann": 3, "Bob": 1}
    assert counts(gallery.sync(folder)) == (0, 0, 0, 0, 4)


def test_what_is_gone_is_erased(gallery: Gallery, folder: Path) -> None:
    gallery.sync(folder)
    gallery.enrol("Cid", encodings=person(9))
    gallery.enrol("Bob", encodings=person(2))
    (folder / "Bob.jpeg").unlink()
    (folder / "Ann" / "1.jpg").unlink()
    assert counts(gallery.sync(folder)) == (0, 0, 0, 2, 2)
    assert gallery.people == {"Ann": 2, "Bob": 1, "Cid": 1}  # who was enrolled otherwise stays
    (folder / "Zoe.png").write_text("70")
    gallery.sync(folder)
    (folder / "Zoe.png").unlink()
    gallery.sync(folder)
    path = Path(gallery.path)
    for file in path.parent.glob(f"{path.name}*"):
        content = file.read_bytes()
        assert b"Zoe" not in content
        assert person(70)[0].tobytes()[:64] not in content


def test_an_empty_folder_does_not_empty_the_gallery(gallery: Gallery, folder: Path, tmp_path: Path) -> None:
    gallery.sync(folder)
    (tmp_path / "unmounted").mkdir()
    with pytest.raises(GalleryError, match="no pictures, but the gallery follows 4"):
        gallery.sync(tmp_path / "unmounted")
    with pytest.raises(OptionError, match="not a folder"):
        gallery.sync(tmp_path / "missing")
    assert gallery.people == {"Ann": 3, "Bob": 1}
    assert gallery.sync(tmp_path / "unmounted", allow_empty=True).removed == 4
    assert gallery.people == {}


def test_problems_are_a_line_each_and_remembered(gallery: Gallery, folder: Path, stub_pictures: StubPictures) -> None:
    (folder / "Dan").mkdir()
    (folder / "Dan" / "wall.jpg").write_text("none")
    (folder / "Dan" / "ok.jpg").write_text("4")
    report = gallery.sync(folder)
    assert report.added == 5
    assert report.problems == [f"{folder / 'Dan' / 'wall.jpg'}: no face was found"]
    stub_pictures.encoded.clear()
    again = gallery.sync(folder)
    assert again.problems == report.problems
    assert stub_pictures.encoded == []
    assert gallery.sync(folder, retry=True).problems == report.problems
    assert stub_pictures.encoded == ["wall.jpg"]
    (folder / "Dan" / "wall.jpg").write_text("4 ")
    assert counts(gallery.sync(folder)) == (1, 0, 0, 0, 5)
    (folder / "Dan" / "ok.jpg").write_text("none ")
    report = gallery.sync(folder)
    assert report.problems == [f"{folder / 'Dan' / 'ok.jpg'}: no face was found"]
    assert gallery.people["Dan"] == 1


def test_one_picture_under_two_names_is_told_of(gallery: Gallery, folder: Path) -> None:
    gallery.sync(folder)
    (folder / "Eve.jpg").write_text("1")  # as Ann/1.jpg
    (folder / "Ann" / "copy.jpg").write_text("1")
    report = gallery.sync(folder)
    assert report.problems == [
        f"{folder / 'Eve.jpg'}: left out: the same picture as {folder / 'Ann' / '1.jpg'}, which is of Ann"
    ]
    assert gallery.people == {"Ann": 3, "Bob": 1}
    (folder / "Ann" / "1.jpg").unlink()
    (folder / "Ann" / "copy.jpg").unlink()
    report = gallery.sync(folder)
    assert gallery.people == {"Ann": 2, "Bob": 1, "Eve": 1}
    assert report.problems == []


@pytest.mark.skipif(os.name != "posix", reason="names of POSIX")
def test_names_that_cannot_be_stored_are_told_of(gallery: Gallery, folder: Path) -> None:
    (folder / ("x" * 210)).mkdir()
    (folder / ("x" * 210) / "a.jpg").write_text("5")
    (folder / "a\nb.jpg").write_text("6")
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/\xff.jpg")).write_text("7")
        wanted = 3
    except OSError:  # a file system of Unicode only
        wanted = 2
    report = gallery.sync(folder)
    assert len(report.problems) == wanted
    assert all("\n" not in line or "a\nb" in line for line in report.problems)
    assert gallery.people == {"Ann": 3, "Bob": 1}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read anything")
def test_what_cannot_be_read_now_is_kept(gallery: Gallery, folder: Path) -> None:
    gallery.sync(folder)
    (folder / "Bob.jpeg").chmod(0)
    report = gallery.sync(folder)
    assert report.removed == 0
    assert "cannot be opened" in report.problems[0]
    assert gallery.people["Bob"] == 1


def test_what_cannot_be_read_is_kept_whoever_asks(
    gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.sync(folder)
    from pyconvx.faces import _sync_plan

    original = _sync_plan.digest

    def failing(path: Path) -> str:
        if path.name == "Bob.jpeg":
            raise PermissionError(13, "Permission denied", str(path))
        return original(path)

    monkeypatch.setattr(_sync_plan, "digest", failing)
    report = gallery.sync(folder)
    assert report.removed == 0
    assert report.problems == [f"{folder / 'Bob.jpeg'}: cannot be opened: Permission denied"]
    assert gallery.people["Bob"] == 1


def test_a_name_given_in_the_gallery_stays(gallery: Gallery, folder: Path) -> None:
    gallery.sync(folder)
    gallery.rename("Ann", "Anna Smith")
    (folder / "Ann" / "9.jpg").write_text("1         ")
    gallery.sync(folder)
    assert gallery.people == {"Anna Smith": 4, "Bob": 1}
    gallery.merge("Anna Smith", "Bob", into="Bob")
    (folder / "Ann" / "10.jpg").write_text("1          ")
    gallery.sync(folder)
    assert gallery.people == {"Bob": 6}


def test_the_removed_come_back_only_from_the_folder(gallery: Gallery, folder: Path) -> None:
    (folder / "Ann" / "wall.jpg").write_text("none")
    gallery.sync(folder)
    gallery.remove("Ann")
    path = Path(gallery.path)
    for file in path.parent.glob(f"{path.name}*"):
        assert b"Ann/" not in file.read_bytes()  # neither her pictures' paths nor the faceless one's
    assert gallery.people == {"Bob": 1}
    assert gallery.sync(folder).added == 3


def test_a_stop_keeps_what_is_done(
    gallery: Gallery, folder: Path, stub_pictures: StubPictures, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(40):
        (folder / "Ann" / f"more{number:02}.jpg").write_text("1" + " " * (number + 20))

    def stop(done: int, total: int) -> None:
        if done == 32:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="the next sync goes on from there") as caught:
        gallery.sync(folder, progress=stop)
    assert caught.value.result.added == 32
    assert sum(gallery.people.values()) == 32
    stub_pictures.encoded.clear()
    assert counts(gallery.sync(folder)) == (12, 0, 0, 0, 32)
    assert len(stub_pictures.encoded) == 12


def test_another_model_is_refused_before_anything_is_done(
    gallery: Gallery, folder: Path, stub_pictures: StubPictures
) -> None:
    gallery.sync(folder)
    with faces.Gallery(gallery.path) as other, pytest.raises(GalleryError, match="holds encodings of stub"):
        other.sync(folder)
    other_path = Path(gallery.path).with_name("other")
    with open_gallery(other_path) as other, pytest.raises(OptionError, match="give encodings"):
        other.sync(folder)
    with pytest.raises(OptionError, match="'all'"):
        gallery.sync(folder, policy="all")


def test_real_pictures(tmp_path: Path) -> None:
    root = tmp_path / "people"
    (root / "Eileen").mkdir(parents=True)
    picture = image.load(image.packaged("astronaut"))
    image.save(root / "Eileen" / "a.jpg", picture)
    image.save(root / "Eileen" / "b.png", picture[:, ::-1])
    image.save(root / "Cat.jpg", image.load(image.packaged("chelsea")))
    (root / "Broken.jpg").write_bytes((root / "Eileen" / "a.jpg").read_bytes()[:2000])
    with faces.Gallery(tmp_path / "crew.gallery") as gallery:
        report = gallery.sync(root)
        assert report.added == 2
        assert len(report.problems) == 2
        assert "Broken.jpg" in report.problems[0]
        assert "no face" in report.problems[1]
        assert gallery.people == {"Eileen": 2}
        assert gallery.identify(picture)[0].name == "Eileen"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_does_not_stall(gallery: Gallery, folder: Path) -> None:
    os.mkfifo(folder / "Ann" / "pipe.jpg")
    reports: list[faces.SyncReport] = []
    thread = threading.Thread(target=lambda: reports.append(gallery.sync(folder)), daemon=True)
    thread.start()
    thread.join(20)
    assert reports, "it waits for the pipe"
    assert reports[0].problems == [f"{folder / 'Ann' / 'pipe.jpg'}: cannot be opened: not a regular file"]
    assert counts(reports[0]) == (4, 0, 0, 0, 0)


# Another process follows the same folder at the same time: it goes first, between what this one plans and writes.


def overtaken(monkeypatch: pytest.MonkeyPatch, other: Gallery, folder: Path, **options: object) -> None:
    """Let `other` follow the folder as soon as the next plan is made."""
    original = gallery_sync.plan

    def plan(*arguments: object) -> Plan:
        made = original(*arguments)
        monkeypatch.setattr(gallery_sync, "plan", original)
        other.sync(folder, **options)
        return made

    monkeypatch.setattr(gallery_sync, "plan", plan)


def everything(gallery: Gallery) -> list[tuple[str, list[str]]]:
    return [(name, sorted(gallery.pictures(name))) for name in gallery.people]


def test_two_who_follow_a_folder_enrol_nothing_twice(
    gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "Ann" / "wall.jpg").write_text("none")
    with stubbed_gallery(gallery.path) as other:
        overtaken(monkeypatch, other, folder)
        report = gallery.sync(folder)
    assert counts(report) == (0, 0, 0, 0, 4)
    assert len(report.problems) == 1
    assert everything(gallery) == [("Ann", ["Ann/1.jpg", "Ann/2.png", "Ann/more/3.JPG"]), ("Bob", ["Bob.jpeg"])]


def test_two_who_follow_changes_of_a_folder(gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gallery.sync(folder)
    (folder / "Ann" / "1.jpg").write_text("1       ")
    (folder / "Ann" / "2.png").rename(folder / "Ann" / "two.png")
    (folder / "Bob.jpeg").unlink()
    (folder / "Cid.jpg").write_text("3")  # takes the number of Bob's
    with stubbed_gallery(gallery.path) as other:
        overtaken(monkeypatch, other, folder)
        report = gallery.sync(folder)
    assert counts(report) == (0, 0, 0, 0, 3)
    assert everything(gallery) == [("Ann", ["Ann/1.jpg", "Ann/more/3.JPG", "Ann/two.png"]), ("Cid", ["Cid.jpg"])]
    assert counts(gallery.sync(folder)) == (0, 0, 0, 0, 4)
    gallery.check()


def test_a_picture_that_changed_between_two_who_follow(
    gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stubbed_gallery(gallery.path) as other:
        original = other.sync

        def later(place: Path) -> faces.SyncReport:
            (folder / "Bob.jpeg").write_text("5")
            return original(place)

        monkeypatch.setattr(other, "sync", later)
        overtaken(monkeypatch, other, folder)
        report = gallery.sync(folder)  # has read the former content, and cannot know which is newer
    assert counts(report) == (0, 1, 0, 0, 3)
    assert gallery.people == {"Ann": 3, "Bob": 1}
    assert counts(gallery.sync(folder)) == (0, 1, 0, 0, 3)
    assert gallery.identify(encodings=person(5), threshold=1)[0].name == "Bob"


def test_a_move_to_where_another_picture_lies_by_now_is_left_to_the_next(
    gallery: Gallery, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.sync(folder)
    (folder / "Ann" / "2.png").rename(folder / "Ann" / "two.png")
    with stubbed_gallery(gallery.path) as other:
        original = other.sync

        def later(place: Path) -> faces.SyncReport:
            (folder / "Ann" / "two.png").rename(folder / "Ann" / "2.png")
            (folder / "Ann" / "two.png").write_text("1          ")
            return original(place)

        monkeypatch.setattr(other, "sync", later)
        overtaken(monkeypatch, other, folder)
        report = gallery.sync(folder)
    assert counts(report) == (0, 0, 0, 0, 3)
    assert counts(gallery.sync(folder)) == (0, 0, 0, 0, 5)
    assert everything(gallery)[0] == ("Ann", ["Ann/1.jpg", "Ann/2.png", "Ann/more/3.JPG", "Ann/two.png"])
