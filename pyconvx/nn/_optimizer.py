"""What optimisers by gradient share: parameters or one array, their own memory, and the state that resumes exactly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, overload

import numpy as np
from numpy.typing import ArrayLike

from pyconvx.errors import OptionError, ShapeError, WeightsError
from pyconvx.nn._arrays import Array, as_float
from pyconvx.nn.parameter import Parameter

_ALONE = "value"  # the name of a plain array


class Optimizer:
    """Base of `SGD`, `Adam` and `AdamW`.

    `opt.step(grads)` moves parameters against their gradients; parameters without one stay as they are. Made from a
    plain array, `x = opt.step(gradient)` returns the moved array, which is also `opt.value`. `lr` may be changed at any
    time. Learning rate, step count and slots are in `state_dict()`; with them, and the same other options, a resumed
    run has the same bits as one that was never interrupted.
    """

    _slots: ClassVar[tuple[str, ...]]  # names of the arrays kept for each parameter

    def __init__(self, params: Mapping[str, Parameter] | ArrayLike, lr: float) -> None:
        self._alone = not isinstance(params, Mapping)
        if isinstance(params, Mapping):
            self._params = dict(params)
            for name, parameter in self._params.items():
                if not isinstance(parameter, Parameter):
                    raise OptionError(
                        f"{name!r} is {type(parameter).__name__}; give net.named_parameters() or an array"
                    )
        else:
            start = as_float(params, "params")
            self._params = {_ALONE: Parameter(start, start.dtype)}
        self.lr = lr
        self._steps = 0
        self._memory: dict[str, dict[str, Array]] = {}  # by parameter, then by slot
        self._counts: dict[str, int] = {}  # steps that each parameter took part in

    @property
    def lr(self) -> float:
        """The learning rate."""
        return self._lr

    @lr.setter
    def lr(self, value: float) -> None:
        self._lr = at_least_zero(value, "lr")

    @property
    def steps(self) -> int:
        """How many steps were made."""
        return self._steps

    @property
    def value(self) -> Array:
        """The present array, read-only; for an optimiser of a plain array."""
        if not self._alone:
            raise OptionError("this optimiser works on named parameters; read their .value")
        return self._params[_ALONE].value

    @overload
    def step(self, grads: Mapping[str, ArrayLike]) -> None: ...

    @overload
    def step(self, grads: ArrayLike) -> Array: ...

    def step(self, grads: Mapping[str, ArrayLike] | ArrayLike) -> Array | None:
        """Make one step; see the class.

        Raises
        ------
        OptionError, ShapeError, DTypeError
            If a gradient is not one of these parameters; nothing was moved then.
        """
        if isinstance(grads, Mapping) == self._alone:
            raise OptionError("step takes what the optimiser was made from: a mapping of gradients, or one array")
        named = grads if isinstance(grads, Mapping) else {_ALONE: grads}
        checked = {name: self._check(name, grad) for name, grad in named.items()}
        self._steps += 1
        for name, grad in checked.items():
            parameter = self._params[name]
            self._counts[name] = self._counts.get(name, 0) + 1
            memory = self._memory.setdefault(name, {})
            parameter.assign(self._moved(parameter.value, grad, memory, self._counts[name]))
            memory.update({slot: np.asarray(array, parameter.dtype) for slot, array in memory.items()})
        return self.value if self._alone else None

    def _moved(self, value: Array, grad: Array, memory: dict[str, Array], count: int) -> Array:
        """Return the new value. `memory` holds this parameter's slots; it is empty at its first step, `count` 1."""
        raise NotImplementedError

    def _check(self, name: str, grad: ArrayLike) -> Array:
        if name not in self._params:
            raise OptionError(f"a gradient came for {name!r}; the parameters are {', '.join(self._params)}")
        array = as_float(grad, f"the gradient of {name}")
        if array.shape != self._params[name].shape:
            raise ShapeError(f"the gradient of {name} has shape {array.shape}; it has {self._params[name].shape}")
        return array.astype(self._params[name].dtype, copy=False)

    # State

    def state_dict(self) -> dict[str, Array]:
        """Return everything that the next step depends on, parameters aside, as arrays that safetensors can hold."""
        state: dict[str, Array] = {"steps": np.array(self._steps, np.int64), "lr": np.array(self._lr, np.float64)}
        if self._alone:
            state[_ALONE] = self.value
        for name, count in self._counts.items():
            state[f"steps.{name}"] = np.array(count, np.int64)
            state.update({f"{slot}.{name}": array.copy() for slot, array in self._memory[name].items()})
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where `state_dict` was taken. Raises WeightsError, and changes nothing, if it does not fit."""
        rest = {name: np.asarray(array) for name, array in state.items()}
        steps, lr = take_number(rest, "steps"), take_number(rest, "lr")
        value = rest.pop(_ALONE, None) if self._alone else None
        if self._alone and (value is None or value.shape != self.value.shape or value.dtype != self.value.dtype):
            raise WeightsError(f"the state has no {_ALONE!r} of shape {self.value.shape} and type {self.value.dtype}")
        counted = {key[6:]: int(take_number(rest, key)) for key in list(rest) if key.startswith("steps.")}
        memory: dict[str, dict[str, Array]] = {name: {} for name in counted}
        for key, array in rest.items():
            slot, _, name = key.partition(".")
            parameter = self._params.get(name)
            if slot not in self._slots or parameter is None or name not in memory:
                raise WeightsError(f"{key!r} is not of this optimiser, whose parameters have {list(self._slots)}")
            if array.shape != parameter.shape or array.dtype != parameter.dtype:
                wanted = f"{parameter.shape} {parameter.dtype}"
                raise WeightsError(f"{key!r} is {array.shape} {array.dtype}, expected {wanted}")
            memory[name][slot] = array.copy()
        for name, slots in memory.items():
            if name not in self._params or (slots and set(slots) != set(self._slots)):
                raise WeightsError(f"the state of {name!r} lacks one of {list(self._slots)}, or is of another network")
        self._counts = counted
        self.lr, self._steps, self._memory = float(lr), int(steps), memory
        if value is not None:
            self._params[_ALONE].assign(value)


def take_number(state: dict[str, Array], name: str) -> Array:
    """Remove and return a single number, not negative, from a state."""
    array = state.pop(name, None)
    if array is None or array.shape != () or array.dtype.kind not in "iuf" or not array >= 0:
        raise WeightsError(f"the state has no number {name!r}; it is not one of this optimiser")
    return array


def at_least_zero(value: float, name: str) -> float:
    if not 0 <= value < float("inf"):
        raise OptionError(f"{name} is {value!r}; it must be a number from 0 up")
    return float(value)


def below_one(value: float, name: str) -> float:
    if not 0 <= value < 1:
        raise OptionError(f"{name} is {value!r}; it must be from 0 to below 1")
    return float(value)
