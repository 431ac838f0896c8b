"""Neural style transfer: the lecture's costs as functions, and `transfer`, which paints.

`content_cost`, `gram_matrix`, `layer_style_cost`, `style_cost`, `total_cost` (each with its `_grad`) are the formulas;
`StyleTransfer` and `transfer` minimise their sum; the command is `pyconvx style`.
"""

from pyconvx.style.color import keep_luminance, match_colors
from pyconvx.style.costs import (
    content_cost,
    content_cost_grad,
    gram_matrix,
    gram_matrix_grad,
    layer_style_cost,
    layer_style_cost_grad,
    style_cost,
    style_cost_grad,
    total_cost,
    total_cost_grad,
)
from pyconvx.style.pyramid import Level, schedule
from pyconvx.style.result import Result, Step
from pyconvx.style.transfer import StyleTransfer, transfer
from pyconvx.style.variation import total_variation, total_variation_grad

__all__ = [
    "Level",
    "Result",
    "Step",
    "StyleTransfer",
    "content_cost",
    "content_cost_grad",
    "gram_matrix",
    "gram_matrix_grad",
    "keep_luminance",
    "layer_style_cost",
    "layer_style_cost_grad",
    "match_colors",
    "schedule",
    "style_cost",
    "style_cost_grad",
    "total_cost",
    "total_cost_grad",
    "total_variation",
    "total_variation_grad",
    "transfer",
]
