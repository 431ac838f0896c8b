"""The texts of pooling, for _documentation.py."""

_WINDOWS = """\
    kernel_size : int or tuple
        Size of the window in {unit}, one for all axes or one for each.
    stride : int or tuple, optional
        Steps in {unit}; as large as the window where it is missing.
    padding : int, tuple or str
        {unit} around x, at most half the window: one number, one for each axis, a pair (before, after) for each axis,
        "valid" (none) or "same" (ceil(size / stride) outputs, the extra one at the end).
"""

_DILATION = """\
    dilation : int or tuple
        Steps inside the window.
"""

_CEIL = """\
    ceil_mode : bool
        Keep a last window that reaches past the padded end, unless it starts in the padding there.
"""

_INCLUDE = """\
    count_include_pad : bool
        Padding counts as zeros; False: it does not count. What lies past the padding never counts.
"""

_LAYOUT = """\
    data_format : "channels_last" or "channels_first"
        Layout of tensors. Channels-first, (batch, channels, {spatial}), costs a transposition each way.
    out : array, optional
        Where to write the result; contiguous, of its shape and element type, apart from the inputs.
"""

_SIZE = """\
        output size = floor((size + before + after - dilation (kernel - 1) - 1) / stride) + 1; ceil with `ceil_mode`.
"""

_RAISES = """
    Raises
    ------
    ShapeError
        Sizes that do not fit together.
    DTypeError
        Anything but float32, float64 (both computed as they are) and float16 (read as float32).
    OptionError
        An option with an unknown value, or more padding than half the window.
"""

_X = """
    Parameters
    ----------
    x : array, (batch, {spatial}, channels)
        float32 or float64; the batch axis may be missing, and stays missing.
"""

_INPUT_SIZE = """\
    input_size : tuple
        The full shape of x, in the layout of `data_format`.
"""

POOL_TEXTS = {
    "max_pool": """{rank}D max pooling: the largest element of each window, channel by channel.

    Padding is never chosen. Of equal elements the first wins, and the first NaN wins over all.
"""
    + _X
    + _WINDOWS
    + _DILATION
    + _CEIL
    + """\
    return_indices : bool
        Also return which position of its window each element comes from.
"""
    + _LAYOUT
    + """
    Returns
    -------
    y : array, (batch, *output size, channels)
"""
    + _SIZE
    + """\
    indices : array of the shape of y, with `return_indices`
        Row-major position in the window (taps in the padding are counted), in the smallest unsigned integer type that
        holds every position: uint8 for windows of up to 256 {unit}. What max_pool{rank}d_grad takes. (PyTorch's are
        64-bit positions in the picture.)
"""
    + _RAISES
    + """
    Examples
    --------
    >>> import numpy as np
    >>> x = np.zeros(({example}, 16), np.float32)
    >>> y, indices = max_pool{rank}d(x, 2, return_indices=True)
    >>> y.shape, indices.dtype.name
    (({halved}, 16), 'uint8')
    """,
    "max_pool_grad": """Gradient of max_pool{rank}d with respect to x: dy goes to the elements that were the largest.

    Parameters
    ----------
    dy : array, (batch, *output size, channels)
        Gradient with respect to the result; the batch axis may be missing.
    indices : array of the shape of dy
        What max_pool{rank}d returned; a position outside the window, or in the padding, receives nothing.
"""
    + _INPUT_SIZE
    + _WINDOWS
    + _DILATION
    + _CEIL
    + _LAYOUT
    + """
    Returns
    -------
    array of shape `input_size`
"""
    + _RAISES
    + """
    Examples
    --------
    >>> import numpy as np
    >>> x = np.zeros(({example}, 16), np.float32)
    >>> y, indices = max_pool{rank}d(x, 2, return_indices=True)
    >>> max_pool{rank}d_grad(y, indices, x.shape, 2).shape
    ({example}, 16)
    """,
    "avg_pool": """{rank}D average pooling: the mean of each window, channel by channel.
"""
    + _X
    + _WINDOWS
    + _CEIL
    + _INCLUDE
    + _LAYOUT
    + """
    Returns
    -------
    array, (batch, *output size, channels)
"""
    + _SIZE.replace("dilation (kernel - 1) - 1", "kernel")
    + _RAISES
    + """
    Examples
    --------
    >>> import numpy as np
    >>> avg_pool{rank}d(np.zeros(({example}, 16), np.float32), 2).shape
    ({halved}, 16)
    """,
    "avg_pool_grad": """Gradient of avg_pool{rank}d with respect to x: every window spreads its dy evenly.

    Parameters
    ----------
    dy : array, (batch, *output size, channels)
        Gradient with respect to the result; the batch axis may be missing.
"""
    + _INPUT_SIZE
    + _WINDOWS
    + _CEIL
    + _INCLUDE
    + _LAYOUT
    + """
    Returns
    -------
    array of shape `input_size`
"""
    + _RAISES
    + """
    Examples
    --------
    >>> import numpy as np
    >>> avg_pool{rank}d_grad(np.zeros(({halved}, 16), np.float32), ({example}, 16), 2).shape
    ({example}, 16)
    """,
}
