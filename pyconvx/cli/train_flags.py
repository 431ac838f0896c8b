"""The flags of `pyconvx train`, and what the commands that read folders of examples share."""

from __future__ import annotations

import argparse
from typing import Any

STRATEGIES = ("random", "all", "easy", "semihard", "hard", "batch_hard", "distance_weighted")
LOSSES = ("soft", "contrastive", "ntxent", "npairs", "supcon", "multi_similarity", "circle", "arcface", "proxy_anchor")


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add all flags but those that name folder and output."""
    _add_input_flags(parser.add_argument_group("examples"))
    _add_encoder_flags(parser.add_argument_group("encoder"))
    _add_training_flags(parser.add_argument_group("training"))
    _add_change_flags(parser.add_argument_group("random changes of examples, each at most so large"))
    _add_validation_flags(parser.add_argument_group("validation, on classes that are not trained on"))
    _add_run_flags(parser.add_argument_group("run"))


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Add what concerns reading and computing, for the commands that use a saved encoder."""
    add = parser.add_argument
    add("--batch-size", type=int, default=64, metavar="N", help="files encoded together: speed, not the result")
    add("--threads", type=int, metavar="N", help="threads; all that this process may use if not given")
    add("--quiet", action="store_true", help="no progress bar")


def _add_input_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--size", type=_size, metavar="N|HxW", help="pixels that pictures are stretched to (as they are: all alike)")
    add("--grey", action="store_true", help="luminance alone; three channels if not given")
    add("--rank", type=int, choices=(1, 2, 3), help="of .npy arrays: so many axes without a channel have one channel")
    add("--standardize", action="store_true", help="bring each example to mean 0 and variance 1")
    add("--nested", action="store_true", help="each folder with files is a class, not each sub-folder of FOLDER")


def _add_encoder_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--encoder", choices=("small", "medium"), default="small", help="how large the network is")
    add("--dimensions", type=int, default=128, metavar="N", help="numbers of an encoding")
    add(
        "--pool",
        choices=("places", "mean"),
        default="places",
        help="what the last layer sees: every place, or their mean (fewer weights, and where parts lie does not count)",
    )


def _add_training_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--loss",
        choices=(*STRATEGIES, *LOSSES),
        default="semihard",
        metavar="LOSS",
        help=f"how triplets are chosen for the lecture's loss: {', '.join(STRATEGIES)} (default: semihard); or a loss "
        f"over batches: {', '.join(LOSSES)}",
    )
    add("--margin", type=float, metavar="X", help="of losses with a margin; each has its own if not given (0.2)")
    add("--batch", type=_batch, metavar="PxK", help="classes of a batch, and examples of each (8x4, or all classes)")
    add(
        "--small",
        choices=("repeat", "skip", "error"),
        default="repeat",
        help="what becomes of classes with fewer than K examples",
    )
    add(
        "--offline-every",
        type=int,
        metavar="N",
        help="every N steps encode some examples of all classes, and have those that look most alike in one batch",
    )
    add("--offline-classes", type=int, metavar="N", help="how many classes lie together then (4)")
    length = group.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, metavar="N", help="batches (1000)")
    length.add_argument("--minutes", type=float, metavar="X", help="train for so long")
    add("--lr", type=float, default=1e-3, metavar="X", help="learning rate")
    add(
        "--schedule",
        choices=("cosine", "constant", "step"),
        default="cosine",
        help="of the rate; step: /10 at 1/2, 3/4",
    )
    add("--warmup", type=int, default=20, metavar="N", help="steps in which a cosine's rate rises")
    add("--optimizer", choices=("adamw", "adam", "sgd"), default="adamw", help="sgd has momentum 0.9")
    add("--seed", type=_seed, default=0, metavar="N", help="of weights, batches, changes and the classes held out")


def _add_change_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--shift", type=float, default=0.0, metavar="X", help="places")
    add("--rotate", type=float, default=0.0, metavar="X", help="degrees")
    add("--scale", type=float, default=0.0, metavar="X", help="0.2 is up to 1.2 times as large or as small")
    add("--stretch", type=float, default=0.0, metavar="X", help="the same, each axis on its own")
    add("--shear", type=float, default=0.0, metavar="X", help="places from row to row")
    add(
        "--flip", type=_axes, default=(), metavar="A,B", help="mirror half of them along these axes; 1 is left to right"
    )
    add("--elastic", type=float, default=0.0, metavar="X", help="places, of a smooth deformation")
    add("--noise", type=float, default=0.0, metavar="X", help="standard deviation")
    add("--fill", type=_fill, default="edge", metavar="X|edge", help="what comes in from outside")


def _add_validation_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--validation", type=float, default=0.2, metavar="X", help="share of the classes; 0 for none")
    add("--validate-every", type=int, default=100, metavar="N", help="steps between two validations")
    add("--patience", type=int, metavar="N", help="stop after N validations in a row that were no better than the best")


def _add_run_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--log", metavar="FILE", help="write every step and validation as lines of JSON")
    add("--figure", metavar="FILE", help="draw the share of active triplets over time, by strategy (.png)")
    add("--checkpoint", metavar="FILE", help="write what is needed to go on after a stop")
    add("--checkpoint-every", type=int, default=100, metavar="N", help="steps between checkpoints")
    add("--resume", action="store_true", help="go on from --checkpoint where it is there; the result has the same bits")
    add("--mpi", action="store_true", help="train with all processes that mpiexec has started, as one would")
    add("--threads", type=int, metavar="N", help="threads; all that this process may use if not given")
    add("--quiet", action="store_true", help="no progress bar")


def _size(text: str) -> tuple[int, int]:
    height, between, width = text.partition("x")
    try:
        found = int(height), int(width if between else height)
    except ValueError:
        found = (0, 0)
    if min(found) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size in pixels such as 64 or 56x46")
    return found


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 up")
    return int(text)


def _batch(text: str) -> tuple[int, int]:
    classes, _, each = text.partition("x")
    if not classes.isdigit() or not each.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a batch such as 8x4: classes x examples of each")
    return int(classes), int(each)


def _axes(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of axes such as 0,1") from None


def _fill(text: str) -> Any:
    try:
        return text if text == "edge" else float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a number nor edge") from None
