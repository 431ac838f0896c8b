"""The default number of threads under a cgroup quota: told by files that are laid over the real ones.

That is done in a mount namespace of the test's own, seen by nobody else; where the system does not allow one, the tests
are skipped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pyconvx

TIMEOUT = 120
PYTHON_PATH = os.pathsep.join(path for path in sys.path if path)
IN_A_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-euc"]
LAY_OVER = 'mount --bind "$1/groups" /sys/fs/cgroup; mount --bind "$1/own" "/proc/$$/cgroup"; shift; exec "$@"'


def may_mount() -> bool:
    if not Path("/sys/fs/cgroup").is_dir() or shutil.which("unshare") is None:
        return False
    try_it = [*IN_A_NAMESPACE, "mount --bind /tmp /sys/fs/cgroup", "sh"]
    return subprocess.run(try_it, capture_output=True, timeout=TIMEOUT, check=False).returncode == 0


pytestmark = [
    pytest.mark.skipif(not may_mount(), reason="no mount namespace may be made here"),
    pytest.mark.skipif(pyconvx.get_num_threads() < 2, reason="one thread is the default here without a quota"),
]


def default_threads(tmp_path: Path, own: str, files: dict[str, str]) -> int:
    """What a fresh process finds, whose /proc/self/cgroup is `own` and whose /sys/fs/cgroup has `files`."""
    (tmp_path / "own").write_text(own)
    (tmp_path / "groups").mkdir()
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    program = [sys.executable, "-c", "import pyconvx; print(pyconvx.get_num_threads())"]
    done = subprocess.run(
        [*IN_A_NAMESPACE, LAY_OVER, "sh", str(tmp_path), *program],
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        check=False,
        env={**os.environ, "PYTHONPATH": PYTHON_PATH},
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.parametrize(
    ("own", "files"),
    [
        ("0::/\n", {"cpu.max": "max 100000\n"}),
        ("0::/a/b\n", {"a/cpu.max": "max 100000\n", "a/b/cpu.max": "100000000 100000\n"}),
        ("4:cpu,cpuacct:/a\n", {"cpu/a/cpu.cfs_quota_us": "-1\n", "cpu/a/cpu.cfs_period_us": "100000\n"}),
        ("nonsense\n::::\n4:cpu\n", {"cpu.max": "", "cpu/cpu.cfs_quota_us": "1000"}),
        ("", {"other": ""}),
    ],
    ids=["v2 without", "v2 large", "v1 without", "unreadable", "nothing"],
)
def test_no_quota_takes_nothing_away(tmp_path: Path, own: str, files: dict[str, str]) -> None:
    assert default_threads(tmp_path, own, files) == pyconvx.get_num_threads()


@pytest.mark.parametrize(
    ("own", "files"),
    [
        ("0::/\n", {"cpu.max": "50000 100000\n"}),
        ("0::/a/b\n", {"a/b/cpu.max": "100000 100000\n"}),
        ("0::/a/b\n", {"a/cpu.max": "70000 100000\n", "a/b/cpu.max": "max 100000\n"}),
        ("0::/on/the/host/only\n", {"cpu.max": "20000 100000\n"}),
        ("4:cpu,cpuacct:/a\n", {"cpu/a/cpu.cfs_quota_us": "90000\n", "cpu/a/cpu.cfs_period_us": "100000\n"}),
        ("4:cpu:/host/only\n", {"cpu/cpu.cfs_quota_us": "90000\n", "cpu/cpu.cfs_period_us": "100000\n"}),
    ],
    ids=["v2 own root", "v2 group", "v2 group above", "v2 container", "v1 group", "v1 container"],
)
def test_the_default_follows_the_quota(tmp_path: Path, own: str, files: dict[str, str]) -> None:
    assert default_threads(tmp_path, own, files) == 1


def test_a_part_of_a_processor_counts_as_one(tmp_path: Path) -> None:
    assert default_threads(tmp_path, "0::/\n", {"cpu.max": "110000 100000\n"}) == 2
