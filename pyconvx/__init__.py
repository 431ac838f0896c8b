"""pyconvx: fast N-D convolution on a CPU, and what small convolutional networks are used for."""

from pyconvx._version import __version__

__all__ = ["__version__"]
