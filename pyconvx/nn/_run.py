"""Running a program forward and back: an activation lives as long as someone reads it, and may then be overwritten."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from pyconvx.errors import OptionError
from pyconvx.functional._elementwise import add, keep_passed, passed_bits
from pyconvx.functional._replay import replay
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


def run(program: Program, x: Array, outputs: Collection[int], deliver: Deliver) -> None:
    """Compute the wanted steps and deliver each at once; an activation goes when its last reader has run.

    What was computed before, with arrays of the same sizes, the core computes again, task after task.
    """
    tasks, flows = program.plan(outputs)
    values = {0: x}  # by step
    if 0 in outputs:
        deliver(0, x)
    keys = [task.key() for task in tasks]
    count = 0  # of the tasks that have run
    while count < len(tasks):
        before, count = count, replay(keys, flows, values, count)
        if count == before:
            _run_task(tasks[count], values)
            count += 1
        latest = tasks[count - 1]
        if latest.wanted:
            _hand_out(latest, values, deliver)


def _run_task(task: Task, values: dict[int, Array]) -> None:
    inputs = _take(task, values)
    layer = task.step.layer
    if isinstance(layer, Add):
        layer._check(inputs)
        values[task.place] = layer._sum(inputs, task.relu, task.spare)
    else:
        values[task.place] = _forward(task, inputs)


def _take(task: Task, values: dict[int, Array]) -> list[Array]:
    """The inputs of a task; what it is the last to read is let go."""
    inputs = [values[source] for source in task.step.sources]
    for source in task.done:
        del values[source]
    return inputs


def _hand_out(task: Task, values: dict[int, Array], deliver: Deliver) -> None:
    deliver(task.place, values[task.place] if task.read else values.pop(task.place))


def run_vjp(
    program: Program, x: Array, outputs: Collection[int], deliver: Deliver, wants: Wants, canonical: Mapping[str, str]
) -> RunPullback:
    """Compute the wanted steps as `run` does; return the pullback that takes a gradient for any of them.

    `canonical` maps every name of a parameter to the one under which its gradients are summed.
    """
    tasks, _ = program.plan(outputs)
    values = {0: x}  # by step
    if 0 in outputs:
        deliver(0, x)
    carries = {0: wants.input}  # whether anything upstream of a step's output wants a gradient
    tape: list[tuple[Task, _StepBackward]] = []
    for task in tasks:
        layer, sources, _ = task.step
        feeds = any(carries[source] for source in sources)
        learns = wants.parameters and isinstance(layer, Layer) and bool(layer.named_parameters())
        carries[task.place] = feeds or learns
        inputs = _take(task, values)
        if feeds or learns:
            y, backward = _vjp(task, inputs, Wants(feeds, learns))
            tape.append((task, backward))
        else:
            y = _forward(task, inputs)
        values[task.place] = y
        del inputs, y
        if task.wanted:
            _hand_out(task, values, deliver)
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
        into = 0 if present.ours else 1 if more.ours else None
        flows[index] = _Flow(add(present.array, more.array, False, into), True)
