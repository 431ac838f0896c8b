"""`pyconvx faces`: what each action says and writes, its exit code, and that one bad picture stops nothing."""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gallery_people import open_gallery, person

from pyconvx import _progress, cli, faces, image
from pyconvx.cli import exit_codes
from pyconvx.errors import Interrupted
from pyconvx.faces import _gallery_access

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in: an astronaut twice, mirrored, a cat, a file that is cut off, and one that is no picture."""
    monkeypatch.chdir(tmp_path)
    picture = image.load(image.packaged("astronaut"))
    Path("album/more").mkdir(parents=True)
    image.save("album/eileen.png", picture)
    image.save("album/more/mirrored.jpg", picture[:, ::-1])
    image.save("album/cat.jpg", image.load(image.packaged("chelsea")))
    whole = Path("album/more/mirrored.jpg").read_bytes()
    Path("album/cut.jpg").write_bytes(whole[: len(whole) // 3])
    Path("album/notes.txt").write_text("no picture")
    return tmp_path


def run(*arguments: Any) -> int:
    return cli.main(["faces", *map(str, arguments)])


def document(capsys: Capture) -> Any:
    return json.loads(capsys.readouterr().out)


def test_detect(here: Path, capsys: Capture) -> None:
    assert run("detect", "album/eileen.png") == exit_codes.OK
    (face,) = faces.detect("album/eileen.png")
    assert capsys.readouterr().out == ",".join(["album/eileen.png", *map(str, face.box), f"{face.score:.3f}"]) + "\n"
    assert run("detect", "album/eileen.png", "--csv") == exit_codes.OK
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [rows[0][side] for side in ("left", "top", "right", "bottom")] == [str(side) for side in face.box]
    assert run("detect", "album/eileen.png", "--json") == exit_codes.OK
    (found,) = document(capsys)
    assert found == {"picture": "album/eileen.png", "faces": [{"box": list(face.box), "score": face.score}]}
    assert run("detect", "album/eileen.png", "--json", "--csv") == exit_codes.USAGE
    assert run("detect", "album/eileen.png", "--least-score", "50") == exit_codes.NO_FACE
    assert run("detect", "album/cat.jpg", "--policy", "error") == exit_codes.NO_FACE
    assert "no face" in capsys.readouterr().err


def test_a_folder_is_worked_on_to_its_end(here: Path, capsys: Capture) -> None:
    assert run("detect", "album", "--json") == exit_codes.BAD_INPUT
    captured = capsys.readouterr()
    found = {record["picture"]: record for record in json.loads(captured.out)}
    assert list(found) == [
        str(Path("album", name)) for name in ("cat.jpg", "cut.jpg", "eileen.png", "more/mirrored.jpg")
    ]
    assert [len(record["faces"]) for record in found.values()] == [0, 0, 1, 1]
    assert "truncated or damaged" in found[str(Path("album/cut.jpg"))]["error"]
    assert captured.err.startswith("pyconvx faces: album/cut.jpg: truncated or damaged")
    assert captured.err.count("\n") == 1


def test_a_folder_inside_that_cannot_be_read_is_a_problem_of_its_own(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.scandir

    def closed(path: Any = ".") -> Any:  # root may read anything
        if str(path).endswith("private"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return original(path)

    (here / "album" / "private").mkdir()
    monkeypatch.setattr(os, "scandir", closed)
    for command in (("detect",), ("enrol", "crew", "Eileen")):
        assert run(*command, "album") == exit_codes.BAD_INPUT
        assert "album/private: cannot be read: Permission denied" in capsys.readouterr().err
    assert run("detect", "album", "--json") == exit_codes.BAD_INPUT
    found = {picture["picture"]: len(picture["faces"]) for picture in document(capsys)}
    assert (found["album/eileen.png"], found["album/private"]) == (1, 0)
    assert run("people", "crew") == exit_codes.OK
    assert capsys.readouterr().out.split() == ["2", "Eileen"]


def test_patterns_and_repetitions(here: Path, capsys: Capture) -> None:
    assert run("detect", "album/**/*.png", "album/eileen.png", "album/more") == exit_codes.OK
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == ["album/eileen.png", "album/more/mirrored.jpg"]
    for nothing, message in (("album/*.bmp", "matches no file"), ("empty", "no pictures in this folder")):
        Path("empty").mkdir(exist_ok=True)
        assert run("detect", nothing) == exit_codes.BAD_INPUT
        assert message in capsys.readouterr().err
    assert run("detect", "album/none.jpg") == exit_codes.BAD_INPUT
    assert "cannot be opened" in capsys.readouterr().err


def test_boxes_are_drawn_and_faces_cut_out(here: Path, capsys: Capture) -> None:
    assert run("detect", "album/eileen.png", "album/more", "--draw", "drawn", "--crop", "cut") == exit_codes.OK
    found = faces.detect("album/eileen.png")
    np.testing.assert_array_equal(image.load("drawn/eileen.png"), faces.draw("album/eileen.png", found))
    np.testing.assert_array_equal(image.load("cut/eileen-1.png"), faces.crop("album/eileen.png", found[0], margin=0.5))
    assert Path("drawn/mirrored.jpg").exists()
    assert run("detect", "album/eileen.png", "--draw", "album") == exit_codes.USAGE
    assert "would overwrite a source picture" in capsys.readouterr().err
    assert run("detect", "album/eileen.png", "--draw", "album/notes.txt") == exit_codes.USAGE


def test_encode(here: Path, capsys: Capture) -> None:
    (face,) = faces.encode("album/eileen.png")
    assert run("encode", "album/eileen.png") == exit_codes.OK
    (row,) = csv.DictReader(io.StringIO(capsys.readouterr().out))
    np.testing.assert_array_equal(np.array([row[f"e{n}"] for n in range(128)], np.float32), face.encoding)
    assert run("encode", "album/eileen.png", "--json", "--jitter", "3", "--seed", "5") == exit_codes.OK
    (found,) = document(capsys)
    (jittered,) = faces.encode("album/eileen.png", jitter=3, seed=5)
    np.testing.assert_array_equal(np.array(found["faces"][0]["encoding"], np.float32), jittered.encoding)


def test_verify(here: Path, capsys: Capture) -> None:
    assert run("verify", "album/eileen.png", "album/more/mirrored.jpg") == exit_codes.OK
    assert capsys.readouterr().out.startswith("same: distance ")
    strict = ("verify", "album/eileen.png", "album/more/mirrored.jpg", "--threshold", "0.01", "--json")
    assert run(*strict) == exit_codes.NEGATIVE
    answer = document(capsys)
    assert answer["same"] is False
    assert answer["threshold"] == 0.01
    assert run("verify", "album/eileen.png", "album/eileen.png", "--jitter", "2", "--json") == exit_codes.OK
    assert document(capsys)["false_accept_rate"] is None
    assert run("verify", "album/eileen.png", "album/eileen.png", "--jitter", "2") == exit_codes.OK
    assert "false-accept rate not known" in capsys.readouterr().out
    assert run("verify", "album/eileen.png", "album/cat.jpg") == exit_codes.NO_FACE
    assert run("verify", "album/eileen.png", "album/cut.jpg") == exit_codes.BAD_INPUT
    assert run("verify", "album/eileen.png", "album/eileen.png", "--threshold", "-1") == exit_codes.USAGE
    assert run("verify", "album/eileen.png", "album/eileen.png", "--gallery", "none") == exit_codes.BAD_INPUT


def test_enrol_and_identify(here: Path, capsys: Capture) -> None:
    assert run("enrol", "crew", "Eileen", "album/eileen.png") == exit_codes.OK
    assert capsys.readouterr().out == "Eileen: 1 added, 1 in all\n"
    assert run("enrol", "crew", "Eileen", "album", "--json") == exit_codes.BAD_INPUT
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert (report["added"], report["encodings"], len(report["problems"])) == (2, 3, 2)
    assert captured.err.count("\n") == 2
    assert run("enrol", "crew", "Cat", "album/cat.jpg") == exit_codes.NO_FACE
    capsys.readouterr()

    assert run("identify", "crew", "album/more", "album/cat.jpg") == exit_codes.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["album/more/mirrored.jpg,Eileen,0.0000", "album/cat.jpg,no_persons_found"]
    assert run("identify", "crew", "album/eileen.png", "--json", "-k", "2") == exit_codes.OK
    ((answer,),) = (record["faces"] for record in document(capsys))
    assert answer["name"] == "Eileen"
    assert [candidate["name"] for candidate in answer["candidates"]] == ["Eileen"]
    assert run("identify", "crew", "album", "--csv") == exit_codes.BAD_INPUT
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["name"] for row in rows] == ["no_persons_found", "Eileen", "Eileen"]
    assert run("identify", "crew", "album/eileen.png", "--draw", "named") == exit_codes.OK
    assert Path("named/eileen.png").exists()
    assert run("identify", "crew", "album/cat.jpg") == exit_codes.NO_FACE
    assert run("identify", "none", "album/cat.jpg") == exit_codes.BAD_INPUT
    assert not Path("none").exists()


def test_pictures_are_encoded_as_the_gallery_is(here: Path, capsys: Capture) -> None:
    assert run("enrol", "crew.gallery", "Eileen", "album/eileen.png", "--jitter", "3") == exit_codes.OK
    assert run("enrol", "crew.gallery", "Eileen", "album/more/mirrored.jpg") == exit_codes.OK
    capsys.readouterr()
    assert run("identify", "crew.gallery", "album/eileen.png", "--threshold", "0.5") == exit_codes.OK
    assert capsys.readouterr().out.split(",")[1:] == ["Eileen", "0.0000\n"]
    for action in (["identify", "crew.gallery", "album/eileen.png"], ["enrol", "crew.gallery", "Ann", "album/cat.jpg"]):
        assert run(*action, "--jitter", "0") == exit_codes.USAGE
        assert "made with 3; leave it out" in capsys.readouterr().err


def test_nobody_is_recognised(here: Path, capsys: Capture) -> None:
    with faces.Gallery("crew") as gallery:
        gallery.enrol("Somebody", encodings=person(0))
    assert run("identify", "crew", "album/eileen.png") == exit_codes.NEGATIVE
    assert capsys.readouterr().out.startswith("album/eileen.png,unknown_person,")
    assert run("identify", "crew", "album/eileen.png", "--json") == exit_codes.NEGATIVE
    assert document(capsys)[0]["faces"][0]["name"] is None
    assert run("identify", "crew", "album/eileen.png", "--threshold", "99") == exit_codes.OK


def test_sync(here: Path, capsys: Capture) -> None:
    Path("album/more").rename("album/Eileen")
    assert run("sync", "crew", "album", "--json") == exit_codes.BAD_INPUT
    captured = capsys.readouterr()
    report = json.loads(captured.out)
    assert (report["added"], len(report["problems"])) == (2, 2)
    assert captured.err.count("\n") == 2
    for bad in ("album/cat.jpg", "album/cut.jpg"):
        Path(bad).unlink()
    assert run("sync", "crew", "album") == exit_codes.OK
    assert capsys.readouterr().out == "0 added, 0 changed, 0 moved, 2 removed, 2 unchanged, 0 problems\n"
    assert run("people", "crew") == exit_codes.OK
    assert capsys.readouterr().out.split() == ["1", "Eileen", "1", "eileen"]
    assert run("sync", "crew", "none") == exit_codes.USAGE
    assert run("sync", "crew", "album", "--policy", "all") == exit_codes.USAGE


def test_an_interrupted_sync_says_how_far_it_came(here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(self: faces.Gallery, folder: str, **options: Any) -> None:
        raise Interrupted("stopped after 7 pictures", faces.SyncReport(added=7, problems=["cat.jpg: no face"]))

    monkeypatch.setattr(faces.Gallery, "sync", stopped)
    assert run("sync", "crew", "album", "--json") == exit_codes.INTERRUPTED
    captured = capsys.readouterr()
    assert json.loads(captured.out)["added"] == 7
    assert "stopped after 7 pictures" in captured.err
    assert "cat.jpg: no face" in captured.err


def test_an_interrupted_enrolment_says_what_was_added(
    here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = faces.stream

    def stopped(*arguments: Any, **options: Any) -> Iterator[faces.Outcome]:
        yield next(original(*arguments, **options))
        raise KeyboardInterrupt

    monkeypatch.setattr(faces, "stream", stopped)
    assert run("enrol", "crew", "Eileen", "album/eileen.png", "album/more", "--json") == exit_codes.INTERRUPTED
    captured = capsys.readouterr()
    assert (json.loads(captured.out)["added"], json.loads(captured.out)["encodings"]) == (1, 1)
    assert "interrupted" in captured.err
    assert run("people", "crew") == exit_codes.OK
    assert capsys.readouterr().out.split() == ["1", "Eileen"]


def test_what_is_not_there_or_empty(here: Path, capsys: Capture) -> None:
    """No gallery is made for a folder that is not there, and a name that is empty does not mean the current folder."""
    Path("empty").mkdir()
    for arguments, code, message in (
        (("sync", "crew", "none"), exit_codes.USAGE, "none: not a folder"),
        (("sync", "crew", ""), exit_codes.USAGE, "folder: got an empty name"),
        (("detect", ""), exit_codes.USAGE, "PICTURE: got an empty name"),
        (("calibrate", ""), exit_codes.USAGE, "SOURCE: got an empty name"),
        (("people", ""), exit_codes.BAD_INPUT, "gallery: got an empty name"),
        (("calibrate", "none"), exit_codes.BAD_INPUT, "none: does not exist; wanted a folder of people, or a gallery"),
        (("identify", "none", "album"), exit_codes.BAD_INPUT, "there is no such gallery"),
        (("detect", "empty"), exit_codes.BAD_INPUT, "empty: no pictures in this folder"),
    ):
        assert run(*arguments) == code, arguments
        assert message in capsys.readouterr().err, arguments
        assert not Path("crew").exists()
    assert run("sync", "crew", "empty") == exit_codes.OK
    assert "empty: no pictures in this folder" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_gallery_where_nothing_may_be_written(here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_gallery(here / "crew", encoder=None) as gallery:
        gallery.enrol("Eileen", "album/eileen.png")
    may = _gallery_access._may
    monkeypatch.setattr(_gallery_access, "_may", lambda path, what: may(path, what) and not what & os.W_OK)
    assert run("identify", "crew", "album/more/mirrored.jpg") == exit_codes.OK
    assert capsys.readouterr().out.startswith("album/more/mirrored.jpg,Eileen,")
    assert run("people", "crew") == exit_codes.OK
    assert run("export", "crew", "crew.csv") == exit_codes.OK
    capsys.readouterr()
    assert run("enrol", "crew", "Ann", "album/eileen.png") == exit_codes.BAD_INPUT
    assert "not write to it" in capsys.readouterr().err


def test_people_are_renamed_merged_removed_and_carried_over(here: Path, capsys: Capture) -> None:
    with open_gallery(here / "crew") as gallery:
        for seed, name in enumerate(("Ann", "Bob", "Cid")):
            gallery.enrol(name, encodings=person(seed, 2))
    assert run("rename", "crew", "Ann", "Anna") == exit_codes.OK
    assert run("rename", "crew", "Ann", "Anne") == exit_codes.BAD_INPUT
    assert run("merge", "crew", "Anna", "Bob", "--into", "Bob") == exit_codes.OK
    capsys.readouterr()
    assert run("people", "crew", "--json") == exit_codes.OK
    assert document(capsys) == {"Bob": 4, "Cid": 2}
    assert run("remove", "crew", "Cid", "--json") == exit_codes.OK
    assert document(capsys) == {"removed": ["Cid"], "encodings": 2}
    assert run("export", "crew", "crew.safetensors") == exit_codes.OK
    assert run("export", "crew", "crew.csv", "--json") == exit_codes.OK
    assert run("export", "crew", "crew.pickle") == exit_codes.USAGE
    assert run("import", "other", "crew.safetensors") == exit_codes.OK
    assert run("import", "other", "crew.csv") == exit_codes.BAD_INPUT
    with open_gallery(here / "other") as gallery:
        assert gallery.people == {"Bob": 4}


def test_calibrate_a_gallery(here: Path, capsys: Capture) -> None:
    with faces.Gallery("crew") as gallery:
        for seed in range(30):
            gallery.enrol(f"person {seed}", encodings=person(seed, 4))
    assert run("calibrate", "crew") == exit_codes.USAGE
    assert "cannot support" in capsys.readouterr().err
    assert run("calibrate", "crew", "--far", "0.1", "--dry-run") == exit_codes.OK
    assert "strangers taken for somebody among 120 entries" in capsys.readouterr().out
    with faces.Gallery("crew") as gallery:
        assert gallery.calibration is None
    assert run("calibrate", "crew", "--far", "0.01", "--gallery-size", "1", "--json") == exit_codes.OK
    found = document(capsys)
    assert found["search_far"] == pytest.approx(found["pair_far"])
    with faces.Gallery("crew") as gallery:
        assert gallery.calibration.threshold == found["threshold"]
    assert run("verify", "album/eileen.png", "album/eileen.png", "--gallery", "crew", "--json") == exit_codes.OK
    answer = document(capsys)
    assert (answer["threshold"], answer["false_accept_rate"]) == (found["threshold"], found["pair_far"])
    run("identify", "crew", "album/eileen.png")
    assert "calibrated for 1 entries and has 120" in capsys.readouterr().err


def test_calibrate_a_folder(here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    with faces.Gallery("crew") as gallery:
        for seed in range(30):
            gallery.enrol(f"person {seed}", encodings=person(seed, 4))
        wanted = gallery.calibrate(0.1, save=False)
    asked: dict[str, Any] = {}

    def calibrate(source: str, **options: Any) -> Any:
        asked.update(options)
        options["problem"]("album/x.jpg: no face was found")
        return wanted

    monkeypatch.setattr(faces, "calibrate", calibrate)
    code = run("calibrate", "album", "--far", "0.1", "--save", "crew", "--policy", "largest", "--upsample", "1")
    assert code == exit_codes.BAD_INPUT
    assert (asked["far"], asked["policy"], asked["upsample"]) == (0.1, "largest", 1)
    assert asked["gallery_size"] == 120  # of the gallery that will search with it
    captured = capsys.readouterr()
    assert captured.out.startswith(f"threshold {wanted.threshold:.4f}\n")
    assert "album/x.jpg: no face" in captured.err
    with faces.Gallery("crew") as gallery:
        assert gallery.calibration == wanted
    assert run("calibrate", "album", "--save", "crew", "--gallery-size", "7") == exit_codes.BAD_INPUT
    assert asked["gallery_size"] == 7
    assert run("calibrate", "album") == exit_codes.BAD_INPUT
    assert asked["gallery_size"] is None
    assert run("calibrate", "crew", "--save", "crew") == exit_codes.USAGE


def test_cluster(here: Path, capsys: Capture) -> None:
    Path("album/cut.jpg").unlink()
    assert run("cluster", "album", "-o", "sorted") == exit_codes.OK
    lines = [line.split(",") for line in capsys.readouterr().out.splitlines()]
    assert [line[:2] for line in lines] == [["0", "album/eileen.png"], ["0", "album/more/mirrored.jpg"]]
    assert sorted(path.name for path in Path("sorted/person 0000").iterdir()) == ["eileen-1.png", "mirrored-1.png"]
    assert run("cluster", "album", "--threshold", "0", "--json") == exit_codes.OK
    assert [record["faces"][0]["cluster"] for record in document(capsys)] == [0, 1]
    assert run("cluster", "album/cat.jpg") == exit_codes.NO_FACE
    # What was sorted can be named and followed.
    Path("sorted/person 0000").rename("sorted/Eileen")
    assert run("sync", "crew", "sorted") == exit_codes.OK
    assert run("identify", "crew", "album/eileen.png") == exit_codes.OK
    assert "eileen.png,Eileen," in capsys.readouterr().out


def test_blur(here: Path, capsys: Capture) -> None:
    assert run("blur", "album/eileen.png", "-o", "hidden.png") == exit_codes.OK
    assert capsys.readouterr().out == "hidden.png: 1 face\n"
    assert faces.detect("hidden.png", upsample=1) == []
    assert run("blur", "album", "-o", "hidden", "--json", "--method", "fill") == exit_codes.BAD_INPUT
    records = {record["picture"]: record for record in document(capsys)}
    assert records[str(Path("album/more/mirrored.jpg"))] == {
        "picture": str(Path("album/more/mirrored.jpg")),
        "output": str(Path("hidden/more/mirrored.jpg")),
        "faces": 1,
    }
    assert "error" in records[str(Path("album/cut.jpg"))]
    assert (image.load("hidden/eileen.png") == 0).all(axis=2).sum() > 1000
    np.testing.assert_array_equal(image.load("hidden/cat.jpg").shape, image.load("album/cat.jpg").shape)
    assert run("blur", "album/cat.jpg", "-o", "none") == exit_codes.NO_FACE
    assert run("blur", "album/eileen.png", "-o", "album/eileen.png") == exit_codes.USAGE
    assert run("blur", "album", "-o", "album") == exit_codes.USAGE
    assert run("blur", "album/eileen.png") == exit_codes.USAGE


def test_copies_with_one_name_do_not_overwrite_each_other(here: Path, capsys: Capture) -> None:
    Path("other").mkdir()
    Path("other/eileen.png").write_bytes(Path("album/eileen.png").read_bytes())
    assert run("blur", "album/eileen.png", "other/eileen.png", "-o", "hidden") == exit_codes.OK
    assert sorted(path.name for path in Path("hidden").iterdir()) == ["eileen-2.png", "eileen.png"]


@pytest.mark.skipif(sys.platform != "linux", reason="file names that are not Unicode")
def test_names_that_are_not_unicode(here: Path, capsys: Capture) -> None:
    for name, content in ((b"a\xff.jpg", b"no picture"), (b"b\xff.png", Path("album/eileen.png").read_bytes())):
        Path(os.fsdecode(b"album/" + name)).write_bytes(content)
    for action in (["detect", "album"], ["detect", "album", "--json"], ["encode", "album"], ["sync", "crew", "album"]):
        process = subprocess.run(
            [sys.executable, "-m", "pyconvx", "faces", *action], capture_output=True, check=False, timeout=120
        )
        assert process.returncode == exit_codes.BAD_INPUT, process.stderr
        assert rb"a\udcff.jpg" in process.stderr


@pytest.mark.skipif(os.name != "posix", reason="names of POSIX")
def test_a_file_name_cannot_forge_a_line(here: Path, capsys: Capture) -> None:
    for name in ("x\nbank.jpg,Ann,0.1\n.png", "\x1b[31mred.png", "\u202egnp.png"):
        Path("album", name).write_bytes(Path("album/eileen.png").read_bytes())
    Path("album/z\n\x1b.png").write_bytes(b"no picture")
    assert run("detect", "album") == exit_codes.BAD_INPUT
    said = capsys.readouterr()
    assert all(line.startswith("album/") for line in said.out.splitlines())
    assert "\\x1b[31mred.png" in said.out
    assert "\\u202egnp.png" in said.out
    assert not {"\x1b", "\u202e"} & set(said.out + said.err)
    assert run("detect", "album", "--csv", "--quiet") == exit_codes.BAD_INPUT
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert "album/x\nbank.jpg,Ann,0.1\n.png" in {row["picture"] for row in rows}  # CSV quotes


def test_threads_and_quiet(here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("pyconvx.runtime.set_num_threads", asked.append)
    assert run("detect", "album/eileen.png", "--threads", "1", "--quiet") == exit_codes.OK
    assert asked[0] == 1
    assert run("detect", "album/eileen.png", "--min-face-size", "60") == exit_codes.OK
    assert run("blur", "album/eileen.png", "-o", "x.png", "--min-face-size", "60") == exit_codes.OK
    assert run("detect", "album/eileen.png", "--min-face-size", "60", "--upsample", "1") == exit_codes.USAGE


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("bar", ["tqdm", "line"])
def test_progress_shows_the_time_left(bar: str, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if bar == "tqdm":
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert run("detect", "album", "--csv") == exit_codes.BAD_INPUT
    shown = terminal.getvalue()
    assert "4/4" in shown
    if bar == "line":
        assert "4/4 pictures (100%), 0:00 left" in shown
    assert "pyconvx faces: album/cut.jpg" in shown
    terminal.truncate(0)
    assert run("detect", "album/eileen.png", "--quiet") == exit_codes.OK
    assert "1/1" not in terminal.getvalue()


def test_the_line_counts_only_what_was_worked_on(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    clock = iter([0.0, 10.0, 20.0])
    monkeypatch.setattr(_progress.time, "monotonic", lambda: next(clock))
    line = _progress.make_bar(True, unit="pictures")
    line.update(1, 3)
    line.update(2, 3)
    line.close()
    assert "1/3 pictures (33%), 0:20 left" in terminal.getvalue()
    assert "2/3 pictures (66%), 0:10 left" in terminal.getvalue()


def test_help_names_every_action(capsys: Capture) -> None:
    assert run("--help") == exit_codes.OK
    text = " ".join(capsys.readouterr().out.split())
    actions = "detect encode verify enrol identify sync calibrate cluster blur export import people rename merge remove"
    assert all(f" {action} " in text for action in actions.split())
    assert "no liveness detection" in text
    for action in actions.split():
        assert run(action, "--help") == exit_codes.OK
