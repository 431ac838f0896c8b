"""Are two encodings of the same? Verification as binary classification, by a threshold, by the nearest known encoding.

`SiameseNetwork` trains an encoder for it, end to end. The estimators follow scikit-learn's conventions and work in its
pipelines and searches; they do not need it.
"""

from pyconvx.siamese.features import pair_features, pair_features_grad
from pyconvx.siamese.logistic import PairClassifier
from pyconvx.siamese.nearest_encoding import NearestEncodingClassifier
from pyconvx.siamese.network import SiameseNetwork
from pyconvx.siamese.pairs import Pairs, draw_pairs
from pyconvx.siamese.threshold import ThresholdVerifier
from pyconvx.siamese.verifier import PairVerifier

__all__ = [
    "NearestEncodingClassifier",
    "PairClassifier",
    "PairVerifier",
    "Pairs",
    "SiameseNetwork",
    "ThresholdVerifier",
    "draw_pairs",
    "pair_features",
    "pair_features_grad",
]
