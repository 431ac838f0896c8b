"""The Omniglot example: what it reads, how it judges, and that it runs; on letters of lines that are drawn here."""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

Array = NDArray[Any]

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="an installed package without its examples")


@pytest.fixture(autouse=True)
def examples(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples can be imported, as they import each other."""
    monkeypatch.syspath_prepend(str(EXAMPLES))
    for name in ("omniglot", "omniglot_changes", "omniglot_data"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def png(lines: Array) -> bytes:
    """Black lines through these points on white, 105 pixels wide as in the set."""
    picture = Image.new("1", (105, 105), 1)
    ImageDraw.Draw(picture).line([tuple(point) for point in lines], 0, 3)
    data = io.BytesIO()
    picture.save(data, "png")
    return data.getvalue()


def letter(alphabet: int, character: int, drawer: int) -> bytes:
    points = np.random.default_rng([alphabet, character]).uniform(20, 85, (4, 2))
    return png(points + np.random.default_rng([drawer, alphabet, character]).normal(0, 2, (4, 2)))


def alphabets(*numbers: int, drawers: int = 4, characters: int = 5) -> dict[str, bytes]:
    return {
        f"images/A{a}/character{c:02}/{10 * a + c:04}_{d:02}.png": letter(a, c, d)
        for a in numbers
        for c in range(1, characters + 1)
        for d in range(1, drawers + 1)
    }


def in_zip(path: Path, files: dict[str, bytes]) -> str:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return str(path)


def in_folder(path: Path, files: dict[str, bytes]) -> str:
    for name, data in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(data)
    return str(path)


def test_a_zip_and_a_folder_read_the_same_and_twice_is_once(tmp_path: Path) -> None:
    from omniglot_data import Drawing, drawings

    files = alphabets(1, 2)
    junk = {"__MACOSX/images/A1/character01/._0011_01.png": b"?", "images/A1/strokes.txt": b"?"}
    x, names = drawings([in_zip(tmp_path / "a.zip", files | junk), in_zip(tmp_path / "b.zip", alphabets(2, 3))])
    assert len(x) == len(names) == 3 * 5 * 4
    assert names[0] == Drawing("A1", "character01", 1)
    y, same = drawings([in_folder(tmp_path / "f", files)])
    assert set(same) == set(names[:40])
    np.testing.assert_array_equal(y[same.index(names[7])], x[7])
    with pytest.raises(SystemExit, match="no alphabet"):
        drawings([in_zip(tmp_path / "c.zip", junk)])


def test_a_character_is_put_in_the_middle_and_made_one_size() -> None:
    from omniglot_data import INNER, SIZE, picture

    corner = np.array([[5, 5], [5, 55], [55, 55], [55, 5]])
    x = picture(png(corner))
    assert (x.shape, x.dtype) == ((SIZE, SIZE, 1), np.float32)
    np.testing.assert_allclose(x, picture(png(corner + 40)), atol=1e-6)
    rows = np.flatnonzero(x.max(axis=(1, 2)) > 0.3)
    assert abs(rows[0] + rows[-1] - (SIZE - 1)) <= 1
    assert abs(rows[-1] - rows[0] + 1 - INNER) <= 1
    dot = np.flatnonzero(picture(png(np.array([[50, 50], [52, 52]]))).max(axis=(1, 2)) > 0.1)
    assert len(dot) < 6
    assert not picture(png(np.array([[-50, -50], [-60, -60]]))).any()


def test_runs_have_one_alphabet_and_two_drawers(tmp_path: Path) -> None:
    from omniglot_data import drawings, drawn_runs

    _, names = drawings([in_zip(tmp_path / "a.zip", alphabets(1, 2, 3))])
    runs = drawn_runs(names, {"A2"}, 20)
    for number, run in enumerate(runs):
        asked, known = ([names[i] for i in column] for column in run.T)
        assert {d.alphabet for d in asked + known} == {("A1", "A3")[number % 2]}
        assert [d.character for d in asked] == [d.character for d in known]
        assert len({d.drawer for d in asked}) == len({d.drawer for d in known}) == 1
        assert asked[0].drawer != known[0].drawer
        assert len(run) == 5
    with pytest.raises(SystemExit, match="learned from"):
        drawn_runs(names, {"A1", "A2", "A3"}, 1)


def evaluation(runs: int) -> dict[str, bytes]:
    """Runs as they are published; the drawing of item 1 is of the last class, and so on."""
    files: dict[str, bytes] = {}
    for run in range(1, runs + 1):
        lines = []
        for c in range(1, 6):
            item, example = f"run{run:02}/test/item{6 - c:02}.png", f"run{run:02}/training/class{c:02}.png"
            files |= {item: letter(run, c, 1), example: letter(run, c, 2)}
            lines.append(f"{item} {example}\n")
        files[f"run{run:02}/class_labels.txt"] = "".join(sorted(lines)).encode()
    return files


def test_published_runs_are_read(tmp_path: Path) -> None:
    from omniglot_data import given_runs, picture, read

    files = evaluation(2)
    junk = {"all/__MACOSX/run01/test/._item01.png": b"?"}
    x, runs = given_runs(read(in_zip(tmp_path / "r.zip", {f"all/{name}": data for name, data in files.items()} | junk)))
    assert [run.shape for run in runs] == [(5, 2)] * 2
    asked, known = runs[1][0]
    np.testing.assert_array_equal(x[asked], picture(files["run02/test/item01.png"]))
    np.testing.assert_array_equal(x[known], picture(files["run02/training/class05.png"]))


def test_accuracy_counts_what_is_nearest_to_its_example() -> None:
    from omniglot_data import accuracy

    encoded = np.array([[0.0], [10.0], [20.0], [1.0], [11.0], [2.0]])
    all_right, one_wrong = np.array([[3, 0], [4, 1]]), np.array([[3, 0], [5, 1]])
    assert accuracy(encoded, [all_right]) == (1.0, 0.0)
    rate = accuracy(encoded, [all_right, one_wrong])
    assert rate == pytest.approx((0.75, 2 * 0.25 / 2**0.5))
    assert str(rate) == "75.0% +- 35.4"


def test_a_turned_or_mirrored_character_is_another_one() -> None:
    from omniglot import classes
    from omniglot_data import Drawing

    x = np.arange(2 * 4, dtype=np.float32).reshape(2, 2, 2, 1)
    many, labels = classes(x, [Drawing("A", "a", 1), Drawing("A", "b", 1)])
    assert len({array.tobytes() for array in many}) == len(set(labels)) == 16
    assert [label[2:] for label in labels] == ["A a", "A b"] * 8


def test_half_of_the_characters_become_two_put_together_alike_in_both_drawings() -> None:
    from omniglot_changes import composed

    pairs = np.zeros((8, 2, 32, 32, 1), np.float32)  # both drawings of a character are the same here
    for n, pair in enumerate(pairs):
        pair[:, 8:24, 8 + n : 12 + n] = 1
    batch = pairs.reshape(16, 32, 32, 1)
    new = composed(batch, np.random.default_rng(0))
    assert (new.shape, new.dtype) == (batch.shape, batch.dtype)
    other = new.reshape(pairs.shape)
    np.testing.assert_array_equal(other[:, 0], other[:, 1])
    assert [np.array_equal(a, b) for a, b in zip(other, pairs, strict=True)].count(True) == 4
    assert 0 <= new.min() <= new.max() <= 1
    np.testing.assert_array_equal(composed(batch[:2], np.random.default_rng(0)), batch[:2])


@pytest.mark.parametrize("published", [False, True])
def test_the_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], published: bool
) -> None:
    import omniglot

    monkeypatch.setattr(omniglot, "BATCH", {"n_classes": 3, "n_per_class": 2})
    train, test = alphabets(1, 2, drawers=2), evaluation(2) if published else alphabets(2, 3, drawers=2)
    sources = [in_zip(tmp_path / "train.zip", train), in_folder(tmp_path / "test", test)]
    command = f"omniglot --train {sources[0]} --test {sources[1]} --minutes 0.002 --seeds 0 1 --runs 3"
    monkeypatch.setattr(sys, "argv", command.split())
    omniglot.main()
    lines = capsys.readouterr().out.splitlines()
    runs = 2 if published else 3
    assert lines[0] == f"20 drawings to learn from; {runs} runs with {5 * runs} drawings to recognise"
    assert [line.split(":")[0] for line in lines[1:]] == [
        "nearest neighbour on pixels",
        "seed 0",
        "seed 1",
        "together",
    ]
    assert all("% +- " in line for line in lines[1:])
