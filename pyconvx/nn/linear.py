"""The fully connected layer: y = x W + b over the last axis."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from pyconvx.functional import _conv
from pyconvx.functional._elementwise import keep_passed, passed_bits
from pyconvx.functional._options import ConvOptions
from pyconvx.functional._packing import PackedWeights
from pyconvx.nn._arrays import Array, check_channels, check_same_type, positive
from pyconvx.nn._packed import Packed
from pyconvx.nn._start import kernel_start
from pyconvx.nn.layer import Backward, FusesReLU, Gradients, Wants
from pyconvx.nn.parameter import Parameter

_OPTIONS = ConvOptions()


class Linear(FusesReLU):
    """`y = x W + b` on the last axis; any axes may come before it.

    Parameters
    ----------
    in_features, out_features : int
        Sizes of the last axis of `x` and `y`.
    bias : bool
        Whether there is a `b`; it starts at zero.
    dtype : float32 or float64
        Type of the parameters, and of `x`.
    random_state : int, numpy.random.Generator or None
        For the first weights: uniform, with the variance that a ReLU needs (He et al., 2015).

    Notes
    -----
    `weight` is `(in_features, out_features)`; PyTorch's is the transpose, which `layout="pytorch"` gives and takes. The
    work is that of a convolution of size 1 whose positions are the rows of `x`; so a row's result has the same bits
    alone or among others, which NumPy's own product does not promise.
    """

    _makes_new = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: DTypeLike = np.float32,
        random_state: int | np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        self.in_features = positive(in_features, "in_features")
        self.out_features = positive(out_features, "out_features")
        shape = (self.in_features, self.out_features)
        start = kernel_start(shape, self.in_features, random_state)
        self.weight = self._parameters["weight"] = Parameter(start, dtype, is_kernel=True)
        self.bias: Parameter | None = None
        if bias:
            self.bias = self._parameters["bias"] = Parameter(np.zeros(self.out_features), dtype)
        self._packed = Packed(self.weight, (1, *shape))

    def _forward(self, x: Array, relu: bool = False) -> Array:
        check_same_type(x, self.weight.dtype, "Linear")
        check_channels(x, self.in_features, "Linear")
        bias = None if self.bias is None else self.bias.value
        # Pictures of one pixel: how a picture is computed never depends on how many there are.
        rows = x.reshape(math.prod(x.shape[:-1]), 1, self.in_features)
        shape = (*x.shape[:-1], self.out_features)
        if not rows.size:
            return np.empty(shape, x.dtype)
        activation = "relu" if relu else None
        y = _conv.forward(1, rows, self._packed.present(), bias, _OPTIONS, activation)
        return y.reshape(shape)

    def _vjp(self, x: Array, wants: Wants, relu: bool = False, mask: bool = False) -> tuple[Array, Backward]:
        packed = self._packed.present()
        y = self._forward(x, relu)
        kept = x if wants.parameters else None
        shape = x.shape
        bits = passed_bits(y) if mask else None

        def backward(dy: Array, overwrite: bool) -> tuple[Array | None, Gradients]:
            if bits is not None:
                dy = keep_passed(dy, bits, overwrite)
            grads = {} if kept is None else self._weight_grads(kept, dy)
            return (self._input_grad(dy, packed, shape) if wants.input else None), grads

        return y, backward

    def _input_grad(self, dy: Array, packed: PackedWeights, shape: tuple[int, ...]) -> Array:
        if not dy.size:
            return np.zeros(shape, dy.dtype)
        rows = dy.reshape(-1, 1, self.out_features)
        dx = _conv.input_grad(1, rows, packed, (len(rows), 1, self.in_features), _OPTIONS)
        return dx.reshape(shape)

    def _weight_grads(self, x: Array, dy: Array) -> Gradients:
        if dy.size:
            given, rows = x.reshape(1, -1, self.in_features), dy.reshape(1, -1, self.out_features)
            dw, db = _conv.weight_grad(1, given, rows, 1, _OPTIONS)
        else:
            dw, db = np.zeros(self.weight.shape, dy.dtype), np.zeros(self.out_features, dy.dtype)
        return {"weight": dw.reshape(self.weight.shape)} | ({} if self.bias is None else {"bias": db})
