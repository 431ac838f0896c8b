"""What convolutions and transposed convolutions share: a kernel, a bias, packed forms, three directions."""

from __future__ import annotations

from types import ModuleType
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike

from pyconvx.errors import ShapeError
from pyconvx.functional._elementwise import keep_passed, passed_bits
from pyconvx.functional._options import ConvOptions
from pyconvx.functional._packing import PackedWeights
from pyconvx.functional._replay import Key
from pyconvx.nn._arrays import Array, check_channels, check_same_type, positive
from pyconvx.nn._packed import Packed
from pyconvx.nn._start import kernel_start
from pyconvx.nn.layer import Backward, FusesReLU, Gradients, Wants
from pyconvx.nn.parameter import Parameter


class KernelLayer(FusesReLU):
    """Base of the convolutional layers; `_functions` is the room of `functional` whose directions it calls."""

    _functions: ClassVar[ModuleType]
    _rank: ClassVar[int]
    _makes_new = True

    in_channels: int
    out_channels: int
    groups: int
    kernel_size: tuple[int, ...]
    weight: Parameter
    bias: Parameter | None
    _options: ConvOptions

    def _set_channels(self, in_channels: int, out_channels: int, groups: int) -> None:
        self.in_channels = positive(in_channels, "in_channels")
        self.out_channels = positive(out_channels, "out_channels")
        self.groups = positive(groups, "groups")
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ShapeError(f"groups={groups} must divide in_channels={in_channels} and out_channels={out_channels}")

    def _make_parameters(
        self,
        channels: tuple[int, int],
        reads: float,
        bias: bool,
        dtype: DTypeLike,
        random_state: int | np.random.Generator | None,
    ) -> None:
        """`channels` are the last two axes of the weight; `reads`, how many input elements an output sums."""
        start = kernel_start((*self.kernel_size, *channels), reads, random_state)
        self.weight = self._parameters["weight"] = Parameter(start, dtype, is_kernel=True)
        self.bias = None
        if bias:
            self.bias = self._parameters["bias"] = Parameter(np.zeros(self.out_channels), dtype)
        self._packed = Packed(self.weight, self.weight.shape)

    def _forward(self, x: Array, relu: bool = False) -> Array:
        return self._compute(x, self._packed.present(), relu)

    def _key(self, relu: bool) -> Key:
        bias = None if self.bias is None else self.bias.value
        activation = "relu" if relu else None
        key: Key = self._functions.forward_key(self._rank, ..., self._packed.present(), bias, self._options, activation)
        return key

    def _compute(self, x: Array, packed: PackedWeights, relu: bool) -> Array:
        name = type(self).__name__
        check_same_type(x, self.weight.dtype, name)
        check_channels(x, self.in_channels, name)
        bias = None if self.bias is None else self.bias.value
        activation = "relu" if relu else None
        y: Array = self._functions.forward(self._rank, x, packed, bias, self._options, activation)
        return y

    def _vjp(self, x: Array, wants: Wants, relu: bool = False, mask: bool = False) -> tuple[Array, Backward]:
        packed = self._packed.present()  # there and back with the same weight, whoever assigns another meanwhile
        y = self._compute(x, packed, relu)
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
        dx: Array = self._functions.input_grad(self._rank, dy, packed, shape, self._options)
        return dx

    def _weight_grads(self, x: Array, dy: Array) -> Gradients:
        dw, db = self._functions.weight_grad(self._rank, x, dy, self.kernel_size, self._options)
        return {"weight": dw} if self.bias is None else {"weight": dw, "bias": db}
