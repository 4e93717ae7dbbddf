"""A log file that several processes write to: nothing mixes, nothing grows for ever."""

from __future__ import annotations

import os

import pytest

from anthropic_bedrock_proxy.telemetry.log_file import LogFile, RotatingFile


def log_file(path, **options):
    return LogFile(path, **{"max_bytes": 1 << 20, "backups": 2, **options})


def test_lines_arrive_in_their_order(tmp_path):
    log = log_file(tmp_path / "proxy.log")
    for number in range(100):
        log.write(b"%d\n" % number)
    log.flush()
    assert (tmp_path / "proxy.log").read_bytes() == b"".join(b"%d\n" % n for n in range(100))


def test_it_rotates_and_keeps_as_many_as_it_is_told(tmp_path):
    file = RotatingFile(tmp_path / "proxy.log", max_bytes=10, backups=2)
    for number in range(6):
        file.append(b"line %d....\n" % number)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["proxy.log", "proxy.log.1", "proxy.log.2"]
    assert [(tmp_path / name).read_bytes() for name in names] == [
        b"line 5....\n",
        b"line 4....\n",
        b"line 3....\n",
    ]


def test_without_backups_it_begins_anew(tmp_path):
    file = RotatingFile(tmp_path / "proxy.log", max_bytes=10, backups=0)
    for number in range(3):
        file.append(b"line %d....\n" % number)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"line 2....\n"]


def test_two_writers_rotate_once_and_lose_nothing(tmp_path):
    one, two = (RotatingFile(tmp_path / "x", max_bytes=100, backups=50) for _ in range(2))
    for number in range(200):
        (one if number % 3 else two).append(b"%03d\n" % number)
    lines = b"".join(path.read_bytes() for path in tmp_path.iterdir()).split()
    assert sorted(lines) == [b"%03d" % number for number in range(200)]
    assert len(list(tmp_path.iterdir())) == 8


def test_a_file_that_another_program_moved_is_opened_anew(tmp_path):
    file = RotatingFile(tmp_path / "x", max_bytes=100, backups=1)
    file.append(b"before\n")
    (tmp_path / "x").rename(tmp_path / "moved")
    file.append(b"after\n")
    assert (tmp_path / "moved").read_bytes() == b"before\n"
    assert (tmp_path / "x").read_bytes() == b"after\n"


def test_a_forked_process_writes_by_a_thread_of_its_own(tmp_path):
    log = log_file(tmp_path / "x")
    log.write(b"parent\n")
    log.flush()
    child = os.fork()
    if not child:
        log.write(b"child\n")
        log.flush()
        os._exit(0)
    os.waitpid(child, 0)
    assert (tmp_path / "x").read_bytes() == b"parent\nchild\n"


def test_a_disk_that_hangs_bounds_what_waits_and_tells_what_was_lost(tmp_path):
    log = log_file(tmp_path / "x")
    log._thread = object()  # which takes nothing
    for _ in range(10):
        log.write(b"x" * 999_999 + b"\n")
    assert log._queue.qsize() == 8
    assert log._lost == 2_000_000
    log._thread, log._waiting = None, 0
    log.write(b"after\n")
    log.flush()
    last = (tmp_path / "x.1").read_bytes() if (tmp_path / "x.1").exists() else b""
    told = last + (tmp_path / "x").read_bytes()
    assert b"2000000 bytes of the log were lost" in told
    assert b"after\n" in told


def test_a_full_disk_stops_nobody(tmp_path):
    log = log_file(tmp_path / "x")
    (tmp_path / "x").unlink()
    (tmp_path / "x").mkdir()
    log.write(b"lost\n")
    log.flush()
    (tmp_path / "x").rmdir()
    log.write(b"kept\n")
    log.flush()
    assert (tmp_path / "x").read_bytes() == b"kept\n"


def test_a_file_that_cannot_be_had_is_told_at_once(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        log_file(tmp_path / "nowhere" / "x")
