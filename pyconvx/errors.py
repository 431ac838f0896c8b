"""Every error that pyconvx raises on purpose: what came, what was wanted, what to do."""

from __future__ import annotations

from typing import Any


class PyconvxError(Exception):
    """Base of all errors of this package."""


class ShapeError(PyconvxError, ValueError):
    """An array, or a size derived from one, does not fit."""


class DTypeError(PyconvxError, TypeError):
    """An array has an element type that the operation does not take."""


class OptionError(PyconvxError, ValueError):
    """An option has a value that is unknown, or that cannot do this problem."""


class ImageError(PyconvxError, ValueError):
    """A picture cannot be read, is damaged, or is not a picture."""


class DataError(PyconvxError, ValueError):
    """A file or folder of examples cannot be read, is damaged, or holds something else."""


class NoFaceError(PyconvxError, ValueError):
    """No face was found where one was wanted."""


class MultipleFacesError(PyconvxError, ValueError):
    """Several faces were found where one was wanted."""


class WeightsError(PyconvxError, ValueError):
    """A weight file is damaged, foreign, or does not fit the network."""


class GalleryError(PyconvxError, ValueError):
    """A gallery cannot be opened, read or changed as asked."""


class MissingExtraError(PyconvxError, ImportError):
    """An optional package is needed; the message names the extra that installs it."""

    def __init__(self, feature: str, extra: str, package: str) -> None:
        super().__init__(f"{feature} needs {package}, which is not installed: pip install 'pyconvx[{extra}]'")


class DivergedError(PyconvxError, ArithmeticError):
    """A computation that should come closer to its goal met a value that is not finite.

    Where there is a best result so far, `result` holds it.
    """

    def __init__(self, message: str, result: Any = None) -> None:
        super().__init__(message)
        self.result = result


class Interrupted(KeyboardInterrupt):
    """Ctrl-C during long work; `result` holds the best result so far."""

    def __init__(self, message: str, result: Any) -> None:
        super().__init__(message)
        self.result = result
