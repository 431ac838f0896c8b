"""Learning a similarity: the lecture's triplet loss, losses over batches, the choice of triplets, batches for them.

`triplet_loss` is the formula. A loss over a batch is an object: `value, pullback = loss.vjp(encodings, labels)`, then
`dencodings, grads = pullback()`. `mine` chooses triplets in a batch, `mine_offline` over a whole set; `PKSampler` draws
batches in which there is something to choose. `TripletTrainer` does all of it.
"""

from pyconvx.training import PKSampler
from pyconvx.triplet.batch import BatchLoss
from pyconvx.triplet.batch_triplet import TripletLoss
from pyconvx.triplet.contrastive import ContrastiveLoss
from pyconvx.triplet.cost import triplet_loss, triplet_loss_grad
from pyconvx.triplet.information import NPairsLoss, NTXentLoss, SupConLoss
from pyconvx.triplet.mining import Triplets, mine
from pyconvx.triplet.offline import mine_offline, nearest_classes
from pyconvx.triplet.proxies import ArcFaceLoss, ProxyAnchorLoss
from pyconvx.triplet.trainer import TripletTrainer
from pyconvx.triplet.weighted import CircleLoss, MultiSimilarityLoss

__all__ = [
    "ArcFaceLoss",
    "BatchLoss",
    "CircleLoss",
    "ContrastiveLoss",
    "MultiSimilarityLoss",
    "NPairsLoss",
    "NTXentLoss",
    "PKSampler",
    "ProxyAnchorLoss",
    "SupConLoss",
    "TripletLoss",
    "TripletTrainer",
    "Triplets",
    "mine",
    "mine_offline",
    "nearest_classes",
    "triplet_loss",
    "triplet_loss_grad",
]
