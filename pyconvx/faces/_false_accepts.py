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
    0, 5, 9, 24, 31, 59, 94, 135, 193, 275, 385, 552, 763, 1038, 1379, 1825, 2398, 3111, 3973, 5042, 6372, 7942, 9845,
    12097, 14650, 17571, 20903, 24530, 28288, 32160, 36065, 39953, 43742, 47401, 50758, 53816, 56670, 59393, 61877,
    64133, 66285, 68229, 69867, 71390, 72680, 73811, 74743, 75513, 76065, 76506, 76846, 77109, 77314, 77510, 77636,
)
# fmt: on


def false_accept_rate(threshold: float) -> float:
    """Return the share of pairs at this distance or nearer, linear between the counts.

    Below the first count there was none; beyond the last one the rate is not known any better than that one.
    """
    distances = FIRST + STEP * np.arange(len(COUNTS))
    return float(np.interp(threshold, distances, COUNTS)) / PAIRS
