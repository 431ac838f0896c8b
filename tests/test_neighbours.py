"""Beside other users of threads in one process: of OpenMP, and libraries with an OpenMP of their own.

Each program runs in a fresh process that is killed when it hangs.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
import textwrap

import pytest

TIMEOUT = 120
WORK = """
    import os
    import numpy as np
    import pyconvx
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 40, 40, 32)).astype(np.float32)
    w = rng.standard_normal((3, 3, 32, 64)).astype(np.float32)
    pyconvx.set_num_threads(2)
    def work():
        return pyconvx.conv2d(x, w, padding=1).tobytes()
    def in_a_child():
        child = os.fork()
        if not child:
            os._exit(0 if all(work() == expected for _ in range(30)) and len(os.listdir("/proc/self/task")) < 10 else 1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""
# Calls GCC's OpenMP library, as another extension would: the very one that a build with PYCONVX_OPENMP=ON is linked to.
OTHER_USER = """
    import ctypes
    library = ctypes.CDLL("libgomp.so.1")
    ran = []
    @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
    def body(_):
        ran.append(1)
    def other_user(threads):
        library.GOMP_parallel(body, None, threads, 0)
"""


def run(*programs: str) -> list[str]:
    """The words that the programs, one after the other in one process, print."""
    program = "".join(textwrap.dedent(part) for part in programs)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def has_libgomp() -> bool:
    try:
        ctypes.CDLL("libgomp.so.1")
    except OSError:
        return False
    return True


needs_libgomp = pytest.mark.skipif(not has_libgomp(), reason="there is no libgomp here")


@needs_libgomp
def test_another_user_of_openmp() -> None:
    out = run(
        WORK,
        OTHER_USER,
        """
        expected = work()
        other_user(5)
        print(work() == expected, len(ran))
        """,
    )
    assert out == ["True", "5"]


@needs_libgomp
@pytest.mark.parametrize("first", ["other_user(4)", "other_user(4); work()", "work(); other_user(4)"])
def test_a_child_forked_after_another_user_had_a_team(first: str) -> None:
    # The library does not know that its team stayed behind in the parent.
    out = run(
        WORK,
        OTHER_USER,
        f"""
        pyconvx.set_num_threads(1)
        expected = work()
        pyconvx.set_num_threads(2)
        {first}
        print(in_a_child(), work() == expected)
        """,
    )
    assert out == ["0", "True"]


@needs_libgomp
def test_called_from_inside_another_users_parallel_region() -> None:
    out = run(
        WORK,
        OTHER_USER,
        """
        expected, results = work(), []
        @ctypes.CFUNCTYPE(None, ctypes.c_void_p)
        def body(_):
            results.append(work() == expected)
        library.GOMP_parallel(body, None, 3, 0)
        print(len(results), all(results))
        """,
    )
    assert out == ["3", "True"]


NEIGHBOURS = {
    "sklearn": "from sklearn.cluster import KMeans; KMeans(3, n_init=1, random_state=0).fit(x.reshape(-1, 32)[:2000])",
    "faiss": "import faiss; index = faiss.IndexFlatL2(32); index.add(x.reshape(-1, 32)); index.search(x[0, 0], 3)",
    "scipy": "import scipy.linalg; scipy.linalg.svd(x[0, :, :, 0])",
    "torch": "import torch; torch.set_num_threads(2); torch.tensor(x) @ torch.tensor(x).mT",
}


@pytest.mark.neighbours
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("name", NEIGHBOURS)
@pytest.mark.parametrize("order", ["before", "after"])
def test_beside_a_library_with_threads_of_its_own(name: str, order: str) -> None:
    if importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is not installed")
    first = "pass" if order == "after" else f"import {name}"
    theirs = NEIGHBOURS[name]
    out = run(
        f"import warnings; warnings.simplefilter('ignore')\n{first}\n",
        WORK,
        f"""
        expected = work()
        {theirs}
        print(work() == expected)
        {theirs}
        print(in_a_child())
        """,
    )
    assert out == ["True", "0"]
