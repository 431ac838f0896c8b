"""`maximize`: the picture that a unit likes best, by ascent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pyconvx import nn
from pyconvx._progress import Report, reporter
from pyconvx.errors import Interrupted, OptionError
from pyconvx.nn.composite import Composite
from pyconvx.visualize._canvas import Canvas, Parametrisation, blurred, make_canvas
from pyconvx.visualize._network import dtype_of, input_channels, input_rank, network_of
from pyconvx.visualize.fields import receptive_field
from pyconvx.visualize.synthesis import Synthesis, contrast_of, mix_of, start_of

Array = NDArray[Any]


class Ascent:
    """The activation of a unit as a function of the canvas's parameters."""

    def __init__(self, net: Composite, layer: str, unit: int, canvas: Canvas, objective: str) -> None:
        self._net, self._layer, self._unit = net, layer, unit
        self._canvas, self._objective = canvas, objective
        self._dtype = dtype_of(net)

    def value_and_gradient(self, z: Array, shift: Sequence[int]) -> tuple[float, Array]:
        """Return the activation for the picture that is rolled by `shift`, and its gradient with respect to `z`."""
        axes = tuple(range(len(shift)))
        x = np.roll(self._canvas.picture(z), shift, axes).astype(self._dtype)
        ys, pullback = self._net.vjp(x[None], "input", taps=[self._layer])
        y = ys[self._layer]
        if not 0 <= self._unit < y.shape[-1]:
            raise OptionError(f"unit is {self._unit}; {self._layer!r} has units 0 to {y.shape[-1] - 1}")
        dy = np.zeros_like(y)
        if self._objective == "channel":
            dy[..., self._unit] = 1 / y[..., 0].size
        else:
            middle = (0, *(extent // 2 for extent in y.shape[1:-1]), self._unit)
            dy[middle] = 1
        dx, _ = pullback({self._layer: dy})
        assert dx is not None, "wrt was input"
        back = np.roll(dx[0].astype(np.float64), [-offset for offset in shift], axes)
        return float(np.vdot(y.astype(np.float64), dy)), self._canvas.gradient(back)


def maximize(
    net: Any,
    layer: str,
    unit: int,
    *,
    size: int | Sequence[int] | None = None,
    objective: Literal["neuron", "channel"] = "neuron",
    steps: int = 256,
    learning_rate: float = 0.05,
    parametrisation: Parametrisation = "fourier",
    jitter: int = 4,
    blur: float = 0.0,
    blur_every: int = 4,
    decay: float = 1e-3,
    contrast: float | Sequence[float] | None = None,
    start: Array | None = None,
    random_state: int | np.random.Generator | None = 0,
    progress: bool | Report = False,
) -> Synthesis:
    """Make a picture that excites a unit as much as possible, by Adam's steps up the gradient.

    Parameters
    ----------
    net : nn.Sequential, nn.Residual, nn.Graph or models.Network
    layer : str
        Rather a convolution than its ReLU, which has no gradient where the start does not excite it.
    unit : int
        Number of a channel.
    size : int or sequence of int, optional
        Of the picture; if not given, the receptive field's and room for the jitter. It must be given where the layer
        reads everything.
    objective : {"neuron", "channel"}
        The activation at the middle position, or its mean over all positions.
    steps : int
    learning_rate : float
        Of Adam, on parameters of which 1 is a photograph's contrast.
    parametrisation : {"fourier", "pixels"}
        What is moved: the spectrum, scaled as that of photographs is, or the pixels; of a `models.Network` along the
        axes of photographs' colours.
    jitter : int
        Before each step the picture is rolled by up to so many pixels along each axis, there and back.
    blur : float
        Standard deviation in pixels of a Gaussian blur after every `blur_every`-th step; 0 for none.
    blur_every : int
    decay : float
        After each step the picture is multiplied by `1 - decay`.
    contrast : float or one for each channel, optional
        Root mean square of inputs, in the network's units, which the picture does not exceed: a larger one is scaled
        down after each step, or every unit would like the harshest picture best. A photograph's for a
        `models.Network`, else 1.
    start : ndarray of shape (*size, channels), optional
        Where to begin; noise of a tenth of the contrast if not given.
    random_state : int, numpy.random.Generator or None
        For the start and the jitter; the same seed gives the same picture.
    progress : bool or callable
        See `survey`.

    Returns
    -------
    Synthesis

    Raises
    ------
    OptionError, ShapeError
        If an argument does not fit.
    Interrupted
        On Ctrl-C, with the picture so far.

    References
    ----------
    Erhan et al., Visualizing Higher-Layer Features of a Deep Network, 2009 (the ascent).
    Yosinski et al., Understanding Neural Networks Through Deep Visualization, 2015 (decay and blur).
    Mordvintsev et al., Inceptionism, 2015 (jitter).
    Olah, Mordvintsev and Schubert, Feature Visualization, 2017 (Fourier parametrisation).

    Examples
    --------
    >>> from pyconvx import nn, visualize
    >>> net = nn.Sequential({"conv": nn.Conv2d(1, 4, 5, random_state=0)})
    >>> found = visualize.maximize(net, "conv", 2, steps=20)
    >>> found.x.shape, found.trace[-1] > found.trace[0]
    ((13, 13, 1), True)
    """
    graph = network_of(net)
    _check(steps, jitter, blur, blur_every, decay, objective)
    extents = _size(graph, layer, size, jitter)
    channels = input_channels(graph) or 1
    scale = contrast_of(net, contrast, channels)
    canvas = make_canvas(parametrisation, extents, mix_of(net, scale))
    rng = np.random.default_rng(random_state)
    parameter = nn.Parameter(start_of(canvas, start, (*extents, channels), rng), np.float64)
    adam = nn.Adam({"z": parameter}, lr=learning_rate, eps=1e-12)
    ascent = Ascent(graph, layer, unit, canvas, objective)
    trace: list[float] = []

    def result(z: Array) -> Synthesis:
        value = ascent.value_and_gradient(z, (0,) * len(extents))[0]
        return Synthesis(canvas.picture(z).astype(dtype_of(graph)), value, trace)

    try:
        with reporter(progress) as report:
            for step in range(1, steps + 1):
                shift = rng.integers(-jitter, jitter + 1, len(extents)) if jitter else [0] * len(extents)
                value, gradient = ascent.value_and_gradient(parameter.value, [int(offset) for offset in shift])
                trace.append(value)
                # Adam forgets the scale of a gradient only as far as it stays the same; layers differ by thousands.
                adam.step({"z": -gradient / max(float(np.sqrt(np.mean(np.square(gradient)))), 1e-300)})
                z = parameter.value * (1 - decay)
                if blur and step % blur_every == 0:
                    z = canvas.parameters(blurred(canvas.picture(z), blur))
                parameter.assign(_limited(z, canvas, scale))
                report(step, steps, {"value": value})
    except KeyboardInterrupt as stop:
        raise Interrupted("interrupted", result(parameter.value)) from stop
    return result(parameter.value)


def _limited(z: Array, canvas: Canvas, contrast: Array) -> Array:
    """Return parameters whose picture has the contrast at most."""
    rms = float(np.sqrt(np.mean(np.square(canvas.picture(z) / contrast))))
    return z / rms if rms > 1 else z


def _size(net: Composite, layer: str, size: int | Sequence[int] | None, jitter: int) -> tuple[int, ...]:
    rank = input_rank(net)
    if size is None:
        extents = receptive_field(net, layer).size
        if any(extent is None for extent in extents):
            raise OptionError(f"layer {layer!r} reads the whole input: give size")
        return tuple(int(extent or 1) + 2 * jitter for extent in extents)
    wanted = [size] * rank if isinstance(size, (int, np.integer)) else list(size)
    if len(wanted) != rank or any(extent < 1 for extent in wanted):
        raise OptionError(f"size is {size!r}; wanted one number from 1, or {rank} of them")
    return tuple(int(extent) for extent in wanted)


def _check(steps: int, jitter: int, blur: float, blur_every: int, decay: float, objective: str) -> None:
    for name, value, least in (("steps", steps, 0), ("jitter", jitter, 0), ("blur_every", blur_every, 1)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise OptionError(f"{name} is {value!r}; wanted a whole number from {least}")
    if blur < 0 or not 0 <= decay < 1:
        raise OptionError(f"blur is {blur!r} and decay {decay!r}; blur is 0 or more, decay from 0 to below 1")
    if objective not in ("neuron", "channel"):
        raise OptionError(f"objective is {objective!r}; wanted 'neuron' or 'channel'")
