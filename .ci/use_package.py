"""Uses an installed pyconvx as people do, with the network shut: `python use_package.py [instruction set]`.

Named an instruction set, it must be the only one there is: that is how an emulated old processor is checked.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any


def refuse_network(event: str, _: Any) -> None:
    if event.startswith("socket."):
        raise RuntimeError(f"{event}: nothing here may use the network")


sys.addaudithook(refuse_network)

import numpy as np  # noqa: E402

import pyconvx  # noqa: E402


def check_convolution(dtype: type[np.floating[Any]]) -> None:
    """Small integers: every sum is exact, so the three directions agree with NumPy to the last bit."""
    rng = np.random.default_rng(1)
    x = rng.integers(-4, 5, (2, 9, 11, 5)).astype(dtype)
    w = rng.integers(-4, 5, (3, 3, 5, 19)).astype(dtype)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
    y = pyconvx.conv2d(x, w)
    np.testing.assert_array_equal(y, np.einsum("bhwcij,ijck->bhwk", windows, w))
    dw, db = pyconvx.conv2d_weight_grad(x, y, (3, 3))
    np.testing.assert_array_equal(dw, np.einsum("bhwcij,bhwk->ijck", windows, y))
    np.testing.assert_array_equal(db, y.sum((0, 1, 2)))
    dx = pyconvx.conv2d_input_grad(y, w, x.shape)
    assert np.vdot(dx, x) == np.vdot(y, y)  # <x, dx> = <conv(x, w), dy>


def check_matrices() -> None:
    rng = np.random.default_rng(2)
    x = rng.integers(-4, 5, (1, 6, 7, 21)).astype(np.float32)
    flat = x.reshape(42, 21)
    np.testing.assert_array_equal(pyconvx.gram(x)[0], flat.T @ flat)
    squares = ((flat[:5, None] - flat[None]) ** 2).sum(-1)
    np.testing.assert_array_equal(pyconvx.pairwise_distances(flat[:5], flat), squares)
    distances, numbers = pyconvx.nearest(flat[:5], flat, 3)
    np.testing.assert_array_equal(distances, np.sort(squares, 1)[:, :3])
    np.testing.assert_array_equal(numbers, np.argsort(squares, 1, kind="stable")[:, :3])


def check_threads() -> None:
    """Work that is large enough to be shared out."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal((1, 24, 24, 48), dtype=np.float32)
    w = rng.standard_normal((3, 3, 48, 48), dtype=np.float32)
    results = []
    for threads in (1, 2):
        with pyconvx.num_threads(threads):
            results.append(pyconvx.conv2d(x, w, padding=1).tobytes())
    assert results[0] == results[1], "one thread and two give different bits"


def check_mining() -> None:
    """The second extension is there and chooses what NumPy chooses."""
    x, labels = np.array([[0.0], [1.0], [1.5], [3.0]], np.float32), [7, 7, 8, 8]
    anchor, positive, negative = pyconvx.triplet.mine(x, labels, "batch_hard")
    np.testing.assert_array_equal([anchor, positive, negative], [[0, 1, 2, 3], [1, 0, 3, 2], [2, 2, 1, 1]])
    assert pyconvx.siamese.NearestEncodingClassifier().fit(x, labels).predict(x).tolist() == labels


def check_command() -> None:
    """README's first command, made small, with the packaged weights and pictures."""
    from pyconvx.cli import main as command

    assert command(["info"]) == 0
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "painted.png"
        assert command(["style", "--demo", "--size", "64", "--iterations", "3", "-o", str(picture)]) == 0
        assert pyconvx.image.load(picture).shape[2] == 3


def main() -> None:
    wanted = sys.argv[1:]
    where = Path(pyconvx.__file__).resolve()
    assert "site-packages" in where.parts, f"pyconvx came from {where}, not from an installed wheel"
    if wanted:
        assert pyconvx.available_isas() == wanted, f"found {pyconvx.available_isas()}, not {wanted}"
    check_convolution(np.float32)
    check_convolution(np.float64)
    check_matrices()
    check_threads()
    check_mining()
    if not wanted:
        check_command()
    print(f"result: pyconvx {pyconvx.__version__} works from its wheel, on {pyconvx.active_isa()}, without network")


if __name__ == "__main__":
    main()
