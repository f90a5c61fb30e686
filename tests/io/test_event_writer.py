"""Event files and the thread that writes them."""
from __future__ import annotations

import errno
import gc
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from millstream.core import errors
from millstream.io import proto
from millstream.io.event_file import EventFile, Kind, event
from millstream.io.event_writer import EventWriter
from millstream.io.records import RecordReader

SUMMARY = proto.Summary(value=[proto.Summary.Value(tag="loss", simple_value=0.5)]).SerializeToString()


def events(folder: Path) -> list[Any]:
    """All events of a folder's files, in the order of the files' names, without their versions."""
    found = []
    for path in sorted(folder.iterdir()):
        with RecordReader(path) as records:
            version, *others = [proto.Event.FromString(record) for record in records]
        assert version.file_version == "brain.Event:2"
        found += others
    return found


def steps(folder: Path) -> list[int]:
    return [found.step for found in events(folder)]


def wait_until(holds: Any) -> None:
    end = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("step", [0, 1, 127, 128, 1 << 40, (1 << 63) - 1, -1, -(1 << 63)])
def test_serialised_events(step: int) -> None:
    wanted = proto.Event(wall_time=1.5, step=step)
    wanted.summary.ParseFromString(SUMMARY)
    assert event(Kind.SUMMARY, SUMMARY, step, 1.5) == wanted.SerializeToString(deterministic=True)
    assert event(Kind.GRAPH_DEF, b"g", 2, 3.0) == proto.Event(wall_time=3, step=2, graph_def=b"g").SerializeToString()


def test_nobody_touches_another_ones_file(tmp_path: Path) -> None:
    files = [EventFile(tmp_path, ".x") for _ in range(3)]
    assert len({file.path for file in files}) == len(list(tmp_path.iterdir())) == 3
    for file in files:
        file.close()


def test_order_and_flush(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path, max_queue=3)
    for number in range(1000):
        writer.add(event(Kind.SUMMARY, SUMMARY, number))
    writer.flush()
    assert steps(tmp_path) == list(range(1000))
    writer.add(event(Kind.SUMMARY, SUMMARY, 1000))
    writer.close()
    writer.close()
    writer.add(event(Kind.SUMMARY, SUMMARY, 1001))  # dropped
    assert writer.closed and steps(tmp_path) == list(range(1001))


def test_many_threads(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path, max_queue=2)
    threads = [
        threading.Thread(target=lambda first=first: [
            writer.add(event(Kind.SUMMARY, SUMMARY, first + number)) for number in range(200)
        ])
        for first in range(0, 2000, 200)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    found = steps(tmp_path)
    assert sorted(found) == list(range(2000))
    for first in range(0, 2000, 200):  # those of one thread are in order
        own = [step for step in found if first <= step < first + 200]
        assert own == sorted(own)


def test_events_are_written_after_a_while(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path, flush_secs=0.05)
    for number in range(1, 3):
        writer.add(event(Kind.SUMMARY, SUMMARY, number))
        wait_until(lambda number=number: steps(tmp_path) == list(range(1, number + 1)))
    writer.close()


def test_a_queue_without_limit_does_not_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    write = EventFile.write

    def slow(self: EventFile, records: bytes) -> None:
        gate.wait(30)
        write(self, records)

    monkeypatch.setattr(EventFile, "write", slow)
    writer = EventWriter(tmp_path, max_queue=0, flush_secs=0)
    for number in range(5000):
        writer.add(event(Kind.SUMMARY, SUMMARY, number))
    gate.set()
    writer.close()
    assert len(steps(tmp_path)) == 5000


def test_whoever_adds_to_a_full_queue_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, writing = threading.Event(), threading.Event()
    write = EventFile.write

    def slow(self: EventFile, records: bytes) -> None:
        writing.set()
        gate.wait(30)
        write(self, records)

    monkeypatch.setattr(EventFile, "write", slow)
    writer = EventWriter(tmp_path, max_queue=2, flush_secs=0)
    writer.add(event(Kind.SUMMARY, SUMMARY, 0))
    assert writing.wait(30)
    added: list[int] = []

    def add() -> None:
        for number in range(1, 50):
            writer.add(event(Kind.SUMMARY, SUMMARY, number))
            added.append(number)

    thread = threading.Thread(target=add)
    thread.start()
    thread.join(0.3)
    assert added == [1, 2]
    gate.set()
    thread.join(30)
    writer.close()
    assert steps(tmp_path) == list(range(50))


# --- What goes away ---------------------------------------------------------------------------------------------------


def test_files_and_folders_that_are_deleted_are_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    writer = EventWriter(folder)
    writer.add(event(Kind.SUMMARY, SUMMARY, 1))
    writer.flush()
    shutil.rmtree(tmp_path / "a")
    writer.add(event(Kind.SUMMARY, SUMMARY, 2))
    writer.flush()
    assert steps(folder) == [2]
    (path,) = folder.iterdir()
    path.rename(folder / "other")  # the file that is open has another name now
    writer.add(event(Kind.SUMMARY, SUMMARY, 3))
    writer.close()
    assert sorted(steps(folder)) == [2, 3]


def test_no_name_is_the_folder_of_the_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    writer = EventWriter("")
    writer.add(event(Kind.SUMMARY, SUMMARY, 1))
    writer.close()
    assert steps(tmp_path) == [1]


def test_a_writer_that_nobody_uses_is_closed(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path)
    writer.add(event(Kind.SUMMARY, SUMMARY, 1))
    del writer
    gc.collect()
    assert steps(tmp_path) == [1]
    assert not [thread for thread in threading.enumerate() if thread.name == "EventWriter"]


_PROGRAM = """
import os, signal, sys
from millstream.io import event_writer
from millstream.io.event_file import Kind, event
writer = event_writer.EventWriter(sys.argv[1])
for number in range(25):
    writer.add(event(Kind.SUMMARY, b"", number))
"""


def run_program(folder: Path, end: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-c", _PROGRAM + end, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_the_end_of_the_program_closes_it(tmp_path: Path) -> None:
    assert run_program(tmp_path, "").returncode == 0
    assert steps(tmp_path) == list(range(25))
    assert "ValueError" in run_program(tmp_path / "b", "raise ValueError").stderr
    assert steps(tmp_path / "b") == list(range(25))


def test_a_killed_program_leaves_whole_records(tmp_path: Path) -> None:
    run_program(tmp_path, "writer.flush(); writer.add(b'x'); os.kill(os.getpid(), signal.SIGKILL)")
    assert steps(tmp_path) == list(range(25))


def test_forked_processes(tmp_path: Path) -> None:
    child = "if os.fork() == 0:\n    sys.exit(0)\nos.wait()\n"
    assert run_program(tmp_path, child).returncode == 0
    assert steps(tmp_path) == list(range(25))  # written once
    child = "if os.fork() == 0:\n    writer.add(event(Kind.SUMMARY, b'', 99))\n    writer.close()\n"
    child += "else:\n    os.wait()\n"
    assert run_program(tmp_path / "b", child).returncode == 0
    assert sorted(steps(tmp_path / "b")) == [*range(25), 99]
    assert len(os.listdir(tmp_path / "b")) == 2


# --- Errors -----------------------------------------------------------------------------------------------------------


class Full:
    """A file on a disk that is full: the first bytes of what is written are, then there is an error."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, data: Any) -> int:
        if len(data) > 5:
            return int(self._file.write(data[: len(data) // 2]))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def fill_disk(writer: EventWriter) -> Any:
    file = writer._core._file
    whole, file._file = file._file, Full(file._file)
    return lambda: setattr(file, "_file", whole)


def test_a_full_disk(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path, max_queue=2)
    writer.add(event(Kind.SUMMARY, SUMMARY, 1))
    writer.flush()
    free = fill_disk(writer)
    writer.add(event(Kind.SUMMARY, SUMMARY, 2))
    with pytest.raises(errors.ResourceExhaustedError, match="Summaries could not be written: .*No space left"):
        writer.flush()
    assert steps(tmp_path) == [1]  # no half record
    free()
    writer.add(event(Kind.SUMMARY, SUMMARY, 3))
    writer.close()
    assert steps(tmp_path) == [1, 3]


def test_a_full_disk_found_by_the_thread(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path, max_queue=2, flush_secs=0)
    free = fill_disk(writer)

    def add_many() -> None:
        for number in range(1_000_000):  # until the thread has tried
            writer.add(event(Kind.SUMMARY, SUMMARY, number))

    with pytest.raises(errors.ResourceExhaustedError, match="No space left"):
        add_many()
    with pytest.raises(errors.ResourceExhaustedError, match="No space left"):
        add_many()
    free()
    with suppress(errors.ResourceExhaustedError):  # of what the thread had begun to write before
        writer.close()
    assert steps(tmp_path) == sorted(steps(tmp_path))


def test_a_full_disk_at_the_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    writer = EventWriter(tmp_path)
    fill_disk(writer)
    writer.add(event(Kind.SUMMARY, SUMMARY, 1))
    with pytest.raises(errors.ResourceExhaustedError, match="No space left"):
        writer.close()
    assert writer.closed
    writer = EventWriter(tmp_path)
    fill_disk(writer)
    writer.add(event(Kind.SUMMARY, SUMMARY, 1))
    del writer
    gc.collect()
    assert "No space left" in caplog.text


def test_a_limit_of_the_operating_system(tmp_path: Path) -> None:
    end = """
import resource
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
for number in range(25, 1000):
    writer.add(event(Kind.SUMMARY, b"", number))
    if number % 100 == 0:
        writer.flush()
"""
    done = run_program(tmp_path, end)
    assert done.returncode == 1 and "File too large" in done.stderr
    found = steps(tmp_path)
    assert found == list(range(len(found)))


def test_where_no_file_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.FailedPreconditionError, match="Not a directory"):
        EventWriter(tmp_path / "file")
    with pytest.raises(errors.OpError):
        EventWriter("/proc/none/such")
