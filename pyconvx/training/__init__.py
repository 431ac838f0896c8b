"""What trainers share."""

from pyconvx.training.augment import Augment, Augmentation
from pyconvx.training.encoders import encoder1d, encoder2d, encoder3d
from pyconvx.training.warp import warp

__all__ = ["Augment", "Augmentation", "encoder1d", "encoder2d", "encoder3d", "warp"]
