"""What is left of the removed, kills at any moment, readers beside a writer, threads and forks."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest
from gallery_people import open_gallery, person
from other_process import ended, start

from pyconvx.errors import GalleryError

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


def files_of(path: Path) -> dict[str, bytes]:
    """Content of the file and of its companions."""
    return {file.name: file.read_bytes() for file in path.parent.iterdir() if file.name.startswith(path.name)}


def secrets_of(name: str, rows: np.ndarray) -> list[bytes]:
    """What must not be found: the name, and stretches of every encoding."""
    return [name.encode(), *(row.tobytes()[start : start + 32] for row in rows for start in (0, 256, 480))]


@pytest.mark.parametrize("way", ["remove", "rename", "merge"])
def test_nothing_of_the_removed_stays_in_the_file_or_its_log(tmp_path: Path, way: str) -> None:
    path = tmp_path / "crew.gallery"
    rows = person(7, 40)
    with open_gallery(path) as gallery:
        for seed in range(100, 140):
            gallery.enrol(f"other {seed}", encodings=person(seed, 3))
            gallery.enrol("Wanda Unmistakable", encodings=rows[seed - 100])
        with open_gallery(path) as reader:  # keeps the log from going away with the last connection
            assert len(reader) == 41
            there = b"".join(files_of(path).values())
            sought = secrets_of("Wanda Unmistakable", rows if way == "remove" else rows[:0])
            assert all(secret in there for secret in sought), "the search itself works"
            if way == "remove":
                assert gallery.remove("Wanda Unmistakable") == 40
            elif way == "rename":
                gallery.rename("Wanda Unmistakable", "W")
            else:
                gallery.merge("Wanda Unmistakable", into="other 100")
            for name, content in files_of(path).items():
                assert not any(secret in content for secret in sought), name
            assert reader.people == gallery.people
            gallery.check()
    for content in files_of(path).values():
        assert not any(secret in content for secret in sought)


def test_an_erasure_that_a_reader_delays_is_told_and_made_up_for(tmp_path: Path) -> None:
    path = tmp_path / "crew.gallery"
    rows = person(7, 20)
    with open_gallery(path, timeout=0.2) as gallery:
        gallery.enrol("Wanda", encodings=rows)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM people").fetchone()
        with pytest.raises(GalleryError, match="another process still reads older content"):
            gallery.remove("Wanda")
        assert "Wanda" not in gallery
        assert any(secret in content for content in files_of(path).values() for secret in secrets_of("Wanda", rows))
        other.execute("COMMIT")
        other.close()
    # Whoever opens it next makes up for it, as after a kill between the removal and the erasure.
    with open_gallery(path):
        for content in files_of(path).values():
            assert not any(secret in content for secret in secrets_of("Wanda", rows))


@posix
@pytest.mark.parametrize("confirmed_before", [1, 7, 23, 60, 95])
def test_a_kill_loses_nothing_that_was_confirmed(tmp_path: Path, confirmed_before: int) -> None:
    path = tmp_path / "crew.gallery"
    process = start(
        """
        gallery = open_gallery(sys.argv[1])
        for seed in range(100):
            gallery.enrol(f"person {seed}", encodings=person(seed, 3))
            print(seed, flush=True)
        """,
        str(path),
    )
    confirmed = []
    for line in process.stdout:
        confirmed.append(int(line))
        if len(confirmed) == confirmed_before:
            os.kill(process.pid, signal.SIGKILL)
    confirmed += [int(line) for line in process.stdout]
    process.communicate()
    assert process.returncode == -signal.SIGKILL or len(confirmed) == 100
    with open_gallery(path) as gallery:
        gallery.check()
        people = gallery.people
        assert {f"person {seed}" for seed in confirmed} <= set(people)
        assert len(people) <= len(confirmed) + 1
        assert set(people.values()) == {3}
        for seed in confirmed:
            assert gallery.identify(encodings=person(seed), threshold=1)[0].name == f"person {seed}"
        gallery.enrol("after", encodings=person(1000))
        gallery.remove("after")


@posix
def test_a_kill_during_a_removal_leaves_all_or_nothing(tmp_path: Path) -> None:
    for delay in (0.0, 0.002, 0.005, 0.01, 0.02):
        path = tmp_path / f"crew {delay}.gallery"
        with open_gallery(path) as gallery:
            gallery.enrol("Wanda", encodings=person(7, 200))
            gallery.enrol("Ann", encodings=person(8, 200))
        process = start("g = open_gallery(sys.argv[1]); print(flush=True); g.remove('Wanda')", str(path))
        process.stdout.readline()
        threading.Event().wait(delay)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        with open_gallery(path) as gallery:
            gallery.check()
            assert gallery.people in ({"Ann": 200}, {"Ann": 200, "Wanda": 200})
            gone = "Wanda" not in gallery
        if gone:
            for content in files_of(path).values():
                assert not any(secret in content for secret in secrets_of("Wanda", person(7, 200)))


def test_readers_and_a_writer_at_once(tmp_path: Path) -> None:
    path = tmp_path / "crew.gallery"
    open_gallery(path).close()
    writer = start(
        """
        with open_gallery(sys.argv[1]) as gallery:
            for seed in range(60):
                gallery.enrol(f"person {seed}", encodings=person(seed, 2))
                if seed % 10 == 9:
                    gallery.remove(f"person {seed}")
        """,
        str(path),
    )
    readers = [
        start(
            """
            with open_gallery(sys.argv[1]) as gallery:
                last = 0
                while "person 58" not in gallery:
                    found = gallery.identify(encodings=person(0), threshold=1)[0]
                    assert found.name in (None, "person 0")
                    counts = gallery.people
                    assert set(counts.values()) <= {2}, counts  # never half an enrolment
                    last = max(last, len(counts))
                print(last)
            """,
            str(path),
        )
        for _ in range(3)
    ]
    ended(writer)
    for reader in readers:
        ended(reader)


def test_writers_wait_for_each_other(tmp_path: Path) -> None:
    path = tmp_path / "crew.gallery"  # made by whoever comes first
    program = """
        with open_gallery(sys.argv[1]) as gallery:
            for turn in range(25):
                gallery.enrol(f"person {turn}", encodings=person(int(sys.argv[2])))
        """
    for process in [start(program, str(path), str(number)) for number in range(4)]:
        ended(process)
    with open_gallery(path) as gallery:
        assert gallery.people == {f"person {turn}": 4 for turn in range(25)}


@posix
def test_a_checkpoint_of_another_process_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "crew.gallery"
    with open_gallery(path) as gallery:
        gallery.enrol("Ann", encodings=person(0))
        other = start(
            """
            import fcntl, time
            with open(sys.argv[1] + "-shm", "r+b") as index:
                fcntl.lockf(index, fcntl.LOCK_EX, 1, 121)  # as a checkpoint does
                print("locked", flush=True)
                time.sleep(0.5)
            """,
            str(path),
        )
        assert other.stdout and other.stdout.readline() == "locked\n"
        assert gallery.remove("Ann") == 1
        ended(other)


def test_a_writer_who_never_ends_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "crew.gallery"
    with open_gallery(path, timeout=0.1) as gallery:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(GalleryError, match=r"writing for more than 0\.1 seconds"):
            gallery.enrol("Ann", encodings=person(0))
        assert len(gallery) == 0
        other.close()
        gallery.enrol("Ann", encodings=person(0))


@posix
def test_a_stop_is_heard_while_another_writer_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "crew.gallery"
    with open_gallery(path):
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        process = start(
            """
            import signal
            signal.signal(signal.SIGINT, signal.default_int_handler)
            gallery = open_gallery(sys.argv[1], timeout=60)
            print(flush=True)
            try:
                gallery.enrol("Ann", encodings=person(0))
            except KeyboardInterrupt:
                print("stopped")
            """,
            str(path),
        )
        process.stdout.readline()
        threading.Event().wait(0.1)
        process.send_signal(signal.SIGINT)
        out, errors = process.communicate(timeout=20)  # a third of its patience
        assert out == "stopped\n", errors
        other.close()


def test_a_stop_while_another_writer_is_waited_for_leaves_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "crew.gallery"

    class Stopped:
        """Ctrl-C during BEGIN IMMEDIATE: Python raises it when SQLite has returned, with the lock."""

        def __init__(self, connection: sqlite3.Connection) -> None:
            self.connection = connection

        def __getattr__(self, name: str) -> object:
            return getattr(self.connection, name)

        def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
            done = self.connection.execute(statement, *values)
            if statement == "BEGIN IMMEDIATE":
                raise KeyboardInterrupt
            return done

    with open_gallery(path) as gallery, open_gallery(path, timeout=0.2) as other:
        connection = gallery._file._connection
        gallery._file._connection = Stopped(connection)
        with pytest.raises(KeyboardInterrupt):
            gallery.enrol("Ann", encodings=person(0))
        gallery._file._connection = connection
        other.enrol("Bob", encodings=person(1))
        gallery.enrol("Cid", encodings=person(2))
        assert sorted(gallery.people) == ["Bob", "Cid"]


def test_threads_share_a_gallery(tmp_path: Path) -> None:
    with open_gallery(tmp_path / "crew.gallery") as gallery:
        failures = []

        def work(number: int) -> None:
            try:
                for turn in range(10):
                    seed = 100 * number + turn
                    gallery.enrol(f"person {seed}", encodings=person(seed))
                    assert gallery.identify(encodings=person(seed), threshold=1)[0].name == f"person {seed}"
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert len(gallery) == 40


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_opens_the_file_anew(tmp_path: Path) -> None:
    out = ended(
        start(
            """
            import os
            gallery = open_gallery(sys.argv[1])
            gallery.enrol("Ann", encodings=person(0))
            gallery.identify(encodings=person(0), threshold=1)
            child = os.fork()
            if child == 0:
                gallery.enrol("Bob", encodings=person(1))
                os._exit(gallery.identify(encodings=person(0), threshold=1)[0].name != "Ann")
            assert os.waitpid(child, 0)[1] == 0
            gallery.enrol("Cid", encodings=person(2))
            gallery.check()
            print(sorted(gallery.people))
            """,
            str(tmp_path / "crew.gallery"),
        )
    )
    assert out == "['Ann', 'Bob', 'Cid']\n"
