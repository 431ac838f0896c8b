"""The docstrings of functions that exist for 1D, 2D and 3D: written once, filled in for each rank."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from pyconvx.functional._pool_documentation import POOL_TEXTS

F = TypeVar("F", bound=Callable[..., Any])

_WORDS = {
    1: {"spatial": "length", "unit": "samples", "kernel": "5", "example": "14", "valid": "10", "halved": "7"},
    2: {
        "spatial": "height, width",
        "unit": "pixels",
        "kernel": "5, 5",
        "example": "14, 14",
        "valid": "10, 10",
        "halved": "7, 7",
    },
    3: {
        "spatial": "depth, height, width",
        "unit": "voxels",
        "kernel": "5, 5, 5",
        "example": "14, 14, 14",
        "valid": "10, 10, 10",
        "halved": "7, 7, 7",
    },
}

_GEOMETRY = """\
    stride, dilation : int or tuple
        Steps in {unit}, one for all axes or one for each.
    padding : int, tuple or str
        Zeros around x, in {unit}: one number, one for each axis, a pair (before, after) for each axis, "valid" (none),
        "same" (ceil(size / stride) outputs, the extra zero at the end){causal}.
    groups : int
        Channels are cut into so many independent parts; groups = channels is depthwise.
"""

_COMMON = """\
    data_format : "channels_last" or "channels_first"
        Layout of tensors and weights. Channels-first, (batch, channels, {spatial}) and PyTorch's weights, costs a
        transposition each way.
    algorithm : "auto", "direct", "winograd" or "fft"
        How to compute. Winograd's needs a quarter of the products for 3x3 kernels; it takes kernels of 1 to 9 on each
        axis (of 9 times the stride, longer than the stride on some axis), in float32. Fourier transforms ("fft") pay
        for large kernels, and take any with stride 1; weight gradients do without. The errors of both are relative to
        the largest numbers of a tile, where the direct algorithm's is local. "auto" depends on the shape, the element
        type and the instruction set alone, so results do not change from call to call.
    precision : "default" or "fast"
        "default" keeps the largest error below 1.5e-5 of the result's rms on N(0, 1) data up to 512 channels; "fast"
        allows 1e-4, which nearly doubles the speed of 5x5 kernels.
"""

_RAISES = """
    Raises
    ------
    ShapeError
        Sizes that do not fit together.
    DTypeError
        Anything but float32, float64 (both computed as they are) and float16 (read as float32), or a mixture.
    OptionError
        An option with an unknown value.
"""

TEXTS = {
    "conv": """{rank}D convolution (cross-correlation, as everywhere in deep learning).

    y[n, p, k] = b[k] + sum over t, c of x[n, p * stride + t * dilation - padding, c] w[t, c, k]

    Parameters
    ----------
    x : array, (batch, {spatial}, in_channels)
        float32 or float64; the batch axis may be missing, and stays missing.
    w : array, (*kernel, in_channels // groups, out_channels)
    b : array, (out_channels,), optional
"""
    + _GEOMETRY
    + """\
    activation : None or "relu"
        Applied to the result while it is in registers. NaN stays NaN.
"""
    + _COMMON
    + """\
    out : array, optional
        Where to write the result; contiguous, of its shape and element type, apart from the inputs.

    Returns
    -------
    array, (batch, *output size, out_channels)
        output size = floor((size + before + after - dilation (kernel - 1) - 1) / stride) + 1.
"""
    + _RAISES
    + """
    Examples
    --------
    >>> import numpy as np
    >>> x = np.ones(({example}, 1), np.float32)
    >>> w = np.ones(({kernel}, 1, 16), np.float32)
    >>> conv{rank}d(x, w).shape
    ({valid}, 16)
    """,
    "conv_input_grad": """Gradient of conv{rank}d with respect to x: the adjoint of conv{rank}d(., w), applied to dy.

    Parameters
    ----------
    dy : array, (batch, *output size, out_channels)
        Gradient with respect to the result; the batch axis may be missing.
    w : array, (*kernel, in_channels // groups, out_channels)
    input_size : tuple
        The full shape of x, in the layout of `data_format`.
"""
    + _GEOMETRY
    + _COMMON
    + """\
    out : array, optional
        Where to write the result.

    Returns
    -------
    array of shape `input_size`
"""
    + _RAISES
    + """
    Examples
    --------
    >>> import numpy as np
    >>> w = np.ones(({kernel}, 1, 16), np.float32)
    >>> conv{rank}d_input_grad(np.ones(({valid}, 16), np.float32), w, ({example}, 1)).shape
    ({example}, 1)
    """,
    "conv_weight_grad": """Gradients of conv{rank}d with respect to weight and bias, summed over the batch.

    dw[t, c, k] = sum over n, p of x[n, p * stride + t * dilation - padding, c] dy[n, p, k]; db[k] = sum of dy[..., k]

    Parameters
    ----------
    x : array, (batch, {spatial}, in_channels)
    dy : array, (batch, *output size, out_channels)
    kernel_size : int or tuple
        The size of the weight on each axis.
"""
    + _GEOMETRY
    + _COMMON
    + """
    Returns
    -------
    dw : array, (*kernel, in_channels // groups, out_channels)
    db : array, (out_channels,)
"""
    + _RAISES
    + """
    Examples
    --------
    >>> import numpy as np
    >>> x, dy = np.ones(({example}, 1), np.float32), np.ones(({valid}, 16), np.float32)
    >>> dw, db = conv{rank}d_weight_grad(x, dy, ({kernel},))
    >>> dw.shape, db.shape
    (({kernel}, 1, 16), (16,))
    """,
    "conv_transpose": """{rank}D transposed convolution: the adjoint of conv{rank}d, with a bias.

    y[n, p * stride + t * dilation - padding, k] sums x[n, p, c] w[t, k, c] over t and c; then + b[k].

    Parameters
    ----------
    x : array, (batch, {spatial}, in_channels)
        float32 or float64; the batch axis may be missing, and stays missing.
    w : array, (*kernel, out_channels // groups, in_channels)
        Channels-first as PyTorch has it: (in_channels, out_channels // groups, *kernel).
    b : array, (out_channels,), optional
    output_padding : int or tuple
        Rows that are added at the end, less than the stride: a strided convolution maps several input sizes to one
        output size, and this picks among them.
"""
    + _GEOMETRY
    + """\
    activation : None or "relu"
        Applied to the result while it is in registers. NaN stays NaN.
"""
    + _COMMON
    + """\
    out : array, optional
        Where to write the result; contiguous, of its shape and element type, apart from the inputs.

    Returns
    -------
    array, (batch, *output size, out_channels)
        output size = (size - 1) stride - before - after + dilation (kernel - 1) + output_padding + 1; with
        padding="same" it is size * stride.
"""
    + _RAISES
    + """
    Examples
    --------
    >>> import numpy as np
    >>> w = np.ones(({kernel}, 1, 16), np.float32)
    >>> conv_transpose{rank}d(np.ones(({valid}, 16), np.float32), w).shape
    ({example}, 1)
    """,
    "conv_transpose_input_grad": """Gradient of conv_transpose{rank}d with respect to x.

    Parameters
    ----------
    dy : array, (batch, *output size, out_channels)
    w : array, (*kernel, out_channels // groups, in_channels)
    input_size : tuple
        The full shape of x, in the layout of `data_format`.
    output_padding : int or tuple
"""
    + _GEOMETRY
    + _COMMON
    + """\
    out : array, optional
        Where to write the result.

    Returns
    -------
    array of shape `input_size`
"""
    + _RAISES,
    "conv_transpose_weight_grad": """Gradients of conv_transpose{rank}d with respect to weight and bias.

    Parameters
    ----------
    x : array, (batch, {spatial}, in_channels)
    dy : array, (batch, *output size, out_channels)
    kernel_size : int or tuple
        The size of the weight on each axis.
    output_padding : int or tuple
"""
    + _GEOMETRY
    + _COMMON
    + """
    Returns
    -------
    dw : array, (*kernel, out_channels // groups, in_channels)
    db : array, (out_channels,)
"""
    + _RAISES,
    **POOL_TEXTS,
}


def documented(function: F) -> F:
    """Gives `conv2d`, say, the text of `conv` with the words of rank 2."""
    match = re.search(r"([123])d", function.__name__)
    if match is None:
        raise ValueError(f"{function.__name__} does not name its rank")
    rank = int(match.group(1))
    causal = ', "causal" (all of it in front), or one pair (before, after)' if rank == 1 else ""
    text = TEXTS[function.__name__.replace(match.group(0), "")]
    function.__doc__ = text.format(rank=rank, causal=causal, **_WORDS[rank])
    return function
