"""`invert`: what a layer still knows of a picture, by making another that it cannot tell from it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pyconvx import nn
from pyconvx._progress import Report, reporter
from pyconvx.errors import Interrupted, OptionError, ShapeError
from pyconvx.nn.composite import Composite
from pyconvx.visualize._canvas import Canvas, Parametrisation, make_canvas, total_variation
from pyconvx.visualize._network import dtype_of, input_rank, network_of
from pyconvx.visualize.synthesis import Synthesis, contrast_of, mix_of, start_of

Array = NDArray[Any]


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
    scale = contrast_of(net, contrast, x.shape[-1])
    canvas = make_canvas(parametrisation, x.shape[:-1], mix_of(net, scale))
    likeness = Likeness(graph, layer, x, canvas, scale, smoothness)
    start = start_of(canvas, None, x.shape, np.random.default_rng(random_state))
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
