"""What a user may choose about a style transfer: names, defaults and every check, before any work starts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, Literal, get_args

import numpy as np

from pyconvx.errors import OptionError

Normalization = Literal["balanced", "lecture"]
Optimizer = Literal["lbfgs", "adam", "gd"]
Pooling = Literal["avg", "max"]
PreserveColors = Literal["off", "luma", "match"]
Init = Literal["content", "random", "style-stats", "picture"]

STYLE_LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
CONTENT_LAYERS = ("relu4_2",)
SMALLEST_SIZE = 16
MARGIN = 8  # measured at 256 px: what is seen of the edge reaches 8 px in

# (alpha, beta, weight of the total variation): "balanced" chosen by eye at 256 and 384 px; "lecture" has the ratio of
# the lecture's exercise (10 to 40).
DEFAULT_WEIGHTS: dict[Normalization, tuple[float, float, float]] = {
    "balanced": (0.05, 1.0, 0.4),
    "lecture": (10.0, 40.0, 0.0),
}
_CHOICES: dict[str, Any] = {
    "normalization": Normalization,
    "optimizer": Optimizer,
    "pooling": Pooling,
    "preserve_colors": PreserveColors,
    "init": Init,
}


@dataclass(frozen=True)
class Options:
    """Checked options of one style transfer; `StyleTransfer` documents them."""

    size: int | None
    content_weight: float
    style_weight: float
    tv_weight: float
    content_layers: dict[str, float]
    style_layers: dict[str, float]
    normalization: Normalization
    pooling: Pooling
    init: Init
    optimizer: Optimizer
    learning_rate: float | None
    steps: int
    pyramid: int | Literal["auto", "off"]
    margin: int
    style_scale: float
    style_blend_weights: tuple[float, ...] | None
    preserve_colors: PreserveColors
    seed: int

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            value = getattr(self, name)
            if value not in get_args(choices):
                raise OptionError(f"{name} must be one of {', '.join(get_args(choices))}: got {value!r}")
        if self.size is not None:
            _require_int("size", self.size, SMALLEST_SIZE)
        _require_int("steps", self.steps, 1)
        _require_int("seed", self.seed, 0)
        _require_int("margin", self.margin, 0)
        for name in ("content_weight", "style_weight", "tv_weight"):
            _require_number(name, getattr(self, name), zero=True)
        if self.content_weight == self.style_weight == 0:
            raise OptionError("content_weight and style_weight are both 0: nothing is left to paint")
        if self.learning_rate is not None:
            _require_number("learning_rate", self.learning_rate)
        _require_number("style_scale", self.style_scale)
        if self.pyramid not in ("auto", "off") and (not isinstance(self.pyramid, int) or self.pyramid < 1):
            raise OptionError(f"pyramid must be 'auto', 'off' or a number of levels from 1: got {self.pyramid!r}")

    def blend(self, styles: int) -> list[float]:
        """Return one weight for each of the style pictures; they sum to one."""
        weights = self.style_blend_weights or (1.0,) * styles
        if len(weights) != styles:
            raise OptionError(
                f"style_blend_weights must have one weight a style picture: got {len(weights)} for {styles}"
            )
        return [weight / sum(weights) for weight in weights]

    def as_dict(self) -> dict[str, Any]:
        """Return the options as values that JSON can hold."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}


def layer_weights(name: str, layers: Sequence[str] | Mapping[str, float] | str) -> dict[str, float]:
    """Return layer name -> lambda; names alone share a total weight of one equally."""
    if isinstance(layers, str):
        layers = (layers,)
    if not isinstance(layers, Mapping):
        if len(set(layers)) != len(layers):
            raise OptionError(f"{name} names a layer twice: got {', '.join(layers)}")
        layers = dict.fromkeys(layers, 1.0 / max(1, len(layers)))
    for layer, weight in layers.items():
        _require_number(f"{name}: the weight of {layer}", weight, zero=True)
    kept = {layer: float(weight) for layer, weight in layers.items() if weight}
    if not kept:
        raise OptionError(f"{name} must name at least one layer with a weight above 0")
    return kept


def blend_weights(weights: Sequence[float] | None) -> tuple[float, ...] | None:
    """Return the checked blend weights of the style pictures, or None for equal ones."""
    if weights is None:
        return None
    for weight in weights:
        _require_number("style_blend_weights: each weight", weight, zero=True)
    if not sum(weights):
        raise OptionError(f"style_blend_weights must not all be 0: got {list(weights)}")
    return tuple(float(weight) for weight in weights)


def _require_int(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise OptionError(f"{name} must be a whole number from {least}: got {value!r}")


def _require_number(name: str, value: Any, *, zero: bool = False) -> None:
    good = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
    if not good or value < 0 or (value == 0 and not zero):
        raise OptionError(f"{name} must be a number {'of 0 or more' if zero else 'above 0'}: got {value!r}")
