"""Layers with state, losses, optimisers, and their weights in safetensors.

Every layer is a function with state: `y = layer(x)` computes; `y, pullback = layer.vjp(x, wrt=...)` also returns a pure
function, `dx, grads = pullback(dy)`. There is no tape and no tensor class; arrays are NumPy's, channels-last.
"""

from pyconvx.nn import safetensors
from pyconvx.nn.activation import PReLU, ReLU
from pyconvx.nn.adam import Adam, AdamW
from pyconvx.nn.architecture import build, describe, load_network, save_network
from pyconvx.nn.conv import Conv1d, Conv2d, Conv3d
from pyconvx.nn.conv_transpose import ConvTranspose2d
from pyconvx.nn.dropout import Dropout
from pyconvx.nn.flatten import Flatten
from pyconvx.nn.graph import Graph
from pyconvx.nn.layer import Layer
from pyconvx.nn.lbfgs import LBFGS
from pyconvx.nn.linear import Linear
from pyconvx.nn.losses import BCEWithLogitsLoss, CrossEntropyLoss, Loss, MSELoss
from pyconvx.nn.merge import Add, Concat, Merge, Multiply, PaddedAdd
from pyconvx.nn.normalization import BatchNorm, L2Normalize
from pyconvx.nn.parameter import Parameter
from pyconvx.nn.pooling import AvgPool1d, AvgPool2d, AvgPool3d, GlobalAvgPool, MaxPool1d, MaxPool2d, MaxPool3d
from pyconvx.nn.residual import Residual
from pyconvx.nn.sequential import Sequential
from pyconvx.nn.sgd import SGD

__all__ = [
    "LBFGS",
    "SGD",
    "Adam",
    "AdamW",
    "Add",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "BCEWithLogitsLoss",
    "BatchNorm",
    "Concat",
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose2d",
    "CrossEntropyLoss",
    "Dropout",
    "Flatten",
    "GlobalAvgPool",
    "Graph",
    "L2Normalize",
    "Layer",
    "Linear",
    "Loss",
    "MSELoss",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "Merge",
    "Multiply",
    "PReLU",
    "PaddedAdd",
    "Parameter",
    "ReLU",
    "Residual",
    "Sequential",
    "build",
    "describe",
    "load_network",
    "safetensors",
    "save_network",
]
