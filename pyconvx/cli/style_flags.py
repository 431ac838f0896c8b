"""The flags of `pyconvx style`, named as users of neural-style know them."""

from __future__ import annotations

import argparse


class HelpFormatter(argparse.HelpFormatter):
    """Shows the defaults that are values; an absent one is described in words."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        known = not any(action.default is unknown for unknown in (None, False, argparse.SUPPRESS))
        return f"{action.help} (default: %(default)s)" if known else action.help


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add all flags but those that name the pictures."""
    _add_picture_flags(parser.add_argument_group("picture"))
    _add_cost_flags(parser.add_argument_group("cost"))
    _add_network_flags(parser.add_argument_group("network"))
    _add_descent_flags(parser.add_argument_group("descent"))
    _add_output_flags(parser.add_argument_group("output and machine"))


def _add_picture_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--size", "--image-size", type=_size, default=384, metavar="N", help="long edge in pixels, or 'content'")
    add(
        "--style-scale", type=float, default=1.0, metavar="X", help="size of the style pictures; larger: larger strokes"
    )
    add("--margin", type=int, default=8, metavar="N", help="pixels around the picture that are painted and cut off")
    add("--style-blend-weights", type=_numbers, metavar="A,B", help="one weight a style picture; equal if not given")
    add("--init", default="content", metavar="START", help="content, random, style-stats, or a picture file")
    add(
        "--preserve-colors",
        choices=("off", "luma", "match"),
        default="off",
        help=("luma: paint luminance only; match: give the style the content's colours"),
    )
    add(
        "--original-colors",
        action="store_const",
        const="luma",
        dest="preserve_colors",
        default=argparse.SUPPRESS,
        help="the same as --preserve-colors luma",
    )
    add("--seed", type=int, default=0, metavar="N", help="of random starts")


def _add_cost_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--content-weight", type=float, metavar="X", help="alpha (0.05; with --normalization lecture 10)")
    add("--style-weight", type=float, metavar="X", help="beta (1; with --normalization lecture 40)")
    add("--tv-weight", type=float, metavar="X", help="weight of the total variation (0.4; lecture 0)")
    add("--content-layers", type=_names, default="relu4_2", metavar="A,B", help="layers of the content cost")
    add(
        "--style-layers",
        type=_names,
        default="relu1_1,relu2_1,relu3_1,relu4_1",
        metavar="A,B",
        help="layers of the style cost",
    )
    add("--layer-weights", type=_numbers, metavar="A,B", help="lambda of each style layer; equal if not given")
    add(
        "--normalization",
        choices=("balanced", "lecture"),
        default="balanced",
        help="what a layer's error is divided by",
    )


def _add_network_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--pooling", choices=("avg", "max"), default="avg", help="pooling of the network")
    add(
        "--weights",
        metavar="FILE",
        help="your own VGG, safetensors or PyTorch state dict; the packaged one if not given",
    )
    add("--depth", type=int, choices=(16, 19), default=16, help="with --weights: VGG-16 or VGG-19")
    add(
        "--preprocessing",
        choices=("torchvision", "caffe"),
        default="torchvision",
        help="with --weights: what they were trained with",
    )


def _add_descent_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--optimizer", choices=("lbfgs", "adam", "gd"), default="lbfgs", help="L-BFGS, Adam or gradient descent")
    add("--learning-rate", type=float, metavar="X", help="of adam and gd")
    add(
        "--iterations",
        "--num-iterations",
        type=int,
        default=150,
        metavar="N",
        help="steps at the coarsest level; each finer level takes half of those before it",
    )
    add("--pyramid", type=_levels, default="auto", metavar="N", help="levels, coarse to fine: auto, off or a number")


def _add_output_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--frames", metavar="DIR", help="folder for the picture every so many steps")
    add("--save-every", type=int, default=50, metavar="N", help="steps between frames")
    add("--checkpoint", metavar="FILE", help="write what is needed to go on after a stop")
    add("--checkpoint-every", type=int, default=10, metavar="N", help="steps between checkpoints")
    add("--resume", action="store_true", help="go on from --checkpoint where it is there; the result has the same bits")
    add("--trace", metavar="FILE", help="write every term of the cost as JSON")
    add(
        "--memory-limit",
        metavar="SIZE",
        help="refuse work that needs more, such as 800M or 4G; what is free if not given",
    )
    add("--threads", type=int, metavar="N", help="threads; all that this process may use if not given")
    add("--quiet", action="store_true", help="no progress bar")


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 1,0.5") from None


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _size(text: str) -> int | None:
    return None if text == "content" else int(text)


def _levels(text: str) -> int | str:
    return text if text in ("auto", "off") else int(text)
