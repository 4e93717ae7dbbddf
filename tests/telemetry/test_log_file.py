"""A log file that several processes write to: nothing mixes, nothing grows for ever."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import resource

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
    log._thread, log._written = None, log._taken
    log.write(b"after\n")
    log.flush()
    last = (tmp_path / "x.1").read_bytes() if (tmp_path / "x.1").exists() else b""
    told = last + (tmp_path / "x").read_bytes()
    assert b"2000000 bytes of the log were lost" in told
    assert b"after\n" in told


def messages_of(path):
    """The messages of the log's own lines, and the other lines."""
    lines = path.read_bytes().splitlines()
    own = [json.loads(line)["message"] for line in lines if line.startswith(b"{")]
    return own, [line for line in lines if not line.startswith(b"{")]


def test_a_full_disk_stops_nobody_and_what_was_lost_is_told(tmp_path):
    path = tmp_path / "x"
    path.symlink_to("/dev/full")
    log = log_file(path)
    log.write(b"lost\n")
    log.write(b"lost, too\n")
    log.flush()
    path.unlink()
    log.write(b"kept\n")
    log.flush()
    assert messages_of(path) == (["15 bytes of the log were lost"], [b"kept"])


def test_a_line_that_a_full_disk_cut_is_ended_before_the_next(tmp_path):
    file = RotatingFile(tmp_path / "x", max_bytes=1 << 20, backups=1)
    file.append(b"whole\n")
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8, resource.RLIM_INFINITY))
        with contextlib.suppress(OSError):
            file.append(b"cut off\n")
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        file.append(b"next\n")
        os._exit(0)
    os.waitpid(child, 0)
    assert (tmp_path / "x").read_bytes() == b"whole\ncu\nnext\n"


def test_a_file_that_cannot_rotate_grows_on_and_says_so_once(tmp_path):
    path = tmp_path / "x"
    one, other = (RotatingFile(path, max_bytes=8, backups=1) for _ in range(2))
    (tmp_path / "x.1").mkdir()  # which no file can replace
    for number in range(5):
        one.append(b"%07d\n" % number)
    told, lines = messages_of(path)
    assert told == ["the log does not rotate: Is a directory"]
    assert lines == [b"%07d" % number for number in range(5)]
    (tmp_path / "x.1").rmdir()
    other.append(b"after\n")  # nobody has kept the lock
    assert messages_of(path) == ([], [b"after"])
    one.append(b"followed\n")
    assert messages_of(path) == ([], [b"after", b"followed"])


def test_without_a_file_of_its_name_the_last_one_is_written_to(tmp_path):
    folder, file = tmp_path / "logs", RotatingFile(tmp_path / "logs" / "x", max_bytes=99, backups=1)
    folder.mkdir()
    file.append(b"before\n")
    folder.rename(tmp_path / "moved")
    file.append(b"after\n")
    assert (tmp_path / "moved" / "x").read_bytes() == b"before\nafter\n"
    (tmp_path / "moved" / "x").unlink()
    with pytest.raises(OSError, match="No such file"):
        file.append(b"lost\n")


def in_children(count, work):
    """Does the work in so many forked processes at once."""
    children = []
    for number in range(count):
        child = os.fork()
        if not child:
            try:
                work(number)
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)


def test_a_forked_process_has_a_lock_of_its_own(tmp_path):
    file = RotatingFile(tmp_path / "x", max_bytes=8, backups=1)
    file.append(b"0000000\n")
    fcntl.flock(file._descriptor, fcntl.LOCK_EX)  # as while it rotates
    in_children(1, lambda _: file.append(b"1111111\n"))
    assert [path.name for path in tmp_path.iterdir()] == ["x"]
    assert (tmp_path / "x").read_bytes() == b"0000000\n1111111\n"


def test_four_processes_that_rotate_at_once_lose_no_line(tmp_path):
    log = log_file(tmp_path / "x", max_bytes=1000, backups=99)
    log.write(b"parent\n")
    log.flush()

    def write(number):
        for line in range(500):
            log.write(b"%d %03d\n" % (number, line))
            log.flush()

    in_children(4, write)
    older = [path.read_bytes() for path in tmp_path.iterdir() if path.name != "x"]
    lines = b"".join([*older, (tmp_path / "x").read_bytes()]).splitlines()
    assert sorted(lines) == sorted(
        [b"parent", *(b"%d %03d" % (number, line) for number in range(4) for line in range(500))]
    )
    assert all(len(data) >= 1000 for data in older)  # nobody has rotated a file that was new


def test_a_file_that_cannot_be_had_is_told_at_once(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        log_file(tmp_path / "nowhere" / "x")


def test_a_named_pipe_that_nobody_reads_is_not_waited_for(tmp_path):
    path = tmp_path / "x"
    os.mkfifo(path)
    with pytest.raises(OSError, match="No such device"):
        log_file(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = log_file(path)
    for _ in range(100):
        log.write(b"x" * 999 + b"\n")  # a pipe holds 64 KiB
    log.flush()
    held = os.read(reader, 1 << 20)
    log.write(b"after\n")
    log.flush()
    *_, told, after = os.read(reader, 1 << 20).splitlines()
    os.close(reader)
    assert len(held) < 100_000
    assert b" bytes of the log were lost" in told
    assert after == b"after"
    assert log._taken == log._written
