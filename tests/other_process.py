"""Another process that works on a gallery, with the made-up people of `gallery_people` at hand."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

HERE = Path(__file__).parent


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process, with the made-up people at hand."""
    head = f"import sys; sys.path.insert(0, {str(HERE)!r})\nfrom gallery_people import *\n"
    command = [sys.executable, "-c", head + textwrap.dedent(program), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> str:
    out, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return out
