"""`pyconvx train`: an encoder that tells the classes of a folder apart, and others of their kind."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyconvx.cli.exit_codes import BAD_INPUT, OK, USAGE
from pyconvx.cli.output import add_json_flag, write
from pyconvx.cli.style_flags import HelpFormatter
from pyconvx.cli.train_flags import STRATEGIES, add_flags
from pyconvx.errors import DivergedError, Interrupted, OptionError

if TYPE_CHECKING:
    from pyconvx.cli.train_recipe import Clock, Parts
    from pyconvx.nn import Layer
    from pyconvx.training import LabelledSet, TrainingResult
    from pyconvx.training.mpi import MpiCommunicator

SUFFIX = ".safetensors"
DESCRIPTION = """\
Train an encoder f so that ||f(a) - f(b)||^2 is small for two examples of one class and large for two of different
classes. FOLDER has one sub-folder for each class, with pictures, or with .npy arrays (signals, pictures or volumes,
channels last). Classes that are held out tell how well it does on classes it has never seen: one-shot accuracy and
equal error rate; the weights that did best are kept, also on Ctrl-C. Use the encoder by pyconvx embed and oneshot.
"""
EPILOG = """\
exit codes: 0 done; 2 wrong usage; 3 a file could not be used (the others were, with a line on stderr for each), or the
training diverged; 130 interrupted (the best encoder so far is written).
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command's parser."""
    parser = commands.add_parser(
        "train",
        help="learn a similarity from a folder of classes",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=HelpFormatter,
    )
    parser.add_argument("folder", metavar="FOLDER", help="one sub-folder of pictures or .npy arrays for each class")
    parser.add_argument("-o", "--output", required=True, metavar="ENCODER", help=f"{SUFFIX} file to write")
    add_flags(parser)
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Read, train, write the encoder, and say how good it is; of several processes, the first one alone tells."""
    if not arguments.mpi:
        return _run(arguments, None)
    from pyconvx.training.mpi import MpiCommunicator

    communicator = MpiCommunicator()
    arguments.quiet |= communicator.rank > 0
    try:
        return _run(arguments, communicator)
    except BaseException as error:
        if communicator.size > 1:  # the others would wait for this one for ever
            _tell(f"process {communicator.rank}: {error or type(error).__name__}")
            communicator.abort(USAGE if isinstance(error, OptionError) else BAD_INPUT)
        raise


def _run(arguments: argparse.Namespace, communicator: MpiCommunicator | None) -> int:
    from pyconvx import training
    from pyconvx.cli import train_recipe
    from pyconvx.runtime import set_num_threads

    output = _checked_output(arguments)
    clock = train_recipe.make_clock(arguments)
    if arguments.threads is not None:
        set_num_threads(arguments.threads)
    tells = communicator is None or communicator.rank == 0
    problems: list[str] = []
    data = training.load_classes(
        arguments.folder,
        training.InputFormat(arguments.size, not arguments.grey, arguments.rank, arguments.standardize),
        nested=arguments.nested,
        problem=lambda line: _problem(problems, line if tells else ""),
        progress=not arguments.quiet,
    )
    parts = train_recipe.split(arguments, data)
    if arguments.validation and not len(parts.held_out.x) and tells:
        _tell(f"{len(data.classes)} classes are too few to hold some out: there is no validation")
    encoder = train_recipe.make_encoder(arguments, data.x.shape[1:])
    with _plain_warnings(tells):
        try:
            result = _train(arguments, parts, encoder, clock, communicator)
        except (Interrupted, DivergedError) as stop:
            if stop.result is not None and stop.result.best_step and tells:
                with suppress(DivergedError):  # the last weights are the best ones without a validation, and no better
                    _save(arguments, output, data, parts, encoder, stop.result)
            raise
    if tells:
        _save(arguments, output, data, parts, encoder, result)
    return BAD_INPUT if problems else OK


def _checked_output(arguments: argparse.Namespace) -> Path:
    """Refuse, before any work, a file that could not be written at its end."""
    output = Path(arguments.output)
    if output.suffix != SUFFIX:
        raise OptionError(f"-o {output}: an encoder is a file that ends in {SUFFIX}")
    if output.is_dir() or not os.access(output.resolve().parent, os.W_OK):
        raise OptionError(f"-o {output}: is a folder, or its folder does not exist or may not be written to")
    if arguments.figure is not None:
        from pyconvx.image import check_writable

        check_writable(arguments.figure)
        if arguments.loss not in (*STRATEGIES, "soft"):
            raise OptionError(
                f"--figure: the loss {arguments.loss} has no triplets; it goes with {', '.join(STRATEGIES)}"
            )
    return output


def _train(
    arguments: argparse.Namespace,
    parts: Parts,
    encoder: Layer,
    clock: Clock | None,
    communicator: MpiCommunicator | None,
) -> TrainingResult:
    import numpy as np

    from pyconvx._progress import make_bar, time_left
    from pyconvx.cli.train_recipe import make_trainer

    trainer = make_trainer(arguments, encoder, len(np.unique(parts.learned.labels)), clock, communicator=communicator)
    bar = make_bar(not arguments.quiet and clock is not None, unit="s", describe=lambda info: _known(info))

    def report(done: int, total: int, info: dict[str, Any]) -> None:
        assert clock is not None, "reports come from a training by the clock"
        spent = min(clock.spent(), clock.seconds)
        left = {"left": f"{time_left(clock.seconds - spent)} left"}
        bar.report(round(spent), round(clock.seconds), {**info, **left})

    try:
        return trainer.fit(
            *parts.learned,
            validation=parts.held_out if len(parts.held_out.x) else None,
            validate_every=arguments.validate_every,
            patience=arguments.patience,
            progress=not arguments.quiet if clock is None else report,
            callback=None if clock is None else clock.is_over,
            log=arguments.log,
            checkpoint=arguments.checkpoint,
            checkpoint_every=arguments.checkpoint_every,
            resume=arguments.resume,
        )
    finally:
        bar.close()


def _known(info: dict[str, Any]) -> str:
    parts = [f"loss {info['loss']:.4g}"]
    if "one_shot" in info:
        parts.append(f"one-shot {100 * info['one_shot']:.1f}%")
    return ", ".join([*parts, info["left"]])


def _save(
    arguments: argparse.Namespace,
    output: Path,
    data: LabelledSet,
    parts: Parts,
    encoder: Layer,
    result: TrainingResult,
) -> None:
    """Write the encoder with the best weights, and report."""
    import numpy as np

    from pyconvx.training import save_encoder

    notes = {
        "classes": len(np.unique(parts.learned.labels)),
        "examples": len(parts.learned.x),
        "held_out": [data.classes[place] for place in np.unique(parts.held_out.labels)],
        "loss": arguments.loss,
        "steps": result.steps,
        "best_step": result.best_step,
        "measures": result.measures,
        "threshold": _threshold(parts, encoder),
        "stopped": result.stopped,
    }
    save_encoder(output, encoder, data.format, notes)
    if arguments.figure is not None and result.history.steps:
        result.history.figure(arguments.figure)
    report = {
        "output": str(output),
        **notes,
        "input": list(data.format.shape or ()),
        "dimensions": arguments.dimensions,
        "loss_at_end": result.history.steps[-1]["loss"] if result.history.steps else None,
        "seconds": round(sum(record["seconds"] for record in result.history.steps), 1),
    }
    write(arguments, report, _as_text)
    if result.stopped in ("patience", "diverged"):
        _tell(result.message)


def _threshold(parts: Parts, encoder: Layer) -> float | None:
    """The squared distance at the equal error rate of the classes that were held out."""
    x, labels = parts.held_out
    if not len(x):
        return None
    from pyconvx.metrics import all_pairs, eer
    from pyconvx.training import encode

    pairs = all_pairs(encode(encoder, x), labels, metric="sqeuclidean")
    return eer(pairs.distances, pairs.same).threshold


@contextmanager
def _plain_warnings(shown: bool) -> Iterator[None]:
    """What the trainer warns of, as one line and not as Python shows warnings."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("default" if shown else "ignore", RuntimeWarning)
        warnings.showwarning = lambda message, *rest, **more: _tell(str(message))
        yield


def _problem(problems: list[str], line: str) -> None:
    problems.append(line)
    if line:
        _tell(line)


def _tell(line: str) -> None:
    print(f"pyconvx train: {' '.join(line.split())}", file=sys.stderr)


def _as_text(report: dict[str, Any]) -> str:
    shape = "x".join(map(str, report["input"]))
    line = (
        f"{report['output']}: {report['dimensions']} numbers for {shape}; {report['examples']} examples of "
        f"{report['classes']} classes, {report['steps']} steps in {report['seconds']:.0f} s"
    )
    found = report["measures"]
    if not found:
        return line
    return (
        f"{line}; best at step {report['best_step']}: one-shot {100 * found['one_shot']:.1f}%, equal error rate "
        f"{100 * found['eer']:.1f}% on {len(report['held_out'])} classes held out; threshold {report['threshold']:.3f}"
    )
