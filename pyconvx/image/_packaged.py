"""The pictures that travel with the package, for a first try; NOTICE says where they come from."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from pyconvx.errors import OptionError

PICTURES = {"astronaut": "astronaut.jpg", "chelsea": "chelsea.jpg", "starry_night": "starry_night.jpg"}


def packaged(name: str) -> Path:
    """Return the path of a packaged picture.

    Parameters
    ----------
    name : {"astronaut", "chelsea", "starry_night"}
        A photograph of a face, or of a cat, or van Gogh's painting; 320 and 384 pixels wide.

    Raises
    ------
    OptionError
        If there is no such picture.

    Examples
    --------
    >>> from pyconvx import image
    >>> image.load(image.packaged("chelsea")).shape
    (255, 384, 3)
    """
    if name not in PICTURES:
        raise OptionError(f"name: got {name!r}; packaged pictures are {', '.join(PICTURES)}")
    return Path(str(resources.files("pyconvx") / "data" / PICTURES[name]))
