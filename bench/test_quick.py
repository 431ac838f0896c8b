"""The quick set under pytest-benchmark: `pytest bench/test_quick.py`, and its --benchmark-compare between commits.

Times pyconvx alone on one thread, each result checked first; not part of the tests, which never time.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import pytest

import pyconvx
from bench.__main__ import BENCHMARKS
from bench.harness import Case, check
from bench.one_run import STYLE
from bench.peers import Peers

NOBODY = Peers(threads=1)
QUICK = [
    case
    for name in BENCHMARKS
    if name != STYLE
    for case in importlib.import_module(f"bench.bench_{name}").cases(NOBODY, quick=True, at_most=None)
]


@pytest.mark.parametrize("case", QUICK, ids=[case.label.replace(" ", "-") for case in QUICK])
def test_quick(case: Case, benchmark: Callable[..., Any]) -> None:
    prepared = case.prepare()
    with pyconvx.num_threads(1):
        for row in check(case, prepared)[0]:
            assert row.counted, f"error {row.error:.1e} above the gate {row.gate:.1e}"
        benchmark(next(side.call for side in prepared.sides if side.ours))
