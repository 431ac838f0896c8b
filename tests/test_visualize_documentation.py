"""Public functions of `visualize` describe every argument, what they return and what they raise."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys

import pytest
from test_docstrings import described

from pyconvx import visualize

FUNCTIONS = sorted(name for name in visualize.__all__ if inspect.isfunction(getattr(visualize, name)))
SMALL = {"crop", "format_table", "receptive_fields"}  # one line says it all


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in SMALL])
def test_functions_describe_every_argument(name: str) -> None:
    function = getattr(visualize, name)
    doc = inspect.cleandoc(function.__doc__)
    parameters = inspect.signature(function).parameters.values()
    wanted = {one.name for one in parameters if one.kind is not inspect.Parameter.VAR_KEYWORD}
    assert wanted <= described(doc), wanted - described(doc)
    assert re.search(r"^Returns\n-+\n", doc, re.M), "no section Returns"


def test_everything_public_is_documented() -> None:
    for name in visualize.__all__:
        assert (getattr(visualize, name).__doc__ or "").strip(), name
    assert sorted(set(visualize.__all__)) == sorted(visualize.__all__)


def test_importing_loads_no_pillow() -> None:
    program = "import sys; import pyconvx.visualize; print([name for name in sys.modules if name.startswith('PIL')])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "[]\n"
