"""Paint one picture in the style of another: `StyleTransfer` holds the choices, `transfer` is the one call."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from pyconvx import image as pictures
from pyconvx._progress import Report, reporter
from pyconvx._version import __version__
from pyconvx.errors import Interrupted, OptionError
from pyconvx.models import Network, vgg16
from pyconvx.runtime import active_isa
from pyconvx.style import checkpoint as checkpoints
from pyconvx.style import memory
from pyconvx.style.checkpoint import State
from pyconvx.style.color import keep_luminance, match_colors
from pyconvx.style.descent import picture_vectors
from pyconvx.style.options import (
    CONTENT_LAYERS,
    DEFAULT_WEIGHTS,
    MARGIN,
    STYLE_LAYERS,
    Init,
    Normalization,
    Optimizer,
    Options,
    Pooling,
    PreserveColors,
    blend_weights,
    layer_weights,
)
from pyconvx.style.outlets import Callback, Outlets, PathLike, Saving
from pyconvx.style.painting import Job, paint
from pyconvx.style.progress import describe
from pyconvx.style.pyramid import fit, schedule
from pyconvx.style.result import MESSAGES, Result, Stopped

Layers = Sequence[str] | Mapping[str, float]

_LOG = logging.getLogger("pyconvx")


class StyleTransfer:
    """Paint pictures in the style of others, by descent on J(G) = alpha J_content(C, G) + beta J_style(S, G).

    Parameters
    ----------
    size : int or None
        Long edge of the painting in pixels; None: that of the content picture.
    content_weight, style_weight, tv_weight : float, optional
        alpha, beta and the weight of the total variation. Defaults by normalisation: 0.05, 1 and 0.4 for "balanced";
        10, 40 and 0 for "lecture".
    content_layers, style_layers : sequence of str, or mapping from str to float
        Layers of the network such as "relu4_2", after the ReLU of conv4_2; a mapping gives each its weight (lambda),
        names alone share a weight of one equally.
    normalization : {"balanced", "lecture"}
        "lecture": the lecture's formulas as they stand (`pyconvx.style.style_cost`). "balanced": each layer's error
        divided by the energy of its target, so that no layer drowns the others, whatever the network and the size.
    pooling : {"avg", "max"}
        Pooling of the network; average gives smoother pictures. Ignored where `network` is given.
    init : "content", "random", "style-stats" or a picture
        What G starts from: the content picture, uniform noise, noise with the colours of the (first) style picture, or
        any picture that `pyconvx.image.load` takes.
    optimizer : {"lbfgs", "adam", "gd"}
        L-BFGS, Adam, or the lecture's plain gradient descent.
    learning_rate : float, optional
        Of Adam (default 2 grey levels) and of gradient descent (default: found from the first gradient, and halved each
        time that the cost rises). L-BFGS finds its own.
    steps : int
        At the coarsest level of the pyramid; each finer level takes half of those of the level before.
    pyramid : "auto", "off" or int
        Levels of the coarse-to-fine pyramid: "auto" uses more than one from 384 px.
    margin : int
        Pixels around the picture, at every size, that are painted with it and cut off: its mirror image at first. At
        the edge of what is painted the style picture's frame comes through.
    style_scale : float
        Long edge of the style pictures over that of the painting: larger gives larger strokes.
    style_blend_weights : sequence of float, optional
        One a style picture; default: equal.
    preserve_colors : {"off", "luma", "match"}
        "luma": only luminance is painted, the colours are the content's. "match": the style pictures are first given
        the content's colours (mean and covariance).
    seed : int
        Of the random starts.
    network : pyconvx.models.Network, optional
        Default: the packaged VGG-16.

    Raises
    ------
    OptionError
        At once, for any argument that is wrong.

    Notes
    -----
    Source: the lecture, "neural style transfer"; Gatys, Ecker and Bethge (2015).
    """

    def __init__(
        self,
        *,
        size: int | None = 384,
        content_weight: float | None = None,
        style_weight: float | None = None,
        tv_weight: float | None = None,
        content_layers: Layers = CONTENT_LAYERS,
        style_layers: Layers = STYLE_LAYERS,
        normalization: Normalization = "balanced",
        pooling: Pooling = "avg",
        init: Any = "content",
        optimizer: Optimizer = "lbfgs",
        learning_rate: float | None = None,
        steps: int = 150,
        pyramid: int | Literal["auto", "off"] = "auto",
        margin: int = MARGIN,
        style_scale: float = 1.0,
        style_blend_weights: Sequence[float] | None = None,
        preserve_colors: PreserveColors = "off",
        seed: int = 0,
        network: Network | None = None,
    ) -> None:
        named = isinstance(init, str) and init in get_args(Init) and init != "picture"
        self._start = None if named else init
        alpha, beta, variation = DEFAULT_WEIGHTS.get(normalization, (0.0, 1.0, 0.0))
        self.options = Options(
            size=size,
            content_weight=alpha if content_weight is None else content_weight,
            style_weight=beta if style_weight is None else style_weight,
            tv_weight=variation if tv_weight is None else tv_weight,
            content_layers=layer_weights("content_layers", content_layers),
            style_layers=layer_weights("style_layers", style_layers),
            normalization=normalization,
            pooling=pooling,
            init=init if named else "picture",
            optimizer=optimizer,
            learning_rate=learning_rate,
            steps=steps,
            pyramid=pyramid,
            margin=margin,
            style_scale=style_scale,
            style_blend_weights=blend_weights(style_blend_weights),
            preserve_colors=preserve_colors,
            seed=seed,
        )
        self._network = network

    def run(
        self,
        content: Any,
        style: Any,
        *,
        progress: bool | Report = False,
        callback: Callback | None = None,
        checkpoint: PathLike | None = None,
        checkpoint_every: int = 10,
        resume: bool = False,
        frames: PathLike | None = None,
        frames_every: int = 50,
        memory_limit: int | str | None = None,
    ) -> Result:
        """Paint `content` in the style of `style`.

        Parameters
        ----------
        content : picture
            Path, bytes, PIL image or array, as `pyconvx.image.load` takes it.
        style : picture, or list or tuple of pictures
            One picture, or several to blend.
        progress : bool or callable
            True: a bar on standard error where that is a terminal. A function gets (steps done, steps in all, info).
        callback : callable, optional
            Called with a `Step` after each; True stops the run there.
        checkpoint : path, optional
            File to write every `checkpoint_every` steps, from which `resume=True` goes on with the same bits. With
            `resume` and no such file yet, the run starts at the beginning; a file that is there is only overwritten by
            the run that it belongs to.
        frames : path, optional
            Folder for the picture after every `frames_every` steps, as PNG files of the finished size.
        memory_limit : int or str, optional
            Bytes, or a size such as "4G"; default: what the system has available.

        Returns
        -------
        Result

        Raises
        ------
        ImageError
            If a picture cannot be read.
        OptionError
            If options do not fit these pictures, the picture is too large for the memory, or the checkpoint is another
            run's.
        Interrupted
            On Ctrl-C; `.result` is the `Result` so far.
        """
        saving = Saving(checkpoint, checkpoint_every, resume, frames, frames_every)
        limit = memory.parse_size(memory_limit) if isinstance(memory_limit, str) else memory_limit
        with reporter(progress, unit="steps", describe=describe) as report:
            job = self._job(content, style, limit)
            identity = self._identity(job, digests=checkpoint is not None)
            state = _resumed(saving, identity) or job.begin()
            outlets = Outlets(job.levels, job.picture, saving, identity, report, callback, state)
            try:
                stopped = paint(job, state, outlets)
            except KeyboardInterrupt:
                result = self._result(job, state, "interrupted", identity)
                raise Interrupted(result.message, result) from None
        return self._result(job, state, stopped, identity)

    def _job(self, content: Any, style: Any, limit: int | None) -> Job:
        """Load the pictures and the network, and refuse what does not fit."""
        options = self.options
        sources = list(style) if isinstance(style, (list, tuple)) else [style]
        if not sources:
            raise OptionError("style must be at least one picture: got none")
        options.blend(len(sources))
        original = pictures.load(content)
        height, width = fit((original.shape[0], original.shape[1]), options.size)
        levels = schedule(height, width, options.steps, options.pyramid)
        network = self._network or vgg16(pooling=options.pooling)
        taps = [*options.style_layers, *options.content_layers]
        canvas = height + 2 * options.margin, width + 2 * options.margin
        needed = memory.estimate(network.net, taps, *canvas, vectors=picture_vectors(options.optimizer))
        memory.require(needed, limit, width=width, height=height)
        resized = pictures.resize(original, (height, width))
        styles = [pictures.load(source) for source in sources]
        if options.preserve_colors == "match":
            styles = [match_colors(picture, resized) for picture in styles]
        start = None if self._start is None else pictures.load(self._start)
        return Job(network, options, levels, resized, styles, start)

    def _identity(self, job: Job, *, digests: bool) -> dict[str, Any]:
        """Return what was asked for, as JSON can hold it; digests take a moment, so only where they are needed."""
        identity = {"version": __version__, "isa": active_isa(), "options": self.options.as_dict()}
        if digests:
            start = [] if job.start is None else [job.start]
            identity["content"] = checkpoints.digest(job.content)
            identity["styles"] = [checkpoints.digest(picture) for picture in job.styles]
            identity["start"] = [checkpoints.digest(picture) for picture in start]
            identity["weights"] = checkpoints.digest(*job.network.net.state_dict().values())
        return identity

    def _result(self, job: Job, state: State, stopped: Stopped, identity: dict[str, Any]) -> Result:
        painted = job.picture(state.best)
        if painted.shape != job.content.shape:  # stopped before the last level
            painted = pictures.resize(painted, job.content.shape[:2])
        if self.options.preserve_colors == "luma":
            painted = keep_luminance(painted, job.content)
        return Result(painted, state.best_cost, stopped, MESSAGES[stopped], state.trace, identity)


def transfer(
    content: Any, style: Any, *, progress: bool | Report = False, callback: Callback | None = None, **options: Any
) -> Result:
    """Paint `content` in the style of `style` (one picture, or a list to blend): `StyleTransfer(**options).run(...)`.

    Parameters
    ----------
    content, style, progress, callback
        As for `StyleTransfer.run`.
    **options
        As for `StyleTransfer`.

    Returns
    -------
    Result
        `.picture` is the array, `.save(path)` writes it.

    Examples
    --------
    ::

        pyconvx.style.transfer("cat.jpg", "wave.jpg", size=512).save("cat-wave.png")
    """
    return StyleTransfer(**options).run(content, style, progress=progress, callback=callback)


def _resumed(saving: Saving, identity: dict[str, Any]) -> State | None:
    if saving.checkpoint is None or not (saving.resume and checkpoints.is_there(saving.checkpoint)):
        return None
    state, warnings = checkpoints.load(saving.checkpoint, identity)
    for warning in warnings:
        _LOG.warning("checkpoint: %s; the result may differ in its last bits from an uninterrupted run", warning)
    return state
