"""What every trainer of a similarity shares: batches, schedules, the loop, validation, watching for a collapse.

`pyconvx.triplet.TripletTrainer` and `pyconvx.siamese.SiameseNetwork` are made of it.
"""

from pyconvx.training.encoding import encode
from pyconvx.training.folders import LabelledSet, load_classes
from pyconvx.training.history import History
from pyconvx.training.inputs import InputFormat
from pyconvx.training.parallel import Communicator
from pyconvx.training.result import TrainingResult, TrainingStep
from pyconvx.training.sampler import PKSampler
from pyconvx.training.schedules import constant, cosine, step_decay
from pyconvx.training.validation import OneShot, Validation, one_shot_accuracy

__all__ = [
    "Communicator",
    "History",
    "InputFormat",
    "LabelledSet",
    "OneShot",
    "PKSampler",
    "TrainingResult",
    "TrainingStep",
    "Validation",
    "constant",
    "cosine",
    "encode",
    "load_classes",
    "one_shot_accuracy",
    "step_decay",
]
