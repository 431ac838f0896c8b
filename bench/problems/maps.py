"""Maps of activations of one picture, for Gram matrices and pooling."""

from __future__ import annotations

from bench.shapes import MapProblem

GRAM = [
    MapProblem("relu1_1 at 256", "many positions, few channels", (256, 256), 64, group="Gram, up to 128 channels"),
    MapProblem("relu2_1 at 256", "128 channels", (128, 128), 128, True, True, group="Gram, up to 128 channels"),
    MapProblem("relu3_1 at 256", "256 channels", (64, 64), 256, floor=True, group="Gram"),
    MapProblem("relu4_1 at 256", "many channels, few positions", (32, 32), 512, quick=True, group="Gram"),
    MapProblem("relu1_1 at 512", "twice the picture: memory traffic", (512, 512), 64, group="Gram, up to 128 channels"),
    MapProblem("audio style", "a 1D map: 431 frames, 1025 bins", (431,), 1025, group="Gram"),
]
POOL = [
    MapProblem("vgg pool1", "the largest map", (256, 256), 64, group="pooling 2x2"),
    MapProblem("vgg pool2", "128 channels", (128, 128), 128, quick=True, group="pooling 2x2"),
    MapProblem("vgg pool4", "many channels, small map", (32, 32), 512, group="pooling 2x2"),
    MapProblem("ecg pool", "1D", (5000,), 64, group="pooling, 1D and 3D"),
    MapProblem("ct pool", "3D", (48, 48, 48), 32, group="pooling, 1D and 3D"),
]
