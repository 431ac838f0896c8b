"""What networks of layers have in common: features and gradients at any of their named layers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import ArrayLike

from pyconvx.errors import OptionError
from pyconvx.nn import _run
from pyconvx.nn._arrays import Array, as_float
from pyconvx.nn._program import Program
from pyconvx.nn.layer import Backward, Gradients, Layer, Pullback, Wants, Wrt, as_gradient, wants_of
from pyconvx.nn.merge import Merge

# Takes the name of a layer and its output.
Receive = Callable[[str, Array], None]
TapsPullback = Callable[[Mapping[str, ArrayLike | Callable[[], Array]]], tuple[Array | None, Gradients]]


class Node(NamedTuple):
    """One layer of a network at work: its qualified name, and the places in `Composite.nodes` of what it reads."""

    name: str
    layer: Layer | Merge | None
    sources: tuple[int, ...]


class Composite(Layer):
    """Base of `Sequential`, `Residual` and `Graph`: named layers, which do not change after construction.

    Names of layers in nested networks are qualified: "stage1.conv2". A network's own name stands for its output.
    """

    def __init__(self, children: Mapping[str, Layer]) -> None:
        super().__init__()
        for name, child in children.items():
            if not isinstance(name, str) or not name or "." in name:
                raise OptionError(f"a layer is named {name!r}; a name is a string without dots")
            if not isinstance(child, Layer):
                raise OptionError(f"{name!r} is {child!r}; it must be a layer, an object and not a class")
        self._children = dict(children)

    def _build(self) -> None:
        """Compile; to be called at the end of construction."""
        self._program = Program()
        self._output = self._compile(self._program, 0, "")
        first: dict[int, str] = {}
        named = list(self._walk_parameters(learned=True))
        self._canonical = {name: first.setdefault(id(parameter), name) for name, parameter in named}

    def _compile(self, program: Program, source: int, prefix: str) -> int:
        """Append this network's steps, reading `source`; return the index of its output."""
        raise NotImplementedError

    @property
    def layers(self) -> Mapping[str, Layer]:
        """The layers by name, in order."""
        return MappingProxyType(self._children)

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All layers and merges, those of nested networks included, in an order in which they can be computed.

        The first is the input, which has no name and no layer. A layer that is used twice stands here twice.
        """
        nodes = [Node("", None, ())]
        for step in self._program.steps[1:]:
            assert step is not None, "step 0 alone is the input"
            nodes.append(Node(step.prefix.removesuffix("."), step.layer, step.sources))
        return tuple(nodes)

    def place(self, name: str) -> int:
        """Return the index in `nodes` of a layer's output, or of a nested network's."""
        return self._indices([name])[name]

    def __getitem__(self, name: str) -> Layer:
        return self._children[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._children)

    def __len__(self) -> int:
        return len(self._children)

    # Computing

    def features(self, x: ArrayLike, names: Iterable[str], *, receive: Receive | None = None) -> dict[str, Array]:
        """Compute the outputs of the named layers, and nothing that they do not need.

        Parameters
        ----------
        x : array_like of float
            The network's input.
        names : iterable of str
            Names of layers, such as "relu1_1".
        receive : callable, optional
            Called with a name and an activation as soon as that one is computed; it may read, not change it. Large
            activations then need not be in memory together: what was received is not returned.

        Returns
        -------
        dict of str to ndarray
            In the order of `names`; empty with `receive`.
        """
        wanted = self._indices(names)
        found: dict[str, Array] = {}
        deliver = _deliver(wanted, receive or found.__setitem__)
        _run.run(self._program, as_float(x, "x"), set(wanted.values()), deliver)
        return {name: found[name] for name in wanted if name in found}

    @overload
    def vjp(
        self, x: ArrayLike, wrt: Wrt = "all", *, once: bool = False, taps: None = None
    ) -> tuple[Array, Pullback]: ...

    @overload
    def vjp(
        self,
        x: ArrayLike,
        wrt: Wrt = "all",
        *,
        once: bool = False,
        taps: Sequence[str],
        receive: Receive | None = None,
    ) -> tuple[dict[str, Array], TapsPullback]: ...

    def vjp(
        self,
        x: ArrayLike,
        wrt: Wrt = "all",
        *,
        once: bool = False,
        taps: Sequence[str] | None = None,
        receive: Receive | None = None,
    ) -> tuple[Array, Pullback] | tuple[dict[str, Array], TapsPullback]:
        """Compute the output, or the outputs of several layers, and the vector-Jacobian product at `x`.

        Parameters
        ----------
        x : array_like of float
            The network's input.
        wrt : {"input", "parameters", "all"}
            Which gradients will be asked for.
        once : bool
            Whether the pullback is called once only, see `Layer.vjp`.
        taps : sequence of str, optional
            Names of layers. What none of them needs is not computed.
        receive : callable, optional
            Takes the taps' outputs as they are computed, see `features`.

        Returns
        -------
        y : ndarray, or dict of str to ndarray with `taps`
            The output, or the outputs of the tapped layers (none of them with `receive`).
        pullback : callable
            `dx, grads = pullback(dy)`, see `Layer.vjp`. With `taps`, `dy` maps names of taps to gradients; a name that
            is missing counts as zero. In place of a gradient a function without arguments may stand, which is called
            when the way back reaches its layer, so that not all gradients are in memory at once; what it returns may
            be overwritten. A parameter that no gradient reaches is not in `grads`.
        """
        if taps is None:
            if receive is not None:
                raise OptionError("receive takes the outputs of taps, and no taps were named")
            return super().vjp(x, wrt, once=once)
        wanted = self._indices(taps)
        kinds: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}
        found: dict[str, Array] = {}

        def take(name: str, activation: Array) -> None:
            kinds[name] = activation.shape, activation.dtype
            if receive is None:
                found[name] = activation
            else:
                receive(name, activation)

        inner = self._run_vjp(as_float(x, "x"), set(wanted.values()), _deliver(wanted, take), wants_of(wrt, once))

        def pullback(dys: Mapping[str, ArrayLike | Callable[[], Array]]) -> tuple[Array | None, Gradients]:
            given: dict[int, list[_run.Given]] = {}
            for name, dy in dys.items():
                if name not in wanted:
                    raise OptionError(f"a gradient came for {name!r}, which is not tapped; the taps are {list(wanted)}")
                given.setdefault(wanted[name], []).append(_checked(dy, name, *kinds[name]))
            return inner(given)

        return {name: found[name] for name in wanted if name in found}, pullback

    def _forward(self, x: Array) -> Array:
        found: dict[int, Array] = {}
        _run.run(self._program, x, [self._output], found.__setitem__)
        return found[self._output]

    def _vjp(self, x: Array, wants: Wants) -> tuple[Array, Backward]:
        found: dict[int, Array] = {}
        inner = self._run_vjp(x, [self._output], found.__setitem__, wants)

        def backward(dy: Array, overwrite: bool) -> tuple[Array | None, Gradients]:
            return inner({self._output: [(lambda: dy) if overwrite else dy]})

        return found[self._output], backward

    def _run_vjp(self, x: Array, outputs: Collection[int], deliver: _run.Deliver, wants: Wants) -> _run.RunPullback:
        return _run.run_vjp(self._program, x, outputs, deliver, wants, self._canonical)

    def _indices(self, names: Iterable[str]) -> dict[str, int]:
        if isinstance(names, str):
            raise OptionError(f"names of layers must be a list, got the string {names!r}; write [{names!r}]")
        known = self._program.names
        wanted = list(names)
        for name in wanted:
            if name not in known:
                raise OptionError(f"there is no layer {name!r}; there are {', '.join(known)}")
        return {name: known[name] for name in wanted}


def compile_layer(program: Program, layer: Layer, source: int, name: str) -> int:
    """Append one layer, or all steps of a network, under `name`."""
    if isinstance(layer, Composite):
        output = layer._compile(program, source, f"{name}.")
        program.names[name] = output
        return output
    return program.add(layer, (source,), name)


def _deliver(wanted: Mapping[str, int], receive: Receive) -> _run.Deliver:
    """A step's output goes to `receive` under every name that was asked for."""

    def deliver(index: int, activation: Array) -> None:
        for name, place in wanted.items():
            if place == index:
                receive(name, activation)

    return deliver


def _checked(
    dy: ArrayLike | Callable[[], Array], name: str, shape: tuple[int, ...], dtype: np.dtype[Any]
) -> _run.Given:
    if callable(dy):
        return lambda: as_gradient(dy(), shape, dtype, name)
    return as_gradient(dy, shape, dtype, name)
