"""The options that all convolutions share, as one object: functions make it, layers keep it."""

from __future__ import annotations

from typing import NamedTuple

from pyconvx.functional._arguments import Padding, PerAxis, choice


class ConvOptions(NamedTuple):
    """Geometry and algorithm of a convolution, as the caller wrote them: its sizes and its plan check them."""

    stride: PerAxis = 1
    padding: Padding = 0
    dilation: PerAxis = 1
    groups: int = 1
    data_format: str = "channels_last"
    algorithm: str = "auto"
    precision: str = "default"
    output_padding: PerAxis = 0  # of a transposed convolution

    @property
    def fast(self) -> bool:
        """Whether algorithms with a larger rounding error may be chosen."""
        return self.precision == "fast"

    def check(self) -> None:
        """Refuses unknown names."""
        choice("precision", self.precision, ("default", "fast"))
        choice("algorithm", self.algorithm, ("auto", "direct", "winograd", "fft"))
