"""Where branches of a Graph meet: Add, PaddedAdd, Multiply, Concat. They take several arrays and have no parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np

from pyconvx.errors import DTypeError, ShapeError
from pyconvx.functional._elementwise import add, add_key, relu_over
from pyconvx.functional._replay import Key
from pyconvx.nn._arrays import Array

# Takes dy; returns the gradient of every input. They may share memory with dy.
MergeBackward = Callable[[Array], tuple[Array, ...]]


class Merge:
    """Base of what joins branches: `y = merge(a, b, ...)`."""

    # As a layer's: whether the result lies in memory that is new and nobody else's, or in that of an input that was.
    _makes_new: ClassVar[bool] = False

    def __call__(self, *inputs: Array) -> Array:
        """Join the inputs."""
        self._check(inputs)
        return self._forward(*inputs)

    def vjp(self, *inputs: Array) -> tuple[Array, MergeBackward]:
        """Join the inputs; also return a pullback that maps `dy` to a gradient for each of them."""
        self._check(inputs)
        return self._forward(*inputs), self._backward(*inputs)

    def _forward(self, *inputs: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} does not compute")

    def _backward(self, *inputs: Array) -> MergeBackward:
        raise NotImplementedError(f"{type(self).__name__} has no derivative")

    def _check(self, inputs: Sequence[Array]) -> None:
        """Shapes must be equal: a branch that is broadcast is nearly always a mistake in the network."""
        name = type(self).__name__
        if not inputs:
            raise ShapeError(f"{name} takes one array or more, got none")
        first = inputs[0]
        if all(array.shape == first.shape and array.dtype == first.dtype for array in inputs):
            return
        shapes = [self._comparable(array) for array in inputs]
        if len(set(shapes)) > 1:
            raise ShapeError(f"{name} got arrays of shapes {', '.join(str(array.shape) for array in inputs)}")
        if len({array.dtype for array in inputs}) > 1:
            raise DTypeError(f"{name} got arrays of types {', '.join(str(array.dtype) for array in inputs)}")

    def _comparable(self, array: Array) -> tuple[int, ...]:
        return array.shape


class Add(Merge):
    """The sum of arrays of one shape.

    A ReLU directly after it in a `Graph` is computed together with it.
    """

    _makes_new = True

    def _forward(self, *inputs: Array) -> Array:
        return self._sum(inputs, False, None)

    def _key(self, count: int, relu: bool, spare: int | None) -> Key | None:
        """As a layer's, with `...` in the place of each of `count` inputs."""
        return add_key(..., ..., relu, spare) if count == 2 else None

    def _backward(self, *inputs: Array) -> MergeBackward:
        count = len(inputs)
        return lambda dy: (dy,) * count

    def _sum(self, inputs: Sequence[Array], relu: bool, spare: int | None) -> Array:
        """The sum, in the order of the inputs, and its ReLU if wanted; in place of input 0 or 1 if that one is spare.

        Which of these two is overwritten changes no bit.
        """
        first, *others = inputs
        if len(others) == 1 and first.shape == others[0].shape:  # as nearly always, and in one pass
            return add(first, others[0], relu, spare)
        shape = tuple(map(max, zip(*(array.shape for array in inputs), strict=True)))
        if spare is not None and inputs[spare].shape == shape and inputs[spare].flags.writeable:
            y = inputs[spare]
            others = [array for index, array in enumerate(inputs) if index != spare]
        else:
            y = np.zeros(shape, first.dtype)
            others = list(inputs)
        for more in others:
            part = y[_corner(more.shape)]  # `y[...] += more` would copy it back onto itself
            part += more
        return relu_over(y) if relu else y


class PaddedAdd(Add):
    """The sum of arrays whose sizes differ: each is filled up with zeros at the end of its axes to the largest size.

    The arrays have the same number of axes and the same batch; spatial sizes and channels may differ. It is how dlib's
    networks add a shortcut with fewer channels, or with a row and a column more.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import nn
    >>> nn.PaddedAdd()(np.ones((1, 2, 1), np.float32), np.ones((1, 3, 1), np.float32)).ravel()
    array([2., 2., 1.], dtype=float32)
    """

    def _comparable(self, array: Array) -> tuple[int, ...]:
        return (array.ndim, *array.shape[:1])

    def _backward(self, *inputs: Array) -> MergeBackward:
        shapes = [array.shape for array in inputs]
        return lambda dy: tuple(dy if dy.shape == shape else dy[_corner(shape)].copy() for shape in shapes)


class Multiply(Merge):
    """The product of arrays of one shape, element by element."""

    _makes_new = True

    def _forward(self, *inputs: Array) -> Array:
        return _product(list(inputs))

    def _backward(self, *inputs: Array) -> MergeBackward:
        def backward(dy: Array) -> tuple[Array, ...]:
            return tuple(_product([dy, *inputs[:i], *inputs[i + 1 :]]) for i in range(len(inputs)))

        return backward


class Concat(Merge):
    """Arrays side by side along the channels, the last axis; the other axes are the same."""

    _makes_new = True

    def _comparable(self, array: Array) -> tuple[int, ...]:
        return (array.ndim, *array.shape[:-1])

    def _forward(self, *inputs: Array) -> Array:
        return np.concatenate(inputs, axis=-1)

    def _backward(self, *inputs: Array) -> MergeBackward:
        ends = np.cumsum([array.shape[-1] for array in inputs])[:-1]

        def backward(dy: Array) -> tuple[Array, ...]:
            return tuple(part.copy() for part in np.split(dy, ends, axis=-1))

        return backward


def _corner(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """The first elements along every axis."""
    return tuple(map(slice, shape))


def _product(factors: list[Array]) -> Array:
    result: Array = factors[0].copy()
    for factor in factors[1:]:
        result *= factor
    return result
