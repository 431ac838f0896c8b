"""A network as a flat list of steps, and which of them to run for what was asked.

Every composite (Sequential, Residual, Graph, nested at will) compiles into one program. Step 0 is the input; a step
reads earlier steps only. A plan knows what layers alone cannot know: which steps are needed, when an activation has had
its last reader, and where a ReLU directly follows a convolution, a normalisation or a sum that nothing else reads, so
that both are one call.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

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
        self._plans: dict[frozenset[int], list[Task]] = {}

    def add(self, layer: Layer | Merge, sources: tuple[int, ...], name: str) -> int:
        """Append a leaf and return its index."""
        self.steps.append(Step(layer, sources, f"{name}."))
        self.names[name] = len(self.steps) - 1
        self._plans = {}
        return self.names[name]

    def plan(self, outputs: Collection[int]) -> list[Task]:
        """What to run for `outputs`, in order; found out once, which for 30 layers takes as long as 4 MFLOP."""
        wanted = frozenset(outputs)
        plan = self._plans.get(wanted)
        if plan is None:
            if len(self._plans) >= _MOST_PLANS:
                self._plans = {}
            plan = self._plans[wanted] = _with_ends(self._tasks(wanted))
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
    pooling that alone reads it, where there are fewer numbers to ask. `read` says whether a task reads the output.
    """

    place: int
    step: Step
    relu: bool = False
    mask: bool = False
    done: tuple[int, ...] = ()
    read: bool = False


def _with_ends(tasks: list[Task]) -> list[Task]:
    last = {source: task.place for task in tasks for source in task.step.sources}
    return [
        task._replace(
            done=tuple(source for source in set(task.step.sources) if last[source] == task.place),
            read=task.place in last,
        )
        for task in tasks
    ]
