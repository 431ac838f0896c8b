"""Style transfer with the packaged network: the lecture's own set-up, the demonstration, and the memory estimate."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_network import picture

from pyconvx import cli, image
from pyconvx.style import StyleTransfer

# Linux lets a process set its high-water mark back to what it has now.
MEASURED = """
import json
from pathlib import Path
from pyconvx import image, models
from pyconvx.style import StyleTransfer, memory
from pyconvx.style.descent import picture_vectors

def kibibytes(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))

sources = [image.load(image.packaged(name)) for name in ("chelsea", "starry_night")]
network = models.vgg16(pooling="avg")
Path("/proc/self/clear_refs").write_text("5")
before = kibibytes("VmRSS")
result = StyleTransfer(size=256, steps=3, network=network).run(*sources)
measured = (kibibytes("VmHWM") - before) * 1024
options = StyleTransfer().options
taps = [*options.style_layers, *options.content_layers]
height, width = (size + 2 * options.margin for size in result.picture.shape[:2])
print(json.dumps([measured, memory.estimate(network.net, taps, height, width, vectors=picture_vectors("lbfgs"))]))
"""


def test_the_lectures_own_set_up() -> None:
    """G 100x100x3 at random, J = alpha J_content + beta J_style as they stand, G := G - rate dJ/dG."""
    lecture = StyleTransfer(size=100, init="random", seed=1, optimizer="gd", normalization="lecture", steps=15)
    result = lecture.run(picture(100, 100, 1), picture(100, 100, 2))
    costs = [record["cost"] for record in result.trace]
    assert result.picture.shape == (100, 100, 3)
    assert result.stopped == "finished"
    assert result.cost == min(costs) < 0.5 * costs[0]


def test_the_style_comes_closer_and_the_content_stays() -> None:
    content, style = (image.load(image.packaged(name)) for name in ("chelsea", "starry_night"))
    result = StyleTransfer(size=96, steps=25).run(content, style)
    first, last = result.trace[0], result.trace[-1]
    assert sum(last["style"].values()) < 0.25 * sum(first["style"].values())
    # With next to no weight the content is still measured, and drifts further away.
    free = StyleTransfer(size=96, steps=25, content_weight=1e-6).run(content, style).trace[-1]
    assert last["content"]["relu4_2"] < 0.9 * free["content"]["relu4_2"]


def test_the_demonstration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(["style", "--demo", "--size", "64", "--iterations", "2"]) == 0
    assert capsys.readouterr().out.startswith("pyconvx-demo.png: 64x42 px, 2 steps")
    assert image.load("pyconvx-demo.png").shape == (42, 64, 3)
    assert cli.main(["style", "--demo", "-o", "mine.jpg", "--size", "64", "--iterations", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["output"] == "mine.jpg"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's /proc")
def test_the_memory_estimate_is_neither_too_low_nor_far_too_high() -> None:
    measured, needed = json.loads(subprocess.check_output([sys.executable, "-c", MEASURED], timeout=300))
    assert measured < needed < 2.5 * measured
