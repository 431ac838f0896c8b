"""Threads: how many, whose, and that nothing hangs: forks and concurrent callers.

What could hang runs in a process of its own with a time-out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from cases import draw_normal
from check import assert_same_bits

import pyconvx

TIMEOUT = 120
SET_UP = """
    import numpy as np
    import pyconvx
    rng = np.random.default_rng(1)
    x = rng.standard_normal((2, 40, 40, 32)).astype(np.float32)
    w = rng.standard_normal((3, 3, 32, 64)).astype(np.float32)
    def work():
        y = pyconvx.conv2d(x, w, padding=1)
        dw, db = pyconvx.conv2d_weight_grad(x, y, (3, 3), padding=1)
        return y.tobytes() + dw.tobytes()
"""


def run(program: str, **environment: str) -> str:
    """What a fresh process prints; SET_UP has run in it. A process that hangs is killed, and the test fails."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SET_UP) + textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# How many


def test_the_default_is_what_the_process_may_use() -> None:
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert 1 <= int(run("print(pyconvx.get_num_threads())")) <= allowed


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity on this system")
def test_the_default_follows_the_affinity() -> None:
    one = "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
    program = one + "import pyconvx; print(pyconvx.get_num_threads())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=TIMEOUT, check=True)
    assert done.stdout.strip() == "1"


@pytest.mark.parametrize("value", ["1", "1,2"])
def test_the_default_follows_omp_num_threads(value: str) -> None:
    assert run("print(pyconvx.get_num_threads())", OMP_NUM_THREADS=value) == "1"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts the threads that Linux lists")
def test_brief_work_by_itself_wakes_no_threads() -> None:
    """A call of some 40 us would be over before they come."""
    program = """
        import os, time
        pyconvx.set_num_threads(2)
        threads = lambda: len(os.listdir("/proc/self/task"))
        before = threads()
        for _ in range(3):
            pyconvx.conv2d(x[:1, :28, :28], w[:1, :1])
            time.sleep(0.01)
        brief = threads() - before
        pyconvx.conv2d(x, w, padding=1)
        print(brief, threads() - before)
    """
    assert run(program) == "0 1"


def test_num_threads_restores_what_was_set_even_after_an_error() -> None:
    before = pyconvx.get_num_threads()
    with pyconvx.num_threads(3):
        assert pyconvx.get_num_threads() == 3
        with pytest.raises(ZeroDivisionError), pyconvx.num_threads(2):
            raise ZeroDivisionError
        assert pyconvx.get_num_threads() == 3
    assert pyconvx.get_num_threads() == before


def test_the_number_belongs_to_the_calling_thread() -> None:
    default, seen = int(run("print(pyconvx.get_num_threads())")), []

    def other() -> None:
        seen.append(pyconvx.get_num_threads())
        pyconvx.set_num_threads(default + 5)
        seen.append(pyconvx.get_num_threads())

    with pyconvx.num_threads(default + 3):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert seen == [default, default + 5]
        assert pyconvx.get_num_threads() == default + 3


# Instruction set from the environment


@pytest.mark.parametrize("name", pyconvx.available_isas())
def test_the_environment_chooses_the_instruction_set(name: str) -> None:
    assert run("print(pyconvx.active_isa(), len(work()) > 0)", PYCONVX_ISA=name) == f"{name} True"


def test_the_environment_cannot_choose_one_that_is_missing() -> None:
    out = run(
        """
        try:
            work()
        except pyconvx.OptionError as error:
            print(error)
        """,
        PYCONVX_ISA="sse9",
    )
    assert "sse9" in out
    assert "scalar" in out


# Nothing hangs


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("before", ["pass", "work()"], ids=["fresh", "after a parallel call"])
def test_a_forked_child_computes_the_same(before: str) -> None:
    out = run(f"""
        import os, warnings
        warnings.simplefilter("ignore")
        pyconvx.set_num_threads(4)
        {before}
        child = os.fork()
        if not child:
            os._exit(0 if work() == work() and sum(work()) else 1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        grandchild = os.fork()
        mine = work()
        if not grandchild:
            os._exit(0)
        print(status, os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]), mine == work())
    """)
    assert out == "0 0 True"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_children_forked_while_other_threads_compute() -> None:
    # The locks of the pool and of the team may be held by another thread at the moment of the fork.
    out = run("""
        import os, threading, warnings
        warnings.simplefilter("ignore")
        pyconvx.set_num_threads(2)
        expected, stop = work(), threading.Event()
        def keep_computing():
            while not stop.is_set():
                work()
        threads = [threading.Thread(target=keep_computing) for _ in range(2)]
        for thread in threads:
            thread.start()
        statuses = []
        for _ in range(15):
            child = os.fork()
            if not child:
                os._exit(0 if work() == expected else 1)
            statuses.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        stop.set()
        for thread in threads:
            thread.join()
        print(set(statuses))
    """)
    assert out == "{0}"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_multiprocessing_pool_of_forks() -> None:
    out = run("""
        import multiprocessing, warnings
        warnings.simplefilter("ignore")
        expected = work()
        def same(_):
            return work() == expected
        with multiprocessing.get_context("fork").Pool(2) as pool:
            print(all(pool.map(same, range(6))))
    """)
    assert out == "True"


def test_callers_on_several_python_threads() -> None:
    x, w = draw_normal((1, 30, 31, 16), "float32", 1), draw_normal((3, 3, 16, 40), "float32", 2)
    expected = pyconvx.conv2d(x, w, padding=1)
    expected_dw, _ = pyconvx.conv2d_weight_grad(x, expected, (3, 3), padding=1)

    def compute(threads: int) -> tuple[np.ndarray, np.ndarray]:
        with pyconvx.num_threads(threads):
            y = pyconvx.conv2d(x, w, padding=1)
            return y, pyconvx.conv2d_weight_grad(x, y, (3, 3), padding=1)[0]

    with ThreadPoolExecutor(6) as pool:
        for y, dw in pool.map(compute, [1 + i % 3 for i in range(60)], timeout=TIMEOUT):
            assert_same_bits(y, expected)
            assert_same_bits(dw, expected_dw)


@pytest.mark.parametrize("name", pyconvx.available_isas())
def test_many_threads_at_once_have_the_bits_of_one(name: str) -> None:
    program = Path(__file__).with_name("stress.py")
    done = subprocess.run(
        [sys.executable, "-W", "error", program, "2", "6"],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        env={**os.environ, "PYCONVX_ISA": name},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 1000
    assert done.stdout.split()[-1] == str(not sysconfig.get_config_var("Py_GIL_DISABLED"))


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python always has its lock")
def test_a_python_without_a_global_lock_stays_without() -> None:
    assert run("import sys; work(); print(sys._is_gil_enabled())") == "False"


# The caller's floating-point mode


@pytest.mark.skipif(sys.platform != "linux", reason="fesetround is called through glibc")
def test_the_callers_rounding_mode_reaches_the_workers() -> None:
    out = run("""
        import ctypes, ctypes.util, platform
        libm = ctypes.CDLL(ctypes.util.find_library("m"))
        upward = {"x86_64": 0x800, "aarch64": 0x400000}[platform.machine()]
        pyconvx.set_num_threads(1)
        nearest = work()
        results = []
        for threads in (1, 4, 1):
            pyconvx.set_num_threads(threads)
            libm.fesetround(upward)
            results.append(work())
            libm.fesetround(0)
        pyconvx.set_num_threads(4)
        print(results[0] == results[1] == results[2], results[0] != nearest, work() == nearest)
    """)
    assert out == "True True True"
