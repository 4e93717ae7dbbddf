from __future__ import annotations

import resource
from contextlib import closing, contextmanager

import pytest
from clocks import Clock

from anthropic_bedrock_proxy.sandbox.executor.spool import (
    FileMissingError,
    FileTooLargeError,
    Spool,
    SpoolBounds,
    SpoolFullError,
)

BOUNDS = SpoolBounds(file_bytes=10, owner_bytes=20, owner_files=3, total_bytes=35, seconds=100)


@pytest.fixture
def clock():
    return Clock(1000.0)


@pytest.fixture
def spool(clock):
    with closing(Spool(BOUNDS, clock)) as made:
        yield made


def put(spool, owner="a", content=b"12345", *, downloadable=False):
    file = spool.begin(owner)
    try:
        file.write(content)
    except Exception:
        file.drop()
        raise
    return file.finish("x.txt", "text/plain", downloadable=downloadable)


def test_a_file_is_kept_for_its_owner(spool):
    record = put(spool)
    assert record.id.startswith("file_")
    assert len(record.id) == len("file_") + 24
    assert (record.size_bytes, record.created_at) == (5, 1000.0)
    assert spool.find("a", record.id) == record
    with spool.open("a", record.id) as file:
        assert file.read() == b"12345"
    for take in (spool.find, spool.open, spool.remove):
        with pytest.raises(FileMissingError):
            take("b", record.id)
    assert spool.list("b") == []


def test_files_are_listed_newest_first(spool):
    first, second = put(spool), put(spool)
    assert spool.list("a") == [second, first]


def test_a_file_has_a_bound_and_what_was_written_is_removed(spool):
    with pytest.raises(FileTooLargeError):
        put(spool, content=b"x" * 11)
    assert spool.list("a") == []
    for _ in range(2):  # nothing of it is counted
        put(spool, content=b"x" * 10)


def test_an_owner_has_bounds(spool):
    put(spool, content=b"x" * 10)
    put(spool, content=b"x" * 10)
    with pytest.raises(SpoolFullError, match="20 bytes"):
        put(spool, content=b"x")
    spool.remove("a", spool.list("a")[0].id)
    put(spool, content=b"x")
    put(spool, content=b"x")
    with pytest.raises(SpoolFullError, match="3 files"):
        put(spool, content=b"x")


def test_the_oldest_that_a_cell_left_gives_way(spool):
    uploaded = put(spool)
    left = [put(spool, downloadable=True) for _ in range(2)]
    made = put(spool, downloadable=True)
    assert spool.list("a") == [made, left[1], uploaded]
    large = put(spool, content=b"x" * 10, downloadable=True)
    assert spool.list("a") == [large, made, uploaded]


def test_no_owner_takes_the_room_of_others(spool):
    for owner in "ab":
        put(spool, owner, b"x" * 10, downloadable=True)
    put(spool, "a", b"x" * 10, downloadable=True)
    with pytest.raises(SpoolFullError, match="the executor"):
        put(spool, "c", b"x" * 10)
    assert len(spool.list("b")) == 1


def test_a_file_may_be_kept_for_a_shorter_time_and_for_no_longer(spool, clock):
    soon, late = (
        spool.begin("a").finish("x", "text/plain", downloadable=False, seconds=seconds)
        for seconds in (10, 1000)
    )
    assert (soon.expires_at, late.expires_at) == (1010.0, 1100.0)
    clock.now = 1009.0
    assert spool.list("a") == [late, soon]
    clock.now = 1010.0
    assert spool.list("a") == [late]
    with pytest.raises(FileMissingError):
        spool.find("a", soon.id)


def test_files_expire(spool, clock):
    record = put(spool)
    clock.now += 99
    spool.sweep()
    assert spool.list("a") == [record]
    clock.now += 1
    with pytest.raises(FileMissingError):
        spool.find("a", record.id)
    assert spool.list("a") == []
    spool.sweep()
    for _ in range(2):
        put(spool, content=b"x" * 10)


def test_nothing_is_left_of_it(clock):
    spool = Spool(BOUNDS, clock)
    put(spool)
    folder = spool._folder
    assert folder.stat().st_mode & 0o777 == 0o700
    spool.close()
    assert not folder.exists()


@contextmanager
def limited(kind, most):
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


def test_where_the_system_has_no_room_that_is_told_and_nothing_is_counted():
    with closing(Spool(SpoolBounds(total_bytes=3000))) as spool:
        file = spool.begin("a")
        with (
            limited(resource.RLIMIT_FSIZE, 1000),
            pytest.raises(SpoolFullError, match="cannot keep files now: File too large"),
        ):
            file.write(bytes(2000))
        with limited(resource.RLIMIT_FSIZE, 1000):
            file.drop()
        with (
            limited(resource.RLIMIT_NOFILE, 0),
            pytest.raises(SpoolFullError, match="cannot keep files now: Too many open files"),
        ):
            spool.begin("a")
        assert put(spool, content=bytes(3000)).size_bytes == 3000


def copied(spool, copy_id, content=b"12345"):
    file = spool.begin("a")
    file.write(content)
    return file.finish("x.txt", "text/plain", downloadable=False, copy_id=copy_id)


def test_a_copy_has_the_id_that_it_was_given_and_is_not_listed(spool):
    for content in (b"12345", b"1234567890"):  # the second one takes the place of the first
        assert copied(spool, "copy_1", content).id == "copy_1"
        with spool.open("a", "copy_1") as file:
            assert file.read() == content
        with pytest.raises(FileMissingError):
            spool.find("b", "copy_1")
    assert spool.list("a") == []
    put(spool, content=b"x" * 10)  # its bytes were counted once
    assert spool.find("a", "copy_1")


def test_copies_give_way_for_their_owner_cannot_remove_them(spool):
    copied(spool, "copy_1")
    kept = [put(spool), put(spool)]
    kept.append(put(spool))
    with pytest.raises(FileMissingError):
        spool.find("a", "copy_1")
    assert spool.list("a") == kept[::-1]
