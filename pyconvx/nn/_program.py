"""A network as a flat list of steps, and how to run it forward and back.

Every composite (Sequential, Residual, Graph, nested at will) compiles into one program. Step 0 is the input; a step
reads earlier steps only. Running one knows three things that layers alone cannot know: which steps are needed for what
was asked, when an activation has had its last reader and can go, and where a ReLU directly follows a convolution that
nothing else reads, so that both are one call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import numpy as np

from pyconvx.nn._arrays import Array
from pyconvx.nn.activation import ReLU
from pyconvx.nn.layer import FusesReLU, Gradients, Layer, Wants
from pyconvx.nn.merge import Merge

# Takes dy and whether it may be overwritten; returns a dx for every source, and the parameters' gradients.
_StepBackward = Callable[[Array, bool], tuple[tuple[Array | None, ...], Gradients]]
# The gradient of an output, or a function that makes it when it is needed, so that not all need exist at once.
Given = Array | Callable[[], Array]
ProgramPullback = Callable[[Mapping[int, list[Given]]], tuple[Array | None, Gradients]]
# Takes a wanted step and its output, which then lives no longer than the receiver and the steps that read it.
Deliver = Callable[[int, Array], None]


class Step(NamedTuple):
    """One layer at work: what it reads, and the prefix of its parameters' names."""

    layer: Layer | Merge
    sources: tuple[int, ...]
    prefix: str


class Program:
    """Steps in order, and their names."""

    def __init__(self) -> None:
        self.steps: list[Step | None] = [None]  # step 0 is the input
        self.names: dict[str, int] = {}

    def add(self, layer: Layer | Merge, sources: tuple[int, ...], name: str) -> int:
        """Append a leaf and return its index."""
        self.steps.append(Step(layer, sources, f"{name}."))
        self.names[name] = len(self.steps) - 1
        return self.names[name]

    def plan(self, outputs: Collection[int]) -> list[_Task]:
        """The steps that `outputs` need, in order, with each convolution joined to the ReLU that is its only reader."""
        needed: set[int] = set()
        waiting = list(outputs)
        while waiting:
            index = waiting.pop()
            step = self.steps[index]
            if index not in needed and step is not None:
                needed.add(index)
                waiting.extend(step.sources)
        readers: dict[int, int] = {}
        for index in needed:
            for source in self._step(index).sources:
                readers[source] = readers.get(source, 0) + 1
        tasks: dict[int, _Task] = {}
        for index in sorted(needed):
            step = self._step(index)
            before = tasks.get(step.sources[0])
            if (
                type(step.layer) is ReLU
                and before is not None
                and isinstance(before.step.layer, FusesReLU)
                and readers[before.place] == 1
                and before.place not in outputs
            ):
                del tasks[before.place]
                tasks[index] = _Task(index, before.step, True)
            else:
                tasks[index] = _Task(index, step, False)
        return list(tasks.values())

    def _step(self, index: int) -> Step:
        step = self.steps[index]
        assert step is not None, "step 0 is the input, which nothing computes"
        return step


class _Task(NamedTuple):
    """A step to run; with `relu`, its output is that of the ReLU at `place`."""

    place: int
    step: Step
    relu: bool


class _Live:
    """The activations that some task has still to read."""

    def __init__(self, x: Array, tasks: list[_Task], outputs: Collection[int], deliver: Deliver) -> None:
        self._arrays: dict[int, Array] = {}
        self._last = {source: task.place for task in tasks for source in task.step.sources}
        self._outputs = outputs
        self._deliver = deliver
        self.put(0, x)

    def inputs(self, task: _Task) -> list[Array]:
        return [self._arrays[source] for source in task.step.sources]

    def put(self, place: int, array: Array) -> None:
        if place in self._outputs:
            self._deliver(place, array)
        if place in self._last:
            self._arrays[place] = array

    def release(self, task: _Task) -> None:
        """Let go of what the task was the last to read."""
        for source in set(task.step.sources):
            if self._last[source] == task.place:
                del self._arrays[source]


def run(program: Program, x: Array, outputs: Collection[int], deliver: Deliver) -> None:
    """Compute the wanted steps and deliver each at once; an activation goes when its last reader has run."""
    tasks = program.plan(outputs)
    live = _Live(x, tasks, outputs, deliver)
    for task in tasks:
        live.put(task.place, _forward(task, live.inputs(task)))
        live.release(task)


def run_vjp(
    program: Program, x: Array, outputs: Collection[int], deliver: Deliver, wants: Wants, canonical: Mapping[str, str]
) -> ProgramPullback:
    """Compute the wanted steps as `run` does; return the pullback that takes a gradient for any of them.

    `canonical` maps every name of a parameter to the one under which its gradients are summed.
    """
    tasks = program.plan(outputs)
    live = _Live(x, tasks, outputs, deliver)
    carries = {0: wants.input}  # whether anything upstream of a step's output wants a gradient
    tape: list[tuple[_Task, _StepBackward]] = []
    for task in tasks:
        layer, sources, _ = task.step
        feeds = any(carries[source] for source in sources)
        learns = wants.parameters and isinstance(layer, Layer) and bool(layer.named_parameters())
        carries[task.place] = feeds or learns
        if feeds or learns:
            y, backward = _vjp(task, live.inputs(task), Wants(feeds, learns))
            tape.append((task, backward))
        else:
            y = _forward(task, live.inputs(task))
        live.put(task.place, y)
        del y
        live.release(task)
    shape, dtype = x.shape, x.dtype

    def pullback(dys: Mapping[int, list[Given]]) -> tuple[Array | None, Gradients]:
        flows: dict[int, _Flow] = {}
        grads: Gradients = {}
        for task, backward in reversed(tape):
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
                    _join(flows, source, _passed_on(dx, flow, len(dxs)))
            del flow, dxs, own
        if not wants.input:
            return None, grads
        for given in dys.get(0, []):
            _join(flows, 0, _received(given))
        return (flows[0].array if 0 in flows else np.zeros(shape, dtype)), grads

    return pullback


def _forward(task: _Task, inputs: list[Array]) -> Array:
    layer = task.step.layer
    if isinstance(layer, Merge):
        return layer(*inputs)
    if isinstance(layer, FusesReLU):
        return layer._forward(inputs[0], relu=task.relu)
    return layer._forward(inputs[0])


def _vjp(task: _Task, inputs: list[Array], wants: Wants) -> tuple[Array, _StepBackward]:
    layer = task.step.layer
    if isinstance(layer, Merge):
        y, parts = layer.vjp(*inputs)
        return y, lambda dy, overwrite: (parts(dy), {})
    if isinstance(layer, FusesReLU):
        y, inner = layer._vjp(inputs[0], wants, relu=task.relu)
    else:
        y, inner = layer._vjp(inputs[0], wants)

    def backward(dy: Array, overwrite: bool) -> tuple[tuple[Array | None, ...], Gradients]:
        dx, grads = inner(dy, overwrite)
        return (dx,), grads

    return y, backward


class _Flow(NamedTuple):
    """A gradient on its way, and whether nobody else holds its memory, so that it may be overwritten."""

    array: Array
    ours: bool


def _received(given: Given) -> _Flow:
    return _Flow(given(), True) if callable(given) else _Flow(given, False)


def _passed_on(dx: Array, came_from: _Flow, branches: int) -> _Flow:
    shared = np.may_share_memory(dx, came_from.array)
    return _Flow(dx, dx.flags.writeable and (not shared or (came_from.ours and branches == 1)))


def _join(flows: dict[int, _Flow], index: int, more: _Flow) -> None:
    present = flows.get(index)
    if present is None:
        flows[index] = more
    else:
        target = present.array if present.ours else more.array if more.ours else None
        flows[index] = _Flow(np.add(present.array, more.array, out=target), True)
