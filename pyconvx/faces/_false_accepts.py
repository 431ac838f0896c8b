"""How often two strangers are as near as a threshold, with the packaged weights on the ORL faces.

40 persons, 10 pictures each: 78,000 pairs of different persons, all counted. The counts are what
`tools/face_anchors.py --table` prints.
"""

from __future__ import annotations

import numpy as np

PAIRS = 78_000
FIRST, STEP = 0.46, 0.01  # distances of the counts
# fmt: off
COUNTS = (
    0, 5, 9, 24, 31, 58, 94, 135, 193, 275, 385, 553, 761, 1039, 1377, 1824, 2397, 3109, 3970, 5038, 6371, 7939, 9835,
    12096, 14641, 17559, 20899, 24521, 28281, 32157, 36054, 39940, 43737, 47391, 50751, 53810, 56662, 59384, 61869,
    64127, 66284, 68226, 69863, 71387, 72678, 73810, 74741, 75511, 76064, 76506, 76846, 77109, 77314, 77511, 77635,
)
# fmt: on


def false_accept_rate(threshold: float) -> float:
    """Return the share of pairs at this distance or nearer, linear between the counts.

    Below the first count there was none; beyond the last one the rate is not known any better than that one.
    """
    distances = FIRST + STEP * np.arange(len(COUNTS))
    return float(np.interp(threshold, distances, COUNTS)) / PAIRS
