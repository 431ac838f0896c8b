"""`pyconvx style`: paint a picture in the style of others."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyconvx.cli.exit_codes import BAD_INPUT, OK
from pyconvx.cli.output import add_json_flag, write
from pyconvx.cli.style_flags import HelpFormatter, add_flags
from pyconvx.errors import Interrupted, OptionError

if TYPE_CHECKING:
    from pyconvx.models import Network
    from pyconvx.style import Result

DEMO_OUTPUT = "pyconvx-demo.png"
DESCRIPTION = """\
Paint CONTENT in the style of one picture or several. Costs are those of the lecture on neural style transfer; with the
default normalisation each layer's error is relative to its target, so that weights mean the same at every size.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the sub-command's parser."""
    parser = commands.add_parser(
        "style",
        help="paint a picture in the style of another",
        description=DESCRIPTION,
        formatter_class=HelpFormatter,
    )
    add = parser.add_argument
    add("content", nargs="?", metavar="CONTENT", help="picture to paint")
    add("style", nargs="*", metavar="STYLE", help="picture or pictures in whose style")
    add("-o", "--output", metavar="OUT", help="PNG, JPEG or WebP file to write")
    add("--demo", action="store_true", help=f"paint packaged pictures, to {DEMO_OUTPUT} unless -o says otherwise")
    add_flags(parser)
    add_json_flag(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Paint, write the picture, and say where it is."""
    output = Path(arguments.output or (DEMO_OUTPUT if arguments.demo else ""))
    content, styles = _sources(arguments)
    _check_paths(arguments, output, [content, *styles])

    from pyconvx.runtime import set_num_threads
    from pyconvx.style import StyleTransfer

    if arguments.threads is not None:
        set_num_threads(arguments.threads)
    transfer = StyleTransfer(
        size=arguments.size,
        content_weight=arguments.content_weight,
        style_weight=arguments.style_weight,
        tv_weight=arguments.tv_weight,
        content_layers=arguments.content_layers,
        style_layers=_weighted(arguments.style_layers, arguments.layer_weights),
        normalization=arguments.normalization,
        pooling=arguments.pooling,
        init=arguments.init,
        optimizer=arguments.optimizer,
        learning_rate=arguments.learning_rate,
        steps=arguments.iterations,
        pyramid=arguments.pyramid,
        margin=arguments.margin,
        style_scale=arguments.style_scale,
        style_blend_weights=arguments.style_blend_weights,
        preserve_colors=arguments.preserve_colors,
        seed=arguments.seed,
        network=_network(arguments),
    )
    try:
        result = transfer.run(
            content,
            styles,
            progress=not arguments.quiet,
            checkpoint=arguments.checkpoint,
            checkpoint_every=arguments.checkpoint_every,
            resume=arguments.resume,
            frames=arguments.frames,
            frames_every=arguments.save_every,
            memory_limit=arguments.memory_limit,
        )
    except Interrupted as stop:
        _save(arguments, output, stop.result)
        raise
    _save(arguments, output, result)
    if result.stopped == "finished":
        return OK
    print(f"pyconvx style: {result.message}", file=sys.stderr)
    return BAD_INPUT


def _sources(arguments: argparse.Namespace) -> tuple[Any, list[Any]]:
    """Return what to paint, and in whose style."""
    if arguments.demo:
        if arguments.content:
            raise OptionError("--demo brings its own pictures; leave CONTENT and STYLE out, or --demo")
        from pyconvx import image

        return image.packaged("chelsea"), [image.packaged("starry_night")]
    if not arguments.content or not arguments.style:
        raise OptionError("give a CONTENT picture and at least one STYLE picture, or --demo")
    if not arguments.output:
        raise OptionError("say where the painting goes: -o OUT")
    return arguments.content, arguments.style


def _check_paths(arguments: argparse.Namespace, output: Path, sources: list[Any]) -> None:
    """Refuse, before any work, a file that could not be written at its end or that would overwrite a source."""
    from pyconvx import image

    image.check_writable(output)
    for source in sources:
        if os.path.realpath(source) == os.path.realpath(output):
            raise OptionError(f"-o {output} would overwrite a source picture; name another file")
    if arguments.trace is not None:
        folder = Path(arguments.trace).parent
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            raise OptionError(f"--trace {arguments.trace}: the folder {folder} does not exist or may not be written to")


def _network(arguments: argparse.Namespace) -> Network | None:
    """Return the user's own network; None for the packaged one."""
    if arguments.weights is None:
        return None
    from pyconvx.models import load_vgg

    return load_vgg(
        arguments.weights, arguments.depth, pooling=arguments.pooling, preprocessing=arguments.preprocessing
    )


def _save(arguments: argparse.Namespace, output: Path, result: Result) -> None:
    result.save(output)
    if arguments.trace is not None:
        result.save_trace(arguments.trace)
    height, width = result.picture.shape[:2]
    report = {
        "output": str(output),
        "width": width,
        "height": height,
        "steps": len(result.trace),
        "cost": result.cost,
        "stopped": result.stopped,
        "seconds": round(sum(record["seconds"] for record in result.trace), 1),
    }
    write(
        arguments, report, lambda _: f"{output}: {width}x{height} px, {len(result.trace)} steps, cost {result.cost:.4g}"
    )


def _weighted(layers: list[str], weights: list[float] | None) -> list[str] | dict[str, float]:
    if weights is None:
        return layers
    if len(weights) != len(layers):
        raise OptionError(
            f"--layer-weights has {len(weights)} numbers for {len(layers)} style layers; give one for each"
        )
    return dict(zip(layers, weights, strict=True))
