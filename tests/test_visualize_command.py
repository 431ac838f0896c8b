"""`pyconvx visualize`: flags reach the survey, files are written, everything is checked before any work."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_network import picture

from pyconvx import cli, image, nn, training, visualize
from pyconvx.cli import exit_codes

NETWORK = """
from pyconvx import nn

def make():
    return nn.Sequential({
        "conv1": nn.Conv2d(3, 8, 3, padding=1, random_state=0), "relu1": nn.ReLU(), "pool1": nn.MaxPool2d(2),
        "conv2": nn.Conv2d(8, 6, 3, padding=1, random_state=1), "relu2": nn.ReLU(),
    })

def signals():
    return nn.Sequential({"conv": nn.Conv1d(1, 4, 5, random_state=0)})

def of_three():
    return 3

def of_nothing():
    return nn.Sequential({"conv": nn.Conv2d(0, 1, 1)})

number = 3
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the command runs: pictures of two classes, and a file that makes networks."""
    monkeypatch.chdir(tmp_path)
    for name in ("cats", "dogs"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for index in range(6):
            image.save(tmp_path / "photos" / name / f"{index}.png", picture(24, 20 + index % 2, index + 10 * len(name)))
    (tmp_path / "nets.py").write_text(NETWORK)
    return tmp_path


def look(*arguments: str) -> int:
    return cli.main(["visualize", *arguments])


OWN = ["photos", "--network", "nets.py:make"]


def test_a_folder_becomes_a_page(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert look(*OWN, "-o", "out", "--units", "best:2", "-k", "4") == exit_codes.OK
    said = capsys.readouterr().out
    assert said.startswith("out/figure.png, out/figure.html, out/units.json: 12 pictures\nconv1: units ")
    assert image.load("out/figure.png").shape[1] > 100
    numbers = json.loads(Path("out/units.json").read_text())
    assert [layer["layer"] for layer in numbers["layers"]] == ["conv1", "conv2"]
    assert set(numbers["layers"][0]["units"][0]["classes"]) == {"cats", "dogs"}
    survey = visualize.Survey.load("out/survey.safetensors")
    assert survey.done == [(0, 12)]
    assert look(*OWN, "-o", "out", "--units", "best:2", "-k", "4") == exit_codes.USAGE
    assert "resume it" in capsys.readouterr().err
    assert look(*OWN, "-o", "out", "--units", "best:2", "-k", "4", "--resume") == exit_codes.OK


def test_json_one_file_and_all_flags(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [
        "--layers",
        "relu2",
        "--units",
        "3,1",
        "--several",
        "--size",
        "16",
        "--rule",
        "deconvnet",
        "--batch-size",
        "3",
    ]
    flags += ["--rank-by", "selectivity", "--inside"]
    more = ["--maximize", "2", "--title", "A <title>", "--threads", "1", "--quiet", "--json"]
    assert look(*OWN, "-o", "page.html", *flags, *more) == exit_codes.OK
    report = json.loads(capsys.readouterr().out)
    assert report["files"] == ["page.html"]
    assert [unit["unit"] for unit in report["layers"][0]["units"]] == [3, 1]
    assert report["title"] == "A <title>"
    assert report["notes"] == ["12 pictures; 9 patches a unit, inside their pictures, by selectivity."]
    assert len(report["layers"][0]["units"][0]["patches"]) == 9
    text = Path("page.html").read_text()
    assert "deconvnet of unit 3" in text
    assert "maximised of unit 1" in text
    assert look(*OWN, "-o", "page.png", "--layers", "relu2", "--units", "all", "--rule", "none") == exit_codes.OK


def test_parts_are_merged(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for index in (1, 2, 3):
        assert look(*OWN, "-o", "parts", "--shard", f"{index}/3") == exit_codes.OK
    assert capsys.readouterr().out.count(": 4 pictures") == 3
    parts = [f"parts/{index}-of-3.survey.safetensors" for index in (1, 2, 3)]
    assert look(*OWN, "-o", "merged", "--merge", *parts) == exit_codes.OK
    assert look(*OWN, "-o", "whole") == exit_codes.OK
    merged, whole = json.loads(Path("merged/units.json").read_text()), json.loads(Path("whole/units.json").read_text())
    assert merged == whole
    assert look(*OWN, "--shard", "1/2", "--state", "here.state") == exit_codes.OK
    assert Path("here.state").exists()


def test_parts_of_something_else_are_refused_and_missing_ones_told(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for index in (1, 3):
        assert look(*OWN, "-o", "parts", "--shard", f"{index}/3") == exit_codes.OK
    parts = [f"parts/{index}-of-3.survey.safetensors" for index in (1, 3)]
    capsys.readouterr()
    assert look(*OWN, "-o", "merged", "--merge", *parts) == exit_codes.OK
    assert capsys.readouterr().err == "pyconvx visualize: pictures 4 to 7 are in none of the parts\n"
    assert "Of 12 pictures these were not looked at: 4 to 7." in Path("merged/figure.html").read_text()
    other = nn.Sequential({"conv1": nn.Conv2d(3, 8, 3, padding=1, random_state=7)})
    visualize.survey(other, ["conv1"], "photos", state="other")
    assert look(*OWN, "-o", "page.png", "--merge", "other") == exit_codes.USAGE
    assert "other weights than the network that the survey was made with" in capsys.readouterr().err
    assert look("photos/cats", *OWN[1:], "-o", "page.png", "--merge", *parts) == exit_codes.USAGE
    assert "its pictures are not those that the survey looked at" in capsys.readouterr().err
    assert not Path("page.png").exists()


def test_a_saved_network_and_arrays(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "ecg").mkdir()
    for index in range(5):
        np.save(
            place / "ecg" / f"{index}.npy", np.random.default_rng(index).standard_normal((40, 1)).astype(np.float32)
        )
    trained = nn.Sequential({"conv": nn.Conv1d(1, 4, 5, random_state=9)})
    trained.save("weights.safetensors")
    arguments = ["ecg", "--network", "nets.py:signals", "--weights", "weights.safetensors", "--units", "2", "--json"]
    assert look(*arguments, "-o", "page.png") == exit_codes.OK
    report = json.loads(capsys.readouterr().out)
    found = visualize.top_patches(trained, "conv", [2], "ecg")
    assert report["layers"][0]["units"][0]["patches"][0]["value"] == pytest.approx(float(found.values[0, 0]))


def test_the_table_of_fields(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert look("--table") == exit_codes.OK
    table = capsys.readouterr().out.splitlines()
    assert table[0].split() == ["layer", "size", "stride", "offset"]
    assert ["conv4_2", "76", "8", "-34"] in [line.split() for line in table]
    assert look("--table", "--network", "nets.py:make", "--json") == exit_codes.OK
    assert json.loads(capsys.readouterr().out)[0] == {
        "layer": "conv1",
        "size": [3, 3],
        "stride": [1, 1],
        "offset": [-1, -1],
    }


def test_the_packaged_networks(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert look("photos", "-o", "vgg.html", "--units", "best:1", "--size", "48", "--json") == exit_codes.OK
    report = json.loads(capsys.readouterr().out)
    assert [layer["layer"] for layer in report["layers"]] == ["conv1_2", "conv2_2", "conv3_3", "conv4_2", "conv5_1"]
    arguments = ["photos/cats", "-o", "faces.html", "--network", "face_encoder", "--units", "best:1", "--json"]
    assert look(*arguments) == exit_codes.OK


def test_unreadable_pictures(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (place / "photos" / "dogs" / "bad.jpg").write_bytes(b"no picture")
    assert look(*OWN, "-o", "out") == exit_codes.BAD_INPUT
    assert "bad.jpg" in capsys.readouterr().err
    assert look(*OWN, "-o", "out", "--skip-unreadable", "--resume") == exit_codes.OK
    assert "skipped dogs/bad.jpg" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-o", "out"], exit_codes.USAGE, "name a FOLDER"),
        (["photos"], exit_codes.USAGE, "say where the page goes"),
        (["photos", "-o", "no/page.html"], exit_codes.BAD_INPUT, "does not exist"),
        (["photos", "-o", "page.xyz"], exit_codes.BAD_INPUT, "no format is known"),
        (["photos", "-o", "nets.py/x"], exit_codes.BAD_INPUT, "nets.py"),
        (["photos", "-o", "photos/cats/page.png"], exit_codes.USAGE, "is inside photos"),
        (["photos", "-o", "photos"], exit_codes.USAGE, "is inside photos"),
        (["nowhere", "-o", "out"], exit_codes.BAD_INPUT, "not a folder"),
        (["photos", "-o", "out", "--units", "some"], exit_codes.USAGE, "argument --units: 'some'; wanted numbers"),
        (["photos", "-o", "out", "--units", "best:0"], exit_codes.USAGE, "argument --units: 'best:0'"),
        (["photos", "-o", "out", "--units=best:-3"], exit_codes.USAGE, "argument --units: 'best:-3'"),
        (["photos", "-o", "out", "--units", "1,"], exit_codes.USAGE, "argument --units: '1,'"),
        (["photos", "-o", "out", "--layers", ","], exit_codes.USAGE, "argument --layers: ','"),
        (["photos", "-o", "out", "--maximize", "-2"], exit_codes.USAGE, "argument --maximize"),
        (["photos", "-o", "out", "--depth", "19"], exit_codes.USAGE, "for a VGG of yours"),
        ([*OWN, "-o", "out", "--preprocessing", "caffe"], exit_codes.USAGE, "for a VGG of yours"),
        ([*OWN, "-o", "out", "--state", "photos"], exit_codes.USAGE, "photos is a folder; name a file"),
        ([*OWN, "-o", "out", "--merge", "x", "--shard", "1/2"], exit_codes.USAGE, "give one of the two"),
        (["photos", "-o", "out", "--network", "nets.py:of_nothing"], exit_codes.USAGE, "of_nothing fails: "),
        (["photos", "-o", "out", "--network", "nets.py:of_three"], exit_codes.USAGE, "of_three returned a int; wanted"),
        (["photos", "-o", "out", "--shard", "3/2"], exit_codes.USAGE, "is not a part"),
        (["photos", "-o", "out", "--network", "resnet"], exit_codes.USAGE, "wanted vgg16, face_encoder, FILE"),
        (["photos", "-o", "out", "--network", "gone.py:make"], exit_codes.USAGE, "there is no file gone.py"),
        (["photos", "-o", "out", "--network", "nets.py:number"], exit_codes.USAGE, "has no function 'number'"),
        (
            ["photos", "-o", "out", "--network", "nets.py:make", "--layers", "conv9"],
            exit_codes.USAGE,
            "no layer 'conv9'",
        ),
        (["photos", "-o", "out", "--network", "nets.py:make", "--units", "99"], exit_codes.USAGE, "units of 'conv1'"),
    ],
)
def test_wrong_usage_is_told(
    place: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], code: int, message: str
) -> None:
    assert look(*arguments) == code
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_a_network_in_one_file(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = nn.Sequential({"conv": nn.Conv2d(3, 5, 3, random_state=2)})
    nn.save_network(net, "net.safetensors")
    assert look("--network", "net.safetensors", "--table", "--json") == exit_codes.OK
    assert [row["layer"] for row in json.loads(capsys.readouterr().out)] == ["conv"]
    arguments = ["photos", "--network", "net.safetensors", "-o", "out", "--units", "0,4", "--json"]
    assert look(*arguments) == exit_codes.OK
    said = json.loads(capsys.readouterr().out)
    wanted = visualize.top_patches(net, "conv", [0, 4], "photos")
    found = [unit["patches"][0]["value"] for unit in said["layers"][0]["units"]]
    np.testing.assert_allclose(found, wanted.values[:, 0], rtol=1e-6)
    net.save("weights.safetensors")
    assert look("photos", "--network", "weights.safetensors", "-o", "out2") == exit_codes.BAD_INPUT
    assert "no description" in capsys.readouterr().err
    assert look(*arguments, "--weights", "weights.safetensors") == exit_codes.USAGE


def test_a_trained_encoder_reads_pictures_as_it_learned_to(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    form = training.InputFormat(size=(16, 12), color=False, standardize=True).fitted((16, 12, 1))
    net = nn.Sequential({"conv": nn.Conv2d(1, 4, 3, random_state=2), "flat": nn.Flatten(), "out": nn.Linear(560, 2)})
    training.save_encoder("encoder.safetensors", net, form)
    arguments = ["photos", "--network", "encoder.safetensors", "--units", "1", "--json"]
    assert look(*arguments, "-o", "out") == exit_codes.OK
    (best, *_) = json.loads(capsys.readouterr().out)["layers"][0]["units"][0]["patches"]
    x = form.read(Path("photos") / best["name"])
    assert best["value"] == pytest.approx(float(net.features(x[None], ["conv"])["conv"][..., 1].max()))
    assert look(*arguments, "-o", "out", "--resume") == exit_codes.OK
    training.save_encoder("encoder.safetensors", net, training.InputFormat(color=False).fitted((16, 12, 1)))
    assert look(*arguments, "-o", "out", "--resume") == exit_codes.USAGE
    assert "preprocessing differ" in capsys.readouterr().err
    assert look(*arguments, "-o", "page.png", "--size", "9") == exit_codes.USAGE
    (place / "photos" / "cats" / "bad.png").write_bytes(b"no picture")
    assert look(*arguments, "-o", "page.png", "--skip-unreadable") == exit_codes.OK
