"""Training an encoder on triplets, or with any other loss over batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from numpy.typing import ArrayLike, NDArray

from pyconvx._checkpoint import PathLike
from pyconvx._progress import Report
from pyconvx.errors import OptionError
from pyconvx.functional._arguments import integer
from pyconvx.nn import Adam, Layer
from pyconvx.training.encoders import Size
from pyconvx.training.holder import EncoderHolder
from pyconvx.training.loop import Augment
from pyconvx.training.offline import Offline
from pyconvx.training.parallel import Communicator
from pyconvx.training.recipe import MakeOptimizer, Recipe
from pyconvx.training.result import TrainingResult
from pyconvx.training.schedules import Schedule
from pyconvx.training.session import Callback, Outside, fit
from pyconvx.triplet.batch import BatchLoss
from pyconvx.triplet.batch_triplet import TripletLoss
from pyconvx.triplet.mining import Strategy, check_strategy
from pyconvx.triplet.offline import nearest_classes
from pyconvx.triplet.watching import Watch, plateau_of

Array = NDArray[Any]

WATCH: tuple[Strategy, ...] = ("random", "semihard", "batch_hard")


class TripletTrainer(EncoderHolder):
    """Trains an encoder so that ||f(x_i) - f(x_j)||^2 is small for the same class and large for different ones.

    A step draws `n_classes` classes with `n_per_class` examples each, encodes this batch once, chooses triplets among
    the encodings, and moves the weights against the gradient of their loss.

    Parameters
    ----------
    encoder : nn.Layer or {"small", "medium"}
        Takes `(batch, *spatial, channels)` of any rank, gives `(batch, depth)`: encodings of length 1, as a rule. It is
        trained where it is. A name: `training.encoder1d`, `encoder2d` or `encoder3d` of this size is made to fit the
        examples; it sees every place and gives 128 entries.
    loss : str or BatchLoss
        A strategy of `pyconvx.triplet.mine`, which stands for the lecture's loss of the triplets that it chooses; or
        any loss over batches, which may have parameters of its own (ArcFace, proxy-anchor). Labels come to it as the
        numbers of their classes in sorted order.
    margin : float
        The lecture's alpha, where `loss` is a strategy.
    n_classes, n_per_class : int
        P and K of `PKSampler`.
    small : {"error", "skip", "repeat"}
        What becomes of classes with fewer than K examples, as in `PKSampler`.
    steps : int
        How many batches.
    lr : float or callable
        The learning rate, or a function of the step such as `training.cosine(1e-3, steps, warmup=100)`.
    optimizer : callable
        Makes an optimiser of named parameters: `nn.Adam`, `functools.partial(nn.SGD, momentum=0.9)`, ...
    loss_rate : float
        By how much the learning rate of a loss's own parameters is larger than the encoder's.
    offline_every : int, optional
        Every so many steps, look for the classes that are hard to tell apart in the whole set, and have them together
        in batches from then on: four examples of each class are encoded, without augmentation, and of a batch's classes
        some are drawn as before, each of which brings those that have the nearest impostors of its examples
        (`triplet.nearest_classes`). For many classes, of which a batch drawn at random has few that are alike: see
        Notes. Two names for one class find each other, too, and are then pulled apart.
    offline_classes : int
        How many classes lie together then, the drawn one included; `n_classes` at most.
    augment : callable, optional
        `augment(batch, rng) -> batch`, of the same shape and type, applied to every batch.
    normalized : bool
        Whether encodings must have length 1, which is checked. With False take care that the margin fits their length.
    seed : int
        Of batches, augmentation and drawn triplets.
    communicator : training.Communicator, optional
        Processes that train together, each with a part of every batch.

    Raises
    ------
    OptionError
        At once, for any argument that is wrong.

    Notes
    -----
    Source: the lecture on convolutional networks' special applications, "triplet loss" and "choosing the triplets".

    What `offline_every=100` brought (means of three seeds, 1500 batches of 8 out of 1000 classes of noisy patterns,
    one-shot among 200 others): "all" 38.3% in place of 35.6%, with 14% in place of 7% of its triplets active; semihard
    40.0% in place of 39.1%. Where random batches are hard already it costs: on Omniglot (two seeds, 60 and 90 s of
    processor time) semihard fell from 80.9% to 78.7%, `NTXentLoss` from 84.7% to 81.0%, a tenth to a third of the steps
    being lost to the looks.

    Examples
    --------
    >>> import numpy as np
    >>> from pyconvx import nn
    >>> rng = np.random.default_rng(0)
    >>> persons = rng.standard_normal((12, 1, 4), np.float32)
    >>> x = (persons + 0.3 * rng.standard_normal((12, 10, 4), np.float32)).reshape(120, 4)
    >>> labels = np.repeat(np.arange(12), 10)
    >>> encoder = nn.Sequential(nn.Linear(4, 16, random_state=0), nn.ReLU(), nn.Linear(16, 8, random_state=1),
    ...     nn.L2Normalize())
    >>> trainer = TripletTrainer(encoder, loss="semihard", n_classes=6, steps=40)
    >>> result = trainer.fit(x[:80], labels[:80], validation=(x[80:], labels[80:]), validate_every=20)
    >>> result.stopped, sorted(result.measures)
    ('finished', ['eer', 'one_shot'])
    >>> trainer.encode(x[:3]).shape
    (3, 8)
    """

    def __init__(
        self,
        encoder: Layer | Size = "small",
        *,
        loss: BatchLoss | Strategy = "semihard",
        margin: float = 0.2,
        n_classes: int = 8,
        n_per_class: int = 4,
        small: Literal["error", "skip", "repeat"] = "error",
        steps: int = 1000,
        lr: float | Schedule = 1e-3,
        optimizer: MakeOptimizer = Adam,
        loss_rate: float = 1.0,
        offline_every: int | None = None,
        offline_classes: int = 4,
        augment: Augment | None = None,
        normalized: bool = True,
        seed: int = 0,
        communicator: Communicator | None = None,
    ) -> None:
        super().__init__(encoder)
        offline = None
        if offline_every is not None:
            offline = Offline(integer("offline_every", offline_every, 1), nearest_classes)
            integer("offline_classes", offline_classes, 2)
            if offline_classes > n_classes:
                raise OptionError(f"offline_classes is {offline_classes}; a batch has {n_classes} classes")
        self._recipe = Recipe(
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
            offline=offline,
            together=1 if offline is None else offline_classes,
        )
        if isinstance(loss, str):
            check_strategy(loss, margin, False)
            loss = TripletLoss(margin, mining=loss, random_state=seed)
        self.loss: BatchLoss = loss

    def fit(
        self,
        x: ArrayLike,
        labels: ArrayLike,
        *,
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
        watch: Sequence[Strategy] = WATCH,
        watch_every: int = 10,
    ) -> TrainingResult:
        """Train; afterwards the encoder holds the best weights: of the best validation, or the last ones without one.

        Parameters
        ----------
        x : array_like, (examples, *spatial, channels)
            float32, float64 or float16, finite; a memory map is read a batch at a time.
        labels : array_like, (examples,)
            Integers or strings, equal for the same class.
        validation : optional
            `(x, labels)` of other classes, for one-shot accuracy and equal error rate; or a `training.Validation` with
            options of its own; or any function that gets `encode`, a function from inputs to encodings, and returns
            measures by name, of the first of which more is better.
        validate_every : int
            Steps between two validations; there is one after the last step, too.
        patience : int, optional
            Stop after so many validations in a row that were not better than the best one.
        batch_size : int
            Of validation.
        progress : bool or callable
            True: a bar on standard error where that is a terminal. A function gets (steps done, steps in all, info).
        callback : callable, optional
            Called with a `training.TrainingStep` after each; True stops the training there.
        log : path, optional
            File for the history as lines of JSON, written while it grows; one that is there is overwritten.
        checkpoint : path, optional
            File to write every `checkpoint_every` steps and at the end, from which `resume=True` goes on with the same
            bits. With `resume` and no such file yet, the training starts at the beginning; a file that is there is
            only overwritten by the training that it belongs to.
        watch : sequence of str
            Strategies of which the history notes the share of active triplets that they would give in the same
            batches: of the positive pairs, of the anchors for "batch_hard", of all triplets for "all".
        watch_every : int
            Steps between two such notes.

        Returns
        -------
        TrainingResult

        Raises
        ------
        ShapeError, DTypeError, OptionError
            Before any work: examples, labels, encoder and loss that do not fit, numbers that are not finite, one class
            alone, too few examples of a class.
        DivergedError
            If a number is not finite on the way; the encoder has the best weights, `.result` is the result until then.
        Interrupted
            On Ctrl-C; `.result` is the result so far.
        WeightsError
            If the checkpoint is damaged, or is that of another training.
        """
        outside = Outside(progress, callback, log, checkpoint, checkpoint_every, resume)
        observe = Watch(self.loss, watch, watch_every, self._recipe.seed)
        task = self._recipe.task(
            self._encoder,
            lambda encodings: self.loss,
            x,
            labels,
            observe=observe,
            validation=validation,
            validate_every=validate_every,
            patience=patience,
            batch_size=batch_size,
        )
        self._encoder = task.encoder
        return fit(task, outside, plateau=plateau_of(self.loss))
