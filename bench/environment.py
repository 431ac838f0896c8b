"""Where a benchmark runs: the settings that every contender gets, and the facts that are written beside the numbers."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import pyconvx
from pyconvx._version import __version__

# Without these, memory that was freed goes back to the system, and each large result pays for its pages again: half of
# many "wins" over a peer would be its page faults. Read by glibc when a process starts.
GLIBC_TUNABLES = (
    "glibc.malloc.mmap_threshold=8589934592:glibc.malloc.trim_threshold=17179869184:"
    "glibc.malloc.top_pad=268435456:glibc.malloc.hugetlb=1"
)
# How peers are kept to AVX2 on a processor with more: PyTorch and its two libraries, OpenBLAS (NumPy, SciPy), faiss.
HELD_TO_AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "FAISS_OPT_LEVEL": "avx2",
}
STARTED = "PYCONVX_BENCH_STARTED"
ROOT = Path(__file__).parent.parent


def settings(isa: str, threads: int, tuned_malloc: bool = True, peers: bool = True) -> dict[str, str]:
    """The environment of a process that measures, or without peers only computes.

    Alone, NumPy's OpenBLAS stays what it is: 0.3.34, in NumPy 2.5, crashes on a Zen 4 that is to be a Haswell
    (OpenBLAS issues 6021, 6026).
    """
    environment = dict(os.environ)
    environment.pop("GLIBC_TUNABLES", None)
    if tuned_malloc:
        environment["GLIBC_TUNABLES"] = GLIBC_TUNABLES
    environment["PYCONVX_ISA"] = isa
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *filter(None, [environment.get("PYTHONPATH")])])
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment[name] = str(threads)
    if isa == "avx2" and peers:
        environment |= HELD_TO_AVX2
    return environment


def must_start_again() -> bool:
    """Whether this process lacks the settings that all benchmarks have, which only a start can give."""
    return STARTED not in os.environ


def start_again(module: str, threads: int, isa: str = "") -> int:
    """Run the module with these arguments and the settings; its exit status."""
    environment = settings(isa or pyconvx.active_isa(), threads) | {STARTED: "1"}
    return subprocess.run([sys.executable, "-m", module, *sys.argv[1:]], env=environment, check=False).returncode


def pin(threads: int) -> None:
    """Keep this process to its first `threads` processors, so that one thread does not wander."""
    if hasattr(os, "sched_setaffinity"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, allowed[:threads])


def processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def busy() -> str | None:
    """A warning where others use the processors, or None."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > 0.3 * processors():
        return f"the machine is busy (load {load:.1f} on {processors()} processors): expect noise"
    return None


def facts() -> dict[str, Any]:
    """Processor, versions, compiler, commit and date."""
    return {
        "processor": processor(),
        "processors": processors(),
        "available_isas": pyconvx.available_isas(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "pyconvx": __version__,
        "compiler": compiler_of_core(),
        "commit": commit(),
        "malloc": GLIBC_TUNABLES if platform.libc_ver()[0] == "glibc" else "default",
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
    }


def processor() -> str:
    """Its name; on Linux with family and model, since hypervisors hide the name's end."""
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return platform.processor() or platform.machine()
    lines = (line.split(":", 1) for line in path.read_text().split("\n\n")[0].splitlines() if ":" in line)
    values = {key.strip(): value.strip() for key, value in lines}
    name = values.get("model name", platform.machine())
    return f"{name}, family {values['cpu family']}, model {values['model']}" if "cpu family" in values else name


def compiler_of_core() -> str | None:
    """What the compiler wrote into the extension, if it did."""
    found = re.search(rb"GCC: \([^)\0]+\) [\d.]+|clang version [\d.]+", Path(pyconvx._core.__file__).read_bytes())
    return found.group().decode() if found else None


def commit() -> str | None:
    """The commit, with a plus sign where files differ from it."""
    try:
        head = git("rev-parse", "--short=12", "HEAD")
        return head + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def git(*arguments: str) -> str:
    run = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return run.stdout.strip()
