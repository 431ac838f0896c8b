"""VGG-16 with the packaged weights, and a user's own VGG-16 or VGG-19."""

from __future__ import annotations

import os

import numpy as np

from pyconvx.errors import OptionError, WeightsError
from pyconvx.models._packaged import read_packaged
from pyconvx.models.card import Card
from pyconvx.models.catalogue import CARDS
from pyconvx.models.network import Network
from pyconvx.models.preprocessing import CAFFE, TORCHVISION

LAST = "conv5_1"
PREPROCESSINGS = {"torchvision": TORCHVISION, "caffe": CAFFE}


def vgg16(pooling: str = "max") -> Network:
    """Return VGG-16 up to relu5_1 with its packaged weights.

    Layers are conv1_1, relu1_1, conv1_2, ..., pool1, ..., conv5_1, relu5_1. The weights are stored in 8 bits and
    computed with in float32; `card` says where they come from and what they are good for.

    Parameters
    ----------
    pooling : {"max", "avg"}
        As trained, or averages instead, which make smoother pictures in style transfer.

    Raises
    ------
    OptionError
        If `pooling` is unknown.
    WeightsError
        If the weight file is missing or damaged.

    References
    ----------
    K. Simonyan, A. Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014.

    Examples
    --------
    >>> from pyconvx import image, models
    >>> vgg = models.vgg16()
    >>> x = vgg.preprocess(image.load(image.packaged("chelsea"), size=64))
    >>> vgg.net.features(x, ["relu3_1"])["relu3_1"].shape
    (1, 10, 16, 256)
    """
    from pyconvx.models._vgg_layers import build

    card = CARDS["vgg16"]
    net = build(16, pooling, LAST)
    stored = read_packaged(card)
    state = {}
    for name in [name for name in stored if name.endswith(".weight")]:
        layer = name.removesuffix(".weight")
        state[name] = stored[name].astype(np.float32) * stored[f"{layer}.scale"]
        state[f"{layer}.bias"] = stored[f"{layer}.bias"]
    net.load_state_dict(state)
    return Network(net, CAFFE, card)


def load_vgg(
    path: str | os.PathLike[str], depth: int = 16, *, pooling: str = "max", preprocessing: str = "torchvision"
) -> Network:
    """Return a VGG-16 or VGG-19 with weights from a file of yours.

    Parameters
    ----------
    path : str or path-like
        A safetensors file, or a PyTorch state dict (which needs torch, and is read by its safe loader): torchvision's
        names (`features.0.weight` ...) and layout (out, in, kh, kw). Entries of the classifier are ignored.
    depth : {16, 19}
        Which network the file holds.
    pooling : {"max", "avg"}
        As trained, or averages instead.
    preprocessing : {"torchvision", "caffe"}
        What the weights were trained with: torchvision's RGB / 255 minus mean over deviation, or the first VGG's
        BGR levels minus mean (weights converted from Caffe keep that). It cannot be told from the file.

    Raises
    ------
    OptionError
        If an option is unknown.
    WeightsError
        If the file is damaged, or does not hold that network; nothing in it is executed.
    MissingExtraError
        If it is a PyTorch file and torch is not installed.
    OSError
        If it cannot be read.
    """
    from pyconvx.models._vgg_files import read_vgg
    from pyconvx.models._vgg_layers import build

    if preprocessing not in PREPROCESSINGS:
        raise OptionError(f"preprocessing: got {preprocessing!r}; one of {', '.join(PREPROCESSINGS)}")
    net = build(depth, pooling)
    state = read_vgg(path, depth)
    try:
        net.load_state_dict(state, layout="pytorch")
    except WeightsError as error:  # shapes and types, by our names
        raise WeightsError(f"{os.fspath(path)}: {error}") from None
    chosen = PREPROCESSINGS[preprocessing]
    card = Card(
        name=f"vgg{depth}",
        summary=f"VGG-{depth} with weights from {os.fspath(path)}",
        licence="that of the file",
        sources=(os.fspath(path),),
        notes=(),
        preprocessing=str(chosen),
    )
    return Network(net, chosen, card)
