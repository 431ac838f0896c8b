"""How a picture that is looked for is written down, so that a step of equal size everywhere makes a natural one.

pixels: the picture itself. fourier: its spectrum, each frequency f divided by max(f, 1/N) as those of natural pictures
are; x = irfft(scale z). The way back is the transposed map: a frequency that stands for itself and its conjugate counts
twice. Any number of axes. Channels are mixed last, x = p M': M holds the contrast of each channel, and for pictures in
colour the axes of photographs' colours, along which they are independent.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pyconvx.errors import OptionError

Array = NDArray[Any]
Parametrisation = Literal["pixels", "fourier"]


class Canvas(Protocol):
    """From parameters to a picture `(*size, channels)`, and from its gradient to theirs."""

    shape: tuple[int, ...]

    def picture(self, z: Array) -> Array:
        """Return the picture."""
        ...

    def gradient(self, dx: Array) -> Array:
        """Return the gradient with respect to the parameters."""
        ...

    def parameters(self, x: Array) -> Array:
        """Return parameters of which `picture` makes `x`."""
        ...


class Pixels:
    """The picture itself, its channels mixed."""

    def __init__(self, size: tuple[int, ...], mix: Array) -> None:
        self.shape = (*size, len(mix))
        self._mix = mix

    def picture(self, z: Array) -> Array:
        mixed: Array = z @ self._mix.T
        return mixed

    def gradient(self, dx: Array) -> Array:
        gradient: Array = dx @ self._mix
        return gradient

    def parameters(self, x: Array) -> Array:
        unmixed: Array = x @ np.linalg.inv(self._mix).T
        return unmixed


class Fourier:
    """Real and imaginary parts of the spectrum `(2, *half, channels)`, in units of a natural picture's."""

    def __init__(self, size: tuple[int, ...], mix: Array) -> None:
        self._size, self._axes = size, tuple(range(len(size)))
        half = (*size[:-1], size[-1] // 2 + 1)
        self.shape = (2, *half, len(mix))
        squares = np.zeros(half)
        for axis, extent in enumerate(size):
            frequencies = np.fft.rfftfreq(extent) if axis == len(size) - 1 else np.fft.fftfreq(extent)
            squares += np.square(frequencies).reshape([-1 if other == axis else 1 for other in self._axes])
        scale = 1 / np.maximum(np.sqrt(squares), 1 / max(size))
        counted = np.full(half[-1], 2.0)  # each stands for its conjugate too ...
        counted[0] = 1.0  # ... but for the mean
        if size[-1] % 2 == 0:
            counted[-1] = 1.0  # and the highest of an even number
        # Parameters of variance 1 give a picture of variance 1, before its channels are mixed.
        power = float(np.sum(np.square(scale) * counted)) / np.prod(size)
        self._scale = (scale / np.sqrt(power))[..., None]
        self._counted = counted[:, None]
        self._mix = mix

    def picture(self, z: Array) -> Array:
        spectrum = (z[0] + 1j * z[1]) * self._scale
        mixed: Array = np.fft.irfftn(spectrum, self._size, self._axes, norm="ortho") @ self._mix.T
        return mixed

    def gradient(self, dx: Array) -> Array:
        spectrum = np.fft.rfftn(dx @ self._mix, self._size, self._axes, norm="ortho") * self._counted * self._scale
        return np.stack([spectrum.real, spectrum.imag])

    def parameters(self, x: Array) -> Array:
        unmixed = x @ np.linalg.inv(self._mix).T
        spectrum = np.fft.rfftn(unmixed, self._size, self._axes, norm="ortho") / self._scale
        return np.stack([spectrum.real, spectrum.imag])


def make_canvas(kind: Parametrisation, size: tuple[int, ...], mix: Array) -> Canvas:
    """Return the canvas of a name, for pictures of `size` whose channels `mix` (channels, channels) makes.

    Raises
    ------
    OptionError
        If the name is unknown.
    """
    if kind == "pixels":
        return Pixels(size, mix)
    if kind == "fourier":
        return Fourier(size, mix)
    raise OptionError(f"parametrisation is {kind!r}; wanted 'fourier' or 'pixels'")


def color_axes() -> Array:
    """Return the axes along which photographs' colours vary independently, as columns over R, G and B.

    Grey, red against blue, green against both; their lengths are the standard deviations that we measured on 408
    photographs, such that the three channels have a mean variance of 1.
    """
    axes = np.array([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    lengths = np.array([1.63, 0.53, 0.26])
    columns: Array = axes.T * lengths
    return columns


def blurred(x: Array, sigma: float) -> Array:
    """Return a picture `(*size, channels)` blurred by a Gaussian of `sigma` pixels, its edges repeated."""
    if sigma <= 0:
        return x
    radius = max(1, int(np.ceil(3 * sigma)))
    weights = np.exp(-np.square(np.arange(-radius, radius + 1) / sigma) / 2)
    weights /= weights.sum()
    for axis in range(x.ndim - 1):
        wide = np.pad(x, [(radius, radius) if other == axis else (0, 0) for other in range(x.ndim)], mode="edge")
        extent = x.shape[axis]
        x = sum(
            (weight * np.take(wide, range(tap, tap + extent), axis) for tap, weight in enumerate(weights)),
            start=np.zeros_like(x),
        )
    return x


def total_variation(x: Array) -> tuple[float, Array]:
    """Return the sum of squared differences of neighbours along every axis but the last, and its gradient."""
    value, dx = 0.0, np.zeros_like(x)
    for axis in range(x.ndim - 1):
        difference = np.diff(x, axis=axis)
        value += float(np.sum(np.square(difference)))
        later = tuple(slice(1, None) if other == axis else slice(None) for other in range(x.ndim))
        earlier = tuple(slice(None, -1) if other == axis else slice(None) for other in range(x.ndim))
        dx[later] += 2 * difference
        dx[earlier] -= 2 * difference
    return value, dx
