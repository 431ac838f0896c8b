"""scikit-learn's own checks of its conventions, where it is installed."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

from pyconvx.siamese import NearestEncodingClassifier, PairClassifier, ThresholdVerifier

pytestmark = pytest.mark.sklearn
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    sklearn = pytest.importorskip("sklearn", minversion="1.6")
    from sklearn.utils.estimator_checks import parametrize_with_checks

ESTIMATORS = [
    PairClassifier(),
    ThresholdVerifier(),
    NearestEncodingClassifier(),
    NearestEncodingClassifier("cosine", "mean"),
]


def cannot_apply(estimator: Any) -> dict[str, str]:
    """Checks that ask for what an estimator is not, each with the reason."""
    return {}


with warnings.catch_warnings():
    # It warns that they inherit nothing of it, and would, lazily, during collection.
    warnings.simplefilter("ignore")
    _mark = parametrize_with_checks(ESTIMATORS, expected_failed_checks=cannot_apply)
    CHECKS = list(_mark.args[1])


@pytest.mark.parametrize(_mark.args[0], CHECKS, ids=_mark.kwargs["ids"])
def test_conventions(estimator: Any, check: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)
