"""Networks with their weights, what they want as input, and where they come from."""

from pyconvx.models._packaged import check_packaged
from pyconvx.models.card import Card
from pyconvx.models.catalogue import CARDS
from pyconvx.models.network import Network
from pyconvx.models.preprocessing import Preprocessing
from pyconvx.models.vgg import load_vgg, vgg16

__all__ = ["CARDS", "Card", "Network", "Preprocessing", "check_packaged", "load_vgg", "vgg16"]
