"""What every trainer of a similarity shares: batches, schedules, the loop, validation, watching for a collapse.

`pyconvx.triplet.TripletTrainer` and `pyconvx.siamese.SiameseNetwork` are made of it. `Augment` changes examples at
random on the way, and `encoder1d`, `encoder2d` and `encoder3d` are networks to begin with.
"""

from pyconvx.training.augment import Augment
from pyconvx.training.cluster import embed_with_dask
from pyconvx.training.embedding import embed
from pyconvx.training.encoders import encoder1d, encoder2d, encoder3d
from pyconvx.training.encoding import encode
from pyconvx.training.folders import scan_files
from pyconvx.training.history import History
from pyconvx.training.inputs import InputFormat
from pyconvx.training.loading import LabelledSet, load_classes
from pyconvx.training.mpi import MpiCommunicator
from pyconvx.training.parallel import Communicator
from pyconvx.training.result import TrainingResult, TrainingStep
from pyconvx.training.sampler import PKSampler
from pyconvx.training.saved import SavedEncoder, load_encoder, save_encoder
from pyconvx.training.schedules import constant, cosine, step_decay
from pyconvx.training.shares import compare
from pyconvx.training.validation import OneShot, Validation, one_shot_accuracy
from pyconvx.training.warp import warp

__all__ = [
    "Augment",
    "Communicator",
    "History",
    "InputFormat",
    "LabelledSet",
    "MpiCommunicator",
    "OneShot",
    "PKSampler",
    "SavedEncoder",
    "TrainingResult",
    "TrainingStep",
    "Validation",
    "compare",
    "constant",
    "cosine",
    "embed",
    "embed_with_dask",
    "encode",
    "encoder1d",
    "encoder2d",
    "encoder3d",
    "load_classes",
    "load_encoder",
    "one_shot_accuracy",
    "save_encoder",
    "scan_files",
    "step_decay",
    "warp",
]
