"""The command's frame: exit codes, where output goes, one line a complaint."""

import argparse
import json
import subprocess
import sys

import pytest

import pyconvx
from pyconvx import cli
from pyconvx.cli import exit_codes
from pyconvx.errors import ImageError, Interrupted, OptionError
from pyconvx.models import CARDS


def raising(error):
    """A parser whose only command raises `error`."""

    def run(arguments):
        raise error

    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("work").set_defaults(run=run)
    return parser


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (OptionError("size: got -1"), exit_codes.USAGE, "size: got -1"),
        (ImageError("a.png: is\n  damaged"), exit_codes.BAD_INPUT, "a.png: is damaged"),
        (FileNotFoundError(2, "No such file", "a.png"), exit_codes.BAD_INPUT, "a.png"),
        (MemoryError("3 GiB"), exit_codes.BAD_INPUT, "out of memory: 3 GiB"),
        (KeyboardInterrupt(), exit_codes.INTERRUPTED, "interrupted"),
        (Interrupted("stopped, wrote out.png", None), exit_codes.INTERRUPTED, "stopped, wrote out.png"),
    ],
)
def test_an_error_is_one_line_on_stderr(monkeypatch, capsys, error, code, message):
    monkeypatch.setattr(cli, "build_parser", lambda: raising(error))
    assert cli.main(["work"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("pyconvx work: ")
    assert message in captured.err
    assert captured.err.count("\n") == 1


def test_ctrl_c_while_sub_commands_are_imported(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "build_parser", interrupted)
    assert cli.main(["info"]) == exit_codes.INTERRUPTED
    assert capsys.readouterr().err == "pyconvx: interrupted\n"


def test_a_bug_is_a_traceback_and_not_an_answer(monkeypatch, capsys):
    monkeypatch.setattr(cli, "build_parser", lambda: raising(ZeroDivisionError("oops")))
    assert cli.main(["work"]) == exit_codes.INTERNAL
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("argv", [[], ["no-such-command"], ["info", "--no-such-flag"]])
def test_wrong_usage(capsys, argv):
    assert cli.main(argv) == exit_codes.USAGE
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "--help" in captured.err


def test_help_and_version_go_to_stdout(capsys):
    assert cli.main(["--version"]) == exit_codes.OK
    assert capsys.readouterr().out == f"pyconvx {pyconvx.__version__}\n"
    assert cli.main(["--help"]) == exit_codes.OK
    helped = capsys.readouterr().out
    assert all(command in helped for command in cli.COMMANDS)
    assert "130 interrupted" in " ".join(helped.split())


def test_info_as_text_and_as_json(capsys):
    assert cli.main(["info"]) == exit_codes.OK
    text = capsys.readouterr().out
    assert cli.main(["info", "--json"]) == exit_codes.OK
    report = json.loads(capsys.readouterr().out)
    assert report["pyconvx"] == pyconvx.__version__
    assert report["isa"] == pyconvx.active_isa()
    assert report["num_threads"] == pyconvx.get_num_threads()
    files = ("vgg16.npz", "face_encoder.npz", "face_detector.npz", "landmarks.npz")
    assert report["weights"] == dict.fromkeys(files, "whole")
    assert "CC BY 4.0" in report["licences"]["vgg16.npz"]
    assert all(str(report[name]) in text for name in ("pyconvx", "python", "numpy", "pillow", "isa"))
    assert "vgg16.npz: whole" in text


def test_info_says_no_when_weights_are_missing(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("PYCONVX_WEIGHTS_DIR", str(tmp_path))
    assert cli.main(["info", "--json"]) == exit_codes.NEGATIVE
    assert "No such file" in json.loads(capsys.readouterr().out)["weights"]["vgg16.npz"]


def test_models(capsys):
    assert cli.main(["models", "list"]) == exit_codes.OK
    assert capsys.readouterr().out.split()[0] == "vgg16"
    assert cli.main(["models", "list", "--json"]) == exit_codes.OK
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == list(CARDS)
    assert cli.main(["models", "show", "resnet"]) == exit_codes.USAGE
    assert "vgg16" in capsys.readouterr().err
    assert cli.main(["models"]) == exit_codes.USAGE


@pytest.mark.parametrize("name", CARDS)
def test_the_card_of_a_model(capsys, name):
    assert cli.main(["models", "show", name]) == exit_codes.OK
    text = " ".join(capsys.readouterr().out.split())
    assert cli.main(["models", "show", name, "--json"]) == exit_codes.OK
    card = json.loads(capsys.readouterr().out)
    for item in (card["summary"], card["licence"], card["preprocessing"], *card["sources"], *card["notes"]):
        assert item in text
    for figure in card["measured"]:
        assert figure in text


def test_module_entry_and_a_reader_that_leaves_early():
    with subprocess.Popen(
        [sys.executable, "-m", "pyconvx", "info"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(timeout=60) == exit_codes.OK
