"""Faces: find them, turn them upright, encode them, and say whether two are one person.

There is no liveness detection: a photograph of a face, held before the camera, counts as the face. Do not open a door
with this alone.
"""

from pyconvx.faces._models import FaceModels
from pyconvx.faces.alignment import align, locate_landmarks
from pyconvx.faces.calibration import calibrate
from pyconvx.faces.clustering import cluster
from pyconvx.faces.detection import detect
from pyconvx.faces.drawing import blur, crop, draw
from pyconvx.faces.encoding import encode
from pyconvx.faces.face import Face
from pyconvx.faces.gallery import Gallery
from pyconvx.faces.gallery_sync import SyncReport
from pyconvx.faces.identification import Candidate, Identification, search_threshold
from pyconvx.faces.selection import Policy, select
from pyconvx.faces.streaming import Outcome, stream
from pyconvx.faces.verification import Verification, verify

__all__ = [
    "Candidate",
    "Face",
    "FaceModels",
    "Gallery",
    "Identification",
    "Outcome",
    "Policy",
    "SyncReport",
    "Verification",
    "align",
    "blur",
    "calibrate",
    "cluster",
    "crop",
    "detect",
    "draw",
    "encode",
    "locate_landmarks",
    "search_threshold",
    "select",
    "stream",
    "verify",
]
