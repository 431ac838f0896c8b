"""How a picture that is looked for is written down, so that a step of equal size everywhere makes a natural one.

pixels: the picture itself. fourier: its spectrum, each frequency f divided by max(f, 1/N) as those of natural pictures
are; x = irfft(scale z). The way back is the transposed map: a frequency that stands for itself and its conjugate counts
twice. Any number of axes; channels are apart.
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
    """The picture itself, in units of `contrast`."""

    def __init__(self, size: tuple[int, ...], channels: int, contrast: Array) -> None:
        self.shape = (*size, channels)
        self._contrast = contrast

    def picture(self, z: Array) -> Array:
        return z * self._contrast

    def gradient(self, dx: Array) -> Array:
        return dx * self._contrast

    def parameters(self, x: Array) -> Array:
        return x / self._contrast


class Fourier:
    """Real and imaginary parts of the spectrum `(2, *half, channels)`, in units of a natural picture's."""

    def __init__(self, size: tuple[int, ...], channels: int, contrast: Array) -> None:
        self._size, self._axes = size, tuple(range(len(size)))
        half = (*size[:-1], size[-1] // 2 + 1)
        self.shape = (2, *half, channels)
        squares = np.zeros(half)
        for axis, extent in enumerate(size):
            frequencies = np.fft.rfftfreq(extent) if axis == len(size) - 1 else np.fft.fftfreq(extent)
            squares += np.square(frequencies).reshape([-1 if other == axis else 1 for other in self._axes])
        scale = 1 / np.maximum(np.sqrt(squares), 1 / max(size))
        counted = np.full(half[-1], 2.0)  # each stands for its conjugate too ...
        counted[0] = 1.0  # ... but for the mean
        if size[-1] % 2 == 0:
            counted[-1] = 1.0  # and the highest of an even number
        # One parameter of 1 everywhere gives a picture whose rms is the contrast.
        power = float(np.sum(np.square(scale) * counted)) / np.prod(size)
        self._scale = (scale / np.sqrt(power))[..., None] * contrast
        self._counted = counted[:, None]

    def picture(self, z: Array) -> Array:
        spectrum = (z[0] + 1j * z[1]) * self._scale
        return np.fft.irfftn(spectrum, self._size, self._axes, norm="ortho")

    def gradient(self, dx: Array) -> Array:
        spectrum = np.fft.rfftn(dx, self._size, self._axes, norm="ortho") * self._counted * self._scale
        return np.stack([spectrum.real, spectrum.imag])

    def parameters(self, x: Array) -> Array:
        spectrum = np.fft.rfftn(x, self._size, self._axes, norm="ortho") / self._scale
        return np.stack([spectrum.real, spectrum.imag])


def make_canvas(kind: Parametrisation, size: tuple[int, ...], channels: int, contrast: Array) -> Canvas:
    """Return the canvas of a name.

    Raises
    ------
    OptionError
        If it is unknown.
    """
    if kind == "pixels":
        return Pixels(size, channels, contrast)
    if kind == "fourier":
        return Fourier(size, channels, contrast)
    raise OptionError(f"parametrisation is {kind!r}; wanted 'fourier' or 'pixels'")


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
