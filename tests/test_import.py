"""What `import pyconvx` loads, and that the compute core needs no network. Each test runs in a fresh process."""

from __future__ import annotations

import subprocess
import sys
import textwrap

TIMEOUT = 120


def run(program: str) -> str:
    """What the program prints; it must end well and leave nothing on stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout


def loaded_over_numpy() -> set[str]:
    """Modules that pyconvx loads and NumPy did not."""
    out = run("""
        import sys, numpy
        before = set(sys.modules)
        import pyconvx
        print(*sorted(set(sys.modules) - before))
    """)
    return set(out.split())


def test_import_is_light() -> None:
    modules = loaded_over_numpy()
    foreign = {name.split(".")[0] for name in modules} - {"numpy", "pyconvx"} - set(sys.stdlib_module_names)
    assert not foreign, f"import pyconvx loads {sorted(foreign)}"
    heavy = {
        "socket",
        "ssl",
        "sqlite3",
        "argparse",
        "asyncio",
        "multiprocessing",
        "http",
        "email",
        "unittest",
        "urllib",
    }
    assert not modules & heavy
    late = {f"pyconvx.{room}" for room in ("style", "models", "weights", "image", "cli", "faces", "visualize", "nn")}
    assert not modules & late, "sub-packages are loaded when they are used"
    assert len(modules) < 40, sorted(modules)


def test_import_opens_no_weights() -> None:
    out = run("""
        import sys, numpy
        opened = []
        sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
        import pyconvx
        print(*[name for name in opened if not name.endswith((".py", ".pyc", ".so", ".pyd"))], sep="\\n")
    """)
    # What the system tells about processors and quotas is read to choose the number of threads.
    assert [name for name in out.split("\n") if name and not name.startswith(("/proc/", "/sys/"))] == []


def test_the_compute_core_works_with_sockets_blocked() -> None:
    out = run("""
        import sys
        def refuse(event, args):
            if event.startswith("socket."):
                raise PermissionError(f"{event} {args}")
        sys.addaudithook(refuse)
        import numpy as np
        import pyconvx
        x, w = np.ones((1, 6, 6, 3), np.float32), np.ones((3, 3, 3, 4), np.float32)
        y = pyconvx.conv2d(x, w, padding=1, activation="relu")
        dx = pyconvx.conv2d_input_grad(y, w, x.shape, padding=1)
        dw, db = pyconvx.conv2d_weight_grad(x, y, (3, 3), padding=1)
        pooled, indices = pyconvx.max_pool2d(y, 2, return_indices=True)
        pyconvx.avg_pool2d(y, 2), pyconvx.gram(y), pyconvx.nearest(y[0, 0], y[0, 1])
        print(float(y.max()), y.shape, dx.shape, dw.shape, db.shape, pooled.shape)
    """)
    assert out == "27.0 (1, 6, 6, 4) (1, 6, 6, 3) (3, 3, 3, 4) (4,) (1, 3, 3, 4)\n"


def test_the_blocked_socket_would_be_seen() -> None:
    out = run("""
        import sys
        def refuse(event, args):
            if event.startswith("socket."):
                raise PermissionError(event)
        sys.addaudithook(refuse)
        import socket
        try:
            socket.socket()
        except PermissionError as error:
            print(error)
    """)
    assert out == "socket.__new__\n"


def test_every_public_name_exists_and_is_documented() -> None:
    out = run("""
        import pyconvx
        for name in pyconvx.__all__:
            thing = getattr(pyconvx, name)
            if callable(thing) and not (thing.__doc__ or "").strip():
                print(name)
    """)
    assert out == "", f"without a docstring: {out.split()}"


def test_dir_tells_what_all_tells() -> None:
    out = run("import pyconvx; print(*sorted(set(pyconvx.__all__) - set(dir(pyconvx))))")
    assert out.strip() == ""
