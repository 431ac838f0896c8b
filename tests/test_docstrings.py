"""Docstrings: the examples run and print what they say, and public functions describe every argument."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable

import pytest

import pyconvx

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(pyconvx.__path__, "pyconvx.")
    if not module.name.rpartition(".")[2].startswith("_")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    module = importlib.import_module(name)
    runner = doctest.DocTestRunner(verbose=False)
    report: list[str] = []
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, name):
        runner.run(test, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)


def described(doc: str) -> set[str]:
    """Names under the heading Parameters; one line may describe several: "stride, dilation : int"."""
    section = re.search(r"^ *Parameters\n *-+\n(.*?)(?=^ *[A-Z]\w+\n *-+\n|\Z)", doc, re.M | re.S)
    if not section:
        return set()
    lines = inspect.cleandoc("\n" + section[1]).split("\n")
    return {name.strip() for line in lines if re.match(r"\w", line) for name in line.partition(":")[0].split(",")}


def undescribed(function: Callable[..., object]) -> list[str]:
    doc = inspect.cleandoc(function.__doc__ or "")
    return [name for name in inspect.signature(function).parameters if name not in described(doc)]


@pytest.mark.parametrize("name", sorted(pyconvx.functional.__all__))
def test_functions_describe_every_argument(name: str) -> None:
    function = getattr(pyconvx, name)
    assert not undescribed(function)
    for heading in ("Returns", "Raises"):
        assert re.search(rf"^ *{heading}\n *-+\n", function.__doc__, re.M), f"no section {heading}"


def test_most_functions_of_arrays_have_an_example() -> None:
    with_example = [name for name in pyconvx.functional.__all__ if ">>>" in getattr(pyconvx, name).__doc__]
    assert {"conv1d", "conv2d", "conv3d", "gram"} <= set(with_example)


def test_the_checks_can_fail() -> None:
    def function(x: int, stride: int, dilation: int, secret: int) -> None:
        """One sentence.

        Parameters
        ----------
        x : int
            secret
        stride, dilation : int

        Returns
        -------
        secret : int
        """

    assert undescribed(function) == ["secret"]
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert doctest.DocTestRunner(verbose=False).run(wrong, out=lambda text: None).failed == 1
