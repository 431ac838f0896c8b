"""`pyconvx style`: flags reach the run, files are written, and everything is checked before any work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_network import TinyNetwork, picture

from pyconvx import cli, image
from pyconvx.cli import exit_codes
from pyconvx.style import StyleTransfer, transfer
from pyconvx.style.options import DEFAULT_WEIGHTS

LAYERS = ["--style-layers", "relu1,relu2", "--content-layers", "relu2"]
QUICK = [*LAYERS, "--size", "48", "--iterations", "4"]


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a content and two styles, which is also where the command runs; the network is the tiny one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(transfer_module(), "vgg16", lambda pooling: TinyNetwork())
    for name, seed in (("content.png", 1), ("style.png", 2), ("other.png", 3)):
        image.save(name, picture(40, 56, seed))
    return tmp_path


def transfer_module() -> Any:
    import sys

    return sys.modules[transfer.__module__]


def paint(*arguments: str) -> int:
    return cli.main(["style", *arguments])


def test_a_picture_is_painted(sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert paint("content.png", "style.png", "-o", "out.png", *QUICK) == exit_codes.OK
    assert capsys.readouterr().out.startswith("out.png: 48x34 px, 4 steps, cost ")
    options: dict[str, Any] = {"style_layers": ["relu1", "relu2"], "content_layers": ["relu2"]}
    wanted = StyleTransfer(network=TinyNetwork(), size=48, steps=4, **options).run("content.png", "style.png").picture
    np.testing.assert_array_equal(image.load("out.png"), wanted)


def test_flags_before_the_pictures(sources: Path) -> None:
    assert paint(*QUICK, "-o", "out.jpg", "content.png", "style.png", "other.png") == exit_codes.OK
    assert image.load("out.jpg").shape == (34, 48, 3)


def test_json_trace_frames_and_checkpoint(sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--trace", "trace.json", "--frames", "frames", "--save-every", "2", "--checkpoint", "run.ckpt"]
    assert paint("content.png", "style.png", "-o", "out.webp", "--json", *files, *QUICK) == exit_codes.OK
    report = json.loads(capsys.readouterr().out)
    assert {name: report[name] for name in ("output", "width", "height", "steps", "stopped")} == {
        "output": "out.webp",
        "width": 48,
        "height": 34,
        "steps": 4,
        "stopped": "finished",
    }
    assert len(json.loads(Path("trace.json").read_text())["steps"]) == 4
    assert sorted(path.name for path in Path("frames").iterdir()) == ["000002.png", "000004.png"]
    # The finished run is there to be resumed: no step is left.
    assert paint("content.png", "style.png", "-o", "again.png", "--checkpoint", "run.ckpt", "--resume", *QUICK) == 0


def test_every_flag_reaches_the_options(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, Any] = {}
    original = StyleTransfer.__init__

    def remember(self: StyleTransfer, **options: Any) -> None:
        seen.update(options)
        original(self, **options)

    monkeypatch.setattr(StyleTransfer, "__init__", remember)
    flags = (
        "--image-size 32 --content-weight 5 --style-weight 100 --tv-weight 0.001 --style-blend-weights 3,7 "
        "--style-scale 0.5 --style-layers relu1,relu2 --layer-weights 1,0.25 --content-layers relu1 "
        "--normalization lecture --init other.png --optimizer adam --learning-rate 3 --num-iterations 2 --pyramid 1 "
        "--original-colors --pooling max --seed 7 --margin 3"
    )
    assert paint("content.png", "style.png", "other.png", "-o", "out.png", *flags.split()) == exit_codes.OK
    assert seen == {
        "size": 32,
        "content_weight": 5.0,
        "style_weight": 100.0,
        "tv_weight": 0.001,
        "style_blend_weights": [3.0, 7.0],
        "margin": 3,
        "style_scale": 0.5,
        "style_layers": {"relu1": 1.0, "relu2": 0.25},
        "content_layers": ["relu1"],
        "normalization": "lecture",
        "init": "other.png",
        "optimizer": "adam",
        "learning_rate": 3.0,
        "steps": 2,
        "pyramid": 1,
        "preserve_colors": "luma",
        "pooling": "max",
        "seed": 7,
        "network": None,
    }


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("", exit_codes.USAGE, "give a CONTENT picture and at least one STYLE picture, or --demo"),
        ("content.png -o out.png", exit_codes.USAGE, "at least one STYLE picture"),
        ("content.png style.png", exit_codes.USAGE, "say where the painting goes: -o OUT"),
        ("--demo content.png", exit_codes.USAGE, "--demo brings its own pictures"),
        ("content.png style.png -o out.gif", exit_codes.BAD_INPUT, "out.gif"),
        ("content.png style.png -o no/out.png", exit_codes.BAD_INPUT, "does not exist"),
        ("content.png style.png -o content.png", exit_codes.USAGE, "would overwrite a source picture"),
        ("content.png style.png -o ./style.png", exit_codes.USAGE, "would overwrite a source picture"),
        ("content.png style.png -o out.png --trace no/t.json", exit_codes.USAGE, "--trace no/t.json"),
        ("content.png style.png -o out.png --size big", exit_codes.USAGE, "--size"),
        ("content.png style.png -o out.png --size 3", exit_codes.USAGE, "size must be a whole number from 16: got 3"),
        ("content.png style.png -o out.png --layer-weights 1", exit_codes.USAGE, "one for each"),
        ("content.png style.png -o out.png --layer-weights a,b", exit_codes.USAGE, "not a list of numbers"),
        ("content.png style.png -o out.png --style-blend-weights 1,2", exit_codes.USAGE, "got 2 for 1"),
        ("content.png style.png -o out.png --pyramid some", exit_codes.USAGE, "--pyramid"),
        ("content.png style.png -o out.png --memory-limit much", exit_codes.USAGE, "memory limit must be a size"),
        ("content.png style.png -o out.png --memory-limit 1M", exit_codes.USAGE, "is allowed by memory_limit"),
        ("content.png style.png -o out.png --threads 0", exit_codes.USAGE, "threads"),
        ("content.png style.png -o out.png --resume", exit_codes.USAGE, "resume needs checkpoint"),
        ("content.png style.png -o out.png --save-every 0", exit_codes.USAGE, "frames_every must be"),
        ("nothing.png style.png -o out.png", exit_codes.BAD_INPUT, "nothing.png"),
        ("content.png broken.png -o out.png", exit_codes.BAD_INPUT, "broken.png"),
        ("content.png style.png -o out.png --init nowhere.png", exit_codes.BAD_INPUT, "nowhere.png"),
    ],
)
def test_wrong_usage_is_one_line_and_no_picture(
    sources: Path, capsys: pytest.CaptureFixture[str], arguments: str, code: int, message: str
) -> None:
    Path("broken.png").write_bytes(b"\x89PNG no picture")
    before = {path.name: path.read_bytes() for path in sources.iterdir()}
    assert paint(*arguments.split(), *([] if "--style-layers" in arguments else LAYERS)) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert {path.name: path.read_bytes() for path in sources.iterdir()} == before


def test_ctrl_c_saves_the_best_picture(
    sources: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from pyconvx.style import outlets

    def interrupt(self: Any, folder: Path, step: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(outlets.Outlets, "_save_frame", interrupt)
    frames = ["--frames", "frames", "--save-every", "3", "--trace", "trace.json"]
    assert paint("content.png", "style.png", "-o", "out.png", *frames, *QUICK) == exit_codes.INTERRUPTED
    captured = capsys.readouterr()
    assert captured.out.startswith("out.png: 48x34 px, 3 steps")
    assert "interrupted; this is the best picture so far" in captured.err
    assert image.load("out.png").shape == (34, 48, 3)
    assert json.loads(Path("trace.json").read_text())["stopped"] == "interrupted"


def test_nan_saves_the_last_good_picture_and_says_so(sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steep = ["--optimizer", "gd", "--learning-rate", "1e30"]
    assert paint("content.png", "style.png", "-o", "out.png", *steep, *QUICK) == exit_codes.BAD_INPUT
    captured = capsys.readouterr()
    assert "is not a finite number" in captured.err
    assert image.load("out.png").shape == (34, 48, 3)


def test_help_names_the_weights_that_are_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert paint("--help") == exit_codes.OK
    helped = " ".join(capsys.readouterr().out.split())
    balanced, lecture = DEFAULT_WEIGHTS["balanced"], DEFAULT_WEIGHTS["lecture"]
    assert f"alpha ({balanced[0]:g}; with --normalization lecture {lecture[0]:g})" in helped
    assert f"beta ({balanced[1]:g}; with --normalization lecture {lecture[1]:g})" in helped
    assert f"total variation ({balanced[2]:g}; lecture {lecture[2]:g})" in helped
