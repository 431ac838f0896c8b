"""Networks with their weights, what they want as input, and where they come from."""

from pyconvx.models._packaged import check_packaged
from pyconvx.models.card import Card
from pyconvx.models.catalogue import CARDS
from pyconvx.models.detector import FaceDetector, face_detector
from pyconvx.models.dlib_files import load_dlib
from pyconvx.models.encoder import FaceEncoder, face_encoder
from pyconvx.models.network import Network
from pyconvx.models.predictor import LandmarkPredictor, landmarks
from pyconvx.models.preprocessing import Preprocessing
from pyconvx.models.vgg import load_vgg, vgg16

__all__ = [
    "CARDS",
    "Card",
    "FaceDetector",
    "FaceEncoder",
    "LandmarkPredictor",
    "Network",
    "Preprocessing",
    "check_packaged",
    "face_detector",
    "face_encoder",
    "landmarks",
    "load_dlib",
    "load_vgg",
    "vgg16",
]
