"""The network that `pyconvx visualize` looks at: a packaged one, or one that a function of the user's makes."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyconvx.errors import OptionError

# The lecture's five layers, one of each block.
VGG_LAYERS = ["conv1_2", "conv2_2", "conv3_3", "conv4_2", "conv5_1"]
ENCODER_LAYERS = ["conv1", "block3_conv2", "block7_conv2", "block10_conv2", "block14_conv2"]
CHIP = 150
INPUT = "input"  # in the metadata of what training.save_encoder writes


def load(arguments: argparse.Namespace) -> Any:
    """Return the network, with its weights."""
    name = arguments.network
    if (arguments.depth, arguments.preprocessing) != (None, None) and (name != "vgg16" or arguments.weights is None):
        raise OptionError("--depth and --preprocessing are for a VGG of yours: --network vgg16 --weights FILE")
    if name == "vgg16":
        return _vgg(arguments)
    if name == "face_encoder":
        return _face_encoder(arguments)
    if name.endswith(".safetensors"):
        return _saved(arguments)
    if ":" not in name:
        raise OptionError(f"--network: got {name!r}; wanted vgg16, face_encoder, FILE.safetensors or FILE.py:FUNCTION")
    return _own(arguments)


def default_layers(arguments: argparse.Namespace, net: Any) -> list[str]:
    """Return the layers that are looked at if none are named: of a network of the user's, all its convolutions."""
    if arguments.network == "vgg16":
        return VGG_LAYERS
    if arguments.network == "face_encoder":
        return ENCODER_LAYERS
    from pyconvx import nn

    layers = [node.name for node in inner(net).nodes if isinstance(node.layer, (nn.Conv1d, nn.Conv2d, nn.Conv3d))]
    if not layers:
        raise OptionError("--layers: the network has no convolutions; name the layers to look at")
    return layers


def inner(net: Any) -> Any:
    """Return the layers inside a model, or the network itself."""
    from pyconvx import nn

    return net if isinstance(net, nn.Layer) else getattr(net, "net", net)


def preprocess(arguments: argparse.Namespace) -> Callable[[Any], Any] | None:
    """Return how files become inputs of a network that was saved with its way of reading them; else None."""
    from pyconvx import training
    from pyconvx.nn import safetensors

    path = arguments.network
    if not path.endswith(".safetensors") or INPUT not in safetensors.load_metadata(path):
        return None
    if arguments.size is not None:
        raise OptionError(f"--size: {path} says itself what size its pictures have")
    form = training.load_encoder(path).format

    def read(element: Any) -> Any:
        return form.read(element) if isinstance(element, (str, os.PathLike)) else form.prepare(element)

    read.__qualname__ = f"InputFormat {form.to_json()}"  # a state file tells ways of reading apart by it
    return read


def default_size(arguments: argparse.Namespace) -> int | tuple[int, int] | None:
    """Return what pictures are resized to."""
    if arguments.size is not None:
        size: int = arguments.size
        return size
    if arguments.network == "face_encoder":
        return CHIP, CHIP
    return 224 if arguments.network == "vgg16" else None


def _vgg(arguments: argparse.Namespace) -> Any:
    from pyconvx import models

    if arguments.weights is None:
        return models.vgg16()
    return models.load_vgg(
        arguments.weights, arguments.depth or 16, preprocessing=arguments.preprocessing or "torchvision"
    )


def _face_encoder(arguments: argparse.Namespace) -> Any:
    from pyconvx import models

    if arguments.weights is not None:
        raise OptionError("--weights: the face encoder has its own; give a function that makes yours: FILE.py:FUNCTION")
    encoder: Any = models.face_encoder()  # a Graph, which models.Network takes as well as a Sequential
    # What models.face_encoder() does to the levels of an aligned face.
    preprocessing = models.Preprocessing("rgb", (122.782, 117.001, 104.298), (256.0, 256.0, 256.0))
    return models.Network(encoder.net, preprocessing, encoder.card)


def _saved(arguments: argparse.Namespace) -> Any:
    from pyconvx import nn

    if arguments.weights is not None:
        raise OptionError("--weights: the file that --network names has them already")
    return nn.load_network(arguments.network)


def _own(arguments: argparse.Namespace) -> Any:
    """Run the user's file, as `python FILE` would, and call the function in it."""
    from pyconvx import nn

    path, _, function = arguments.network.rpartition(":")
    if not Path(path).is_file():
        raise OptionError(f"--network: there is no file {path}")
    spec = importlib.util.spec_from_file_location(Path(path).stem, path)
    if spec is None or spec.loader is None:
        raise OptionError(f"--network: {path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
        make = getattr(module, function, None)
        net = make() if callable(make) else None
    except Exception as error:
        raise OptionError(f"--network: {arguments.network} fails: {type(error).__name__}: {error}") from error
    if not callable(make):
        raise OptionError(f"--network: {path} has no function {function!r}")
    graph = inner(net)
    if not isinstance(graph, (nn.Sequential, nn.Residual, nn.Graph)):
        raise OptionError(
            f"--network: {function} returned a {type(net).__name__}; wanted an nn.Sequential, nn.Residual, nn.Graph or "
            "a models.Network"
        )
    if arguments.weights is not None:
        graph.load(arguments.weights)
    return net
