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
from pyconvx.functional.conv_transpose import (
    conv_transpose1d,
    conv_transpose1d_input_grad,
    conv_transpose1d_weight_grad,
    conv_transpose2d,
    conv_transpose2d_input_grad,
    conv_transpose2d_weight_grad,
    conv_transpose3d,
    conv_transpose3d_input_grad,
    conv_transpose3d_weight_grad,
)
from pyconvx.functional.distance import nearest, pairwise_distances
from pyconvx.functional.gram import gram, gram_grad

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
    "conv_transpose1d",
    "conv_transpose1d_input_grad",
    "conv_transpose1d_weight_grad",
    "conv_transpose2d",
    "conv_transpose2d_input_grad",
    "conv_transpose2d_weight_grad",
    "conv_transpose3d",
    "conv_transpose3d_input_grad",
    "conv_transpose3d_weight_grad",
    "gram",
    "gram_grad",
    "nearest",
    "pairwise_distances",
]
