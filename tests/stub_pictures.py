"""The pipeline of pictures replaced by a stub: a picture is a file that holds the seed of a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from gallery_people import person

from pyconvx import faces
from pyconvx.errors import ImageError, NoFaceError
from pyconvx.faces import Face, Outcome


def stubbed_gallery(path: Path, **options: Any) -> faces.Gallery:
    """A gallery whose models are a stub: it is to be used with `stub_pictures`."""
    stub: Any = SimpleNamespace(encoder=SimpleNamespace(identity="stub"))
    return faces.Gallery(path, models=stub, **options)


class StubPictures:
    """Takes the place of the pipeline: a picture is a file that holds a seed, or "none" for no face."""

    def __init__(self) -> None:
        self.encoded: list[str] = []

    def __call__(self, sources: Iterable[Any], *, policy: str, models: Any, **options: Any) -> Iterator[Outcome]:
        return (self._outcome(source) for source in sources)

    def _outcome(self, source: Any) -> Outcome:
        path = Path(source)
        self.encoded.append(path.name)
        try:
            text = path.read_text()
        except OSError as error:
            return Outcome(source, str(path), [], ImageError(f"{path}: {error.strerror}"))
        if text.startswith("none"):
            return Outcome(source, str(path), [], NoFaceError(f"{path}: no face was found"))
        return Outcome(source, str(path), [Face((0, 0, 9, 9), encoding=person(int(text))[0])])


@pytest.fixture
def stub_pictures(monkeypatch: pytest.MonkeyPatch) -> StubPictures:
    stub = StubPictures()
    monkeypatch.setattr("pyconvx.faces.gallery.stream", stub)
    monkeypatch.setattr("pyconvx.faces.calibration.stream", stub)
    return stub
