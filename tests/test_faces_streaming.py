"""Many pictures: order, problems, threads, and that few are in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from face_pictures import PIXELS, group
from numpy.typing import NDArray

from pyconvx import ImageError, MultipleFacesError, NoFaceError, OptionError, image, num_threads
from pyconvx.faces import Outcome, _budget, encode, stream, streaming

SMALL = np.ascontiguousarray(PIXELS[20:220, 60:260])


def bits(outcome: Outcome) -> list[tuple[Any, ...]]:
    return [(face.box, face.score, face.landmarks.tobytes(), face.encoding.tobytes()) for face in outcome.faces]


def troubled_folder(folder: Path) -> dict[str, tuple[type[Exception] | None, int]]:
    """A folder with everything in it: file -> (problem, faces)."""
    from PIL import Image

    whole = Image.fromarray(SMALL)
    image.save(folder / "face.png", SMALL)
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "text.jpg").write_text("not a picture")
    image.save(folder / "whole.jpg", SMALL)
    (folder / "truncated.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:2000])
    Image.new("L", (20_000, 20_000)).save(folder / "huge.png")
    whole.save(folder / "animated.gif", save_all=True, append_images=[whole.rotate(90)] * 3)
    whole.convert("CMYK").save(folder / "cmyk.jpg", quality=95)
    Image.fromarray((SMALL.mean(axis=2) * 257).astype(np.uint16)).save(folder / "sixteen.png")
    exif = Image.Exif()
    exif[0x0112] = 3
    whole.rotate(180).save(folder / "rotated.jpg", exif=exif, quality=95)
    image.save(folder / "faceless.png", np.zeros((150, 150, 3), np.uint8))
    (folder / "subfolder").mkdir()
    return {
        "face.png": (None, 1),
        "empty.jpg": (ImageError, 0),
        "text.jpg": (ImageError, 0),
        "whole.jpg": (None, 1),
        "truncated.jpg": (ImageError, 0),
        "huge.png": (ImageError, 0),
        "animated.gif": (None, 1),
        "cmyk.jpg": (None, 1),
        "sixteen.png": (None, 1),
        "rotated.jpg": (None, 1),
        "faceless.png": (NoFaceError, 0),
        "subfolder": (ImageError, 0),
        "missing.jpg": (ImageError, 0),
    }


@pytest.mark.parametrize("threads", [1, 3])
def test_a_troubled_folder_is_processed_to_the_end(threads: int, tmp_path: Path) -> None:
    expected = troubled_folder(tmp_path)
    with num_threads(threads):
        outcomes = list(stream((tmp_path / name for name in expected), policy="largest"))
    assert [outcome.source for outcome in outcomes] == [tmp_path / name for name in expected]
    for outcome, (problem, count) in zip(outcomes, expected.values(), strict=True):
        assert type(outcome.error) is (problem or type(None)), outcome.name
        assert len(outcome.faces) == count, outcome.name
        if outcome.error:
            assert outcome.name in str(outcome.error)


def test_results_are_those_of_encode() -> None:
    pictures = [SMALL, group(), np.zeros((50, 60), np.uint8), SMALL[:, ::-1]]
    expected = [bits(Outcome(None, "", encode(picture, upsample=1, jitter=3))) for picture in pictures]
    for threads in (1, 2, 5):
        with num_threads(threads):
            assert [bits(outcome) for outcome in stream(pictures, upsample=1, jitter=3)] == expected


def test_detection_alone() -> None:
    (outcome,) = stream([SMALL], "detect")
    assert outcome.faces[0].landmarks is None
    assert outcome.name == "array of shape (200, 200, 3)"


def test_policies_are_problems_of_one_picture() -> None:
    outcomes = list(stream([SMALL, group(), np.zeros((99, 99), np.uint8)], policy="error"))
    assert [type(outcome.error) for outcome in outcomes] == [type(None), MultipleFacesError, NoFaceError]


def test_sources_are_taken_as_they_are_needed() -> None:
    taken = 0

    def pictures() -> Iterator[NDArray[np.uint8]]:
        nonlocal taken
        for _ in range(50):
            taken += 1
            yield np.zeros((40, 40), np.uint8)

    with num_threads(2):
        results = stream(pictures(), "detect")
        assert taken == 0
        next(results)
        assert taken <= 4
        for _ in range(10):
            next(results)
        assert taken <= 14
        results.close()  # type: ignore[attr-defined]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("pyconvx-faces")]


def test_what_is_no_problem_of_a_picture_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*arguments: object) -> None:
        raise ZeroDivisionError("a mistake in the program")

    monkeypatch.setattr(streaming, "find", failing)
    with pytest.raises(ZeroDivisionError):
        list(stream([SMALL, SMALL]))


def test_memory_that_is_not_there_is_a_problem_of_one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(picture: Any, *rest: object) -> list[Any]:
        if picture.pixels.shape[0] > 300:
            raise MemoryError
        return []

    monkeypatch.setattr(streaming, "find", failing)
    first, second = stream([group(), SMALL], "detect")
    assert isinstance(first.error, ImageError)
    assert "memory" in str(first.error)
    assert second.error is None


def test_options_are_checked_at_once() -> None:
    for options in ({"task": "draw"}, {"policy": "none"}, {"jitter": -1}, {"upsample": -1}):
        with pytest.raises(OptionError):
            stream([], **options)  # type: ignore[arg-type]
    for one in ("picture.jpg", Path("picture.jpg"), b"a picture"):
        with pytest.raises(OptionError, match="got one picture; wanted several: put it in a list"):
            stream(one)  # type: ignore[arg-type]


def test_the_budget_bounds_what_is_held_together() -> None:
    budget, held, most = _budget.Budget(10), 0, 0
    lock, alone = threading.Lock(), []

    def work(units: int) -> None:
        nonlocal held, most
        with budget.hold(units) as everything:
            with lock:
                held += min(units, 10)
                most = max(most, held)
            alone.append((units, everything))
            threading.Event().wait(0.002)
            with lock:
                held -= min(units, 10)

    threads = [threading.Thread(target=work, args=(units,)) for units in (1, 4, 7, 30, 3, 10, 6, 2) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most <= 10
    assert held == 0
    assert sorted(set(alone)) == [
        (1, False),
        (2, False),
        (3, False),
        (4, False),
        (6, False),
        (7, False),
        (10, True),
        (30, True),
    ]
