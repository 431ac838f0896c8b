"""Folders of examples: what is read, in which order, and that a file that cannot be used ends nothing."""

from __future__ import annotations

import io
import os
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from check import assert_same_bits

from pyconvx import image
from pyconvx.errors import DataError, OptionError
from pyconvx.training import loading
from pyconvx.training.folders import scan_classes, scan_files
from pyconvx.training.inputs import InputFormat
from pyconvx.training.loading import LabelledSet, load_classes, read_all

GREY = InputFormat(color=False)


def picture(path: Path, seed: int = 0, size: tuple[int, int] = (6, 5)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8))


def array(path: Path, values: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Two classes, with things beside them that are to be left out."""
    for place, name in enumerate(("cat/10.png", "cat/2.png", "cat/more/1.png", "ann/1.png", ".trash/1.png")):
        picture(tmp_path / name, place)
    (tmp_path / "cat" / ".hidden.png").write_bytes(b"")
    (tmp_path / "ann" / "notes.txt").write_text("no picture")
    (tmp_path / "README.txt").write_text("no picture")
    return tmp_path


def load(folder: Path, *arguments: Any, **options: Any) -> tuple[LabelledSet, list[str]]:
    problems: list[str] = []
    return load_classes(folder, *arguments, problem=problems.append, **options), problems


def test_classes_are_folders_and_the_order_is_that_of_paths(album: Path) -> None:
    found, problems = load(album)
    assert [entry.name for entry in found.entries] == ["ann/1.png", "cat/10.png", "cat/2.png", "cat/more/1.png"]
    assert found.classes == ("ann", "cat")
    assert found.labels.tolist() == [0, 1, 1, 1]
    assert found.x.shape == (4, 6, 5, 3)
    assert found.x.dtype == np.float32
    for x, entry in zip(found.x, found.entries, strict=True):
        np.testing.assert_array_equal(x, image.load(entry.path, dtype=np.float32))
    assert found.format == InputFormat(size=(6, 5), rank=2, shape=(6, 5, 3))
    assert not problems
    nested, _ = load(album, nested=True)
    assert nested.classes == ("ann", "cat", "cat/more")


def test_size_and_colour(album: Path) -> None:
    found, _ = load(album, InputFormat(size=(4, 8), color=False))
    wanted = image.luminance(image.load(album / "ann/1.png", size=(4, 8), dtype=np.float32))
    np.testing.assert_array_equal(found.x[0, ..., 0], wanted)
    picture(album / "dog" / "1.png", size=(7, 5))
    with pytest.raises(OptionError, match=r"dog/1\.png: has shape \(7, 5, 3\).*to which size"):
        load(album)


def test_bad_files_are_lines(album: Path) -> None:
    whole = (album / "cat/2.png").read_bytes()
    (album / "cat/cut.png").write_bytes(whole[:60])
    (album / "dog").mkdir()
    (album / "dog" / "empty.jpg").write_bytes(b"")
    picture(album / "stray.png")
    (album / "cat" / "gone.png").symlink_to(album / "nowhere.png")
    (album / "cat" / "circle").symlink_to(album / "cat")
    found, problems = load(album)
    assert len(found.x) == 4
    assert found.classes == ("ann", "cat")
    assert len(problems) == 6
    for line, part in zip(
        problems,
        (
            "circle: a link to a folder above",
            "stray.png: lies in no",
            "cut.png: ",
            "gone.png: cannot be opened",
            "empty.jpg: ",
            "dog: no example",
        ),
        strict=True,
    ):
        assert part in line
    assert "\n" not in "".join(problems)


def test_an_empty_class_is_a_line(album: Path) -> None:
    (album / "dog").mkdir()
    (album / "notes").mkdir()
    (album / "notes" / "about.txt").write_text("no class")
    found, problems = load(album)
    assert found.classes == ("ann", "cat")
    assert [line.rpartition("/")[2] for line in problems] == ["dog: an empty folder"]


def test_links_to_folders_are_classes(album: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    picture(other / "1.png")
    (album / "bob").symlink_to(other)
    assert load(album)[0].classes == ("ann", "bob", "cat")


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a folder"):
        load(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no pictures or \.npy arrays in sub-folders"):
        load(tmp_path)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"x")
    with pytest.raises(DataError, match="nothing in it can be used"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("values", "rank", "shape"),
    [
        (np.ones(7), None, (7, 1)),
        (np.ones((7, 2), np.float64), None, (7, 2)),
        (np.ones((7, 2), np.float16), 2, (7, 2, 1)),
        (np.asfortranarray(np.arange(24.0).reshape(4, 3, 2)), None, (4, 3, 2)),
        (np.arange(24, dtype=">i4").reshape(4, 3, 2), 3, (4, 3, 2, 1)),
        (np.ones((2, 3, 4, 5), "<f4"), None, (2, 3, 4, 5)),
        (np.array([True, False]), None, (2, 1)),
        (np.array([0, 51, 255], np.uint8), None, (3, 1)),
    ],
)
def test_arrays(tmp_path: Path, values: Any, rank: int | None, shape: tuple[int, ...]) -> None:
    array(tmp_path / "a" / "1.npy", values)
    found, problems = load(tmp_path, InputFormat(rank=rank))
    assert not problems
    wanted = values.astype(np.float32).reshape(shape) / (255 if values.dtype == np.uint8 else 1)
    assert_same_bits(found.x[0], wanted.astype(np.float32))
    assert found.format.shape == shape
    assert found.format.rank == len(shape) - 1


def test_standardized(tmp_path: Path) -> None:
    array(tmp_path / "a" / "1.npy", np.array([3.0, 5.0, 1000.0]))
    array(tmp_path / "a" / "2.npy", np.full(3, 9.0))
    found, _ = load(tmp_path, InputFormat(standardize=True))
    assert found.x[0].mean() == pytest.approx(0, abs=1e-6)
    assert found.x[0].std() == pytest.approx(1)
    assert not found.x[1].any()


def test_arrays_of_another_shape_are_lines_unless_most_are(tmp_path: Path) -> None:
    for name in ("1", "2", "3"):
        array(tmp_path / "a" / f"{name}.npy", np.ones(5))
    array(tmp_path / "b" / "4.npy", np.ones(6))
    found, problems = load(tmp_path)
    assert len(found.x) == 3
    assert "4.npy: has shape (6, 1), and" in problems[0]
    for name in ("5", "6", "7"):
        array(tmp_path / "b" / f"{name}.npy", np.ones(6))
    with pytest.raises(DataError, match=r"3 examples have shape \(5, 1\) and 4 have others"):
        load(tmp_path)


def npy(shape: str, dtype: str = "<f4", data: bytes = b"", version: bytes = b"\x01\x00", length: int = -1) -> bytes:
    """A file whose header says what it likes."""
    text = f"{{'descr': {dtype!r}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    width = 2 if version == b"\x01\x00" else 4
    said = (len(text) if length < 0 else length).to_bytes(width, "little")
    return b"\x93NUMPY" + version + said + text + data


def pickled() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{"a": 1}], object), allow_pickle=True)
    return stream.getvalue()


def structured() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(3, [("a", "f4")]))
    return stream.getvalue()


HOSTILE = {
    "nothing": b"",
    "magic alone": b"\x93NUMPY",
    "another magic": b"PK\x03\x04" + bytes(100),
    "a later version": npy("(1,)", data=bytes(4), version=b"\x04\x00"),
    "a terabyte": npy("(274877906944,)", data=bytes(400)),
    "more than any memory": npy("(99999999999999999999, 99999999999999999999)", data=bytes(400)),
    "a gigabyte of header": npy("(1,)", version=b"\x02\x00", length=1 << 30),
    "a header of 60 kB": npy("(1,)", length=60_000),
    "a header that ends early": npy("(1,)", length=200),
    "nested brackets": npy("(" * 5000 + ")" * 5000),
    "a call": npy("(__import__('os').getpid(),)"),
    "a negative size": npy("(-4,)", data=bytes(16)),
    "an empty array": npy("(0,)"),
    "no shape": npy("3", data=bytes(12)),
    "a size that is no number": npy("(1.5,)", data=bytes(6)),
    "too few elements": npy("(4,)", data=bytes(12)),
    "too many elements": npy("(4,)", data=bytes(20)),
    "objects": pickled(),
    "fields": structured(),
    "text": npy("(2,)", "<U4", bytes(32)),
    "complex numbers": npy("(2,)", "<c8", bytes(16)),
    "sub-arrays": npy("(2,)", "(2,)f4", bytes(16)),
    "long doubles": npy("(2,)", "<f16", bytes(32)),
    "a scalar": npy("()", data=bytes(4)),
    "five axes": npy("(1, 1, 1, 1, 1)", data=bytes(4)),
    "NaN": npy("(1,)", data=np.float32(np.nan).tobytes()),
    "beyond float32": npy("(1,)", "<f8", np.float64(1e300).tobytes()),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_arrays_that_lie_are_refused_cheaply(name: str, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(HOSTILE[name])
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"x\.npy: "):
            InputFormat().read(path)
        assert tracemalloc.get_traced_memory()[1] < 4 << 20  # Python 3.10 takes 3 to refuse nested brackets
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(sys.platform == "win32", reason="no named pipes in the file system")
def test_a_pipe_does_not_stall(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.npy")
    with pytest.raises(DataError, match="not a regular file"):
        InputFormat().read(tmp_path / "x.npy")


def test_an_honest_array_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyconvx.training.inputs.MAX_ELEMENTS", 10)
    array(tmp_path / "x.npy", np.ones(11))
    with pytest.raises(DataError, match="at most 10 numbers"):
        InputFormat().read(tmp_path / "x.npy")


def test_a_folder_that_memory_does_not_hold_is_refused_at_its_first_example(
    album: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = 4 * 6 * 5 * 3 * 4
    for there in (needed, None):
        monkeypatch.setattr(loading, "available", lambda there=there: there)
        assert len(load(album)[0].x) == 4
    monkeypatch.setattr(loading, "available", lambda: needed - 1)
    seen: list[int] = []
    with pytest.raises(DataError, match=r"4 examples of 6x5x3 numbers take .* is available: bring pictures to") as told:
        load_classes(album, progress=lambda done, total, info: seen.append(done))
    assert "\n" not in str(told.value)
    assert seen == [1]
    assert len(load(album, GREY)[0].x) == 4


def test_files_folders_and_patterns(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(album)
    entries, problems = scan_files(["cat/2.png", "cat", "a*/*.png", "cat/2.png", "gone.npy"])
    assert [entry.name for entry in entries] == ["2.png", "10.png", "more/1.png", "1.png", "gone.npy"]
    assert not problems
    assert [entry.name for entry in scan_files("cat")[0]] == ["10.png", "2.png", "more/1.png"]
    with pytest.raises(DataError, match="matches no file"):
        scan_files("*.gif")
    (album / "void").mkdir()
    with pytest.raises(DataError, match="in this folder"):
        scan_files("void")
    found = list(read_all(entries, GREY))
    assert [entry for entry, _ in found] == entries
    assert isinstance(found[-1][1], DataError)
    assert all(isinstance(x, np.ndarray) for _, x in found[:-1])


def test_files_are_not_read_far_ahead(album: Path) -> None:
    entries, _ = scan_classes(album)
    asked = []

    def endless() -> Any:
        while True:
            asked.append(1)
            yield entries[0]

    stream = read_all(endless(), GREY, workers=2)
    for _ in range(5):
        next(stream)
    stream.close()
    assert len(asked) < 20


def test_a_name_that_is_not_unicode(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    try:
        picture(tmp_path / name / "1.png")
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    (tmp_path / name / "2.png").write_bytes(b"")
    found, problems = load(tmp_path)
    assert found.classes == ("caf\\udce9",)
    problems[0].encode()


def test_the_format_as_text() -> None:
    for format in (InputFormat(), InputFormat((4, 5), False, 2, True, (4, 5, 1)), InputFormat(shape=(9, 2))):
        assert InputFormat.from_json(format.to_json()) == format
    good = InputFormat(shape=(4, 4, 1)).to_json()
    for text in (
        "",
        "[]",
        "{}",
        "3",
        good.replace("[4", "[-4"),
        good.replace("true", "1"),
        good.replace("4, 4", "[4]"),
    ):
        with pytest.raises(OptionError):
            InputFormat.from_json(text)
    for options in ({"size": (0, 3)}, {"size": 3}, {"rank": 4}, {"shape": (3,)}, {"shape": (2.0, 1)}):
        with pytest.raises(OptionError):
            InputFormat(**options)  # type: ignore[arg-type]
