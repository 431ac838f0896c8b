"""What leaves a run while it works: progress, the caller's function, frames and checkpoints."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyconvx import image as pictures
from pyconvx._checkpoint import check_target
from pyconvx._progress import Report, TimeLeft
from pyconvx.errors import OptionError
from pyconvx.style import checkpoint as checkpoints
from pyconvx.style.checkpoint import State
from pyconvx.style.descent import Descent
from pyconvx.style.pyramid import Level
from pyconvx.style.result import Picture, Step

PathLike = str | os.PathLike[str]
Callback = Callable[[Step], Any]


@dataclass(frozen=True)
class Saving:
    """Where frames and checkpoints go, and after how many steps each."""

    checkpoint: PathLike | None = None
    checkpoint_every: int = 10
    resume: bool = False
    frames: PathLike | None = None
    frames_every: int = 50

    def __post_init__(self) -> None:
        check_target(self.checkpoint, self.checkpoint_every, self.resume)
        every = self.frames_every
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise OptionError(f"frames_every must be a whole number from 1: got {every!r}")
        if self.frames is not None and Path(self.frames).exists() and not Path(self.frames).is_dir():
            raise OptionError(f"frames must name a folder: {os.fspath(self.frames)} is a file")


class Outlets:
    """Called between steps, as `paint` wants it."""

    def __init__(
        self,
        levels: Sequence[Level],
        picture: Callable[[Any], Picture],
        saving: Saving,
        identity: dict[str, Any],
        report: Report,
        callback: Callback | None,
        state: State,
    ) -> None:
        self._levels = levels
        self._picture = picture
        self._saving = saving
        self._identity = identity
        self._report = report
        self._callback = callback
        self._total = sum(level.steps for level in levels)
        whole = sum(level.steps * _pixels(level) for level in levels)
        before = sum(level.steps * _pixels(level) for level in levels[: state.level])
        self._time_left = TimeLeft(whole, before + state.step * _pixels(levels[state.level]))
        if saving.frames is not None:
            Path(saving.frames).mkdir(parents=True, exist_ok=True)

    def __call__(self, state: State, descent: Descent) -> bool:
        """Save and tell what is due; return whether the caller's function asks to stop."""
        level = self._levels[state.level]
        seconds_left = self._time_left.add(_pixels(level))
        saving = self._saving
        if saving.checkpoint is not None and (state.step == level.steps or state.step % saving.checkpoint_every == 0):
            state.optimizer = descent.state_dict()
            checkpoints.save(saving.checkpoint, state, self._identity)
        record = state.trace[-1]
        done = sum(earlier.steps for earlier in self._levels[: state.level]) + state.step
        step = Step(done, self._total, {**record, "seconds_left": seconds_left}, lambda: self._picture(state.x))
        if saving.frames is not None and (done % saving.frames_every == 0 or done == self._total):
            self._save_frame(Path(saving.frames), step)
        self._report(done, self._total, step.record)
        return self._callback is not None and self._callback(step) is True

    def _save_frame(self, folder: Path, step: Step) -> None:
        """Write the picture at its finished size, so that the frames of all levels make one film."""
        last = self._levels[-1]
        frame = pictures.resize(step.picture(), (last.height, last.width))
        pictures.save(folder / f"{step.done:06d}.png", frame)


def _pixels(level: Level) -> int:
    return level.height * level.width
