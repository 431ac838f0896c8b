"""A layer: a function with state that can hand back its own derivative.

Two floors. Outside: `layer(x)` and `layer.vjp(x)`, which check what comes. Inside: `_forward` and `_vjp`, which trust
it; an inner pullback is also told whether it may overwrite the gradient it gets, so that a chain needs no copies.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from pyconvx.errors import DTypeError, OptionError, ShapeError, WeightsError
from pyconvx.functional._replay import Key
from pyconvx.nn import safetensors
from pyconvx.nn._arrays import Array, as_float
from pyconvx.nn._state import Layout, Mismatch, check_layout, export_state, import_state
from pyconvx.nn.parameter import Parameter

Wrt = Literal["input", "parameters", "all"]
Gradients = dict[str, Array]
Pullback = Callable[[ArrayLike], tuple[Array | None, Gradients]]
# Takes dy, and whether it may be overwritten; returns dx, where wanted, and the gradients of the wanted parameters.
Backward = Callable[[Array, bool], tuple[Array | None, Gradients]]


class Wants(NamedTuple):
    """Which gradients a pullback must be able to give, and whether once is enough."""

    input: bool
    parameters: bool
    once: bool = False


WANTS = {"input": Wants(True, False), "parameters": Wants(False, True), "all": Wants(True, True)}


class Layer:
    """Base of all layers.

    `y = layer(x)` computes. `y, pullback = layer.vjp(x)` also returns the derivative at `x` as a pure function:
    `dx, grads = pullback(dy)`, which may be called any number of times and adds up nothing behind one's back. Arrays
    that were given to `vjp` must not be changed while its pullback is in use.

    Layers compute as in use until `train()` is called; that matters to `BatchNorm` and `Dropout` only.
    """

    # Whether what `_forward` returns lies in memory that is new and nobody else's: a sum may overwrite it then.
    _makes_new: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        """What a class says of `_forward` holds for that one, and not for one that a subclass has in its place."""
        super().__init_subclass__(**options)
        if "_forward" in vars(cls):
            for name in ("_makes_new", "_key"):
                if name not in vars(cls):
                    setattr(cls, name, vars(Layer)[name])

    def __init__(self) -> None:
        self.training = False
        self._parameters: dict[str, Parameter] = {}
        self._buffers: dict[str, Parameter] = {}  # kept and saved, not learned
        self._children: dict[str, Layer] = {}

    # Computing

    def __call__(self, x: ArrayLike) -> Array:
        """Compute the layer's output for `x`, channels-last."""
        return self._forward(as_float(x, "x"))

    def vjp(self, x: ArrayLike, wrt: Wrt = "all", *, once: bool = False) -> tuple[Array, Pullback]:
        """Compute the output and the vector-Jacobian product at `x`.

        Parameters
        ----------
        x : array_like of float
            As the layer takes it.
        wrt : {"input", "parameters", "all"}
            Which gradients will be asked for. What only the others need is neither kept nor computed.
        once : bool
            Whether the pullback is called once only: a network's then lets go of every activation as soon as it has
            used it, which takes less memory.

        Returns
        -------
        y : ndarray
            The output.
        pullback : callable
            `dx, grads = pullback(dy)`: `dx` is None if `wrt` is "parameters"; `grads` maps the qualified name of each
            parameter to its gradient, and is empty if `wrt` is "input".
        """
        wants = wants_of(wrt, once)
        y, backward = self._vjp(as_float(x, "x"), wants)
        shape, dtype = y.shape, y.dtype  # not y itself: the pullback must not keep it alive

        def pullback(dy: ArrayLike) -> tuple[Array | None, Gradients]:
            given = as_gradient(dy, shape, dtype, "dy")
            dx, grads = backward(given, False)
            if dx is None or not wants.input:
                return None, grads
            return (dx.copy() if np.may_share_memory(dx, given) else dx), grads

        return y, pullback

    def _forward(self, x: Array) -> Array:
        raise NotImplementedError(f"{type(self).__name__} does not compute")

    def _key(self, relu: bool) -> Key | None:
        """What `_core.recall` knows `_forward` by, with `...` in the place of x; None if by nothing."""
        return None

    def _vjp(self, x: Array, wants: Wants) -> tuple[Array, Backward]:
        raise NotImplementedError(f"{type(self).__name__} has no derivative")

    # Parameters and modes

    def named_parameters(self) -> dict[str, Parameter]:
        """The learned parameters by qualified name, each once: one that is shared has the first of its names."""
        return _once(self._walk_parameters(learned=True))

    def train(self, mode: bool = True) -> None:
        """Compute as in training: batch statistics, dropout."""
        self.training = mode
        for child in self._children.values():
            child.train(mode)

    def eval(self) -> None:
        """Compute as in use; the state in which every layer starts."""
        self.train(False)

    def __repr__(self) -> str:
        """Name and parameters; for a network, one line a layer."""
        name = type(self).__name__
        if not self._children:
            return f"{name}({', '.join(f'{key} {tuple(p.shape)}' for key, p in self._parameters.items())})"
        lines = [f"{key}: {child!r}".replace("\n", "\n  ") for key, child in self._children.items()]
        return "\n  ".join([f"{name}:", *lines])

    def _walk_parameters(self, learned: bool, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield parameters (or, with learned=False, buffers) under all of their names."""
        for name, parameter in (self._parameters if learned else self._buffers).items():
            yield prefix + name, parameter
        for name, child in self._children.items():
            yield from child._walk_parameters(learned, f"{prefix}{name}.")

    def _state(self) -> dict[str, Parameter]:
        return _once(self._walk_parameters(learned=True)) | _once(self._walk_parameters(learned=False))

    # Weights as data

    def state_dict(self, *, layout: Layout = "channels_last") -> dict[str, Array]:
        """Return parameters and running statistics by qualified name: a snapshot, read-only, without a copy.

        With `layout="pytorch"` weights come as `(out, in, *kernel)`, ready for `torch.nn`.
        """
        return export_state(self._state(), layout)

    def load_state_dict(
        self, state: Mapping[str, ArrayLike], strict: bool = True, *, layout: Layout = "channels_last"
    ) -> Mismatch:
        """Assign arrays to the parameters of their names.

        Parameters
        ----------
        state : mapping of str to array_like
            As `state_dict` returns it; any floating type.
        strict : bool
            Whether a missing or an unknown name is an error. A wrong shape always is.
        layout : {"channels_last", "pytorch"}
            How the weights in `state` lie. Never guessed.

        Returns
        -------
        Mismatch
            The missing and the unexpected names, both empty if strict.

        Raises
        ------
        WeightsError
            Which says everything that does not fit; nothing was changed then.
        """
        return import_state(self._state(), state, strict, layout)

    def save(self, path: str | os.PathLike[str], *, layout: Layout = "channels_last") -> None:
        """Write the state to a safetensors file, atomically; its metadata says in which layout."""
        metadata = {"format": "pt" if layout == "pytorch" else "pyconvx", "layout": layout}
        safetensors.save_file(self.state_dict(layout=layout), path, metadata=metadata)

    def load(self, path: str | os.PathLike[str], strict: bool = True, *, layout: Layout = "channels_last") -> Mismatch:
        """Read the state from a safetensors file; see `load_state_dict`. Refuses a file that names another layout."""
        check_layout(layout)
        metadata = safetensors.load_metadata(path)
        said = metadata.get("layout", "pytorch" if metadata.get("format") == "pt" else layout)
        if said != layout:
            raise WeightsError(f"{os.fspath(path)} says that its layout is {said!r}; pass layout={said!r}")
        try:
            return self.load_state_dict(safetensors.load_file(path), strict, layout=layout)
        except WeightsError as error:
            raise WeightsError(f"{os.fspath(path)}: {error}") from None


class FusesReLU(Layer):
    """A layer that can apply a ReLU to its output in the same pass; `_program.py` decides when it should.

    With `mask`, the gradient of the output passes where the output is above zero, and only there.
    """

    # Whether an output that is not above zero hands its gradient to no input that is: then a ReLU before this layer can
    # leave its mask to it.
    takes_mask: ClassVar[bool] = False

    def _forward(self, x: Array, relu: bool = False) -> Array:
        raise NotImplementedError

    def _vjp(self, x: Array, wants: Wants, relu: bool = False, mask: bool = False) -> tuple[Array, Backward]:
        raise NotImplementedError


def wants_of(wrt: str, once: bool = False) -> Wants:
    if wrt not in WANTS:
        raise OptionError(f"wrt is {wrt!r}; it must be 'input', 'parameters' or 'all'")
    return WANTS[wrt]._replace(once=once)


def as_gradient(dy: ArrayLike, shape: tuple[int, ...], dtype: np.dtype[Any], name: str) -> Array:
    """Check that a gradient is one of an output of this shape and type."""
    array = as_float(dy, name)
    if array.shape != shape:
        raise ShapeError(f"the gradient {name} has shape {array.shape}; the output has {shape}")
    if array.dtype != dtype:
        raise DTypeError(f"the gradient {name} is {array.dtype}, but the output is {dtype}; use .astype(np.{dtype})")
    return array


def _once(named: Iterator[tuple[str, Parameter]]) -> dict[str, Parameter]:
    seen: set[int] = set()
    kept: dict[str, Parameter] = {}
    for name, parameter in named:
        if id(parameter) not in seen:
            seen.add(id(parameter))
            kept[name] = parameter
    return kept
