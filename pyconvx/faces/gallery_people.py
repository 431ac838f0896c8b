"""Renaming, merging and removing people of a gallery; what they were called and looked like leaves the file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyconvx.errors import GalleryError, OptionError
from pyconvx.faces import _gallery_records as records

if TYPE_CHECKING:
    from pyconvx.faces.gallery import Gallery


def rename(gallery: Gallery, name: str, new_name: str) -> None:
    """Give a person another name; the old one is erased from the file, but for the paths of their pictures.

    A later `sync` keeps the new name.

    Parameters
    ----------
    gallery : Gallery
    name, new_name : str
        Nobody else may have the new name: two people become one by `merge`.

    Raises
    ------
    GalleryError
        If nobody has the name, or somebody the new one.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from pyconvx import faces
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with faces.Gallery(pathlib.Path(folder, "crew.gallery"), encoder="mine") as gallery:
    ...         _ = gallery.enrol("An", encodings=np.zeros(128))
    ...         gallery.rename("An", "Ann")
    ...         gallery.people
    {'Ann': 1}
    """
    old, new = records.person_name(name), records.person_name(new_name)
    with gallery._file.write(rewrites=True) as connection:
        person = records.find_person(connection, old)
        taken = connection.execute("SELECT id FROM people WHERE name = ?", (new,)).fetchone()
        if taken is not None and taken[0] != person:
            raise GalleryError(f"{new!r} is in the gallery already; merge {old!r} into them if they are one person")
        connection.execute("UPDATE people SET name = ? WHERE id = ?", (new, person))
    gallery._file.erase()


def merge(gallery: Gallery, *names: str, into: str) -> int:
    """Make one person of several.

    Parameters
    ----------
    gallery : Gallery
    *names : str
        Who they are known as so far.
    into : str
        Who they are: one of them, another person, or a new name.

    Returns
    -------
    int
        How many encodings the person has now.

    Raises
    ------
    GalleryError
        If nobody has one of the names; nothing is changed then.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from pyconvx import faces
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with faces.Gallery(pathlib.Path(folder, "crew.gallery"), encoder="mine") as gallery:
    ...         for name in ("unknown 1", "unknown 2"):
    ...             _ = gallery.enrol(name, encodings=np.zeros(128))
    ...         gallery.merge("unknown 1", "unknown 2", into="Ann"), gallery.people
    (2, {'Ann': 2})
    """
    if not names:
        raise OptionError("names: wanted at least one person to merge")
    target = records.person_name(into)
    with gallery._file.write(rewrites=True) as connection:
        others = {records.find_person(connection, records.person_name(name)) for name in names}
        person = records.add_person(connection, target)
        for other in others - {person}:
            connection.execute("UPDATE encodings SET person = ? WHERE person = ?", (person, other))
            connection.execute("DELETE FROM people WHERE id = ?", (other,))
        counted = connection.execute("SELECT count(*) FROM encodings WHERE person = ?", (person,))
        count = int(counted.fetchone()[0])
    gallery._file.erase()
    return count


def remove(gallery: Gallery, *names: str) -> int:
    """Remove people for good: no byte of their encodings and names, or of their pictures' paths, stays in the file.

    Deleted rows are overwritten, the file is written anew without them, and its log is emptied. Copies elsewhere are
    beyond reach: exports, backups, snapshots of the file system, blocks that a disk has set aside. Pictures that still
    lie in a folder are enrolled again by the next `sync` with it: delete them first.

    Parameters
    ----------
    gallery : Gallery
    *names : str
        Who; several at once take as long as one.

    Returns
    -------
    int
        How many encodings have gone.

    Raises
    ------
    GalleryError
        If nobody has one of the names: nothing is removed then. Or if another process reads for so long that the log
        cannot be emptied: call `erase` later.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from pyconvx import faces
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with faces.Gallery(pathlib.Path(folder, "crew.gallery"), encoder="mine") as gallery:
    ...         _ = gallery.enrol("Ann", encodings=np.zeros((2, 128)))
    ...         gallery.remove("Ann"), gallery.people
    (2, {})
    """
    if not names:
        raise OptionError("names: wanted at least one person to remove")
    gone = 0
    with gallery._file.write(rewrites=True) as connection:
        known = {records.person_name(name) for name in names}
        for name, person in {name: records.find_person(connection, name) for name in known}.items():
            files = connection.execute(
                "SELECT file FROM encodings WHERE person = :person AND file IS NOT NULL "
                "UNION SELECT id FROM files WHERE person = :name OR person IN "  # those without a face, too
                "(SELECT f.person FROM files AS f JOIN encodings AS e ON e.file = f.id WHERE e.person = :person)",
                {"person": person, "name": name},
            ).fetchall()
            gone += connection.execute("DELETE FROM encodings WHERE person = ?", (person,)).rowcount
            connection.executemany(
                "DELETE FROM files WHERE id = ? AND NOT EXISTS (SELECT 1 FROM encodings WHERE file = files.id)", files
            )
            connection.execute("DELETE FROM people WHERE id = ?", (person,))
    gallery._rows.forget()
    gallery._file.erase()
    return gone
