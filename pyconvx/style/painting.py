"""The run itself: level after level, step after step, keeping the best picture and all that a later run needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx import image as pictures
from pyconvx.errors import DivergedError
from pyconvx.models import Network
from pyconvx.style.checkpoint import State
from pyconvx.style.color import random_with_colors
from pyconvx.style.descent import Descent, make_descent
from pyconvx.style.margin import cut, extend
from pyconvx.style.objective import Objective, Terms, style_targets
from pyconvx.style.options import Options
from pyconvx.style.pyramid import Level
from pyconvx.style.result import Picture, Stopped

Array = NDArray[Any]
Between = Callable[[State, Descent], bool]


@dataclass(frozen=True)
class Job:
    """What is to be painted: pictures uint8 RGB, the content at its finished size, the styles in their colours."""

    network: Network
    options: Options
    levels: Sequence[Level]
    content: Picture
    styles: Sequence[Picture]
    start: Picture | None

    def begin(self) -> State:
        """Return the state before the first step."""
        level, margin = self.levels[0], self.options.margin
        height, width = level.height + 2 * margin, level.width + 2 * margin
        rng = np.random.default_rng(self.options.seed)
        if self.options.init == "random":
            x = self.network.preprocess(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        elif self.options.init == "style-stats":
            noise = random_with_colors((height, width), self.styles[0], rng)
            x = self.network.preprocess(np.clip(np.rint(noise), 0, 255).astype(np.uint8))
        else:
            x = self.canvas(self.content if self.start is None else self.start, level)
        return State(x=x, best=x, best_cost=np.inf, random=dict(rng.bit_generator.state))

    def objective(self, level: Level) -> Objective:
        """Return the cost at one size of the picture."""
        net, options = self.network.net, self.options
        style = {}
        if options.style_weight:
            scaled = [self._style_at(level, picture) for picture in self.styles]
            style = style_targets(net, scaled, options.blend(len(scaled)), list(options.style_layers))
        return Objective(net, self.canvas(self.content, level), style, options, self.grey_level)

    def canvas(self, picture: Picture, level: Level) -> Array:
        """Return a picture at one size as the network takes it, with the margin around it."""
        resized = pictures.resize(picture, (level.height, level.width))
        return self.network.preprocess(extend(resized, self.options.margin))

    def picture(self, x: Array) -> Picture:
        """Return the picture of what `canvas` gives, without its margin."""
        return cut(self.network.deprocess(x), self.options.margin)

    @property
    def grey_level(self) -> float:
        """One of the 256 levels of a picture, in the units of the network's input; the mean over its channels."""
        black, next_to_black = (np.full((1, 1, 3), level, np.uint8) for level in (0, 1))
        return float(np.abs(self.network.preprocess(next_to_black) - self.network.preprocess(black)).mean())

    def _style_at(self, level: Level, picture: Picture) -> Array:
        """Return a style picture, preprocessed, its long edge `style_scale` times that of the level."""
        longest = max(1, round(self.options.style_scale * max(level.height, level.width)))
        return self.network.preprocess(pictures.resize(picture, pictures.scaled_size(picture.shape[:2], longest)))


def paint(job: Job, state: State, between: Between) -> Stopped:
    """Take steps from `state`, changing it, until all are taken or something ends them; return what did.

    `between(state, descent)` is called after each step, when both are whole and may be saved; True asks to stop.
    """
    while True:
        level = job.levels[state.level]
        if state.step < level.steps:
            stopped = _paint_level(job, level, state, between)
            if stopped != "finished":
                return stopped
        if state.level + 1 == len(job.levels):
            return "finished"
        _start_next_level(job, state)


def _paint_level(job: Job, level: Level, state: State, between: Between) -> Stopped:
    watched = _Watched(job.objective(level), state)
    descent = make_descent(job.options, state.x, job.grey_level)
    if state.step:
        descent.load_state_dict(state.optimizer)
    while state.step < level.steps and not descent.converged:
        started = time.perf_counter()
        watched.begin_step()
        try:
            with np.errstate(over="ignore", invalid="ignore"):  # looked at here, and said in words
                x = descent.step(watched)
        except DivergedError:
            return "not finite"
        if descent.converged and not watched.evaluations:
            break
        if not watched.good:
            return "not finite"
        state.x, state.step = x, state.step + 1
        state.trace.append(
            {
                "level": state.level,
                "step": state.step,
                "width": level.width,
                "height": level.height,
                **asdict(watched.terms),
                "evaluations": watched.evaluations,
                "seconds": round(time.perf_counter() - started, 4),
            }
        )
        if between(state, descent):
            return "callback"
    return "finished"


def _start_next_level(job: Job, state: State) -> None:
    """Bring the best picture to the next size; the optimiser starts anew there."""
    level = job.levels[state.level + 1]
    x = job.canvas(job.picture(state.best), level)
    state.x, state.best, state.best_cost = x, x, np.inf
    state.level, state.step, state.optimizer = state.level + 1, 0, {}


class _Watched:
    """The objective as an optimiser calls it; keeps the best picture in the state, and this step's least cost."""

    def __init__(self, objective: Objective, state: State) -> None:
        self._objective = objective
        self._state = state
        self.begin_step()

    def begin_step(self) -> None:
        self.evaluations = 0
        self.terms = Terms(np.inf)

    @property
    def good(self) -> bool:
        """Whether at least one picture of this step had a finite cost and gradient."""
        return bool(np.isfinite(self.terms.cost))

    def __call__(self, x: Array) -> tuple[float, Array]:
        terms, dx = self._objective(x)
        self.evaluations += 1
        if not (np.isfinite(terms.cost) and np.isfinite(dx).all()):
            return np.nan, dx
        if terms.cost < self.terms.cost:
            self.terms = terms
        if terms.cost < self._state.best_cost:
            self._state.best, self._state.best_cost = x.copy(), terms.cost
        return terms.cost, dx
