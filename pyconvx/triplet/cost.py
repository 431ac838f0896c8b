"""The lecture's triplet loss, one triplet a row: A anchor, P positive, N negative; f(.) their encodings."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import OptionError, ShapeError
from pyconvx.triplet.batch import Reduction, Value, check_reduction, read_encodings, term_factors

Array = NDArray[Any]


def triplet_loss(
    a: ArrayLike,
    p: ArrayLike,
    n: ArrayLike,
    margin: float = 0.2,
    *,
    squared: bool = True,
    reduction: Reduction = "sum",
) -> Value:
    """Return J = sum over the triplets of max(||f(A) - f(P)||^2 - ||f(A) - f(N)||^2 + margin, 0).

    Parameters
    ----------
    a, p, n : array_like
        Encodings f(A), f(P), f(N), `(triplets, depth)`, or `(depth,)` for one triplet; float32 or float64.
    margin : float
        The lecture's alpha: by how much the negative must be farther than the positive. Without one, f = 0 would do.
    squared : bool
        False takes the distances themselves, ||f(A) - f(P)|| - ||f(A) - f(N)|| + margin.
    reduction : {"sum", "mean", "mean_nonzero", "none"}
        The lecture's sum, the mean over all triplets or over those that still cost something, or each loss by itself.

    Returns
    -------
    float
        Or with reduction="none" an array `(triplets,)`.

    Raises
    ------
    ShapeError, DTypeError, OptionError, DivergedError
        If shapes differ, arrays are not floating point, an option is unknown, or a number is not finite.

    Notes
    -----
    Source: the lecture on convolutional networks' special applications, "triplet loss"; Schroff, Kalenichenko and
    Philbin, FaceNet, 2015, equation 2. With squared=True there is no deviation. PyTorch's `TripletMarginLoss` is
    squared=False with reduction="mean", but for the 1e-6 that it adds to every difference.

    Examples
    --------
    >>> import numpy as np
    >>> a, p, n = np.array([[0.0, 0.0], [0.0, 0.0]]), np.array([[0.5, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0]] * 2)
    >>> triplet_loss(a, p, n, margin=0.2)  # max(0.25 - 1 + 0.2, 0) + max(1 - 1 + 0.2, 0)
    0.2
    >>> triplet_loss(a, p, n, margin=1.0, reduction="none")
    array([0.25, 1.  ])
    """
    parts = _parts(a, p, n, margin, squared)
    each = np.maximum(parts.violation, 0)
    if check_reduction(reduction) == "none":
        return float(each[0]) if parts.single else each
    return float(np.vdot(each, term_factors(each, (each.size,), reduction)))


def triplet_loss_grad(
    a: ArrayLike,
    p: ArrayLike,
    n: ArrayLike,
    margin: float = 0.2,
    *,
    squared: bool = True,
    reduction: Reduction = "sum",
) -> tuple[Array, Array, Array]:
    """Return dJ / df(A), dJ / df(P), dJ / df(N); arguments as for `triplet_loss`, "none" has the gradient of the sum.

    A triplet that keeps the margin has no gradient. Squared, the others have 2 (f(N) - f(P)), 2 (f(P) - f(A)) and
    2 (f(A) - f(N)). The distance itself has no derivative at 0; there it counts as 0.

    Examples
    --------
    >>> import numpy as np
    >>> triplet_loss_grad(np.array([0.0]), np.array([1.0]), np.array([-0.5]))
    (array([-3.]), array([2.]), array([1.]))
    """
    parts = _parts(a, p, n, margin, squared)
    each = np.maximum(parts.violation, 0)
    weight = term_factors(each, (each.size,), check_reduction(reduction)) * (parts.violation > 0)
    near, far = (side * (weight * factor)[:, np.newaxis] for side, factor in (parts.near, parts.far))
    gradients = [(gradient[0] if parts.single else gradient) for gradient in (near - far, -near, far)]
    d_a, d_p, d_n = (gradient.astype(parts.dtype) for gradient in gradients)
    return d_a, d_p, d_n


class _Parts(NamedTuple):
    violation: Array  # d(A, P) - d(A, N) + margin
    near: tuple[Array, Array]  # f(A) - f(P), and the factor that makes it the derivative of d(A, P)
    far: tuple[Array, Array]
    dtype: np.dtype[Any]
    single: bool


def _parts(a: ArrayLike, p: ArrayLike, n: ArrayLike, margin: float, squared: bool) -> _Parts:
    if not np.isfinite(margin):
        raise OptionError(f"margin is {margin!r}; it must be a number")
    shapes = [np.shape(array) for array in (a, p, n)]
    if len(set(shapes)) > 1 or len(shapes[0]) not in (1, 2):
        raise ShapeError(
            f"a, p and n have shapes {shapes[0]}, {shapes[1]} and {shapes[2]}; wanted one shape, (triplets, depth)"
        )
    single = len(shapes[0]) == 1
    given = [
        read_encodings(np.atleast_2d(np.asarray(array)), name) for name, array in zip("apn", (a, p, n), strict=True)
    ]
    anchor, positive, negative = (array.astype(np.float64) for array in given)
    near, far = anchor - positive, anchor - negative
    squares = [np.square(side).sum(axis=1) for side in (near, far)]
    if squared:
        distances, factors = squares, [np.full(len(anchor), 2.0)] * 2
    else:
        distances = [np.sqrt(square) for square in squares]
        factors = [np.divide(1, d, out=np.zeros(d.shape), where=d > 0) for d in distances]
    violation = distances[0] - distances[1] + margin
    return _Parts(violation, (near, factors[0]), (far, factors[1]), np.result_type(*given), single)
