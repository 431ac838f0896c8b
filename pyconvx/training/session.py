"""A training seen from outside: progress, the caller's function, the log, warnings; and what remains when it ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyconvx._checkpoint import PathLike, check_target, is_there
from pyconvx._progress import Report, TimeLeft, reporter, time_left
from pyconvx.errors import DivergedError, Interrupted, OptionError
from pyconvx.training import checkpoint as checkpoints
from pyconvx.training.collapse import CollapseDetector, warn_of
from pyconvx.training.history import Record
from pyconvx.training.log import Log
from pyconvx.training.loop import State, Task, train, validated
from pyconvx.training.parallel import check_same, joined
from pyconvx.training.result import MESSAGES, Stopped, TrainingResult, TrainingStep

Callback = Callable[[TrainingStep], Any]


@dataclass(frozen=True)
class Outside:
    """What of a training is seen outside; see `pyconvx.triplet.TripletTrainer.fit`."""

    progress: bool | Report = False
    callback: Callback | None = None
    log: PathLike | None = None
    checkpoint: PathLike | None = None
    checkpoint_every: int = 100
    resume: bool = False

    def __post_init__(self) -> None:
        if self.callback is not None and not callable(self.callback):
            raise OptionError(f"callback is {self.callback!r}; give a function of a TrainingStep")
        if self.log is not None and not Path(self.log).resolve().parent.is_dir():
            raise OptionError(f"log: the folder {Path(self.log).parent} does not exist")
        if self.log is not None and Path(self.log).is_dir():
            raise OptionError(f"log: {self.log} is a folder; give a file")
        check_target(self.checkpoint, self.checkpoint_every, self.resume)


def fit(task: Task, outside: Outside, *, plateau: float | None = None, stacklevel: int = 2) -> TrainingResult:
    """Train, and leave the best weights in the encoder whatever happens; `plateau` is the loss of equal encodings.

    Raises
    ------
    Interrupted
        On Ctrl-C; `.result` is the `TrainingResult` so far.
    DivergedError
        If a number is not finite; `.result` as well.
    WeightsError
        If the checkpoint is damaged or another training's.
    """
    shown = outside.progress if task.communicator.rank == 0 else False
    with reporter(shown, unit="steps", describe=describe) as report:
        identity = {} if outside.checkpoint is None else checkpoints.identity_of(task)
        state = State(best=task.weights())
        if outside.resume and outside.checkpoint is not None and is_there(outside.checkpoint):
            state = checkpoints.resume(outside.checkpoint, task, identity)
        check_same(task.communicator, checkpoints.fingerprints(task, state))
        outlets = _Outlets(task, state, outside, identity, report, plateau, stacklevel + 2)
        try:
            with joined(task.communicator, task.encoder):
                stopped = train(task, state, outlets)
            outlets.save(state)  # before what follows, which an uninterrupted run would not do
            if stopped == "callback":
                outlets.tell(validated(task, state, last=True))
        except KeyboardInterrupt:
            raise Interrupted(MESSAGES["interrupted"], _result(task, state, "interrupted")) from None
        except DivergedError as error:
            result = _result(task, state, "diverged")
            raise DivergedError(
                f"step {state.done + 1}: {error}; the training has diverged. Take a smaller learning rate. "
                f"The encoder has got back the weights of step {result.best_step}",
                result,
            ) from error
        except BaseException:
            task.assign(state.best)
            raise
        finally:
            outlets.close()
    return _result(task, state, stopped)


def describe(info: dict[str, Any]) -> str:
    """Return what is known in words.

    Examples
    --------
    >>> describe({"loss": 0.125, "active": 3, "chosen": 12, "one_shot": 0.75, "seconds_left": 75.0})
    'loss 0.125, 25% active, one-shot 75.0%, 1:15 left'
    """
    parts = [f"loss {info['loss']:.4g}"]
    if info.get("chosen"):
        parts.append(f"{100 * info['active'] / info['chosen']:.0f}% active")
    if "one_shot" in info:
        parts.append(f"one-shot {100 * info['one_shot']:.1f}%")
    return ", ".join([*parts, f"{time_left(info['seconds_left'])} left"])


def _result(task: Task, state: State, stopped: Stopped) -> TrainingResult:
    task.assign(state.best)
    prefix = len("encoder.")
    best = {name[prefix:] if name.startswith("encoder.") else name: array for name, array in state.best.items()}
    return TrainingResult(best, state.best_step, state.measures, stopped, MESSAGES[stopped], state.history)


class _Outlets:
    """Called between steps, as `train` wants it. Of several processes, the first one alone writes."""

    def __init__(
        self,
        task: Task,
        state: State,
        outside: Outside,
        identity: dict[str, Any],
        report: Report,
        plateau: float | None,
        stacklevel: int,
    ) -> None:
        self._task, self._outside, self._identity = task, outside, identity
        self._report = report
        self._stacklevel = stacklevel
        self._writes = task.communicator.rank == 0
        self._log = Log(outside.log if self._writes else None, state.history)
        self._detector = CollapseDetector(plateau)
        self._time_left = TimeLeft(task.steps, state.done)
        for record in state.history.steps:  # of a run that goes on: what was said is not said again
            self._detector.observe(record["loss"], record["spread"], record["lr"])

    def __call__(self, state: State, found: Record | None) -> bool:
        record = state.history.steps[-1]
        total, callback = self._task.steps, self._outside.callback
        if state.done % self._outside.checkpoint_every == 0 and state.done < total:  # the last comes when all is done
            self.save(state)
        self._log.write("step", record)
        self.tell(found)
        warn_of(self._detector.observe(record["loss"], record["spread"], record["lr"]), self._stacklevel + 2)
        last = state.history.validations[-1] if state.history.validations else {}
        left = {"seconds_left": self._time_left.add(1)}
        self._report(state.done, total, {**last, **record, **left})
        return callback is not None and callback(TrainingStep(state.done, total, record | left, found)) is True

    def tell(self, found: Record | None) -> None:
        """Note a validation, if there was one."""
        if found is not None:
            self._log.write("validation", found)

    def save(self, state: State) -> None:
        """Write the checkpoint, if there is to be one."""
        if self._outside.checkpoint is not None and self._writes:
            checkpoints.save(self._outside.checkpoint, self._task, state, self._identity)

    def close(self) -> None:
        """Close the log."""
        self._log.close()
