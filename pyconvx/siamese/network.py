"""Two inputs, one encoder: a network that says whether they show the same, trained end to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx import training
from pyconvx._checkpoint import PathLike
from pyconvx._progress import Report
from pyconvx.errors import OptionError, ShapeError
from pyconvx.metrics import all_pairs, best_threshold
from pyconvx.nn import Adam, Layer
from pyconvx.nn._arrays import as_float
from pyconvx.siamese.features import Kind, check_kind
from pyconvx.siamese.pair_losses import ContrastivePairLoss, LogisticPairLoss
from pyconvx.siamese.verifier import PairVerifier
from pyconvx.training.encoders import Size
from pyconvx.training.examples import read_examples
from pyconvx.training.holder import EncoderHolder
from pyconvx.training.loop import Augment, Objective
from pyconvx.training.parallel import Communicator
from pyconvx.training.recipe import MakeOptimizer, Recipe
from pyconvx.training.result import TrainingResult
from pyconvx.training.schedules import Schedule
from pyconvx.training.session import Callback, Outside, fit

Array = NDArray[Any]

_MOST = 2000  # examples whose pairs the threshold is found from


class SiameseNetwork(EncoderHolder):
    """Compares two inputs by the encodings that one and the same network gives them: d(x_1, x_2) = ||f(x_1) - f(x_2)||.

    Parameters
    ----------
    encoder : nn.Layer or {"small", "medium"}
        f: takes `(batch, *spatial, channels)` of any rank, gives `(batch, depth)`, of length 1 as a rule. A name: a
        ready encoder is made to fit the examples, as for `pyconvx.triplet.TripletTrainer`.
    features : {"absolute", "chi2"}
        What the logistic unit sees of a pair: |f_i - f_j|, or (f_i - f_j)^2 / (|f_i| + |f_j|).

    Attributes
    ----------
    head : LogisticPairLoss or None
        The logistic unit, `weight` and `bias`, once it was trained.
    threshold : float or None
        The distance up to which two inputs count as the same, where there is no logistic unit.

    Notes
    -----
    Source: the lecture on convolutional networks' special applications, "Siamese network" and "face verification and
    binary classification"; Taigman et al., DeepFace, 2014. Both inputs of all pairs are encoded together, in one batch.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import nn
    >>> rng = np.random.default_rng(0)
    >>> persons = rng.standard_normal((10, 1, 4), np.float32)
    >>> x = (persons + 0.2 * rng.standard_normal((10, 8, 4), np.float32)).reshape(80, 4)
    >>> labels = np.repeat(np.arange(10), 8)
    >>> network = SiameseNetwork(nn.Sequential(nn.Linear(4, 16, random_state=0), nn.ReLU(),
    ...     nn.Linear(16, 8, random_state=1), nn.L2Normalize()))
    >>> result = network.fit(x, labels, n_classes=5, steps=150)
    >>> network.verify(x[[0, 0]], x[[1, 40]])
    array([ True, False])
    """

    def __init__(self, encoder: Layer | Size = "small", *, features: Kind = "absolute") -> None:
        super().__init__(encoder)
        check_kind(features)
        self.features = features
        self.head: LogisticPairLoss | None = None
        self.threshold: float | None = None

    def distance(self, first: ArrayLike, second: ArrayLike, *, batch_size: int = 64) -> Array:
        """Return d of pairs of inputs, (pairs,); all are encoded as one batch, `batch_size` at a time."""
        one, other = self._encoded(first, second, batch_size)
        result: Array = np.sqrt(np.square(one.astype(np.float64) - other).sum(axis=1))
        return result

    def verify(self, first: ArrayLike, second: ArrayLike, *, batch_size: int = 64) -> NDArray[np.bool_]:
        """Return whether the inputs of each pair are of the same class, (pairs,).

        By the logistic unit (y > 1/2), else by the threshold on the distance; OptionError before either is known.
        """
        if self.head is not None:
            same: NDArray[np.bool_] = self.predict_proba(first, second, batch_size=batch_size) > 0.5
            return same
        if self.threshold is None:
            raise OptionError("this SiameseNetwork cannot decide yet; call fit, or calibrate")
        near: NDArray[np.bool_] = self.distance(first, second, batch_size=batch_size) <= self.threshold
        return near

    def predict_proba(self, first: ArrayLike, second: ArrayLike, *, batch_size: int = 64) -> Array:
        """Return the logistic unit's y for each pair, (pairs,): the probability that both are of the same class."""
        if self.head is None:
            raise OptionError("this SiameseNetwork has no logistic unit; fit with loss='logistic' trains one")
        return self.head.probabilities(*self._encoded(first, second, batch_size))

    def calibrate(self, x: ArrayLike, labels: ArrayLike, *, batch_size: int = 64) -> float:
        """Set the threshold to that of the highest accuracy on pairs of these examples, and return it.

        Pairs of one class and of two count alike. Of more than 2000 examples whole classes are drawn. Examples of
        classes that were not trained on give a threshold that holds for new ones.
        """
        examples = read_examples(x, labels)
        pairs = all_pairs(self.encode(examples.x, batch_size=batch_size), examples.classes, max_rows=_MOST)
        self.threshold = best_threshold(pairs.distances, pairs.same).threshold
        return self.threshold

    def fit(
        self,
        x: ArrayLike,
        labels: ArrayLike,
        *,
        loss: Literal["logistic", "contrastive"] | Objective = "logistic",
        margin: float = 1.0,
        n_classes: int = 8,
        n_per_class: int = 4,
        small: Literal["error", "skip", "repeat"] = "error",
        steps: int = 1000,
        lr: float | Schedule = 1e-3,
        optimizer: MakeOptimizer = Adam,
        loss_rate: float = 10.0,
        augment: Augment | None = None,
        normalized: bool = True,
        seed: int = 0,
        communicator: Communicator | None = None,
        validation: Any = None,
        validate_every: int = 100,
        patience: int | None = None,
        batch_size: int = 64,
        progress: bool | Report = False,
        callback: Callback | None = None,
        log: PathLike | None = None,
        checkpoint: PathLike | None = None,
        checkpoint_every: int = 100,
        resume: bool = False,
    ) -> TrainingResult:
        """Train encoder and head together, on all pairs of every batch.

        Parameters
        ----------
        x : array_like, (examples, *spatial, channels)
            float32, float64 or float16, finite.
        labels : array_like, (examples,)
            Integers or strings, equal for the same class.
        loss : str or loss
            "logistic": that of the logistic unit on pair features, whose weights are learned with the encoder's.
            "contrastive": d^2 / 2 of pairs of one class, max(margin - d, 0)^2 / 2 of others; afterwards the threshold
            is found from the validation's examples, or without them from `x`. In both, pairs of one class and of two
            count alike. Or any loss over batches of `pyconvx.triplet`.
        margin : float
            Of the contrastive loss.
        n_classes, n_per_class, small, steps, lr, optimizer, loss_rate, augment, normalized, seed, communicator
            As `pyconvx.triplet.TripletTrainer` takes them.
        validation, validate_every, patience, batch_size, progress, callback, log
            As `pyconvx.triplet.TripletTrainer.fit` takes them.
        checkpoint, checkpoint_every, resume
            Likewise.

        Returns
        -------
        TrainingResult
            The head's weights are under "loss.weight" and "loss.bias" in `best`.

        Raises
        ------
        ShapeError, DTypeError, OptionError
            Before any work, for what does not fit.
        DivergedError, Interrupted, WeightsError
            As `pyconvx.triplet.TripletTrainer.fit`; encoder and head have the best weights so far.
        """
        outside = Outside(progress, callback, log, checkpoint, checkpoint_every, resume)
        recipe = Recipe(
            n_classes=n_classes,
            n_per_class=n_per_class,
            small=small,
            steps=steps,
            lr=lr,
            optimizer=optimizer,
            loss_rate=loss_rate,
            augment=augment,
            normalized=normalized,
            seed=seed,
            communicator=communicator,
        )
        task = recipe.task(
            self._encoder,
            self._maker(loss, margin),
            x,
            labels,
            validation=validation,
            validate_every=validate_every,
            patience=patience,
            batch_size=batch_size,
        )
        self._encoder = task.encoder
        self.head = task.loss if isinstance(task.loss, LogisticPairLoss) else None
        self.threshold = None
        result = fit(task, outside)
        if self.head is None:
            held_out = task.validate if isinstance(task.validate, training.Validation) else None
            examples = (task.examples.x, task.examples.classes) if held_out is None else (held_out.x, held_out.classes)
            self.calibrate(*examples, batch_size=batch_size)
        return result

    def verifier(self) -> PairVerifier:
        """Return the logistic unit as a `PairVerifier`, which keeps the encodings of known persons."""
        if self.head is None:
            raise OptionError("this SiameseNetwork has no logistic unit; fit with loss='logistic' trains one")
        return PairVerifier(self.features)._with_head(self.head.weight.value, self.head.bias.value)

    def _maker(self, loss: Any, margin: float) -> Callable[[Array], Objective]:
        """From encodings to the loss for such ones."""
        if not isinstance(loss, str):
            return lambda encodings: loss
        if loss == "contrastive":
            contrastive = ContrastivePairLoss(margin)
            return lambda encodings: contrastive
        if loss != "logistic":
            raise OptionError(f"loss is {loss!r}; give 'logistic', 'contrastive' or a loss over batches")
        return lambda encodings: LogisticPairLoss(encodings.shape[1], self.features, encodings.dtype)

    def _encoded(self, first: ArrayLike, second: ArrayLike, batch_size: int) -> tuple[Array, Array]:
        """Encodings of both sides, computed as one batch."""
        one, other = as_float(first, "first"), as_float(second, "second")
        if one.shape != other.shape or one.ndim < 2:
            raise ShapeError(
                f"first and second have shapes {one.shape} and {other.shape}; wanted one shape, "
                "(pairs, *spatial, channels)"
            )
        both = self.encode(np.concatenate([one, other]), batch_size=batch_size)
        return both[: len(one)], both[len(one) :]
