"""People and their encodings in one file: enrol, identify, rename, merge, remove for good."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any

from pyconvx.errors import GalleryError, OptionError
from pyconvx.faces import _gallery_records as records
from pyconvx.faces import (
    gallery_calibration,
    gallery_enrolment,
    gallery_exchange,
    gallery_people,
    gallery_search,
    gallery_sync,
)
from pyconvx.faces._gallery_file import GalleryFile
from pyconvx.faces._gallery_rows import RowsInMemory
from pyconvx.faces._models import PACKAGED, FaceModels
from pyconvx.faces.encoding import Jitter
from pyconvx.faces.gallery_calibration import read_calibration
from pyconvx.faces.selection import Policy
from pyconvx.faces.streaming import Outcome, stream
from pyconvx.metrics import Calibration


class Gallery:
    """People and their encodings in one SQLite file.

    The file is made readable for its owner only (mode 0600): encodings are biometric data, from which people can be
    recognised for as long as their faces last. Guard copies of the file and exports alike. Several processes and
    threads may read while one writes; a change is complete and on the disk when its method returns, or is not there.
    The file must lie on a local disk. Where this process may not write, to the file or its folder or because the medium
    is read-only, the gallery can be read; a log beside it with changes that are not in the file yet is then an error.

    Parameters
    ----------
    path : str or path-like
        Made if it is not there.
    models : FaceModels, optional
        What encodes pictures; the package's own by default.
    encoder : str, optional
        The name of another model, of which only encodings will be given, no pictures. A gallery holds the encodings of
        one model.
    create : bool
        Whether a missing file is made.
    timeout : float
        Seconds to wait for another writer.

    Raises
    ------
    GalleryError
        If the file is damaged, foreign, written by a newer version, or holds encodings of another model than `encoder`;
        if it may not be read, or cannot be read as it should be without writing.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from pyconvx import faces, image
    >>> with tempfile.TemporaryDirectory() as folder, faces.Gallery(pathlib.Path(folder, "crew.gallery")) as gallery:
    ...     gallery.enrol("Eileen", image.packaged("astronaut"))
    ...     picture = image.load(image.packaged("astronaut"))
    ...     [found.name for found in gallery.identify(picture[:, ::-1])]
    1
    ['Eileen']
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        models: FaceModels | None = None,
        encoder: str | None = None,
        create: bool = True,
        timeout: float = 30.0,
    ) -> None:
        if encoder is not None and (models is not None or not encoder):
            raise OptionError("encoder: names a model that is not here; leave it out to encode pictures")
        self._models = models or PACKAGED
        self._encoder = encoder
        self._file = GalleryFile(path, create=create, timeout=timeout)
        self._rows = RowsInMemory(self._file)
        try:
            known = self.encoder
            if encoder is not None and known is not None and known != encoder:
                raise GalleryError(f"{self._file.path}: holds encodings of {known}, not of {encoder}")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Gallery:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._rows.forget()
        self._file.close()

    # What is there

    @property
    def path(self) -> str:
        """The file."""
        return str(self._file.path)

    @property
    def encoder(self) -> str | None:
        """The model that made the encodings; None while there has been none."""
        with self._file.read() as connection:
            return records.fact(connection, "encoder")

    @property
    def jitter(self) -> int | None:
        """Over how many crops each encoding is averaged, 0 for none; None while there has been none.

        The first encodings decide. Pictures that come later, also those to identify, are encoded alike.
        """
        with self._file.read() as connection:
            return records.crops(connection)

    @property
    def people(self) -> dict[str, int]:
        """How many encodings each person has, by name."""
        with self._file.read() as connection:
            rows = connection.execute(
                "SELECT name, (SELECT count(*) FROM encodings WHERE person = people.id) FROM people ORDER BY name"
            )
            return {records.text(name): count for name, count in rows}

    def __len__(self) -> int:
        """How many people there are."""
        with self._file.read() as connection:
            return int(connection.execute("SELECT count(*) FROM people").fetchone()[0])

    def __contains__(self, name: str) -> bool:
        with self._file.read() as connection:
            wanted = records.person_name(name)
            return connection.execute("SELECT 1 FROM people WHERE name = ?", (wanted,)).fetchone() is not None

    def pictures(self, name: str) -> list[str]:
        """Return what each encoding of a person was made from, as far as it has a name; oldest first."""
        with self._file.read() as connection:
            person = records.find_person(connection, records.person_name(name))
            rows = connection.execute("SELECT picture FROM encodings WHERE person = ? ORDER BY id", (person,))
            return [picture for (picture,) in rows]

    def check(self) -> None:
        """Read the whole file.

        Raises
        ------
        GalleryError
            If it is damaged.
        """
        self._file.check()

    def erase(self) -> None:
        """Leave nothing in the file of what has been removed; `remove` and the like do so themselves.

        Raises
        ------
        GalleryError
            If another process reads older content for so long that this cannot be done.
        """
        self._file.erase()

    @property
    def calibration(self) -> Calibration | None:
        """What `calibrate` found last, or was assigned: `identify` takes its threshold from there."""
        with self._file.read() as connection:
            stored = records.fact(connection, "calibration")
        return None if stored is None else read_calibration(stored, self.path)

    @calibration.setter
    def calibration(self, found: Calibration | None) -> None:
        with self._file.write() as connection:
            if found is None:
                connection.execute("DELETE FROM facts WHERE name = 'calibration'")
            else:
                records.note(connection, "calibration", json.dumps(found.as_dict()))

    # Each group of methods lies in a room of its own.
    enrol = gallery_enrolment.enrol
    sync = gallery_sync.sync
    identify = gallery_search.identify
    rename = gallery_people.rename
    merge = gallery_people.merge
    remove = gallery_people.remove
    export = gallery_exchange.export
    import_ = gallery_exchange.import_
    pairs = gallery_calibration.pairs
    calibrate = gallery_calibration.calibrate

    def _identity(self) -> str:
        """The model of this object's own encodings."""
        return self._encoder or self._models.encoder.identity

    def _stream(self, pictures: Iterable[Any], policy: Policy, options: Mapping[str, Any]) -> Iterator[Outcome]:
        """Encode pictures with this gallery's model."""
        if self._encoder is not None:
            raise OptionError(f"this gallery is of {self._encoder}, which is not here: give encodings, not pictures")
        return stream(pictures, policy=policy, models=self._models, **{**options, "jitter": self._crops(options)})

    def _crops(self, options: Mapping[str, Any]) -> int:
        """Over how many crops encodings are averaged: as the options say, which may not contradict the gallery."""
        known, wanted = self.jitter, options.get("jitter")
        if wanted is None:
            return known or 0
        count = Jitter(wanted).count
        given = count if count > 1 else 0
        records.check_crops(known, given)
        return given
