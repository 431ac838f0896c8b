"""pyconvx: fast N-D convolution on a CPU, and what small convolutional networks are used for.

Functions of arrays live here; `pyconvx.nn`, `pyconvx.models`, `pyconvx.image`, `pyconvx.metrics` and the applications
load when first used.
"""

from importlib import import_module
from typing import Any

from pyconvx import functional as functional
from pyconvx._version import __version__
from pyconvx.errors import (
    DivergedError,
    DTypeError,
    GalleryError,
    ImageError,
    Interrupted,
    MissingExtraError,
    MultipleFacesError,
    NoFaceError,
    OptionError,
    PyconvxError,
    ShapeError,
    WeightsError,
)
from pyconvx.functional import *  # noqa: F403
from pyconvx.functional import __all__ as _functions
from pyconvx.functional.explain import Explanation
from pyconvx.runtime import (
    active_isa,
    available_isas,
    force_isa,
    get_num_threads,
    memory,
    num_threads,
    set_num_threads,
    show_config,
    trim_memory,
)

_LAZY = ("faces", "image", "metrics", "models", "nn", "siamese", "style", "training", "triplet", "visualize")

__all__ = [
    "DivergedError",
    "DTypeError",
    "Explanation",
    "GalleryError",
    "ImageError",
    "Interrupted",
    "MissingExtraError",
    "MultipleFacesError",
    "NoFaceError",
    "OptionError",
    "PyconvxError",
    "ShapeError",
    "WeightsError",
    "__version__",
    "active_isa",
    "available_isas",
    "force_isa",
    "get_num_threads",
    "memory",
    "num_threads",
    "set_num_threads",
    "show_config",
    "trim_memory",
    *_functions,
]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return import_module(f"pyconvx.{name}")
    raise AttributeError(f"module 'pyconvx' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_LAZY])
