"""The request log: found by its id, bounded, and nobody waits for its disk."""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from itertools import count
from threading import Event

import msgspec
import pytest

from anthropic_bedrock_proxy.gateway.exchange import Exchange
from anthropic_bedrock_proxy.telemetry.access_log import RequestLine
from anthropic_bedrock_proxy.telemetry.request_log.allowance import BURST
from anthropic_bedrock_proxy.telemetry.request_log.reader import find
from anthropic_bedrock_proxy.telemetry.request_log.record import decode
from anthropic_bedrock_proxy.telemetry.request_log.writer import RequestLog, Segments
from anthropic_bedrock_proxy.timeline import OK, UpstreamRequest

NOW = 1_700_000_000.0
DAY = 86_400.0


def name_of(number, at=NOW):
    return f"req_{int(at * 1000):011x}0123456789ab{number:x}"


def request(number, *, model="m", error=None):
    exchange = Exchange(name_of(number), started=1.0, at_ms=int(NOW * 1000))
    exchange.model, exchange.error_type, exchange.ended = model, error, 2.0
    exchange.timeline.upstream.append(
        UpstreamRequest("default", "us.m", "invoke", 1, 1.1, 1.2, 1.5, 1.9, OK)
    )
    line = RequestLine(
        "2023-11-14T22:13:20.000Z", "POST /v1/messages", 200, name_of(number), 1000.0, model=model
    )
    line.error = error
    return line, msgspec.json.encode(line), exchange


def write(folder, *requests, **options):
    async def main():
        log = RequestLog(folder, **{"max_bytes": 1 << 20, "keep_seconds": DAY, **options})
        for one in requests:
            log(*one)
        log.close()
        return log

    return asyncio.run(main())


def found(folder, number, now=lambda: NOW):
    return find(folder, name_of(number), keep_seconds=DAY, now=now)


def test_a_request_is_found_with_all_that_was_noted(tmp_path):
    folder = tmp_path / "requests"
    write(folder, request(1), request(2))
    record = found(folder, 2)
    assert (record.line.request_id, record.line.model) == (name_of(2), "m")
    assert (record.started, record.ended) == (1.0, 2.0)
    assert record.upstream == request(2)[2].timeline.upstream
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


@pytest.mark.parametrize("name", ["", "req_x", name_of(3), name_of(1)[:-1], "../../etc/passwd"])
def test_what_was_not_noted_is_not_found(tmp_path, name):
    write(tmp_path, request(1), request(21))
    assert find(tmp_path, name, keep_seconds=DAY, now=lambda: NOW) is None
    assert found(tmp_path / "nothing", 1) is None


def test_looks_at_health_are_not_noted_and_refusals_are(tmp_path):
    write(tmp_path, request(1, model=""), request(2, model="", error="authentication_error"))
    assert found(tmp_path, 1) is None
    assert found(tmp_path, 2).line.error == "authentication_error"


def test_a_flood_without_a_key_leaves_room_for_others(tmp_path):
    def refusal(number, key_id=""):
        line, _, exchange = request(number, model="", error="authentication_error")
        exchange.timeline.upstream.clear()
        line.key_id = key_id
        return line, msgspec.json.encode(line), exchange

    flood = (refusal(number) for number in range(BURST + 9))
    write(tmp_path, *flood, refusal(5000, "key_1"), request(5001, error="api_error"))
    assert found(tmp_path, BURST - 2) is not None
    assert found(tmp_path, BURST + 8) is None
    assert found(tmp_path, 5000).line.key_id == "key_1"
    assert found(tmp_path, 5001) is not None  # its key was not needed


def test_it_is_written_by_itself_a_moment_later(tmp_path):
    async def main():
        log = RequestLog(tmp_path, max_bytes=1 << 20, keep_seconds=DAY)
        log(*request(1))
        while found(tmp_path, 1) is None:
            await asyncio.sleep(0.02)
        log.close()

    asyncio.run(asyncio.wait_for(main(), 10))


def test_segments_are_bounded_together_and_the_oldest_go(tmp_path):
    now = [NOW]
    segments = Segments(tmp_path, max_bytes=16_000, keep_seconds=DAY, now=lambda: now[0])
    for number in range(100):
        now[0] += 0.01
        segments.write(b"%d " % number + b"x" * 997 + b"\n")
    segments.close()
    total = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert 12_000 <= total <= 16_000 + 1_001
    assert b"\n99 " in b"\n" + b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))
    assert not any(path.read_bytes().startswith(b"0 ") for path in tmp_path.iterdir())


def test_what_is_too_old_goes_with_the_next_segment(tmp_path):
    now = [NOW]
    segments = Segments(tmp_path, max_bytes=1 << 20, keep_seconds=DAY, now=lambda: now[0])
    segments.write(b"old\n")
    (old,) = tmp_path.iterdir()
    os.utime(old, (NOW, NOW))
    now[0] += DAY + 1
    segments.write(b"new\n")
    segments.close()
    (new,) = tmp_path.iterdir()
    assert new.read_bytes() == b"new\n"


def test_a_disk_that_takes_nothing_stops_nobody_and_is_told_once(tmp_path, caplog):
    (tmp_path / "file").write_bytes(b"")
    segments = Segments(tmp_path / "file", max_bytes=1, keep_seconds=DAY, now=lambda: NOW)
    caplog.set_level(logging.INFO)
    segments.write(b"x\ny\n")
    segments.write(b"x\n")
    (tmp_path / "file").unlink()
    segments.write(b"x\n")  # it is mended by itself
    segments.write(b"x\n")
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", "requests cannot be noted for `explain`: File exists"),
        ("INFO", "requests are noted for `explain` again, 3 were not"),
    ]
    segments.close()
    assert (tmp_path / "file").is_dir()


def test_a_disk_that_hangs_loses_records_takes_no_memory_and_is_told(tmp_path, caplog):
    disk = Event()

    def now():
        disk.wait()
        return NOW

    async def main():
        log = RequestLog(tmp_path, max_bytes=1 << 20, keep_seconds=DAY, now=now)
        for number in range(200):
            log(*request(number))
            log.flush()
        assert log._queue.qsize() == 64
        disk.set()
        while log._queue.qsize():
            await asyncio.sleep(0)
        log(*request(200))
        log.close()

    caplog.set_level(logging.INFO)
    asyncio.run(main())
    assert [record.getMessage() for record in caplog.records] == [
        "requests cannot be noted for `explain`: the disk is too slow",
        "requests are noted for `explain` again, 136 were not",
    ]
    assert found(tmp_path, 200) is not None


def test_a_segment_that_another_worker_deleted_is_begun_anew(tmp_path):
    moments = count(int(NOW))
    quiet, busy = (
        Segments(tmp_path, max_bytes=16_000, keep_seconds=DAY, now=lambda: next(moments) / 8)
        for _ in range(2)
    )
    quiet.write(b"before\n")
    for _ in range(100):
        busy.write(b"x" * 999 + b"\n")
    assert not any(path.read_bytes() == b"before\n" for path in tmp_path.iterdir())
    quiet.write(b"after\n")
    assert any(path.read_bytes() == b"after\n" for path in tmp_path.iterdir())
    quiet.close()
    busy.close()


def test_what_is_too_old_is_not_told_though_it_is_still_there(tmp_path):
    write(tmp_path, request(1))
    assert found(tmp_path, 1, now=lambda: NOW + DAY) is not None
    assert found(tmp_path, 1, now=lambda: NOW + DAY + 1) is None


def test_a_worker_that_is_idle_deletes_what_is_too_old(tmp_path):
    now = [NOW]
    segments = Segments(tmp_path, max_bytes=1 << 20, keep_seconds=DAY, now=lambda: now[0])
    segments.write(b"old\n")
    (path,) = tmp_path.iterdir()
    os.utime(path, (NOW, NOW))
    segments.tidy()
    assert path.exists()
    now[0] += DAY + 1
    segments.tidy()
    assert not path.exists()
    assert segments._file is None  # its bytes are free
    Segments(tmp_path / "none", max_bytes=1, keep_seconds=DAY, now=lambda: NOW).tidy()


def test_what_a_worker_finds_at_its_start_is_deleted_if_it_is_too_old(tmp_path):
    write(tmp_path, request(1))
    (path,) = tmp_path.iterdir()
    os.utime(path, (NOW, NOW))
    write(tmp_path)
    assert not path.exists()


def test_a_line_of_another_version_is_as_if_it_were_not_there(tmp_path):
    write(tmp_path, request(1))
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes().replace(b'"started":', b'"begun":'))
    assert found(tmp_path, 1) is None
    path.write_bytes(b"")
    assert found(tmp_path, 1) is None


def test_the_log_holds_no_account(tmp_path):
    arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc1"
    line, encoded, exchange = request(1)
    (asked,) = exchange.timeline.upstream
    asked.bedrock_model_id = arn
    exchange.warnings = (f"not {arn}",)
    write(tmp_path, (line, encoded, exchange))
    (path,) = tmp_path.iterdir()
    assert "123456789012" not in path.read_text()
    record = found(tmp_path, 1)
    assert record.upstream[0].bedrock_model_id == arn.replace("123456789012", "(account)")
    assert asked.bedrock_model_id == arn  # others look at it, too


def test_the_log_holds_nothing_of_what_was_asked(tmp_path):
    write(tmp_path, request(1))
    (path,) = tmp_path.iterdir()
    known = set(msgspec.json.decode(path.read_bytes()))
    moments = {"started", "received", "admitted", "told", "ended"}
    assert known <= {"line", "upstream"} | moments
    assert decode(path.read_bytes()).line.model == "m"
