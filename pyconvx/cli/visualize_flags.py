"""The flags of `pyconvx visualize`."""

from __future__ import annotations

import argparse


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add all flags but those that name folder and output."""
    _add_network_flags(parser.add_argument_group("network"))
    _add_search_flags(parser.add_argument_group("what is looked for"))
    _add_page_flags(parser.add_argument_group("page"))
    _add_run_flags(parser.add_argument_group("run"))


def _add_network_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--network",
        default="vgg16",
        metavar="NET",
        help="vgg16 (default), face_encoder, a FILE.safetensors as nn.save_network and pyconvx train write it, or "
        "FILE.py:FUNCTION, which returns an nn network or a models.Network",
    )
    add("--weights", metavar="FILE", help="weights for it, as net.save writes them; for vgg16 as load_vgg reads them")
    add("--depth", type=int, choices=(16, 19), help="layers of the VGG in --weights (default: 16)")
    add(
        "--preprocessing",
        choices=("torchvision", "caffe"),
        help="what the VGG in --weights was trained on (default: torchvision)",
    )


def _add_search_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--layers",
        type=_names,
        metavar="A,B",
        help="layers, in the page's order (vgg16: one of each block)",
    )
    add(
        "--units",
        type=_units,
        default="best:6",
        metavar="UNITS",
        help="numbers such as 3,14,15 for every layer; best:N, the N that stand out (default best:6); or all",
    )
    add("-k", "--patches", type=int, default=9, metavar="K", help="patches of a unit (default: 9)")
    add(
        "--rank-by",
        choices=("activation", "selectivity"),
        default="activation",
        help="selectivity: a unit's part in what its whole layer says, so that contrast counts less",
    )
    add("--inside", action="store_true", help="patches lie inside their pictures")
    add("--several", action="store_true", help="a picture may have several patches of a unit")
    add("--size", type=int, metavar="N", help="longest side of pictures (vgg16: 224; face_encoder: 150x150)")


def _add_page_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add(
        "--rule",
        choices=("guided", "deconvnet", "gradient", "none"),
        default="guided",
        help="how what in a patch excites the unit is shown: by which way back (default: guided)",
    )
    add(
        "--maximize",
        type=_steps,
        default=0,
        metavar="STEPS",
        help="also make a picture that excites the unit, in STEPS",
    )
    add("--title", default="What the units of a network look for", help="of the page")


def _add_run_flags(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--state", metavar="FILE", help="file to save to; survey.safetensors in OUT if that is a folder")
    add("--resume", action="store_true", help="go on from that file, if it is there")
    add("--save-every", type=int, default=512, metavar="N", help="pictures between two saves (default: 512)")
    add(
        "--shard",
        type=_shard,
        default=(0, 1),
        metavar="I/N",
        help="look at part I of N only, 1/N to N/N, without a page",
    )
    add("--merge", nargs="+", metavar="FILE", help="look at nothing: join the states of all parts of FOLDER")
    add("--skip-unreadable", action="store_true", help="go on after pictures that cannot be read, and name them")
    add("--batch-size", type=int, default=8, metavar="N", help="pictures computed together (default: 8)")
    add("--threads", type=int, metavar="N", help="threads; all that this process may use if not given")
    add("--quiet", action="store_true", help="no progress bar")


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names):
        raise argparse.ArgumentTypeError(f"{text!r} is no list of names such as conv3_3,conv4_2")
    return names


def _units(text: str) -> list[int] | int | None:
    """Return numbers of units, how many of the best, or None for all."""
    if text == "all":
        return None
    best = text.removeprefix("best:")
    numbers = [part.strip() for part in best.split(",")]
    if all(part.isdecimal() for part in numbers):
        found = [int(part) for part in numbers]
        if best == text:
            return found
        if len(found) == 1 and found[0]:
            return found[0]
    raise argparse.ArgumentTypeError(f"{text!r}; wanted numbers such as 3,14, or best:6, or all")


def _steps(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0")
    return int(text)


def _shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if not index.isdigit() or not count.isdigit() or not 1 <= int(index) <= int(count):
        raise argparse.ArgumentTypeError(f"{text!r} is not a part such as 1/4")
    return int(index) - 1, int(count)
