"""A gallery where nothing may be written: read without a log, as long as that is right."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from gallery_people import open_gallery, person
from other_process import ended, start

from pyconvx.errors import GalleryError
from pyconvx.faces import _gallery_access as access

pytestmark = pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")

# Root may write everywhere: it becomes nobody, once all is imported that nobody might not be able to read.
WITHOUT_RIGHTS = """
    import os, pathlib, tempfile
    from pyconvx.errors import GalleryError
    with tempfile.TemporaryDirectory() as warm, open_gallery(pathlib.Path(warm, "w.gallery")) as gallery:
        gallery.enrol("Ann", encodings=person(0))
        gallery.identify(encodings=person(0), threshold=1)
        gallery.export(pathlib.Path(warm, "w.safetensors"))
        pathlib.Path(warm).as_uri()  # from Python 3.13 on it imports when it is called
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    path = pathlib.Path(sys.argv[1])
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that another user can get to, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        if os.getuid() == 0 and not all(parent.stat().st_mode & stat.S_IXOTH for parent in place.parents):
            pytest.skip("no folder here that another user can get to")
        place.chmod(0o755)
        yield place
        place.chmod(0o755)


def some_gallery(folder: Path) -> Path:
    path = folder / "crew.gallery"
    with open_gallery(path) as gallery:
        for seed in range(5):
            gallery.enrol(f"person {seed}", encodings=person(seed, 3))
    return path


def names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


def closed_to_writers(path: Path) -> None:
    """Let everybody read a gallery, and nobody write to it or beside it."""
    for file in path.parent.iterdir():
        file.chmod(0o444)
    path.parent.chmod(0o555)


def without_rights(program: str, path: Path) -> list[str]:
    return ended(start(f"{WITHOUT_RIGHTS}{program}", str(path))).splitlines()


READ = """
    for create in (False, True):
        with open_gallery(path, create=create) as gallery:
            (found,) = gallery.identify(encodings=person(3), threshold=1)
            print(found.name, len(gallery), sum(gallery.people.values()))
            gallery.check()
            with tempfile.TemporaryDirectory() as out:
                print(gallery.export(pathlib.Path(out, "crew.safetensors")), gallery.export(pathlib.Path(out, "c.csv")))
"""


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_reading_where_nothing_may_be_written(folder: Path, mode: str) -> None:
    path = some_gallery(folder)
    other = sqlite3.connect(path)
    other.execute(f"PRAGMA journal_mode = {mode}")
    other.close()
    closed_to_writers(path)
    assert without_rights(READ, path) == ["person 3 5 15", "15 15"] * 2
    assert names_in(folder) == ["crew.gallery"]


def test_a_link_to_where_nothing_may_be_written(folder: Path, tmp_path: Path) -> None:
    inner = folder / "inner"
    inner.mkdir()
    link = folder / "link.gallery"
    link.symlink_to(some_gallery(inner))
    closed_to_writers(inner / "crew.gallery")
    try:
        assert without_rights(READ, link) == ["person 3 5 15", "15 15"] * 2
    finally:
        inner.chmod(0o755)


def test_a_reader_of_a_folder_of_others_leaves_nothing_there(folder: Path) -> None:
    path = some_gallery(folder)  # a log made by another user would lock its owner out
    path.chmod(0o444)
    folder.chmod(0o777)
    assert without_rights(READ, path) == ["person 3 5 15", "15 15"] * 2
    assert names_in(folder) == ["crew.gallery"]


def test_changes_where_nothing_may_be_written_say_what_is_needed(folder: Path) -> None:
    path = some_gallery(folder)
    closed_to_writers(path)
    before = path.read_bytes()
    changes = """
    with open_gallery(path) as gallery:
        for change in (
            lambda: gallery.enrol("Ann", encodings=person(9)),
            lambda: gallery.remove("person 1"),
            lambda: gallery.erase(),
        ):
            try:
                change()
                print("changed")
            except GalleryError as error:
                print(error)
    try:
        open_gallery(path.with_name("new.gallery"))
    except GalleryError as error:
        print(error)
"""
    lines = without_rights(changes, path)
    assert (
        lines[:3]
        == [f"{path}: this process may read the file, but not write to it; change its permissions, or copy the gallery"]
        * 3
    )
    assert lines[3:] == [f"{folder / 'new.gallery'}: cannot be made in {folder}: Permission denied"]
    assert path.read_bytes() == before
    folder.chmod(0o755)
    path.chmod(0o666)
    folder.chmod(0o555)
    assert all(f"may not write to the folder {folder}, where" in line for line in without_rights(changes, path)[:3])


def test_what_may_not_be_read_says_so(folder: Path) -> None:
    path = some_gallery(folder)
    path.chmod(0)
    program = """
    for create in (False, True):
        try:
            open_gallery(path, create=create)
        except GalleryError as error:
            print(error)
"""
    assert without_rights(program, path) == [f"{path}: this process may not read the file; change its permissions"] * 2


@pytest.mark.parametrize("writer", ["alive", "dead"])
def test_a_log_with_its_index_is_read(folder: Path, writer: str) -> None:
    path = some_gallery(folder)
    gallery = open_gallery(path)
    gallery.enrol("late", encodings=person(9))
    if writer == "dead":
        path = copied_with_its_log(path, "-wal", "-shm")
    closed_to_writers(path)
    assert without_rights(READ, path) == ["person 3 6 16", "16 16"] * 2
    path.parent.chmod(0o755)
    gallery.close()


def test_a_log_that_cannot_be_read_stands_in_the_way(folder: Path) -> None:
    gallery = open_gallery(some_gallery(folder))
    gallery.enrol("late", encodings=person(9))
    path = copied_with_its_log(folder / "crew.gallery", "-wal")
    gallery.close()
    closed_to_writers(path)
    try:
        (line,) = without_rights(
            """
    try:
        open_gallery(path, create=False)
    except GalleryError as error:
        print(error)
""",
            path,
        )
    finally:
        path.parent.chmod(0o755)
    size = Path(f"{path}-wal").stat().st_size
    assert line.startswith(f"{path}: the log beside it (crew.gallery-wal, {size} bytes) holds changes that are not in ")
    assert "copy it together with its log" in line


def copied_with_its_log(path: Path, *ends: str) -> Path:
    """What a copy of a gallery in use holds."""
    place = path.parent / "copy"
    place.mkdir()
    for end in ("", *ends):
        shutil.copy(f"{path}{end}", place)
    return place / path.name


# Somebody writes meanwhile: a reader that may not is played by what it is told of its rights.


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A gallery of one who may write, and the same read by one who may not, with no log beside it."""
    path = some_gallery(tmp_path)
    may = access._may
    monkeypatch.setattr(access, "_may", lambda path, what: may(path, what) and not what & os.W_OK)
    reader = open_gallery(path, create=False)
    assert reader._file._alone is not None
    assert names_in(tmp_path) == [path.name]
    monkeypatch.setattr(access, "_may", may)
    writer = open_gallery(path)
    monkeypatch.setattr(access, "_may", lambda path, what: may(path, what) and not what & os.W_OK)
    yield writer, reader
    reader.close()
    writer.close()


def test_a_reader_without_a_log_follows_a_writer(two) -> None:
    writer, reader = two
    assert reader.identify(encodings=person(3), threshold=1)[0].name == "person 3"
    writer.rename("person 3", "Ann")
    assert reader.identify(encodings=person(3), threshold=1)[0].name == "Ann"
    writer.enrol("late", encodings=person(9))  # now in the log, which is there, with its index
    assert reader.identify(encodings=person(9), threshold=1)[0].name == "late"
    assert reader._file._alone is None
    writer.close()
    assert len(reader) == 6


def test_a_reader_without_a_log_follows_a_writer_who_has_ended(two) -> None:
    writer, reader = two
    assert reader.identify(encodings=person(9), threshold=1)[0].name is None
    writer.enrol("late", encodings=person(9))
    writer.close()
    assert reader.identify(encodings=person(9), threshold=1)[0].name == "late"
    assert reader._file._alone is not None


def test_what_changes_while_it_is_read_is_not_believed(two) -> None:
    writer, reader = two
    message = r"another process wrote to it while it was read; try again"
    with pytest.raises(GalleryError, match=message), reader._file.read() as connection:
        connection.execute("SELECT count(*) FROM people").fetchone()
        writer.enrol("late", encodings=person(9))
    assert len(reader) == 6


def test_another_gallery_in_its_place_is_read_anew(two, tmp_path: Path) -> None:
    writer, reader = two
    writer.close()
    assert reader.identify(encodings=person(3), threshold=1)[0].name == "person 3"
    (tmp_path / "other").mkdir()
    with sqlite3.connect(tmp_path / "crew.gallery") as source, sqlite3.connect(tmp_path / "other" / "new") as target:
        source.backup(target)
    target.execute("UPDATE people SET name = 'Ann' WHERE name = 'person 3'")  # with the same counters
    target.commit()
    target.close()
    source.close()
    (tmp_path / "other" / "new").replace(tmp_path / "crew.gallery")
    assert reader.identify(encodings=person(3), threshold=1)[0].name == "Ann"
