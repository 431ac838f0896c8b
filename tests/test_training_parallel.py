"""Several processes train as one does with the joined batch: played by threads always, by MPI where it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from processes import Member, together

from pyconvx import nn, training
from pyconvx.errors import MissingExtraError, OptionError
from pyconvx.training.parallel import joined
from pyconvx.triplet import ArcFaceLoss, NTXentLoss, TripletTrainer

RNG = np.random.default_rng(0)
LABELS = np.repeat(np.arange(9), 4)
X = RNG.normal(size=(9, 1, 12, 2)).repeat(4, axis=1).reshape(36, 12, 2) + 0.3 * RNG.normal(size=(36, 12, 2))


def make_encoder(dtype: Any = np.float64, drop: float = 0.0) -> nn.Sequential:
    """With everything that looks at a whole batch."""
    encoder = training.encoder1d("small", 2, 8, dtype=dtype, seed=3)
    return nn.Sequential({"drop": nn.Dropout(drop), "encoder": encoder})


def learn(
    communicator: Any = None, dtype: Any = np.float64, **options: Any
) -> tuple[training.TrainingResult, nn.Layer]:
    """A short training."""
    x = X.astype(dtype)
    encoder = options.pop("encoder", None) or make_encoder(dtype)
    fit = {name: options.pop(name) for name in ("callback", "checkpoint", "resume", "log") if name in options}
    trainer = TripletTrainer(
        encoder,
        **{
            "loss": "semihard",
            "n_classes": 3,
            "n_per_class": 3,
            "steps": 6,
            "optimizer": partial(nn.SGD, momentum=0.9),
            "augment": training.Augment(shift=1, noise=0.01),
            "lr": 0.05,
            **options,
        },
        communicator=communicator,
    )
    held_out = LABELS >= 6
    result = trainer.fit(
        x[~held_out], LABELS[~held_out], validation=(x[held_out], LABELS[held_out]), validate_every=2, **fit
    )
    return result, encoder


def assert_same(found: nn.Layer, wanted: nn.Layer, rtol: float = 1e-9) -> None:
    for name, array in wanted.state_dict().items():
        np.testing.assert_allclose(found.state_dict()[name], array, rtol=rtol, atol=rtol, err_msg=name)


@pytest.mark.parametrize("size", [2, 3, 9])
def test_the_result_is_that_of_one_process(size: int) -> None:
    wanted, alone = learn()
    everyone = together(size, learn)
    for result, encoder in everyone:
        assert_same(encoder, alone)
        for step, other in zip(result.history.steps, wanted.history.steps, strict=True):
            assert step["loss"] == pytest.approx(other["loss"], rel=1e-9)
            assert step["active"] == other["active"]
        assert list(map(pytest.approx, wanted.history.validations)) == result.history.validations
    first = everyone[0][1].state_dict()
    for _, encoder in everyone[1:]:  # the same bits everywhere, or they would drift apart
        for name, array in encoder.state_dict().items():
            np.testing.assert_array_equal(array, first[name])


def test_losses_that_learn_and_float32() -> None:
    for make in (partial(ArcFaceLoss, 6, 8, dtype=np.float32, random_state=0), partial(NTXentLoss, 0.1)):
        _, alone = learn(loss=make(), dtype=np.float32)
        for _, encoder in together(2, lambda member, make=make: learn(member, loss=make(), dtype=np.float32)):
            assert_same(encoder, alone, 1e-4)


def test_without_the_shared_statistics_the_result_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import nullcontext

    from pyconvx.training import session

    _, alone = learn()
    monkeypatch.setattr(session, "joined", lambda communicator, encoder: nullcontext())
    with pytest.raises(AssertionError):
        assert_same(together(2, learn)[0][1], alone, 1e-3)


@pytest.mark.parametrize("parts", [(5, 3), (7, 1)])
@pytest.mark.parametrize("relu", [False, True])
def test_batchnorm_over_processes(parts: tuple[int, int], relu: bool) -> None:
    x, dy = RNG.normal(3, 2, (8, 5, 4)), RNG.normal(size=(8, 5, 4))

    def make() -> nn.Sequential:
        norm = nn.BatchNorm(4, dtype=np.float64)
        norm.weight.assign([1.0, -2.0, 0.5, 3.0])
        norm.bias.assign([0.1, 0.2, -0.3, 0.4])
        net = nn.Sequential(norm, nn.ReLU()) if relu else nn.Sequential(norm)
        net.train()
        return net

    whole = make()
    y, pullback = whole.vjp(x)
    dx, grads = pullback(dy)

    def work(member: Member) -> Any:
        net, rows = make(), slice(0, parts[0]) if member.rank == 0 else slice(parts[0], None)
        with joined(member, net):
            own, back = net.vjp(x[rows])
            found = back(dy[rows])
        assert net["0"].gather is None
        return own, *found, net.state_dict()

    one, other = together(2, work)
    np.testing.assert_allclose(np.concatenate([one[0], other[0]]), y, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(np.concatenate([one[1], other[1]]), dx, rtol=1e-11, atol=1e-12)
    for name, wanted in grads.items():
        np.testing.assert_allclose(one[2][name] + other[2][name], wanted, rtol=1e-11)
    for name, wanted in whole.state_dict().items():
        np.testing.assert_allclose(one[3][name], wanted, rtol=1e-12)
        np.testing.assert_array_equal(one[3][name], other[3][name])


def test_processes_that_differ_are_refused() -> None:
    for what, options in (
        (
            "weights",
            {"encoder": lambda rank: make_encoder() if rank == 0 else training.encoder1d("small", 2, 8, dtype=float)},
        ),
        ("options", {"seed": lambda rank: rank}),
        ("loss", {"loss": lambda rank: ("semihard", "all")[rank]}),
        ("augmentation", {"augment": lambda rank: training.Augment(shift=rank)}),
        ("optimiser", {"optimizer": lambda rank: (nn.Adam, nn.SGD)[rank]}),
    ):
        with pytest.raises(OptionError, match=f"do not agree in: .*{what}"):
            together(2, lambda member, o=options: learn(member, **{k: v(member.rank) for k, v in o.items()}))
    with pytest.raises(OptionError, match="Dropout"):
        together(2, lambda member: learn(member, encoder=make_encoder(drop=0.5)))
    with pytest.raises(OptionError, match="cannot share a batch of 9"):
        together(10, learn)


def test_what_is_decided_is_decided_alike() -> None:
    """A rate and an end that go by each process's own clock."""

    def work(member: Member) -> Any:
        return learn(
            member, lr=lambda step: 0.05 / (1 + member.rank), callback=lambda step: step.done == 3 + member.rank
        )

    for result, _ in together(2, work):
        assert (result.stopped, result.steps) == ("callback", 3)
        assert [step["lr"] for step in result.history.steps] == [0.05] * 3


def test_the_first_one_writes_and_all_go_on(tmp_path: Path) -> None:
    _, alone = learn()

    def stopped(member: Member) -> Any:
        own = {} if member.rank else {"log": tmp_path / "log"}
        return learn(member, checkpoint=tmp_path / "state", callback=lambda step: step.done == 3, **own)

    together(2, stopped)
    assert len((tmp_path / "log").read_text().splitlines()) == 3 + 2
    for result, encoder in together(2, lambda member: learn(member, checkpoint=tmp_path / "state", resume=True)):
        assert result.steps == 6
        assert_same(encoder, alone)


def test_without_mpi4py_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyconvx.training.mpi import MpiCommunicator

    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(MissingExtraError, match=r"pyconvx\[mpi\]"):
        MpiCommunicator()


SCRIPT = """
import sys
sys.path.insert(0, {tests!r})
import json, numpy as np
import test_training_parallel as cases
from pyconvx.training.mpi import MpiCommunicator

mpi = MpiCommunicator()
rows = np.arange(3.0 * (1 + mpi.rank)).reshape(-1, 3).astype(np.float32)
assert mpi.gather(rows).shape == (3, 3) and mpi.gather(rows).dtype == np.float32
assert mpi.gather(np.array([mpi.rank == 1])).tolist() == [False, True]
mixed = dict(a=np.ones((2, 2), np.float32), b=np.array(3.0), c=np.ones(1, np.float32))
total = mpi.sum(mixed)
assert {{n: (a.shape, a.dtype) for n, a in total.items()}} == {{n: (a.shape, a.dtype) for n, a in mixed.items()}}
assert total["a"].sum() == 8 and total["b"] == 6
result, encoder = cases.learn(mpi)
if {fails} and mpi.rank == 1:
    raise ValueError("one process fails")
mpi.gather(rows)
np.savez(f"{{mpi.rank}}.npz", **encoder.state_dict())
"""


def mpi_program() -> str:
    """What starts processes, or why there is none."""
    try:
        import mpi4py  # noqa: F401
    except ImportError:
        pytest.skip("mpi4py is not installed: pip install 'pyconvx[mpi]'")
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    program = shutil.which("mpiexec", path=places) or shutil.which("mpirun", path=places)
    if program is None:
        pytest.skip("neither mpiexec nor mpirun is there")
    return program


def start(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command as two processes of this machine."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"}
    program = [mpi_program(), "-n", "2"]
    return subprocess.run(
        [*program, *command], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


def test_two_processes_by_mpi(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT.format(tests=str(Path(__file__).parent), fails=False))
    done = start(tmp_path, sys.executable, "-m", "mpi4py", "script.py")
    assert done.returncode == 0, done.stderr
    _, alone = learn()
    with np.load(tmp_path / "0.npz") as first, np.load(tmp_path / "1.npz") as second:
        for name, wanted in alone.state_dict().items():
            np.testing.assert_array_equal(first[name], second[name])
            np.testing.assert_allclose(first[name], wanted, rtol=1e-9, atol=1e-9)


def test_if_one_process_fails_the_other_does_not_wait(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT.format(tests=str(Path(__file__).parent), fails=True))
    done = start(tmp_path, sys.executable, "-m", "mpi4py", "script.py")
    assert done.returncode != 0
    assert "one process fails" in done.stderr


def test_the_command_by_mpi(tmp_path: Path) -> None:
    """Takes seconds: processes start, twice."""
    from pyconvx import cli

    for kind in range(6):
        (tmp_path / "things" / str(kind)).mkdir(parents=True)
        for place in range(3):
            np.save(tmp_path / "things" / str(kind) / f"{place}.npy", RNG.normal(kind, 1, (16, 1)))
    (tmp_path / "things" / "0" / "bad.npy").write_bytes(b"")
    options = [
        "things",
        "--steps",
        "4",
        "--batch",
        "4x2",
        "--dimensions",
        "4",
        "--json",
        "--quiet",
        "--optimizer",
        "sgd",
    ]
    command = [sys.executable, "-m", "pyconvx", "train", *options]
    done = start(tmp_path, *command, "--mpi", "-o", "two.safetensors")
    assert done.returncode == cli.exit_codes.BAD_INPUT, done.stderr
    assert json.loads(done.stdout)["steps"] == 4  # once
    assert done.stderr.count("bad.npy: not an .npy file") == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert cli.main(["train", *options, "-o", "one.safetensors"]) == cli.exit_codes.BAD_INPUT
    found, wanted = (nn.load_network(tmp_path / f"{name}.safetensors") for name in ("two", "one"))
    assert_same(found, wanted, 1e-4)
    done = start(tmp_path, *command, "--mpi", "-o", "x.safetensors", "--batch", "9x9")
    assert done.returncode != 0
    assert "process 1: a batch wants 9 classes" in done.stderr or "process 0: a batch wants 9 classes" in done.stderr
