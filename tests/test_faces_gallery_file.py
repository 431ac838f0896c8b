"""The file of a gallery: who may read it, files of strangers, damage."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from gallery_people import MODEL, open_gallery, person
from other_process import ended, start

from pyconvx.errors import GalleryError

posix = pytest.mark.skipif(os.name != "posix", reason="modes of POSIX")


@posix
def test_only_the_owner_may_read_any_of_its_files(tmp_path: Path) -> None:
    modes: set[int] = set()
    path = tmp_path / "crew.gallery"
    original = os.open
    before = os.umask(0)
    try:

        def watched(file, flags, mode=0o777, **options):
            descriptor = original(file, flags, mode, **options)
            if str(file) == str(path):
                modes.add(os.fstat(descriptor).st_mode & 0o777)
            return descriptor

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "open", watched)
            gallery = open_gallery(path)
        gallery.enrol("Ann", encodings=person(0))
        gallery.export(tmp_path / "crew.gallery.csv")
        names = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    gallery.close()
    assert modes == {0o600}
    assert {"crew.gallery", "crew.gallery-wal", "crew.gallery-shm", "crew.gallery.csv"} <= set(names)
    assert set(names.values()) == {0o600}


def some_gallery(path: Path) -> Path:
    with open_gallery(path) as gallery:
        for seed in range(50):
            gallery.enrol(f"person {seed}", encodings=person(seed, 4))
    return path


def test_files_of_strangers_are_refused_and_left_as_they_are(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.db"
    other = sqlite3.connect(foreign)
    other.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT)")
    other.commit()
    other.close()
    text = tmp_path / "notes.txt"
    text.write_text("not a database at all, and long enough to be looked at as one" * 100)
    for path, message in ((foreign, "not a gallery of pyconvx"), (text, "not a gallery, or damaged")):
        before = path.read_bytes()
        with pytest.raises(GalleryError, match=message) as caught:
            open_gallery(path)
        assert str(path) in str(caught.value)
        assert path.read_bytes() == before
    with pytest.raises(GalleryError, match="not a regular file"):
        open_gallery(tmp_path)
    with pytest.raises(GalleryError, match="there is no such gallery"):
        open_gallery(tmp_path / "none", create=False)
    with pytest.raises(GalleryError, match="does not exist; create it first"):
        open_gallery(tmp_path / "none" / "crew.gallery")


@pytest.mark.parametrize(
    "change",
    [
        "CREATE TRIGGER spy AFTER INSERT ON encodings BEGIN DELETE FROM people; END",
        "CREATE VIEW more AS SELECT * FROM people",
        "CREATE TABLE more (x)",
        "DROP INDEX encodings_file",
    ],
)
def test_a_changed_schema_is_refused(tmp_path: Path, change: str) -> None:
    path = some_gallery(tmp_path / "crew.gallery")
    other = sqlite3.connect(path)
    other.execute(change)
    other.commit()
    other.close()
    with pytest.raises(GalleryError, match="not a gallery of pyconvx"):
        open_gallery(path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = some_gallery(tmp_path / "crew.gallery")
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version = 2")
    other.close()
    with pytest.raises(GalleryError, match="written by a newer pyconvx"):
        open_gallery(path)


def test_a_gallery_without_its_log_gets_it_back(tmp_path: Path) -> None:
    path = some_gallery(tmp_path / "crew.gallery")
    other = sqlite3.connect(path)
    assert other.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    other.close()
    with open_gallery(path):
        other = sqlite3.connect(path)
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        other.close()


def test_an_empty_file_becomes_a_gallery(tmp_path: Path) -> None:
    """What a kill between the file's birth and its first page leaves."""
    (tmp_path / "crew.gallery").touch()
    with open_gallery(tmp_path / "crew.gallery") as gallery:
        gallery.enrol("Ann", encodings=person(0))


@posix
def test_an_empty_file_of_anybodys_becomes_private(tmp_path: Path) -> None:
    path = tmp_path / "crew.gallery"
    path.touch(0o644)
    path.chmod(0o644)
    with open_gallery(path) as gallery:
        gallery.enrol("Ann", encodings=person(0))
        assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


def test_an_empty_file_is_no_gallery_that_is_there(tmp_path: Path) -> None:
    path = tmp_path / "crew.gallery"
    path.touch()
    with pytest.raises(GalleryError, match="there is no such gallery: the file is empty"):
        open_gallery(path, create=False)


def test_a_file_that_is_too_short_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "crew.gallery"
    path.write_bytes(b"S")
    with pytest.raises(GalleryError, match="not a gallery, or damaged: 1 bytes; nothing was changed"):
        open_gallery(path)
    assert path.read_bytes() == b"S"


def test_a_gallery_without_its_counters_does_not_pass_for_empty(tmp_path: Path) -> None:
    path = some_gallery(tmp_path / "crew.gallery")
    other = sqlite3.connect(path)
    other.execute("DELETE FROM facts")
    other.commit()
    other.close()
    with open_gallery(path) as gallery, pytest.raises(GalleryError, match="damaged: it does not know"):
        gallery.identify(encodings=person(0), threshold=1)


def test_a_name_that_is_no_text_is_told_of(tmp_path: Path) -> None:
    path = some_gallery(tmp_path / "crew.gallery")
    other = sqlite3.connect(path)
    other.execute("UPDATE people SET name = x'ff' WHERE id = 1")
    other.commit()
    other.close()
    with open_gallery(path) as gallery:
        with pytest.raises(GalleryError, match=r"a name in the gallery is b'\\xff'"):
            gallery.identify(encodings=person(0), threshold=1)
        with pytest.raises(GalleryError, match="a name in the gallery"):
            _ = gallery.people


def test_a_damaged_file_is_one_clear_error_or_still_right(tmp_path: Path) -> None:
    path = some_gallery(tmp_path / "crew.gallery")
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for turn in range(90):
        damaged = bytearray(whole)
        if turn % 3 == 0:
            damaged = damaged[: rng.integers(1, len(whole))]
        elif turn % 3 == 1:
            start_at = int(rng.integers(0, len(whole) - 4096))
            damaged[start_at : start_at + 4096] = rng.bytes(4096)
        else:
            for place in rng.integers(0, len(whole), 300):
                damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        for companion in ("-wal", "-shm"):
            Path(f"{path}{companion}").unlink(missing_ok=True)
        try:
            with open_gallery(path) as gallery:
                gallery.check()
                gallery.identify(encodings=person(3), threshold=1)
        except GalleryError as error:
            refused += 1
            assert str(path) in str(error) or "damaged" in str(error)
    assert refused > 60


@pytest.mark.parametrize("vector", [b"", b"x" * 511, np.full(128, np.nan, "<f4").tobytes(), "text" * 128, "\x00"])
def test_hostile_rows_are_told_of(tmp_path: Path, vector: object) -> None:
    path = some_gallery(tmp_path / "crew.gallery")
    other = sqlite3.connect(path)
    other.execute("UPDATE encodings SET vector = ? WHERE id = 7", (vector,))
    other.commit()
    other.close()
    with open_gallery(path) as gallery, pytest.raises(GalleryError, match="damaged"):
        gallery.identify(encodings=person(0), threshold=1)


def test_a_damaged_calibration_is_told_of(tmp_path: Path) -> None:
    path = some_gallery(tmp_path / "crew.gallery")
    for stored in ("{", "[]", '{"threshold": 1}', "[" * 100_000):
        other = sqlite3.connect(path)
        other.execute("INSERT OR REPLACE INTO facts VALUES ('calibration', ?)", (stored,))
        other.commit()
        other.close()
        with open_gallery(path) as gallery, pytest.raises(GalleryError, match="calibrate anew"):
            _ = gallery.calibration


def test_sqlite_is_loaded_only_when_a_gallery_is_opened() -> None:
    out = ended(
        start(
            """
            names = [name for name in ("sqlite3", "PIL") if name in sys.modules]
            print(names, MODEL)
            """
        )
    )
    assert out == f"[] {MODEL}\n"
