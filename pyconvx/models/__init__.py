"""Networks with their weights, what they want as input, and where they come from."""

from pyconvx.models._packaged import check_packaged
from pyconvx.models.card import Card
from pyconvx.models.catalogue import CARDS
from pyconvx.models.preprocessing import Preprocessing

__all__ = ["CARDS", "Card", "Preprocessing", "check_packaged"]
