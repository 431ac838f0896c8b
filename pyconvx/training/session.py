"""A training seen from outside: progress, the caller's function, the log, warnings; and what remains when it ends."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from pyconvx._progress import Report, TimeLeft, reporter, time_left
from pyconvx.errors import DivergedError, Interrupted, OptionError
from pyconvx.training.collapse import CollapseDetector, warn_of
from pyconvx.training.history import Log, Record
from pyconvx.training.loop import State, Task, train
from pyconvx.training.result import MESSAGES, Stopped, TrainingResult, TrainingStep

Callback = Callable[[TrainingStep], Any]
PathLike = str | os.PathLike[str]


def fit(
    task: Task,
    *,
    plateau: float | None = None,
    progress: bool | Report = False,
    callback: Callback | None = None,
    log: PathLike | None = None,
    stacklevel: int = 2,
) -> TrainingResult:
    """Train, and leave the best weights in the encoder whatever happens; `plateau` is the loss of equal encodings.

    Raises
    ------
    Interrupted
        On Ctrl-C; `.result` is the `TrainingResult` so far.
    DivergedError
        If a number is not finite; `.result` as well.
    """
    if callback is not None and not callable(callback):
        raise OptionError(f"callback is {callback!r}; give a function of a TrainingStep")
    first = task.communicator.rank == 0
    with reporter(progress if first else False, unit="steps", describe=describe) as report:
        state = State(best=task.weights())
        outlets = _Outlets(task, state, report, callback, log if first else None, plateau, stacklevel + 2)
        try:
            stopped = train(task, state, outlets)
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
    """Called between steps, as `train` wants it."""

    def __init__(
        self,
        task: Task,
        state: State,
        report: Report,
        callback: Callback | None,
        log: PathLike | None,
        plateau: float | None,
        stacklevel: int,
    ) -> None:
        self._total = task.steps
        self._report = report
        self._callback = callback
        self._stacklevel = stacklevel
        self._log = Log(log, state.history)
        self._detector = CollapseDetector(plateau)
        self._time_left = TimeLeft(task.steps, state.done)
        for record in state.history.steps:  # of a run that goes on: what was said is not said again
            self._detector.observe(record["loss"], record["spread"], record["lr"])

    def __call__(self, state: State, found: Record | None) -> bool:
        record = state.history.steps[-1]
        self._log.write("step", record)
        if found is not None:
            self._log.write("validation", found)
        warn_of(self._detector.observe(record["loss"], record["spread"], record["lr"]), self._stacklevel + 2)
        last = state.history.validations[-1] if state.history.validations else {}
        told = {**{name: value for name, value in last.items() if name != "step"}, **record}
        told["seconds_left"] = self._time_left.add(1)
        self._report(state.done, self._total, told)
        step = TrainingStep(state.done, self._total, {**record, "seconds_left": told["seconds_left"]}, found)
        return self._callback is not None and self._callback(step) is True

    def close(self) -> None:
        """Close the log."""
        self._log.close()
