"""A network as a flat list of steps, and how to run it forward and back.

Every composite (Sequential, Residual, Graph, nested at will) compiles into one program. Step 0 is the input; a step
reads earlier steps only. Running one knows three things that layers alone cannot know: which steps are needed for what
was asked, when an activation has had its last reader and can go or be overwritten, and where a ReLU directly follows a
convolution or a sum that nothing else reads, so that both are one call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import numpy as np

from pyconvx.functional._elementwise import keep_passed, passed_bits, relu_over
from pyconvx.nn._arrays import Array
from pyconvx.nn.activation import ReLU
from pyconvx.nn.layer import FusesReLU, Gradients, Layer, Wants
from pyconvx.nn.merge import Add, Merge

_MOST_PLANS = 64  # of one program; who taps more sets of layers waits for them to be planned again

# Takes dy and whether it may be overwritten; returns a dx for every source, and the parameters' gradients.
_StepBackward = Callable[[Array, bool], tuple[tuple[Array | None, ...], Gradients]]
# The gradient of an output, or a function that makes it when it is needed, so that not all need exist at once.
Given = Array | Callable[[], Array]
ProgramPullback = Callable[[Mapping[int, list[Given]]], tuple[Array | None, Gradients]]


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
        self._plans: dict[frozenset[int], list[_Task]] = {}

    def add(self, layer: Layer | Merge, sources: tuple[int, ...], name: str) -> int:
        """Append a leaf and return its index."""
        self.steps.append(Step(layer, sources, f"{name}."))
        self.names[name] = len(self.steps) - 1
        self._plans = {}
        return self.names[name]

    def plan(self, outputs: Collection[int]) -> list[_Task]:
        """What to run for `outputs`, in order; found out once, which for 30 layers takes as long as 4 MFLOP."""
        wanted = frozenset(outputs)
        plan = self._plans.get(wanted)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans = {}
            plan = self._plans[wanted] = _with_ends(self._tasks(wanted), wanted)
        return plan

    def _tasks(self, outputs: Collection[int]) -> list[_Task]:
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
                and isinstance(before.step.layer, (FusesReLU, Add))
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
    """A step to run; with `relu`, its output is that of the ReLU at `place`. Nobody reads `done` after it."""

    place: int
    step: Step
    relu: bool
    done: tuple[int, ...] = ()


def _with_ends(tasks: list[_Task], outputs: Collection[int]) -> list[_Task]:
    last = {source: task.place for task in tasks for source in task.step.sources}
    return [
        task._replace(done=tuple(i for i in set(task.step.sources) if last[i] == task.place and i not in outputs))
        for task in tasks
    ]


def run(program: Program, x: Array, outputs: Collection[int]) -> dict[int, Array]:
    """Compute the wanted steps; every other activation goes as soon as its last reader has run."""
    live = {0: x}
    for task in program.plan(outputs):
        inputs = [live[source] for source in task.step.sources]
        for source in task.done:
            del live[source]
        layer = task.step.layer
        if isinstance(layer, Add):
            layer._check(inputs)
            live[task.place] = layer._sum(inputs, task.relu, _spare(inputs, [x, *live.values()]))
        else:
            live[task.place] = _forward(task, inputs)
        del inputs
    return {index: live[index] for index in outputs}


def run_vjp(
    program: Program, x: Array, outputs: Collection[int], wants: Wants, canonical: Mapping[str, str]
) -> tuple[dict[int, Array], ProgramPullback]:
    """Compute the wanted steps and the pullback that takes a gradient for any of them.

    `canonical` maps every name of a parameter to the one under which its gradients are summed.
    """
    live = {0: x}
    carries = {0: wants.input}  # whether anything upstream of a step's output wants a gradient
    tape: list[tuple[_Task, _StepBackward]] = []
    for task in program.plan(outputs):
        layer, sources, _ = task.step
        feeds = any(carries[source] for source in sources)
        learns = wants.parameters and isinstance(layer, Layer) and bool(layer.named_parameters())
        carries[task.place] = feeds or learns
        inputs = [live[source] for source in sources]
        if feeds or learns:
            live[task.place], backward = _vjp(task, inputs, Wants(feeds, learns))
            tape.append((task, backward))
        else:
            live[task.place] = _forward(task, inputs)
        del inputs
        for source in task.done:
            del live[source]
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
                    _join(flows, source, _passed_on(dx, flow, dxs))
            del flow, dxs, own
        if not wants.input:
            return None, grads
        for given in dys.get(0, []):
            _join(flows, 0, _received(given))
        return (flows[0].array if 0 in flows else np.zeros(shape, dtype)), grads

    return {index: live[index] for index in outputs}, pullback


def _forward(task: _Task, inputs: list[Array]) -> Array:
    layer = task.step.layer
    if isinstance(layer, FusesReLU):
        return layer._forward(inputs[0], relu=task.relu)
    if isinstance(layer, Merge):
        y = layer(*inputs)
        return relu_over(y) if task.relu else y
    return layer._forward(inputs[0])


def _spare(inputs: list[Array], others: list[Array]) -> int | None:
    """Which of the first two inputs nothing else lies in, if one: a layer may return its input, or a view of it."""
    for index, array in enumerate(inputs[:2]):
        rest = inputs[:index] + inputs[index + 1 :] + others
        if array.flags.writeable and not any(np.may_share_memory(array, other) for other in rest):
            return index
    return None


def _vjp(task: _Task, inputs: list[Array], wants: Wants) -> tuple[Array, _StepBackward]:
    layer = task.step.layer
    if isinstance(layer, Merge):
        return _merge_vjp(layer, inputs, task.relu)
    if isinstance(layer, FusesReLU):
        y, inner = layer._vjp(inputs[0], wants, relu=task.relu)
    else:
        y, inner = layer._vjp(inputs[0], wants)

    def backward(dy: Array, overwrite: bool) -> tuple[tuple[Array | None, ...], Gradients]:
        dx, grads = inner(dy, overwrite)
        return (dx,), grads

    return y, backward


def _merge_vjp(layer: Merge, inputs: list[Array], relu: bool) -> tuple[Array, _StepBackward]:
    y, parts = layer.vjp(*inputs)
    if not relu:
        return y, lambda dy, overwrite: (parts(dy), {})
    bits = passed_bits(y)
    return relu_over(y), lambda dy, overwrite: (parts(keep_passed(dy, bits, overwrite)), {})


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
        flows[index] = _Flow(np.add(present.array, more.array, out=target), True)
