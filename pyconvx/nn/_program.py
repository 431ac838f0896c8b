"""A network as a flat list of steps, and which of them to run for what was asked.

Every composite (Sequential, Residual, Graph, nested at will) compiles into one program. Step 0 is the input; a step
reads earlier steps only. A plan knows what layers alone cannot know: which steps are needed, when an activation has had
its last reader, and where a ReLU directly follows a convolution, a normalisation or a sum that nothing else reads, so
that both are one call.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from pyconvx.functional._replay import Flow, Key
from pyconvx.nn.activation import ReLU
from pyconvx.nn.layer import FusesReLU, Layer
from pyconvx.nn.merge import Add, Merge

_MOST_PLANS = 64  # of one program; who taps more sets of layers waits for them to be planned again


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
        self._plans: dict[frozenset[int], Plan] = {}

    def add(self, layer: Layer | Merge, sources: tuple[int, ...], name: str) -> int:
        """Append a leaf and return its index."""
        self.steps.append(Step(layer, sources, f"{name}."))
        self.names[name] = len(self.steps) - 1
        self._plans = {}
        return self.names[name]

    def plan(self, outputs: Collection[int]) -> Plan:
        """What to run for `outputs`, in order; found out once, which for 30 layers takes as long as 4 MFLOP."""
        wanted = frozenset(outputs)
        plan = self._plans.get(wanted)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans = {}
            plan = self._plans[wanted] = _planned(self._tasks(wanted), wanted)
        return plan

    def _tasks(self, outputs: Collection[int]) -> list[Task]:
        """The steps that `outputs` need, in order; a ReLU joins the layer before it where that can compute it."""
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
        tasks: dict[int, Task] = {}
        for index in sorted(needed):
            step = self._step(index)
            before = tasks.get(step.sources[0])
            task = Task(index, step)
            if before is not None and readers[before.place] == 1 and before.place not in outputs:
                if type(step.layer) is ReLU and isinstance(before.step.layer, (FusesReLU, Add)):
                    del tasks[before.place]
                    task = Task(index, before.step, relu=True, mask=True)
                elif before.mask and isinstance(step.layer, FusesReLU) and step.layer.takes_mask:
                    tasks[before.place] = before._replace(mask=False)
                    task = Task(index, step, mask=True)
            tasks[index] = task
        return list(tasks.values())

    def _step(self, index: int) -> Step:
        step = self.steps[index]
        assert step is not None, "step 0 is the input, which nothing computes"
        return step


class Task(NamedTuple):
    """A step to run; with `relu`, its output is that of the ReLU at `place`. No task reads `done` after it.

    With `mask`, the gradient passes only where the output is above zero: after a ReLU, or in its place after a max
    pooling that alone reads it, where there are fewer numbers to ask. `read` says whether a task reads the output,
    `wanted` whether it was asked for, `spare` which of the first two inputs of a sum it may overwrite.
    """

    place: int
    step: Step
    relu: bool = False
    mask: bool = False
    done: tuple[int, ...] = ()
    read: bool = False
    wanted: bool = False
    spare: int | None = None

    def key(self) -> Key | None:
        """What `_core.recall` knows the task by, with `...` in the place of each input; None if by nothing."""
        layer = self.step.layer
        if isinstance(layer, Layer):
            return layer._key(self.relu)
        return layer._key(len(self.step.sources), self.relu, self.spare) if isinstance(layer, Add) else None


class Plan(NamedTuple):
    """What to run, in order, and where each task's arrays come from and go."""

    tasks: list[Task]
    flows: list[Flow]


def _planned(tasks: list[Task], wanted: Collection[int]) -> Plan:
    last = {source: task.place for task in tasks for source in task.step.sources}
    spares = _spares(tasks, wanted)
    ended = []
    for task in tasks:
        sources = task.step.sources
        done = tuple(source for source in dict.fromkeys(sources) if last[source] == task.place)
        spare = None
        if isinstance(task.step.layer, Add):
            free = (i for i, s in enumerate(sources[:2]) if s in done and s in spares and sources.count(s) == 1)
            spare = next(free, None)
        ended.append(task._replace(done=done, read=task.place in last, wanted=task.place in wanted, spare=spare))
    return Plan(ended, [(task.step.sources, task.place, task.done, task.wanted) for task in ended])


def _spares(tasks: list[Task], wanted: Collection[int]) -> set[int]:
    """Whose outputs nobody holds but the tasks: new when made, not asked for, and in no result of who reads them."""
    new = {task.place for task in tasks if task.step.layer._makes_new}
    held = {source for task in tasks if not task.step.layer._makes_new for source in task.step.sources}
    return new - held - set(wanted)
