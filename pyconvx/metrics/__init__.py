"""How well distances tell same from different, and which threshold to take.

A distance is small for the same person and large for two; a pair is accepted where d <= threshold. Verification (1:1):
`roc`, `det`, `auc`, `eer`, `tar_at_far`, `balanced_accuracy`, `best_threshold`, `group_report` and the LFW protocol
(`read_lfw_pairs`, `lfw_10fold`). Recognition (1:K): `cmc`, `rank_k`, `open_set`. `calibrate` chooses a threshold for a
wanted false-accept rate. Nothing here knows of faces: any encodings will do.
"""

from pyconvx.metrics.accuracy import BestThreshold, Rates, balanced_accuracy, best_threshold, rates
from pyconvx.metrics.calibration import Calibration, calibrate
from pyconvx.metrics.curves import Det, EqualErrorRate, Roc, auc, det, eer, roc
from pyconvx.metrics.groups import GroupRates, group_report
from pyconvx.metrics.identification import OpenSet, cmc, open_set, rank_k
from pyconvx.metrics.lfw import LfwPair, LfwResult, lfw_10fold, read_lfw_pairs
from pyconvx.metrics.operating import OperatingPoint, least_impostors, tar_at_far
from pyconvx.metrics.pairs import Pairs, all_pairs
from pyconvx.metrics.search import pair_rate, search_rate

__all__ = [
    "BestThreshold",
    "Calibration",
    "Det",
    "EqualErrorRate",
    "GroupRates",
    "LfwPair",
    "LfwResult",
    "OpenSet",
    "OperatingPoint",
    "Pairs",
    "Rates",
    "Roc",
    "all_pairs",
    "auc",
    "balanced_accuracy",
    "best_threshold",
    "calibrate",
    "cmc",
    "det",
    "eer",
    "group_report",
    "least_impostors",
    "lfw_10fold",
    "open_set",
    "pair_rate",
    "rank_k",
    "rates",
    "read_lfw_pairs",
    "roc",
    "search_rate",
    "tar_at_far",
]
