"""Losses: values by hand, gradients by finite differences, extremes, refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from gradients import STEP, TOLERANCE
from numpy.typing import NDArray

from pyconvx import nn
from pyconvx.errors import DTypeError, OptionError, ShapeError

Array = NDArray[Any]

RNG = np.random.default_rng(0)
SOFT = RNG.dirichlet(np.ones(5), 4)
CASES: dict[str, tuple[Callable[[Any], nn.Loss], tuple[int, ...], Array]] = {
    "mse": (nn.MSELoss, (3, 4), RNG.standard_normal((3, 4))),
    "bce": (nn.BCEWithLogitsLoss, (3, 4), RNG.random((3, 4))),
    "cross entropy": (nn.CrossEntropyLoss, (4, 5), np.array([0, 4, 2, 2])),
    "cross entropy of pictures": (nn.CrossEntropyLoss, (2, 3, 5), np.array([[0, 1, 2], [3, 4, 0]])),
    "soft targets": (nn.CrossEntropyLoss, (4, 5), SOFT),
    "smoothing": (lambda r: nn.CrossEntropyLoss(r, label_smoothing=0.2), (4, 5), np.array([0, 4, 2, 2])),
}


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("name", CASES)
def test_gradient_agrees_with_finite_differences(name: str, reduction: str) -> None:
    make, shape, target = CASES[name]
    loss = make(reduction)
    x = np.random.default_rng(1).standard_normal(shape)
    value, pullback = loss.vjp(x, target)
    dvalue = np.random.default_rng(2).standard_normal(np.shape(value))
    dx, grads = pullback(dvalue)
    assert grads == {}
    direction = np.random.default_rng(3).standard_normal(shape)

    def along(t: float) -> float:
        return float(np.sum(loss(x + t * direction, target) * dvalue))

    measured = (along(STEP) - along(-STEP)) / (2 * STEP)
    assert abs(measured - np.vdot(dx, direction)) < TOLERANCE * max(1, abs(measured))
    if reduction != "none":
        np.testing.assert_array_equal(pullback()[0], pullback(1.0)[0])


@pytest.mark.parametrize("name", CASES)
def test_reductions_agree(name: str) -> None:
    make, shape, target = CASES[name]
    x = np.random.default_rng(1).standard_normal(shape)
    each = make("none")(x, target)
    assert isinstance(make("sum")(x, target), float)
    np.testing.assert_allclose(make("sum")(x, target), each.sum())
    np.testing.assert_allclose(make("mean")(x, target), each.mean())


def test_values_by_hand() -> None:
    assert nn.MSELoss()(np.array([1.0, 2.0]), np.array([0, 4])) == 2.5
    np.testing.assert_allclose(nn.CrossEntropyLoss()(np.array([[0.0, np.log(3)]]), [1]), -np.log(0.75))
    np.testing.assert_allclose(nn.BCEWithLogitsLoss()(np.array([0.0, np.log(3)]), [1, 0]), np.log([2, 4]).mean())
    smooth = nn.CrossEntropyLoss(label_smoothing=0.5)(np.array([[0.0, np.log(3)]]), [1])
    np.testing.assert_allclose(smooth, -0.75 * np.log(0.75) - 0.25 * np.log(0.25))


def test_extremes_stay_finite() -> None:
    """Logits of a thousand neither overflow nor give a NaN, and a class of probability 0 may have -inf."""
    logits = np.float32([[1000, -1000], [-1000, 1000]])
    value, pullback = nn.CrossEntropyLoss().vjp(logits, [0, 0])
    assert value == 1000
    np.testing.assert_array_equal(pullback()[0], np.float32([[0, 0], [-0.5, 0.5]]))
    assert nn.CrossEntropyLoss()(np.array([[0.0, -np.inf]]), [0]) == 0
    value, pullback = nn.BCEWithLogitsLoss("sum").vjp(np.float32([1000, -1000]), [0, 1])
    assert value == 2000
    np.testing.assert_array_equal(pullback()[0], np.float32([1, -1]))


def test_gradient_has_the_prediction_s_type() -> None:
    for make, shape, target in CASES.values():
        assert make("mean").vjp(np.zeros(shape, np.float32), target)[1]()[0].dtype == np.float32


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.MSELoss("avg"), OptionError, "reduction"),  # type: ignore[arg-type]
        (lambda: nn.MSELoss()(np.zeros(3), np.zeros(4)), ShapeError, "target has shape"),
        (lambda: nn.MSELoss()(np.zeros(3, int), np.zeros(3)), DTypeError, "prediction has type"),
        (lambda: nn.MSELoss()(np.zeros(1), ["a"]), DTypeError, "target has type"),
        (lambda: nn.BCEWithLogitsLoss()(np.zeros(2), [0, 2]), OptionError, "within 0 and 1"),
        (lambda: nn.BCEWithLogitsLoss()(np.zeros(2), [0, np.nan]), OptionError, "within 0 and 1"),
        (lambda: nn.CrossEntropyLoss()(np.zeros((2, 3)), [0, 3]), OptionError, "labels go from 0 to 3"),
        (lambda: nn.CrossEntropyLoss()(np.zeros((2, 3)), [-1, 0]), OptionError, "labels go from -1"),
        (lambda: nn.CrossEntropyLoss()(np.zeros((2, 3)), [0]), ShapeError, "labels have shape"),
        (lambda: nn.CrossEntropyLoss()(np.zeros((2, 3)), [True, False]), DTypeError, "bool"),
        (lambda: nn.CrossEntropyLoss(label_smoothing=1.0), OptionError, "label_smoothing"),
        (lambda: nn.MSELoss("none").vjp(np.zeros(3), np.zeros(3))[1](np.zeros(2)), ShapeError, "dvalue"),
    ],
)
def test_refusals(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
