"""Pictures made by ascent: what a unit likes best, and what a layer still knows of a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pyconvx import nn
from pyconvx.errors import Interrupted, OptionError, ShapeError
from pyconvx.nn.composite import Composite
from pyconvx.visualize._canvas import Canvas, Parametrisation, blurred, color_axes, make_canvas, total_variation
from pyconvx.visualize._network import dtype_of, input_channels, input_rank, network_of
from pyconvx.visualize.fields import receptive_field
from pyconvx.visualize.progress import Report, reporter

Array = NDArray[Any]

# Standard deviation of the levels of photographs, 0..255.
_PHOTOGRAPH = 58.0


@dataclass(frozen=True)
class Synthesis:
    """A picture that was looked for.

    Attributes
    ----------
    x : ndarray of shape (*spatial, channels)
        As the network takes it; `net.deprocess` of a `models.Network` makes levels of it.
    value : float
        The unit's activation, or for `invert` the relative error `||y(x) - y(picture)|| / ||y(picture)||`.
    trace : list of float
        At each step: the shifted picture's activation, or the cost that `invert` minimises.
    """

    x: Array
    value: float
    trace: list[float] = field(default_factory=list)


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
    scale = _contrast(net, contrast, channels)
    canvas = make_canvas(parametrisation, extents, _mix(net, scale))
    rng = np.random.default_rng(random_state)
    parameter = nn.Parameter(_start(canvas, start, (*extents, channels), rng), np.float64)
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


def invert(
    net: Any,
    layer: str,
    x: Array,
    *,
    steps: int = 200,
    smoothness: float = 1e-3,
    parametrisation: Parametrisation = "fourier",
    contrast: float | Sequence[float] | None = None,
    random_state: int | np.random.Generator | None = 0,
    progress: bool | Report = False,
) -> Synthesis:
    """Make a picture that a layer cannot tell from a given one: what is left of it there.

    Minimises `||y(x') - y(x)||^2 / ||y(x)||^2 + smoothness TV(x' / contrast) / pixels` by L-BFGS, from noise.

    Parameters
    ----------
    net : nn.Sequential, nn.Residual, nn.Graph or models.Network
    layer : str
    x : ndarray of shape (*spatial, channels)
        The network's input, without a batch axis.
    steps : int
    smoothness : float
        Weight of the squared total variation.
    parametrisation, contrast, random_state, progress
        As `maximize` takes them.

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
    Mahendran and Vedaldi, Understanding Deep Image Representations by Inverting Them, 2015, equations 1 to 4, with beta
    = 2.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import nn, visualize
    >>> net = nn.Sequential({"conv": nn.Conv1d(1, 4, 3, padding=1, random_state=0)})
    >>> signal = np.sin(np.arange(32, dtype=np.float32))[:, None]
    >>> visualize.invert(net, "conv", signal, steps=50, smoothness=0).value < 0.01
    True
    """
    graph = network_of(net)
    if x.ndim != input_rank(graph) + 1:
        raise ShapeError(f"x has shape {x.shape}; wanted {input_rank(graph)} spatial axes and the channels")
    scale = _contrast(net, contrast, x.shape[-1])
    canvas = make_canvas(parametrisation, x.shape[:-1], _mix(net, scale))
    likeness = Likeness(graph, layer, x, canvas, scale, smoothness)
    start = _start(canvas, None, x.shape, np.random.default_rng(random_state))
    lbfgs = nn.LBFGS(start, lr=0.1 * start.size, history_size=10)  # the first trial moves parameters by 0.1 in the mean
    trace: list[float] = []

    def result() -> Synthesis:
        picture = canvas.picture(lbfgs.x).astype(x.dtype)
        return Synthesis(picture, likeness.error(picture), trace)

    try:
        with reporter(progress) as report:
            for step in range(1, steps + 1):
                lbfgs.step(likeness.value_and_gradient)
                lbfgs.lr = 1.0  # from here on the remembered pairs know the scale
                trace.append(lbfgs.value)
                report(step, steps, {"cost": lbfgs.value})
                if lbfgs.converged:
                    break
    except KeyboardInterrupt as stop:
        raise Interrupted("interrupted", result()) from stop
    return result()


class Likeness:
    """How far a layer's view of a picture is from its view of another."""

    def __init__(
        self, net: Composite, layer: str, x: Array, canvas: Canvas, contrast: Array, smoothness: float
    ) -> None:
        self._net, self._layer, self._canvas = net, layer, canvas
        self._contrast, self._weight = contrast, smoothness / max(1, x[..., 0].size)
        self._dtype = dtype_of(net)
        self._wanted = net.features(x[None].astype(self._dtype), [layer])[layer]
        self._norm = float(np.sum(np.square(self._wanted, dtype=np.float64)))
        if not self._norm:
            raise OptionError(f"layer {layer!r} is zero everywhere for this picture: it knows nothing of it")

    def error(self, x: Array) -> float:
        """Return `||y(x') - y(x)|| / ||y(x)||`."""
        difference = self._net.features(x[None].astype(self._dtype), [self._layer])[self._layer] - self._wanted
        return float(np.sqrt(np.sum(np.square(difference, dtype=np.float64)) / self._norm))

    def value_and_gradient(self, z: Array) -> tuple[float, Array]:
        """Return the whole cost, and its gradient with respect to `z`."""
        x = self._canvas.picture(z)
        ys, pullback = self._net.vjp(x[None].astype(self._dtype), "input", taps=[self._layer])
        difference = ys[self._layer] - self._wanted
        error = float(np.sum(np.square(difference, dtype=np.float64))) / self._norm
        dx, _ = pullback({self._layer: difference * difference.dtype.type(2 / self._norm)})
        assert dx is not None, "wrt was input"
        rough, droughness = total_variation(x / self._contrast)
        total = dx[0].astype(np.float64) + self._weight * droughness / self._contrast
        return error + self._weight * rough, self._canvas.gradient(total)


def _limited(z: Array, canvas: Canvas, contrast: Array) -> Array:
    """Return parameters whose picture has the contrast at most."""
    rms = float(np.sqrt(np.mean(np.square(canvas.picture(z) / contrast))))
    return z / rms if rms > 1 else z


def _start(canvas: Canvas, start: Array | None, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    if start is None:
        return 0.1 * rng.standard_normal(canvas.shape)
    if start.shape != shape:
        raise ShapeError(f"start has shape {start.shape}; wanted {shape}")
    return canvas.parameters(start.astype(np.float64))


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


def _contrast(net: Any, contrast: float | Sequence[float] | None, channels: int) -> Array:
    if contrast is not None:
        given = np.broadcast_to(np.asarray(contrast, np.float64), (channels,))
        if not (given > 0).all():
            raise OptionError(f"contrast is {contrast!r}; wanted numbers above 0")
        return given
    preprocessing = getattr(net, "preprocessing", None)
    deviation = getattr(preprocessing, "deviation", None)
    if deviation is None:
        return np.ones(channels)
    return _PHOTOGRAPH / np.asarray(deviation, np.float64)


def _mix(net: Any, contrast: Array) -> Array:
    """Return what mixes channels: the contrast alone, or with it a photograph's colours in the network's order."""
    order = getattr(getattr(net, "preprocessing", None), "channels", None)
    if order is None or len(contrast) != 3:
        return np.diag(contrast)
    axes = color_axes()
    return contrast[:, None] * (axes[::-1] if order == "bgr" else axes)


def _check(steps: int, jitter: int, blur: float, blur_every: int, decay: float, objective: str) -> None:
    for name, value, least in (("steps", steps, 0), ("jitter", jitter, 0), ("blur_every", blur_every, 1)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise OptionError(f"{name} is {value!r}; wanted a whole number from {least}")
    if blur < 0 or not 0 <= decay < 1:
        raise OptionError(f"blur is {blur!r} and decay {decay!r}; blur is 0 or more, decay from 0 to below 1")
    if objective not in ("neuron", "channel"):
        raise OptionError(f"objective is {objective!r}; wanted 'neuron' or 'channel'")
