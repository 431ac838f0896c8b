"""Running a program forward and back: an activation lives as long as someone reads it, and may then be overwritten."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from pyconvx.errors import OptionError
from pyconvx.functional._elementwise import add, keep_passed, passed_bits
from pyconvx.nn._arrays import Array
from pyconvx.nn._program import Program, Task
from pyconvx.nn.layer import FusesReLU, Gradients, Layer, Wants
from pyconvx.nn.merge import Add, Merge

# Takes dy and whether it may be overwritten; returns a dx for every source, and the parameters' gradients.
_StepBackward = Callable[[Array, bool], tuple[tuple[Array | None, ...], Gradients]]
# The gradient of an output, or a function that makes it when it is needed, so that not all need exist at once.
Given = Array | Callable[[], Array]
RunPullback = Callable[[Mapping[int, list[Given]]], tuple[Array | None, Gradients]]
# Takes a wanted step and its output, which then lives no longer than the receiver and the steps that read it.
Deliver = Callable[[int, Array], None]


class _Live:
    """The activations that some task has still to read, and which of them share memory or are held by others."""

    def __init__(self, x: Array, outputs: Collection[int], deliver: Deliver) -> None:
        self._outputs = outputs
        self._deliver = deliver
        self._arrays = {0: x}
        self._memory = {0: 0}  # of a step: the first step whose output lies in the same place
        self._held = {0}  # the memory of the caller, and what was delivered
        if 0 in outputs:
            deliver(0, x)

    def take(self, task: Task) -> list[Array]:
        """The inputs of a task; what it is the last to read is let go."""
        inputs = [self._arrays[source] for source in task.step.sources]
        for source in task.done:
            del self._arrays[source]
        return inputs

    def spare(self, task: Task, inputs: list[Array]) -> int | None:
        """Which of the first two inputs nobody needs after the task; some layers return their input, or a view."""
        read = [self._memory[source] for source in task.step.sources]
        needed = self._held.union(self._memory[place] for place in self._arrays)
        for index, memory in enumerate(read[:2]):
            if memory not in needed and read.count(memory) == 1 and inputs[index].flags.writeable:
                return index
        return None

    def put(self, task: Task, inputs: list[Array], y: Array) -> None:
        same = (s for s, x in zip(task.step.sources, inputs, strict=True) if np.may_share_memory(x, y))
        memory = self._memory[task.place] = next((self._memory[source] for source in same), task.place)
        if task.read:
            self._arrays[task.place] = y
        if task.place in self._outputs:
            self._held.add(memory)
            self._deliver(task.place, y)


def run(program: Program, x: Array, outputs: Collection[int], deliver: Deliver) -> None:
    """Compute the wanted steps and deliver each at once; an activation goes when its last reader has run."""
    live = _Live(x, outputs, deliver)
    for task in program.plan(outputs):
        inputs = live.take(task)
        layer = task.step.layer
        if isinstance(layer, Add):
            layer._check(inputs)
            y = layer._sum(inputs, task.relu, live.spare(task, inputs))
        else:
            y = _forward(task, inputs)
        live.put(task, inputs, y)
        del inputs, y


def run_vjp(
    program: Program, x: Array, outputs: Collection[int], deliver: Deliver, wants: Wants, canonical: Mapping[str, str]
) -> RunPullback:
    """Compute the wanted steps as `run` does; return the pullback that takes a gradient for any of them.

    `canonical` maps every name of a parameter to the one under which its gradients are summed.
    """
    live = _Live(x, outputs, deliver)
    carries = {0: wants.input}  # whether anything upstream of a step's output wants a gradient
    tape: list[tuple[Task, _StepBackward]] = []
    for task in program.plan(outputs):
        layer, sources, _ = task.step
        feeds = any(carries[source] for source in sources)
        learns = wants.parameters and isinstance(layer, Layer) and bool(layer.named_parameters())
        carries[task.place] = feeds or learns
        inputs = live.take(task)
        if feeds or learns:
            y, backward = _vjp(task, inputs, Wants(feeds, learns))
            tape.append((task, backward))
        else:
            y = _forward(task, inputs)
        live.put(task, inputs, y)
        del inputs, y
    shape, dtype = x.shape, x.dtype
    used = False

    def pullback(dys: Mapping[int, list[Given]]) -> tuple[Array | None, Gradients]:
        nonlocal used
        if wants.once and used:
            raise OptionError("this pullback was made with once=True and has been called; make another one")
        used = True
        flows: dict[int, _Flow] = {}
        grads: Gradients = {}
        for task, backward in _unwound(tape) if wants.once else reversed(tape):
            for given in dys.get(task.place, []):
                _join(flows, task.place, _received(given))
            flow = flows.pop(task.place, None)
            if flow is None:
                continue
            dxs, own = backward(flow.array, flow.ours)
            for name, grad in own.items():
                full = canonical[task.step.prefix + name]
                grads[full] = grads[full] + grad if full in grads else grad
            for source, dx in zip(task.step.sources, dxs, strict=True):
                if dx is not None and carries[source]:
                    _join(flows, source, _passed_on(dx, flow, dxs))
            del flow, dxs, own
        if not wants.input:
            return None, grads
        for given in dys.get(0, []):
            _join(flows, 0, _received(given))
        return (flows[0].array if 0 in flows else np.zeros(shape, dtype)), grads

    return pullback


def _unwound(tape: list[tuple[Task, _StepBackward]]) -> Iterator[tuple[Task, _StepBackward]]:
    """The last step first; what was given out is no longer here."""
    while tape:
        yield tape.pop()


def _forward(task: Task, inputs: list[Array]) -> Array:
    layer = task.step.layer
    if isinstance(layer, FusesReLU):
        return layer._forward(inputs[0], relu=task.relu)
    if isinstance(layer, Merge):
        return _join_inputs(layer, inputs, task.relu)
    return layer._forward(inputs[0])


def _vjp(task: Task, inputs: list[Array], wants: Wants) -> tuple[Array, _StepBackward]:
    layer = task.step.layer
    if isinstance(layer, Merge):
        return _merge_vjp(layer, inputs, task)
    if isinstance(layer, FusesReLU):
        y, inner = layer._vjp(inputs[0], wants, relu=task.relu, mask=task.mask)
    else:
        y, inner = layer._vjp(inputs[0], wants)

    def backward(dy: Array, overwrite: bool) -> tuple[tuple[Array | None, ...], Gradients]:
        dx, grads = inner(dy, overwrite)
        return (dx,), grads

    return y, backward


def _merge_vjp(layer: Merge, inputs: list[Array], task: Task) -> tuple[Array, _StepBackward]:
    y, parts = _join_inputs(layer, inputs, task.relu), layer._backward(*inputs)
    if not task.mask:
        return y, lambda dy, overwrite: (parts(dy), {})
    bits = passed_bits(y)
    return y, lambda dy, overwrite: (parts(keep_passed(dy, bits, overwrite)), {})


def _join_inputs(layer: Merge, inputs: list[Array], relu: bool) -> Array:
    """A ReLU is joined to an Add alone."""
    layer._check(inputs)
    return layer._sum(inputs, relu, None) if isinstance(layer, Add) else layer._forward(*inputs)


class _Flow(NamedTuple):
    """A gradient on its way, and whether nobody else holds its memory, so that it may be overwritten."""

    array: Array
    ours: bool


def _received(given: Given) -> _Flow:
    return _Flow(given(), True) if callable(given) else _Flow(given, False)


def _passed_on(dx: Array, came_from: _Flow, dxs: tuple[Array | None, ...]) -> _Flow:
    """A step's gradient is ours if it is new, or if it lies in one that was ours; and if it lies in no other."""
    alone = sum(other is not None and np.may_share_memory(dx, other) for other in dxs) == 1
    new = came_from.ours or not np.may_share_memory(dx, came_from.array)
    return _Flow(dx, bool(dx.flags.writeable and alone and new))


def _join(flows: dict[int, _Flow], index: int, more: _Flow) -> None:
    present = flows.get(index)
    if present is None:
        flows[index] = more
    else:
        target = present.array if present.ours else more.array if more.ours else None
        flows[index] = _Flow(add(present.array, more.array, False, target), True)
