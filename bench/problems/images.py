"""Convolutions of pictures: layers of VGG, ResNet and their kin."""

from __future__ import annotations

from bench.shapes import conv, of

FIRST = of(
    "first 2D layer",
    conv("vgg conv1_1", "three input channels, the largest map", (256, 256), (3, 64), 3, 1, quick=True),
    conv("resnet stem", "7x7 stride 2 from three channels", (224, 224), (3, 64), 7, 3, 2),
)
# With SMALL the ten layers that the prototype of KERNELS.md was measured on.
THREE = of(
    "3x3",
    conv("vgg conv1_2", "few channels, the most memory traffic", (256, 256), (64, 64), 3, 1, floor=True),
    conv("vgg conv2_1", "channels double", (128, 128), (64, 128), 3, 1, floor=True),
    conv("vgg conv2_2", "128 channels", (128, 128), (128, 128), 3, 1, floor=True),
    conv("vgg conv3_2", "256 channels", (64, 64), (256, 256), 3, 1, quick=True, floor=True),
    conv(
        "vgg conv4_2", "512 channels: the weights fill the second-level cache", (32, 32), (512, 512), 3, 1, floor=True
    ),
    conv("resnet layer1", "rows of 56, a multiple of no tile", (56, 56), (64, 64), 3, 1, quick=True, floor=True),
    conv("resnet layer2", "rows of 28", (28, 28), (128, 128), 3, 1),
)
SMALL = of(
    "3x3 small maps",
    conv("vgg conv5_1", "small map, many channels: few pixels for each weight", (16, 16), (512, 512), 3, 1),
    conv("resnet layer3", "rows of 14", (14, 14), (256, 256), 3, 1, quick=True),
    conv("resnet layer4", "rows of 7, 512 channels", (7, 7), (512, 512), 3, 1),
)
STRIDE = of(
    "3x3 stride 2",
    conv("resnet down", "3x3 stride 2", (56, 56), (128, 128), 3, 1, 2, quick=True),
    conv("resnet down deep", "the same on a small map", (14, 14), (512, 512), 3, 1, 2),
)
ONE = of(
    "1x1",
    conv("resnet expand", "1x1: a matrix product", (56, 56), (64, 256), 1, quick=True),
    conv("resnet reduce", "1x1 the other way", (56, 56), (256, 64), 1),
    conv("resnet shortcut", "1x1 stride 2", (56, 56), (256, 512), 1, 0, 2),
    conv("resnet expand deep", "49 pixels, a million weights", (7, 7), (512, 2048), 1),
)
COLOURS = of(
    "1x1, few channels",
    conv("colours", "a picture's colours mixed anew", (256, 256), (3, 3), 1, quick=True),
    conv("grey", "the same to one", (256, 256), (3, 1), 1),
    conv("scores", "a few classes of each pixel", (128, 128), (8, 5), 1),
)
FIVE = of(
    "5x5",
    conv("inception 5x5", "a larger kernel", (28, 28), (96, 96), 5, 2, quick=True, floor=True),
    conv("5x5 64", "few channels, a larger map", (56, 56), (64, 64), 5, 2, floor=True),
    conv("5x5 narrow", "channels double on a small map", (14, 14), (32, 64), 5, 2),
)
GROUPED = of(
    "grouped",
    conv("resnext 2", "two channels a group", (56, 56), (64, 64), 3, 1, groups=32),
    conv("resnext", "32 groups of 4 channels", (56, 56), (128, 128), 3, 1, groups=32),
    conv("resnext 8", "eight channels a group", (28, 28), (256, 256), 3, 1, groups=32),
    conv("resnext 16", "16 channels a group", (14, 14), (512, 512), 3, 1, groups=32),
)
DILATED = of(
    "dilated",
    conv("deeplab", "3x3 dilated by 2", (32, 32), (256, 256), 3, 2, 1, 2, floor=True),
    conv("ecg dilated", "temporal network: kernel 3 dilated by 8", (2500,), (64, 64), 3, 8, 1, 8, batch=8),
)
IMAGES = FIRST + THREE + SMALL + STRIDE + ONE + COLOURS + FIVE + GROUPED + DILATED
