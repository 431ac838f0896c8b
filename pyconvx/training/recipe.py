"""How to train, checked before any work, and from that and the examples a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyconvx.errors import DTypeError, OptionError
from pyconvx.functional._arguments import choice, integer
from pyconvx.nn import Adam, Layer, Parameter
from pyconvx.training.encoders import Size, encoder1d, encoder2d, encoder3d
from pyconvx.training.encoding import check_encoder
from pyconvx.training.examples import read_examples
from pyconvx.training.loop import Augment, Moves, Objective, Observe, Task
from pyconvx.training.offline import Offline
from pyconvx.training.parallel import Alone, Communicator, check_parallel
from pyconvx.training.sampler import PKSampler
from pyconvx.training.schedules import Schedule, as_schedule
from pyconvx.training.validation import Validation, as_validation

Array = NDArray[Any]
MakeOptimizer = Callable[[Mapping[str, Parameter]], Moves]
"""From parameters by name to an optimiser of them, such as `nn.Adam` or `partial(nn.SGD, momentum=0.9)`."""


@dataclass(frozen=True)
class Recipe:
    """The options of a trainer; see `pyconvx.triplet.TripletTrainer`."""

    n_classes: int = 8
    n_per_class: int = 4
    small: Literal["error", "skip", "repeat"] = "error"
    steps: int = 1000
    lr: float | Schedule = 1e-3
    optimizer: MakeOptimizer = Adam
    loss_rate: float = 1.0
    augment: Augment | None = None
    normalized: bool = True
    seed: int = 0
    communicator: Communicator | None = None
    offline: Offline | None = None
    together: int = 1

    def __post_init__(self) -> None:
        for name, least in (("n_classes", 2), ("n_per_class", 2), ("steps", 1), ("seed", 0)):
            integer(name, getattr(self, name), least)
        choice("small", self.small, ("error", "skip", "repeat"))
        as_schedule(self.lr, self.steps)
        if not (isinstance(self.loss_rate, (int, float)) and 0 < self.loss_rate < np.inf):
            raise OptionError(f"loss_rate is {self.loss_rate!r}; it must be above 0")
        if not callable(self.optimizer):
            raise OptionError(f"optimizer is {self.optimizer!r}; give nn.Adam, nn.SGD or a function of the parameters")
        if self.augment is not None and not callable(self.augment):
            raise OptionError(f"augment is {self.augment!r}; give a function (batch, rng) -> batch")

    def task(
        self,
        encoder: Layer | Size,
        make_loss: Callable[[Array], Objective],
        x: ArrayLike,
        labels: ArrayLike,
        *,
        observe: Observe | None = None,
        validation: Any = None,
        validate_every: int = 100,
        patience: int | None = None,
        batch_size: int = 64,
    ) -> Task:
        """Bring everything together; `make_loss` gets two encodings, so that it knows their depth and type."""
        examples = read_examples(x, labels)
        sampler = PKSampler(
            examples.classes,
            self.n_classes,
            self.n_per_class,
            small=self.small,
            together=self.together,
            random_state=self.seed,
        )
        encoder = fitting(encoder, examples.x, self.seed)
        communicator = Alone() if self.communicator is None else self.communicator
        check_parallel(communicator, encoder, self.n_classes * self.n_per_class)
        probe = check_encoder(encoder, examples.x, self.normalized)
        loss = make_loss(probe)
        _check_loss(loss, len(examples.names), probe.shape[1], probe.dtype)
        validate = as_validation(validation)
        if validate is None and patience is not None:
            raise OptionError("patience counts validations; give validation=(x, labels), too")
        if isinstance(validate, Validation):
            check_encoder(encoder, validate.x, self.normalized)
        own = loss.named_parameters()
        return Task(
            encoder=encoder,
            loss=loss,
            examples=examples,
            sampler=sampler,
            steps=self.steps,
            rate=as_schedule(self.lr, self.steps),
            loss_rate=float(self.loss_rate),
            optimizers=(self._moves(encoder.named_parameters()), self._moves(own) if own else None),
            augment=self.augment,
            offline=self.offline,
            observe=observe,
            validate=validate,
            validate_every=integer("validate_every", validate_every, 1),
            patience=None if patience is None else integer("patience", patience, 1),
            batch_size=integer("batch_size", batch_size, 1),
            seed=self.seed,
            communicator=communicator,
        )

    def _moves(self, parameters: Mapping[str, Parameter]) -> Moves:
        made = self.optimizer(parameters)
        if not hasattr(made, "lr") or not callable(getattr(made, "step", None)):
            raise OptionError(f"optimizer made {made!r} of the parameters; wanted an optimiser such as nn.Adam's")
        return made


def fitting(encoder: Layer | Size, x: Array, seed: int) -> Layer:
    """The encoder, or a ready one for inputs such as `x`."""
    if isinstance(encoder, Layer):
        return encoder
    makers = {1: encoder1d, 2: encoder2d, 3: encoder3d}
    if x.ndim - 2 not in makers:
        raise OptionError(
            f"x has shape {x.shape}; ready encoders take signals, pictures and volumes, (examples, *spatial, "
            "channels): give an encoder of your own"
        )
    dtype = np.float64 if x.dtype == np.float64 else np.float32
    return makers[x.ndim - 2](encoder, x.shape[-1], input_size=x.shape[1:-1], dtype=dtype, seed=seed)


def _check_loss(loss: Any, classes: int, depth: int, dtype: np.dtype[Any]) -> None:
    """Refuse a loss whose values cannot be summed up, or whose proxies are of other classes or encodings."""
    if isinstance(loss, type) or not hasattr(loss, "named_parameters") or not hasattr(loss, "vjp"):
        raise OptionError(f"loss is {loss!r}; give a loss over encodings and labels, such as triplet.TripletLoss()")
    if getattr(loss, "reduction", "mean") == "none":
        raise OptionError("the loss has reduction='none'; a training step needs one number")
    wanted, size = getattr(loss, "num_classes", classes), getattr(loss, "embedding_size", depth)
    if (wanted, size) != (classes, depth):
        raise OptionError(
            f"the loss has proxies of {wanted} classes with {size} entries; the labels name {classes} classes, and "
            f"encodings have {depth} entries"
        )
    for name, parameter in loss.named_parameters().items():
        if parameter.dtype != dtype:
            raise DTypeError(f"the loss's {name} is {parameter.dtype}, encodings are {dtype}; build it with dtype=")
