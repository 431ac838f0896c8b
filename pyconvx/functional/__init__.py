"""Functions of arrays: convolution and its kin. Everything public here is also in `pyconvx`."""

from pyconvx.functional.conv import (
    conv1d,
    conv1d_input_grad,
    conv1d_weight_grad,
    conv2d,
    conv2d_input_grad,
    conv2d_weight_grad,
    conv3d,
    conv3d_input_grad,
    conv3d_weight_grad,
)

__all__ = [
    "conv1d",
    "conv1d_input_grad",
    "conv1d_weight_grad",
    "conv2d",
    "conv2d_input_grad",
    "conv2d_weight_grad",
    "conv3d",
    "conv3d_input_grad",
    "conv3d_weight_grad",
]
