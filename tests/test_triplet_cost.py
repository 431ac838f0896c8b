"""The lecture's triplet loss: by hand, against a loop, its gradient, squared or not, every reduction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import triplet_reference as ref

from pyconvx.errors import DivergedError, DTypeError, OptionError, ShapeError
from pyconvx.triplet import TripletLoss, triplet_loss, triplet_loss_grad

RNG = np.random.default_rng(0)
A, P, N = RNG.standard_normal((3, 9, 4))


def test_by_hand() -> None:
    """The lecture's words: the negative is farther by the margin, or it costs what is missing."""
    a, p, n = np.array([[0.0, 0.0]]), np.array([[1.0, 0.0]]), np.array([[0.0, 2.0]])
    assert triplet_loss(a, p, n, margin=0.2) == 0  # 1 - 4 + 0.2
    assert triplet_loss(a, n, p, margin=0.2) == pytest.approx(3.2)  # 4 - 1 + 0.2
    assert triplet_loss(a, n, p, margin=0.2, squared=False) == pytest.approx(1.2)
    assert triplet_loss(np.repeat(a, 3, 0), np.repeat(n, 3, 0), np.repeat(p, 3, 0)) == pytest.approx(9.6)
    for g in triplet_loss_grad(a, p, n):
        np.testing.assert_array_equal(g, 0)


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("reduction", ["sum", "mean", "mean_nonzero", "none"])
def test_value_and_gradient_are_those_of_the_loop(reduction: Any, squared: bool) -> None:
    metric = "sqeuclidean" if squared else "euclidean"

    def loop(a: Any, p: Any, n: Any) -> Any:
        x = np.concatenate([a, p, n])
        rows = [(i, i + len(a), i + 2 * len(a)) for i in range(len(a))]
        return ref.reduced(ref.triplet(x, rows, 0.5, metric, False), reduction)

    np.testing.assert_allclose(triplet_loss(A, P, N, 0.5, squared=squared, reduction=reduction), loop(A, P, N))
    assert 0 < np.count_nonzero(triplet_loss(A, P, N, 0.5, squared=squared, reduction="none")) < 9
    claimed = triplet_loss_grad(A, P, N, 0.5, squared=squared, reduction=reduction)
    for place, given in enumerate((A, P, N)):

        def at(moved: Any, place: int = place) -> float:
            arrays = [A, P, N]
            arrays[place] = moved
            return float(np.sum(loop(*arrays)))

        np.testing.assert_allclose(claimed[place], ref.gradient(at, given), atol=1e-7)


def test_one_triplet_has_no_axis() -> None:
    a, p, n = A[0], P[0], N[0]
    assert triplet_loss(a, p, n, 5.0) == triplet_loss(A[:1], P[:1], N[:1], 5.0)
    assert isinstance(triplet_loss(a, p, n, 5.0, reduction="none"), float)
    gradients = triplet_loss_grad(a, p, n, 5.0), triplet_loss_grad(A[:1], P[:1], N[:1], 5.0)
    for single, several in zip(*gradients, strict=True):
        np.testing.assert_array_equal(single, several[0])


def test_equal_encodings_have_a_gradient_of_zero() -> None:
    for squared in (True, False):
        assert triplet_loss(A, A, A, 0.2, squared=squared) == pytest.approx(9 * 0.2)
        for g in triplet_loss_grad(A, A, A, 0.2, squared=squared):
            np.testing.assert_array_equal(g, 0)


def test_types_and_the_batch_loss_agree() -> None:
    a, p, n = (array.astype(np.float32) for array in (A, P, N))
    assert {g.dtype for g in triplet_loss_grad(a, p, n)} == {np.dtype(np.float32)}
    np.testing.assert_allclose(triplet_loss(a, p, n), triplet_loss(A, P, N), rtol=1e-5)
    rows = np.arange(9)
    loss = TripletLoss(0.2, mining=lambda x, classes: (rows, rows + 9, rows + 18), reduction="sum")
    value, pullback = loss.vjp(np.concatenate([A, P, N]), [0] * 18 + [1] * 9)
    np.testing.assert_allclose(value, triplet_loss(A, P, N))
    np.testing.assert_allclose(pullback()[0], np.concatenate(triplet_loss_grad(A, P, N)))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: triplet_loss(A, P[1:], N), ShapeError, "a, p and n have shapes"),
        (lambda: triplet_loss(A[None], P[None], N[None]), ShapeError, "a, p and n have shapes"),
        (lambda: triplet_loss(A, P, N.astype(int)), DTypeError, "n is int64"),
        (lambda: triplet_loss(A, P * np.inf, N), DivergedError, "row 0 of p"),
        (lambda: triplet_loss(A, P, N, np.nan), OptionError, "margin"),
        (lambda: triplet_loss(A, P, N, reduction="avg"), OptionError, "reduction"),  # type: ignore[arg-type]
        (lambda: triplet_loss_grad(A, P, N, reduction="avg"), OptionError, "reduction"),  # type: ignore[arg-type]
    ],
)
def test_refusals(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
