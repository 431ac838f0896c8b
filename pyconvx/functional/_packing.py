"""A weight together with its packed forms, so that a layer packs once."""

from __future__ import annotations

from typing import Any

from pyconvx import _core
from pyconvx.functional._arrays import Array
from pyconvx.functional._options import ConvOptions
from pyconvx.functional._plan import ConvPlan

_MOST_FORMS = 8  # forward and input gradient, for a few instruction sets or paddings


class PackedWeights:
    """Wraps a channels-last weight; pass it in place of `w` to the functions of this package that layers call.

    A packed form depends on direction, instruction set, stride, dilation, padding, groups and the algorithm's tiles.
    """

    def __init__(self, w: Array) -> None:
        self.w = w
        self._forms: dict[tuple[Any, ...], Any] = {}

    def form(self, plan: ConvPlan, direction: str, options: ConvOptions) -> Any:
        tiles = plan.tiles(direction, options, self.w.dtype, True)
        key = (direction, _core.active_isa(), plan.weight_key, tiles)
        packed = self._forms.get(key)
        if packed is None:
            if len(self._forms) >= _MOST_FORMS:
                self._forms.clear()
            packed = self._forms[key] = _core.pack_weight(plan.shape, direction, tiles, self.w)
        return packed


def compute(
    plan: ConvPlan,
    direction: str,
    options: ConvOptions,
    w: Array | PackedWeights,
    x: Array,
    bias: Array | None,
    relu: bool,
    y: Array,
) -> None:
    """Fill `y` with one direction of a convolution; x and y contiguous, channels-last, of the plan's sizes.

    A picture in which Winograd's algorithm met Inf, NaN or an overflow is computed again by the direct one.
    """
    run = _core.conv_forward if direction == "forward" else _core.conv_input_grad
    not_finite = run(plan.shape, x, _packed(w, plan, direction, options), bias, relu, y)
    if not_finite:
        one, direct = plan.shape.with_batch(1), _packed(w, plan, direction, options._replace(algorithm="direct"))
        for i in not_finite:
            run(one, x[i : i + 1], direct, bias, relu, y[i : i + 1])


def _packed(w: Array | PackedWeights, plan: ConvPlan, direction: str, options: ConvOptions) -> Any:
    """The packed weight for this plan: the remembered one, or one for this call."""
    if isinstance(w, PackedWeights):
        return w.form(plan, direction, options)
    tiles = plan.tiles(direction, options, w.dtype, False)
    return _core.pack_weight(plan.shape, direction, tiles, w)
