"""What the documentation of `nn` shows is run, and everything public has some."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

from pyconvx import nn

MODULES = sorted(f"pyconvx.nn.{module.name}" for module in pkgutil.iter_modules(nn.__path__))


def test_examples_are_there() -> None:
    assert doctest.testmod(importlib.import_module("pyconvx.nn.graph")).attempted > 0


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_everything_public_is_documented() -> None:
    for name in nn.__all__:
        assert (getattr(nn, name).__doc__ or "").strip(), name
    assert len(set(nn.__all__)) == len(nn.__all__)
